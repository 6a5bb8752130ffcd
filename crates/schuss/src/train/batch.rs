//! The examples of a step: gathered, changed, mixed, with their targets and weights.

use std::ops::Range;

use ndarray::{Array2, ArrayViewMut2};
use schuss_kernels::meter::{Work, timed};

use crate::augment::Augmenter;
use crate::loss::BatchTargets;
use crate::random::{Purpose, Stream};
use crate::train::Settings;
use crate::workspace::{first_rows, first_rows_mut};
use crate::{Dataset, Features, Model, Real, Targets, Threads};

/// What a batch is made of, laid out once.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    seed: u64,
    augmenter: Option<Augmenter>,
    /// Networks that each take every example.
    members: usize,
    /// The α of mixup, or 0.
    mixup: f64,
    label_smoothing: f64,
    class_weights: Vec<f64>,
    /// What weights are multiplied with, so that their mean over the data set is 1.
    weight_scale: f64,
    labels: Vec<u32>,
    /// Whether the data have weights, and classes.
    has_weights: bool,
    has_classes: bool,
    /// Targets that are no labels, (rows, targets).
    values: Array2<T>,
    weights: Vec<T>,
    /// The partners of mixup, and their targets.
    partners: Array2<T>,
    partner_values: Array2<T>,
}

impl<T: Real> Batch<T> {
    /// For up to `rows` examples at a time of data and settings that were checked.
    pub(crate) fn new(model: &Model<T>, dataset: Dataset, settings: &Settings, rows: usize) -> Self {
        let matrix = |is_used, columns| Array2::from_elem((if is_used { rows } else { 0 }, columns), T::ZERO);
        let is_mixed = settings.mixup > 0.0;
        let members = model.network.members();
        let mut batch = Self {
            members,
            seed: settings.seed,
            augmenter: settings.augment.map(|augment| Augmenter::new(augment, settings.seed, &model.example_shape)),
            mixup: settings.mixup,
            label_smoothing: settings.label_smoothing,
            class_weights: settings.class_weights.clone(),
            weight_scale: 1.0,
            has_weights: dataset.weights().is_some(),
            has_classes: matches!(dataset.targets(), Targets::Classes { .. }),
            labels: vec![0; rows * members],
            values: Array2::from_elem((rows * members, model.targets()), T::ZERO),
            weights: vec![T::ONE; rows * members],
            partners: matrix(is_mixed, model.network.inputs()),
            partner_values: matrix(is_mixed, model.targets()),
        };
        let of_rows = || (0..dataset.rows() as u32).map(|row| batch.weight(dataset, row)).sum();
        let total: f64 = dataset.total_weight(&settings.class_weights).unwrap_or_else(of_rows);
        batch.weight_scale = if total > 0.0 { dataset.total_rows() as f64 / total } else { 1.0 };
        batch
    }

    /// What example `row` counts.
    fn weight(&self, dataset: Dataset, row: u32) -> f64 {
        let of_row = dataset.weights().map_or(1.0, |weights| weights[row as usize]);
        let of_class = match dataset.targets() {
            Targets::Classes { labels, .. } => self.class_weights.get(labels[row as usize] as usize).copied(),
            Targets::Values(_) => None,
        };
        of_row * of_class.unwrap_or(1.0) * self.weight_scale
    }

    fn is_weighted(&self) -> bool {
        self.has_weights || !self.class_weights.is_empty()
    }

    /// Takes the examples at the places `range` of the step's `rows` of `dataset`, which is all data or a window of them:
    /// overwrites `input`, and what [`Batch::targets`] and [`Batch::weights`] give.
    pub(crate) fn fill(
        &mut self,
        threads: &Threads,
        model: &Model<T>,
        step: u64,
        (dataset, rows): (Dataset, &[u32]),
        range: Range<usize>,
        mut input: ArrayViewMut2<T>,
    ) {
        timed(Work::Data, || {
            let here = &rows[range.clone()];
            self.gather(threads, model, step, (dataset, here), input.view_mut());
            if self.is_weighted() {
                for (place, &row) in here.iter().enumerate() {
                    self.weights[place] = T::from_f64(self.weight(dataset, row));
                }
            }
            let is_mixed = self.mixup > 0.0;
            match dataset.targets() {
                Targets::Classes { labels, .. } if !is_mixed => {
                    self.labels.iter_mut().zip(here).for_each(|(label, &row)| *label = labels[row as usize]);
                }
                _ => {
                    // Taken out for as long as the batch itself is at work.
                    let mut values = std::mem::take(&mut self.values);
                    self.write_values(threads, model, (dataset, here), first_rows_mut(&mut values, here.len()));
                    self.values = values;
                }
            }
            if is_mixed {
                self.mix(threads, model, step, (dataset, rows), range, input);
            }
            if self.members > 1 {
                self.repeat(here.len());
            }
        });
    }

    /// Targets and weights of the first `rows` rows, once for each network.
    fn repeat(&mut self, rows: usize) {
        let Self { members, labels, values, weights, .. } = self;
        let columns = values.ncols();
        let values = values.as_slice_mut().expect("rows are contiguous");
        // From the last one on, nothing is overwritten that is still to be read.
        for row in (0..rows).rev() {
            for place in row * *members..(row + 1) * *members {
                labels[place] = labels[row];
                weights[place] = weights[row];
                values.copy_within(row * columns..(row + 1) * columns, place * columns);
            }
        }
    }

    fn gather(
        &self,
        threads: &Threads,
        model: &Model<T>,
        step: u64,
        (dataset, rows): (Dataset, &[u32]),
        out: ArrayViewMut2<T>,
    ) {
        let features = dataset.features();
        match &self.augmenter {
            None => model.scaling.gather(threads, features, rows, out),
            Some(augmenter) => augmenter.gather(threads, step, &model.scaling, features, rows, out),
        }
    }

    /// Targets as numbers: of classes, their probabilities.
    fn write_values(
        &self,
        threads: &Threads,
        model: &Model<T>,
        (dataset, rows): (Dataset, &[u32]),
        mut out: ArrayViewMut2<T>,
    ) {
        match dataset.targets() {
            Targets::Values(values) => model.target_scaling.gather(threads, Features::F64(values), rows, out),
            Targets::Classes { labels, .. } => {
                let e = self.label_smoothing;
                // A single output is class 1's.
                let first_class = usize::from(out.ncols() == 1);
                let [floor, one] = [e / out.ncols().max(2) as f64, 1.0 - e].map(T::from_f64);
                out.fill(floor);
                for (mut out, &row) in out.rows_mut().into_iter().zip(rows) {
                    let class = labels[row as usize] as usize;
                    class.checked_sub(first_class).into_iter().for_each(|output| out[output] += one);
                }
            }
        }
    }

    /// Mixup (Zhang et al. 2018, arXiv:1710.09412): every example and its target become λ times themselves and 1 - λ times
    /// another of the step, with λ from Beta(α, α). The other is so many places on, as many for all of a step.
    fn mix(
        &mut self,
        threads: &Threads,
        model: &Model<T>,
        step: u64,
        (dataset, rows): (Dataset, &[u32]),
        range: Range<usize>,
        mut input: ArrayViewMut2<T>,
    ) {
        let draws = Stream::new(self.seed, Purpose::Mixup, step);
        let count = range.len();
        let distance = 1 + draws.at(0, 0).below((rows.len() - 1).max(1) as u32) as usize;
        for (label, place) in self.labels.iter_mut().zip(range.clone()) {
            *label = rows[(place + distance) % rows.len()];
        }
        // Taken out for as long as the batch itself is at work.
        let others = std::mem::take(&mut self.labels);
        let [mut x, mut y] = [&mut self.partners, &mut self.partner_values].map(std::mem::take);
        let partners = (dataset, &others[..count]);
        self.gather(threads, model, step, partners, first_rows_mut(&mut x, count));
        self.write_values(threads, model, partners, first_rows_mut(&mut y, count));
        for (i, place) in range.enumerate() {
            // A block of its own for every place.
            let share = draws.at(1, 64 * place as u64).beta(self.mixup);
            let [share, rest] = [share, 1.0 - share].map(T::from_f64);
            let mix = |own: &mut [T], other: ndarray::ArrayView1<T>| {
                own.iter_mut().zip(other).for_each(|(own, &other)| *own = share * *own + rest * other);
            };
            mix(input.row_mut(i).into_slice().expect("rows are contiguous"), x.row(i));
            mix(self.values.row_mut(i).into_slice().expect("rows are contiguous"), y.row(i));
            if self.is_weighted() {
                self.weights[i] = share * self.weights[i] + rest * T::from_f64(self.weight(dataset, others[i]));
            }
        }
        (self.labels, self.partners, self.partner_values) = (others, x, y);
    }

    /// The targets of the last `rows` rows that were filled in, once for each network.
    pub(crate) fn targets(&self, rows: usize) -> BatchTargets<'_, T> {
        let rows = rows * self.members;
        match self.has_classes && self.mixup == 0.0 {
            true if self.label_smoothing == 0.0 => BatchTargets::Classes(&self.labels[..rows]),
            true => BatchTargets::Smoothed(&self.labels[..rows], self.label_smoothing),
            false => BatchTargets::Values(first_rows(&self.values, rows)),
        }
    }

    /// What those rows count, if they do not all count the same.
    pub(crate) fn weights(&self, rows: usize) -> Option<&[T]> {
        self.is_weighted().then(|| &self.weights[..rows * self.members])
    }
}
