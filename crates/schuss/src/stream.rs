//! Examples of which only some are in memory at a time.

use std::fmt::Debug;

use ndarray::{ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::dataset::Value;
use crate::{Dataset, Features, Result, Scaling, Targets};

/// Where the rows come from that a [`Dataset`] is a sample of: blocks of rows outside memory, read a window at a time.
///
/// Training takes the blocks of an epoch in a random order and shuffles the rows of the blocks that make up a window;
/// metrics take all blocks in their order.
pub trait Stream: Debug + Sync {
    /// What is known of all rows.
    fn totals(&self) -> &Totals;

    /// The rows of each block, as many as [`Totals::rows`] together.
    fn blocks(&self) -> &[u32];

    /// Blocks that are in memory together.
    fn window_blocks(&self) -> usize;

    /// The same for the same data: see [`Dataset::fingerprint`].
    fn fingerprint(&self) -> String;

    /// Begins to read these windows, each the blocks that it is made of; there is room in each for so many rows more.
    fn read(&self, windows: Vec<Vec<u32>>, room: usize) -> Box<dyn Windows + '_>;
}

/// Windows that are being read, one after the other, those to come while one is in use.
pub trait Windows: Debug + Send {
    /// The next of the windows that were asked for: the rows of its blocks, in their order. Its rows were checked as
    /// [`Dataset::new`] does.
    ///
    /// # Errors
    /// It cannot be read, or is not what it should be; there is none.
    fn next(&mut self) -> Result<Window>;

    /// Gives the memory of a window back, to be used again.
    fn give_back(&mut self, window: Window);
}

/// Rows that are in memory for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Values of a row.
    pub columns: usize,
    /// Feature values, row after row.
    pub features: Numbers,
    /// As many as rows.
    pub targets: WindowTargets,
    /// What each row counts, if they do not all count the same.
    pub weights: Option<Vec<f64>>,
}

/// Feature values of a [`Window`], in the type in which they are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Bytes: pixels.
    U8(Vec<u8>),
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

/// Targets of a [`Window`].
#[derive(Clone, Debug, PartialEq)]
pub enum WindowTargets {
    /// See [`Targets::Classes`].
    Classes {
        /// The class of every row.
        labels: Vec<u32>,
        /// How many classes there are.
        classes: usize,
    },
    /// See [`Targets::Values`].
    Values {
        /// Row after row.
        values: Vec<f64>,
        /// Values of a row.
        width: usize,
    },
}

/// Evaluates an expression for the numbers inside, whatever their type.
macro_rules! with_numbers {
    ($numbers:expr, $values:ident => $body:expr) => {
        match $numbers {
            Numbers::U8($values) => $body,
            Numbers::F32($values) => $body,
            Numbers::F64($values) => $body,
        }
    };
}

impl Window {
    /// Rows.
    pub fn rows(&self) -> usize {
        match &self.targets {
            WindowTargets::Classes { labels, .. } => labels.len(),
            WindowTargets::Values { values, width } => values.len() / width,
        }
    }

    /// Leaves no rows, and the memory for them.
    pub fn clear(&mut self) {
        with_numbers!(&mut self.features, values => values.clear());
        match &mut self.targets {
            WindowTargets::Classes { labels, .. } => labels.clear(),
            WindowTargets::Values { values, .. } => values.clear(),
        }
        self.weights.iter_mut().for_each(Vec::clear);
    }

    /// The rows as a data set.
    ///
    /// # Panics
    /// Features, targets and weights are of different numbers of rows.
    pub fn dataset(&self) -> Dataset<'_> {
        fn matrix<X>(values: &[X], rows: usize, columns: usize) -> ArrayView2<'_, X> {
            ArrayView2::from_shape((rows, columns), values).expect("rows of a window")
        }
        let rows = self.rows();
        let features = match &self.features {
            Numbers::U8(values) => Features::U8(matrix(values, rows, self.columns)),
            Numbers::F32(values) => Features::F32(matrix(values, rows, self.columns)),
            Numbers::F64(values) => Features::F64(matrix(values, rows, self.columns)),
        };
        let targets = match &self.targets {
            WindowTargets::Classes { labels, classes } => Targets::Classes { labels, classes: *classes },
            WindowTargets::Values { values, width } => Targets::Values(matrix(values, rows, *width)),
        };
        Dataset::of_checked(features, targets, self.weights.as_deref())
    }

    /// Takes rows of another window of the same data behind its own.
    pub(crate) fn append(&mut self, other: &Self, rows: &[u32]) {
        fn copy<X: Copy>(to: &mut Vec<X>, from: &[X], width: usize, rows: &[u32]) {
            rows.iter().for_each(|&row| to.extend_from_slice(&from[row as usize * width..][..width]));
        }
        match (&mut self.features, &other.features) {
            (Numbers::U8(to), Numbers::U8(from)) => copy(to, from, self.columns, rows),
            (Numbers::F32(to), Numbers::F32(from)) => copy(to, from, self.columns, rows),
            (Numbers::F64(to), Numbers::F64(from)) => copy(to, from, self.columns, rows),
            _ => unreachable!("windows of one stream"),
        }
        match (&mut self.targets, &other.targets) {
            (WindowTargets::Classes { labels: to, .. }, WindowTargets::Classes { labels: from, .. }) => {
                copy(to, from, 1, rows);
            }
            (WindowTargets::Values { values: to, width }, WindowTargets::Values { values: from, .. }) => {
                copy(to, from, *width, rows);
            }
            _ => unreachable!("windows of one stream"),
        }
        if let (Some(to), Some(from)) = (&mut self.weights, &other.weights) {
            copy(to, from, 1, rows);
        }
    }
}

/// What is known of all rows of a [`Stream`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// How many there are.
    pub rows: usize,
    /// The sum of their weights.
    pub weight: f64,
    /// The rows of each class, and the sum of their weights; of numbers none.
    pub classes: Vec<(usize, f64)>,
    /// Of each target that is a number.
    pub targets: Vec<Moments>,
    /// The mean of each target that is a number, each row as much as its weight.
    pub weighted_means: Vec<f64>,
    /// Of each feature, where they are not scaled yet.
    pub features: Vec<Moments>,
}

/// Mean and spread of numbers, gathered one by one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many there were.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// The sum of their squared distances from it.
    pub squares: f64,
    /// The least of them.
    pub least: f64,
    /// The largest of them.
    pub most: f64,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0.0, mean: 0.0, squares: 0.0, least: f64::MAX, most: f64::MIN }
    }
}

impl Moments {
    /// Takes one more number (Welford 1962).
    pub fn add(&mut self, x: f64) {
        self.count += 1.0;
        let distance = x - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (x - self.mean);
        self.least = self.least.min(x);
        self.most = self.most.max(x);
    }

    fn add_each<X: Value>(all: &mut [Self], numbers: ArrayView1<X>) {
        all.iter_mut().zip(numbers).for_each(|(moments, &x)| moments.add(x.into()));
    }

    /// Those of both (Chan, Golub and LeVeque 1979).
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let count = self.count + other.count;
        let share = if count > 0.0 { other.count / count } else { 0.0 };
        let distance = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + share * distance,
            squares: self.squares + other.squares + distance * distance * share * self.count,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    /// The standard deviation of the population; 1 where all are the same.
    pub fn deviation(self) -> f64 {
        let deviation = (self.squares / self.count).sqrt();
        // A constant leaves nothing but rounding.
        if deviation > 1e-12 * self.mean.abs() { deviation } else { 1.0 }
    }

    pub(crate) fn scaling(all: &[Self]) -> Scaling {
        Scaling::Standard {
            mean: all.iter().map(|moments| moments.mean).collect(),
            deviation: all.iter().map(|moments| moments.deviation()).collect(),
        }
    }
}

impl Totals {
    /// Those of both parts of the same data.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        fn each<X: Copy>(a: &[X], b: &[X], both: impl Fn(X, X) -> X) -> Vec<X> {
            a.iter().zip(b).map(|(&a, &b)| both(a, b)).collect()
        }
        let weight = self.weight + other.weight;
        let mean = |a: f64, b: f64| if weight > 0.0 { (a * self.weight + b * other.weight) / weight } else { a };
        Self {
            rows: self.rows + other.rows,
            weight,
            classes: each(&self.classes, &other.classes, |a, b| (a.0 + b.0, a.1 + b.1)),
            targets: each(&self.targets, &other.targets, Moments::with),
            weighted_means: each(&self.weighted_means, &other.weighted_means, mean),
            features: each(&self.features, &other.features, Moments::with),
        }
    }

    /// Takes a row of a data set like those before; `with_features` says whether its features are counted, too.
    ///
    /// # Panics
    /// There is no such row.
    pub fn add(&mut self, dataset: Dataset, row: usize, with_features: bool) {
        let weight = dataset.weights().map_or(1.0, |weights| weights[row]);
        self.rows += 1;
        self.weight += weight;
        match dataset.targets() {
            Targets::Classes { labels, classes } => {
                self.classes.resize(classes, (0, 0.0));
                let class = &mut self.classes[labels[row] as usize];
                *class = (class.0 + 1, class.1 + weight);
            }
            Targets::Values(values) => {
                self.targets.resize(values.ncols(), Moments::default());
                self.weighted_means.resize(values.ncols(), 0.0);
                let share = if weight > 0.0 { weight / self.weight } else { 0.0 };
                let targets = self.targets.iter_mut().zip(&mut self.weighted_means);
                for (&y, (moments, mean)) in values.row(row).iter().zip(targets) {
                    moments.add(y);
                    *mean += share * (y - *mean);
                }
            }
        }
        if with_features {
            self.features.resize(dataset.features().columns(), Moments::default());
            crate::dataset::with_view!(dataset.features(), view => {
                Moments::add_each(&mut self.features, view.row(row));
            });
        }
    }

    /// The standard scaling of the targets.
    pub fn target_scaling(&self) -> Scaling {
        Moments::scaling(&self.targets)
    }
}
