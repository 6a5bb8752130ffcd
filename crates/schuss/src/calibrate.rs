//! Probabilities that are as sure as they are right.

use std::ops::RangeInclusive;

use crate::workspace::Workspace;
use crate::{Activation, Dataset, Error, Layer, Loss, Model, Real, Result, Targets, Task, Threads};

/// What the inverse of a temperature may be: a few rows that are all right would make it infinite.
const INVERSES: RangeInclusive<f64> = 0.25..=4.0;
/// Halvings of that range.
const HALVINGS: usize = 40;

impl<T: Real> Model<T> {
    /// Divides the logits z of a classifier by the temperature t for which the mean cross-entropy of these examples, of
    /// softmax(z/t), is least (Guo et al. 2017, arXiv:1706.04599); of networks that share layers, that of their mean. What is
    /// most probable to a network stays so, and how probable suits the examples, which should be others than those of the
    /// training. The last layer's weights and biases are divided by t, so that nothing else has to know of it. Gives t, from
    /// 1/4 to 4.
    ///
    /// # Errors
    /// See [`Model::check`]; no classifier that ends in softmax or, of two classes, in one logit.
    pub fn calibrate(&mut self, dataset: Dataset, threads: &Threads) -> Result<f64> {
        self.check(dataset)?;
        self.check_calibration(dataset)?;
        let mut workspace = Workspace::new(&self.network, self.batch().min(dataset.rows()), threads);
        Ok(self.calibrate_in(dataset, &mut workspace))
    }

    /// Fails unless there is a temperature to be had.
    pub(crate) fn check_calibration(&self, dataset: Dataset) -> Result<()> {
        let ends_in_logits = matches!(self.network.last_activation(), Activation::Softmax { .. })
            || matches!((self.loss, self.task), (Loss::BinaryCrossEntropy, Task::Classification { .. }));
        match (dataset.targets(), self.network.layers().last()) {
            (Targets::Classes { .. }, Some(Layer::Dense(_) | Layer::Heads(_)))
                if ends_in_logits && self.others.is_empty() =>
            {
                Ok(())
            }
            _ => Err(Error::value(
                "calibration",
                "a classifier of one network that ends in softmax, and a class a row",
                "another model",
            )),
        }
    }

    /// [`Model::calibrate`] with this memory, of a model and examples for which it was checked.
    pub(crate) fn calibrate_in(&mut self, dataset: Dataset, workspace: &mut Workspace<T>) -> f64 {
        let Targets::Classes { labels, .. } = dataset.targets() else { return 1.0 };
        let weight = |row: usize| dataset.weights().map_or(1.0, |weights| weights[row]);
        let logits = self.logits(dataset, workspace);
        let classes = self.network.outputs().max(2);
        let members = self.network.members();
        // Where the slope of the mean cross-entropy of p = Σ_members softmax(z/t)/members is 0, it is least: it is convex in
        // 1/t for one member, and mostly has one valley for several.
        let slope = |inverse: f64| -> f64 {
            let of_row = |(row, (z, &label)): (usize, (&[f64], &u32))| {
                // Σ_members p_y (Σ p z - z_y) over Σ_members p_y, both over the largest p_y so far.
                let (mut most, mut total, mut slopes) = (f64::NEG_INFINITY, 0.0, 0.0);
                for z in z.chunks(classes) {
                    let largest = z.iter().fold(f64::NEG_INFINITY, |most, &z| most.max(z));
                    let [mut sum, mut mean] = [0.0; 2];
                    for z in z {
                        let share = (inverse * (z - largest)).exp();
                        sum += share;
                        mean += share * z;
                    }
                    let z_y = z[label as usize];
                    let ln_p = inverse * (z_y - largest) - sum.ln();
                    if ln_p > most {
                        let shrink = (most - ln_p).exp();
                        (most, total, slopes) = (ln_p, total * shrink, slopes * shrink);
                    }
                    let share = (ln_p - most).exp();
                    total += share;
                    slopes += share * (mean / sum - z_y);
                }
                weight(row) * (slopes / total)
            };
            logits.chunks(members * classes).zip(labels).enumerate().map(of_row).sum()
        };
        let [mut low, mut high] = [*INVERSES.start(), *INVERSES.end()];
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if slope(middle) < 0.0 { low = middle } else { high = middle }
        }
        let inverse = 0.5 * (low + high);
        if inverse.is_finite() {
            let last = self.network.layers().len() - 1;
            let ranges: Vec<_> = self.network.segments().iter().filter(|segment| segment.layer == last).collect();
            let ranges: Vec<_> = ranges.into_iter().map(|segment| segment.range.clone()).collect();
            let factor = T::from_f64(inverse);
            ranges
                .into_iter()
                .for_each(|range| self.network.parameters_mut()[range].iter_mut().for_each(|x| *x *= factor));
        }
        1.0 / inverse
    }

    /// The logits of every example, one after the other, of each of the networks that share layers; 0 beside a single one.
    fn logits(&mut self, dataset: Dataset, workspace: &mut Workspace<T>) -> Vec<f64> {
        let activation = self.network.last_activation();
        let is_single = self.network.outputs() == 1;
        let mut logits = Vec::new();
        self.network.set_last_activation(Activation::Identity);
        self.for_each_input(dataset.features(), workspace, |_, workspace| {
            for row in self.network.forward_input(workspace).rows() {
                logits.extend(is_single.then_some(0.0));
                logits.extend(row.iter().map(|z| z.to_f64()));
            }
        });
        self.network.set_last_activation(activation);
        logits
    }
}
