//! What a person sees of a run: a bar on a terminal, a line after each epoch.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use schuss::{Measured, Metrics, Scores};

/// A bar on standard error, only there if that is a terminal: examples done, examples a second, time left; time passed
/// where the number of examples is not known.
pub fn bar(examples: Option<u64>) -> ProgressBar {
    let bar = examples.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let template = match examples {
        Some(_) => "{bar:30} {percent:>3} %  {rate}  {eta} left  {msg}",
        None => "{spinner} {elapsed}  {rate}  {msg}",
    };
    let rate = |state: &ProgressState, w: &mut dyn std::fmt::Write| {
        // Nothing can be done about a terminal that does not take text.
        let _ = write!(w, "{} examples/s", short(state.per_sec()));
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("rate", rate));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// What is waited for, said on standard error only if that is a terminal.
pub fn waiting(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// A rate in three digits.
fn short(rate: f64) -> String {
    match rate {
        1e6.. => format!("{:.2} M", rate / 1e6),
        1e3.. => format!("{:.0} k", rate / 1e3),
        _ => format!("{rate:.0}"),
    }
}

/// The parts of the data, by the name in the table.
fn parts(measured: Measured) -> [(&'static str, Option<Metrics>); 3] {
    [("", measured.train), ("valid ", measured.valid), ("test ", measured.test)]
}

/// The heads of the columns of [`line`], where the first one is of these metrics.
pub fn head(measured: Measured) -> String {
    let columns = |(part, metrics): (&str, Option<Metrics>)| {
        let score = match metrics?.scores {
            Scores::Regression { .. } => "rmse",
            _ if part.is_empty() => "accuracy",
            _ => "acc",
        };
        Some(format!("  {:>10}  {:>10}", format!("{part}loss"), format!("{part}{score}")))
    };
    let columns: String = parts(measured).into_iter().filter_map(columns).collect();
    format!("{:>5}{columns}  {:>8}", "epoch", "seconds")
}

/// The metrics after an epoch, below those of the `first` one, of whose parts some may not have been measured again.
pub fn line(epoch: i64, measured: Measured, first: Measured, seconds: f64) -> String {
    let columns = |((_, metrics), (_, first)): ((_, Option<Metrics>), (_, Option<Metrics>))| {
        let Some(metrics) = metrics else { return first.map_or(String::new(), |_| " ".repeat(24)) };
        let (Scores::Classification { accuracy: score, .. }
        | Scores::MultiLabel { accuracy: score, .. }
        | Scores::Regression { rmse: score, .. }) = metrics.scores;
        format!("  {:>10.4}  {score:>10.4}", metrics.loss)
    };
    let columns: String = parts(measured).into_iter().zip(parts(first)).map(columns).collect();
    format!("{epoch:>5}{columns}  {seconds:>8.2}")
}
