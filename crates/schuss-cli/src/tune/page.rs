//! A search as a page.

use schuss::metrics::Measure;
use schuss_report::html;
use schuss_report::schema::{Better, Parameter, Place, Report, Trial, Tuning};

use super::halving::Rung;
use super::record::{Outcome, Setup};
use super::space::{Drawn, Range};
use crate::report::made;

/// A search that is over, or as far as it came.
pub struct Subject<'a> {
    pub setup: &'a Setup,
    pub rungs: &'a [Rung],
    pub measure: &'a Measure,
    /// With their seconds.
    pub outcomes: &'a [(Outcome, f64)],
    /// The trials, the best first.
    pub order: &'a [usize],
    /// What trial 0 has of the settings that are searched.
    pub default: &'a Drawn,
    pub summary: Vec<String>,
    pub title: String,
    pub command: String,
}

/// The page of a search: its trials, the measure against each setting, and how it rose from rung to rung.
pub fn page(subject: Subject) -> String {
    let Subject { setup, rungs, measure, outcomes, order, default, .. } = subject;
    let ranges: Vec<(&str, &Range)> = setup.space.parameters().collect();
    let parameter = |(name, range): &(&str, &Range)| {
        let (choices, is_log) = match range {
            Range::Choices(choices) => (Some(choices.clone()), false),
            Range::Numbers { is_log, .. } => (None, *is_log),
        };
        Parameter { name: (*name).into(), is_log, choices }
    };
    let trial = |&trial: &usize| {
        let of_trial = || outcomes.iter().filter(|(outcome, _)| outcome.trial == trial);
        let settings = of_trial().next().map_or(default, |(outcome, _)| &outcome.settings);
        let value = |name: &str| settings.get(name).or_else(|| default.get(name)).cloned().unwrap_or_default();
        let place = |(outcome, seconds): &(Outcome, f64)| Place {
            epochs: outcome.epochs,
            mean: outcome.mean,
            error: outcome.error,
            seconds: schuss_report::schema::finite(*seconds),
        };
        Trial {
            trial,
            settings: ranges.iter().map(|(name, _)| value(name)).collect(),
            places: ranges.iter().map(|(name, range)| range.place(&value(name))).collect(),
            rungs: of_trial().map(place).collect(),
        }
    };
    html(&Report {
        version: 1,
        title: subject.title,
        made: made(),
        schuss: env!("CARGO_PKG_VERSION").into(),
        runs: Vec::new(),
        comparison: None,
        tuning: Some(Tuning {
            summary: subject.summary,
            measure: measure.name.into(),
            is_share: measure.is_share,
            better: Better::of(measure.higher_is_better),
            folds: setup.folds,
            rungs: rungs.iter().map(|rung| rung.epochs).collect(),
            parameters: ranges.iter().map(parameter).collect(),
            trials: order.iter().map(trial).collect(),
            command: subject.command,
        }),
    })
}
