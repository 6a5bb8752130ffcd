//! What a run says, as JSON: one object a line.

use std::io::Write;

use schuss::{Measured, Metrics, Scores};
use serde_json::{Value, json};

/// A line of text on standard output: `println!` that does not panic.
macro_rules! say {
    ($($text:tt)*) => { $crate::events::write(format_args!("{}\n", $crate::events::harmless(format!($($text)*)))) };
}
pub(crate) use say;

/// Text whose names, which come from files, do nothing to a terminal.
pub fn harmless(text: String) -> String {
    let is_harmful = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    match text.contains(is_harmful) {
        true => text.chars().map(|letter| if is_harmful(letter) { '\u{fffd}' } else { letter }).collect(),
        false => text,
    }
}

/// A number, null where it is not finite.
pub fn number(x: f64) -> Value {
    serde_json::Number::from_f64(x).map_or(Value::Null, Value::Number)
}

/// The event after an epoch.
pub fn epoch(epoch: i64, measured: Measured, seconds: f64) -> Value {
    let mut event = json!({ "event": "epoch", "epoch": epoch });
    insert(&mut event, measured);
    event["seconds"] = number(seconds);
    event
}

/// Adds `loss`, `acc` or `rmse`, `loss_valid`, `loss_test` and so on, what there is of them.
pub fn insert(event: &mut Value, measured: Measured) {
    for (part, metrics) in [("", measured.train), ("_valid", measured.valid), ("_test", measured.test)] {
        let Some(metrics) = metrics else { continue };
        event[format!("loss{part}")] = number(metrics.loss);
        match metrics.scores {
            Scores::Classification { accuracy, .. } | Scores::MultiLabel { accuracy, .. } => {
                event[format!("acc{part}")] = number(accuracy);
            }
            Scores::Regression { rmse, .. } => event[format!("rmse{part}")] = number(rmse),
        }
    }
}

/// The last event of a run that was over before.
pub fn say_done(done: &Value, is_json: bool) {
    if is_json {
        return print(done);
    }
    say!("weights_sha256 {}", done["weights_sha256"].as_str().unwrap_or_default());
    say!("model: {}", done["model"].as_str().unwrap_or_default());
}

/// The metrics of an evaluation.
pub fn metrics(metrics: Metrics) -> Value {
    match metrics.scores {
        Scores::Classification { accuracy, log_loss } => {
            let mut values = json!({ "loss": number(metrics.loss), "accuracy": number(accuracy) });
            if let Some(log_loss) = log_loss {
                values["log_loss"] = number(log_loss);
            }
            values
        }
        Scores::MultiLabel { accuracy, exact, log_loss } => {
            let mut values =
                json!({ "loss": number(metrics.loss), "accuracy": number(accuracy), "exact": number(exact) });
            if let Some(log_loss) = log_loss {
                values["log_loss"] = number(log_loss);
            }
            values
        }
        Scores::Regression { rmse, mae, r2 } => {
            json!({ "loss": number(metrics.loss), "rmse": number(rmse), "r2": number(r2), "mae": number(mae) })
        }
    }
}

/// Writes an object and its line end to standard output.
pub fn print(event: &Value) {
    write(format_args!("{event}\n"));
}

/// Writes to standard output. A reader that went away is no reason to stop; an output that takes nothing ends the
/// program: what it was asked for cannot be had.
pub fn write(text: std::fmt::Arguments) {
    let mut out = std::io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write to standard output: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}
