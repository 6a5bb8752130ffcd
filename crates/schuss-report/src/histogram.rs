//! Histograms of a model's weights and gradients, taken while it trains.

use schuss::{Network, Real};
use serde_json::{Value, json};

use crate::schema::{Distribution, Histogram, finite};

/// Bins of a histogram of weights or gradients.
const BINS: usize = 40;
/// Epochs whose histograms a report shows, at most.
const MOST_EPOCHS: usize = 60;

impl Histogram {
    /// The finite numbers among `values`, in so many equal bins from the smallest to the largest.
    pub fn of<T: Real>(values: impl Iterator<Item = T> + Clone, bins: usize) -> Self {
        let values = values.filter(|x| x.is_finite()).map(|x| x.to_f64());
        let [low, high] =
            values.clone().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)]);
        if low > high {
            return Self { low: 0.0, high: 0.0, counts: vec![0; bins] };
        }
        // Values close to each other are in the same bin: four counters, so that one need not wait for the one before.
        let mut counts = [(); 4].map(|()| vec![0; bins]);
        // Halved, so that the width of the whole range is a number.
        let scale = bins as f64 / (high / 2.0 - low / 2.0);
        let scale = if scale.is_finite() { scale } else { 0.0 };
        for (i, x) in values.enumerate() {
            counts[i % 4][(((x / 2.0 - low / 2.0) * scale) as usize).min(bins - 1)] += 1;
        }
        let counts = (0..bins).map(|bin| counts.iter().map(|counts| counts[bin]).sum()).collect();
        Self { low, high, counts }
    }
}

/// The line of `metrics.jsonl` with histograms of every weight and bias, and of the `gradient` of the last step, if there
/// was one.
pub fn histograms<T: Real>(epoch: i64, network: &Network<T>, gradient: Option<&[T]>) -> Value {
    let of = |values: &[T]| {
        let Histogram { low, high, counts } = Histogram::of(values.iter().copied(), BINS);
        json!([low, high, counts])
    };
    let [mut weights, mut gradients] = [serde_json::Map::new(), serde_json::Map::new()];
    for segment in network.segments() {
        weights.insert(segment.name.clone(), of(&network.parameters()[segment.range.clone()]));
        if let Some(gradient) = gradient {
            gradients.insert(segment.name.clone(), of(&gradient[segment.range.clone()]));
        }
    }
    json!({ "event": "histograms", "epoch": epoch, "weight": weights, "gradient": gradients })
}

/// What such lines say, tensor by tensor.
pub fn distributions(lines: &[Value]) -> Vec<Distribution> {
    let lines: Vec<&Value> = lines.iter().filter(|line| line["event"] == "histograms").collect();
    let every = lines.len().div_ceil(MOST_EPOCHS).max(1);
    // The last one is always among them.
    let shown = || lines.iter().rev().step_by(every).rev();
    let mut distributions = Vec::<Distribution>::new();
    for kind in ["weight", "gradient"] {
        let Some(names) = lines.last().and_then(|line| line[kind].as_object()) else { continue };
        for tensor in names.keys() {
            let read = |line: &&Value| Some((line["epoch"].as_i64()?, read(&line[kind][tensor])?));
            let (epochs, histograms) = shown().filter_map(read).unzip();
            distributions.push(Distribution { tensor: tensor.clone(), kind: kind.into(), epochs, histograms });
        }
    }
    distributions
}

/// The histograms of one line, by tensor and kind.
pub fn histograms_of(line: &Value) -> Vec<(String, Histogram)> {
    let kinds = ["weight", "gradient"].into_iter().filter_map(|kind| Some((kind, line[kind].as_object()?)));
    kinds
        .flat_map(|(kind, tensors)| tensors.iter().map(move |(name, value)| (format!("{kind}/{name}"), read(value))))
        .filter_map(|(name, histogram)| Some((name, histogram?)))
        .collect()
}

fn read(value: &Value) -> Option<Histogram> {
    let counts = value[2].as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<u64>>>()?;
    Some(Histogram { low: finite(value[0].as_f64()?)?, high: finite(value[1].as_f64()?)?, counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], low: f64, high: f64, counts: &[u64]) {
        let expected = Histogram { low, high, counts: counts.into() };
        assert_eq!(Histogram::of(values.iter().copied(), counts.len()), expected, "{values:?}");
    }

    #[test]
    fn every_finite_number_is_in_its_bin() {
        check(&[0.0, 0.4, 0.6, 1.0], 0.0, 1.0, &[2, 2]);
        check(&[-1.0, 0.0, 1.0, 2.0], -1.0, 2.0, &[1, 1, 2]);
        check(&[7.0, 7.0], 7.0, 7.0, &[2, 0]);
        check(&[f64::NAN, 1.0, f64::INFINITY], 1.0, 1.0, &[1, 0]);
        check(&[], 0.0, 0.0, &[0, 0]);
        check(&[-f64::MAX, f64::MAX], -f64::MAX, f64::MAX, &[1, 1]);
    }
}
