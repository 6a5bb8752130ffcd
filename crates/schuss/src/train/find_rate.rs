//! How large a learning rate may be: steps at ever larger ones.

use crate::train::{OnDivergence, Settings, Trainer};
use crate::{Dataset, Model, Real, Result, Threads};

/// What steps at ever larger learning rates came to.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRate {
    /// Learning rate and smoothed loss of each step.
    pub points: Vec<(f64, f64)>,
    /// The rate at which the loss falls fastest, if it falls at all.
    pub steepest: Option<f64>,
    /// A tenth of the rate with the smallest loss.
    pub tenth_of_best: Option<f64>,
}

/// The learning-rate finder (Smith 2017, arXiv:1506.01186, in the form of fast.ai): up to `steps` steps of training at
/// rates that grow from `from` to `to`, each by the same factor, on a copy of `model`. The loss is smoothed,
/// s = 0.95 s + 0.05 L, divided by 1 - 0.95ᵗ; it ends where that is four times its smallest, or no number any more.
///
/// # Errors
/// Data that do not fit the model; settings outside their range.
pub fn find_rate<T: Real>(
    model: &Model<T>,
    data: Dataset,
    settings: &Settings,
    threads: &Threads,
    steps: usize,
    [from, to]: [f64; 2],
) -> Result<FoundRate> {
    const KEEP: f64 = 0.95;
    const TOO_MUCH: f64 = 4.0;
    let mut model = model.clone();
    let settings = Settings { on_divergence: OnDivergence::Stop, epochs: usize::MAX, ..settings.clone() };
    let mut trainer = Trainer::new(&mut model, data, &settings, threads)?;
    let mut order = vec![0; data.rows()];
    let mut points = Vec::new();
    let [mut smoothed, mut least] = [0.0, f64::INFINITY];
    'all: for epoch in 0.. {
        settings.order.fill(epoch, &mut order);
        for rows in order.chunks(settings.batch_size) {
            let step = points.len();
            if step == steps {
                break 'all;
            }
            let rate = from * (to / from).powf(step as f64 / (steps.max(2) - 1) as f64);
            let Some(loss) = trainer.step(rows, rate) else { break 'all };
            smoothed = KEEP * smoothed + (1.0 - KEEP) * loss;
            let value = smoothed / (1.0 - KEEP.powi(step as i32 + 1));
            points.push((rate, value));
            least = least.min(value);
            if value > TOO_MUCH * least {
                break 'all;
            }
        }
    }
    let best = (0..points.len()).min_by(|&a, &b| points[a].1.total_cmp(&points[b].1));
    // Over a tenth of the points, so that noise has no say; without the first ones, which smooth little.
    let window = (points.len() / 20).max(1);
    let slope = |i: usize| (points[i].0, points[i + window].1 - points[i - window].1);
    let slopes = best.map_or(0..0, |best| 2 * window..best.saturating_sub(window)).map(slope);
    let steepest = slopes.filter(|(_, slope)| *slope < 0.0).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(rate, _)| rate);
    let tenth_of_best = best.filter(|best| *best > 0).map(|best| points[best].0 / 10.0);
    Ok(FoundRate { points, steepest, tenth_of_best })
}
