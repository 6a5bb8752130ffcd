//! What the lines of a run's `metrics.jsonl` say: its epochs, and its speed.

use serde_json::Value;

use crate::schema::{Epoch, History, Speed};

/// The epochs of a run whose model has such a loss.
pub fn history(lines: &[Value], loss: &str) -> History {
    // Of an ensemble, the first member stands for all.
    let is_first = |line: &&Value| line["member"].as_u64().unwrap_or(0) == 0;
    let epochs: Vec<&Value> = lines.iter().filter(|line| line["event"] == "epoch").filter(is_first).collect();
    let is_share =
        !epochs.iter().any(|line| line.as_object().is_some_and(|line| line.keys().any(|key| key.starts_with("rmse"))));
    let score = if is_share { "acc" } else { "rmse" };
    let parts = ["", "_valid", "_test"];
    let of_parts = |line: &Value, name: &str| parts.map(|part| line[format!("{name}{part}")].as_f64());
    let epoch = |line: &&Value| Epoch {
        epoch: line["epoch"].as_i64().unwrap_or(0),
        seconds: line["seconds"].as_f64(),
        loss: of_parts(line, "loss"),
        score: of_parts(line, score),
    };
    History {
        loss: loss.into(),
        score: if is_share { "accuracy" } else { "RMSE" }.into(),
        is_share,
        members: members(lines),
        kept_epoch: done(lines).and_then(|done| done["kept_epoch"].as_i64()),
        epochs: epochs.iter().map(epoch).collect(),
    }
}

/// Networks that were trained.
fn members(lines: &[Value]) -> usize {
    1 + lines.iter().filter_map(|line| line["member"].as_u64()).max().unwrap_or(0) as usize
}

/// The last line of a run that is over.
pub fn done(lines: &[Value]) -> Option<&Value> {
    lines.iter().rev().find(|line| line["event"] == "done")
}

/// What the steps made of a machine.
pub fn speed(lines: &[Value], machine: &str) -> Option<Speed> {
    let done = done(lines)?;
    let speed = &done["speed"];
    let time = speed["time"].as_object().into_iter().flatten();
    Some(Speed {
        seconds: done["train_seconds"].as_f64()?,
        steps: done["steps"].as_u64()?,
        examples_per_s: speed["examples_per_s"].as_f64(),
        gflops: speed["gflops"].as_f64(),
        peak_gflops: speed["peak_gflops"].as_f64(),
        share_of_peak: speed["share_of_peak"].as_f64(),
        left_out: speed["left_out"].as_f64(),
        time: time.filter_map(|(name, share)| Some((name.clone(), share.as_f64()?))).collect(),
        machine: machine.into(),
    })
}
