//! What a run says, as JSON: one object a line.

use std::io::Write;

use schuss::{Metrics, Scores};
use serde_json::{Map, Value, json};

/// A number, null where it is not finite.
pub fn number(x: f64) -> Value {
    serde_json::Number::from_f64(x).map_or(Value::Null, Value::Number)
}

/// The event after an epoch.
pub fn epoch(epoch: i64, train: Option<Metrics>, test: Option<Metrics>, seconds: f64) -> Value {
    let mut event = Map::new();
    event.insert("event".into(), "epoch".into());
    event.insert("epoch".into(), epoch.into());
    for (part, metrics) in [("", train), ("_test", test)] {
        let Some(metrics) = metrics else { continue };
        event.insert(format!("loss{part}"), number(metrics.loss));
        match metrics.scores {
            Scores::Classification { accuracy, .. } | Scores::MultiLabel { accuracy, .. } => {
                event.insert(format!("acc{part}"), number(accuracy))
            }
            Scores::Regression { rmse, .. } => event.insert(format!("rmse{part}"), number(rmse)),
        };
    }
    event.insert("seconds".into(), number(seconds));
    Value::Object(event)
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

/// A line of text on standard output: `println!` that does not panic.
macro_rules! say {
    ($($text:tt)*) => { $crate::events::write(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use say;
