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
pub fn head(metrics: Metrics, has_test: bool) -> String {
    let (score, test_score) = match metrics.scores {
        Scores::Classification { .. } => ("accuracy", "test acc"),
        Scores::Regression { .. } => ("rmse", "test rmse"),
    };
    let test = if has_test { format!("  {:>10}  {test_score:>10}", "test loss") } else { String::new() };
    format!("{:>5}  {:>10}  {score:>10}{test}  {:>8}", "epoch", "loss", "seconds")
}

/// The metrics after an epoch.
pub fn line(epoch: i64, train: Metrics, test: Option<Metrics>, seconds: f64) -> String {
    let columns = |metrics: Metrics| match metrics.scores {
        Scores::Classification { accuracy, .. } => format!("  {:>10.4}  {accuracy:>10.4}", metrics.loss),
        Scores::Regression { rmse, .. } => format!("  {:>10.4}  {rmse:>10.4}", metrics.loss),
    };
    format!("{epoch:>5}{}{}  {seconds:>8.2}", columns(train), test.map_or(String::new(), columns))
}
