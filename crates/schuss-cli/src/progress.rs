//! What a person sees of a run: a bar on a terminal, a line after each epoch.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use schuss::{Metrics, Scores};

/// A bar on standard error, only there if that is a terminal: examples done, examples a second, time left.
pub fn bar(examples: u64) -> ProgressBar {
    let bar = ProgressBar::new(examples);
    let template = "{bar:30} {percent:>3} %  {rate}  {eta} left  {msg}";
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

/// A rate in three digits.
fn short(rate: f64) -> String {
    match rate {
        1e6.. => format!("{:.2} M", rate / 1e6),
        1e3.. => format!("{:.0} k", rate / 1e3),
        _ => format!("{rate:.0}"),
    }
}

/// The heads of the columns of [`line`].
pub fn head(train: Option<Metrics>, test: Option<Metrics>) -> String {
    let columns = |part: &str, metrics: Metrics| {
        let score = match metrics.scores {
            Scores::Regression { .. } => "rmse",
            _ if part.is_empty() => "accuracy",
            _ => "acc",
        };
        format!("  {:>10}  {:>10}", format!("{part}loss"), format!("{part}{score}"))
    };
    let [train, test] = [("", train), ("test ", test)]
        .map(|(part, metrics)| metrics.map_or(String::new(), |metrics| columns(part, metrics)));
    format!("{:>5}{train}{test}  {:>8}", "epoch", "seconds")
}

/// The metrics after an epoch.
pub fn line(epoch: i64, train: Option<Metrics>, test: Option<Metrics>, seconds: f64) -> String {
    let columns = |metrics: Metrics| match metrics.scores {
        Scores::Classification { accuracy, .. } | Scores::MultiLabel { accuracy, .. } => {
            format!("  {:>10.4}  {accuracy:>10.4}", metrics.loss)
        }
        Scores::Regression { rmse, .. } => format!("  {:>10.4}  {rmse:>10.4}", metrics.loss),
    };
    let [train, test] = [train, test].map(|metrics| metrics.map_or(String::new(), columns));
    format!("{epoch:>5}{train}{test}  {seconds:>8.2}")
}
