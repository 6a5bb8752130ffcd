//! Examples that own their values.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array1, Array2, Axis};
use schuss::{Dataset, Features, Result, Schema, Stream, Targets};

use crate::error;
use crate::split::Split;
use crate::{PackPart, Pictures, Table};

/// Feature values, (examples, features), in the type in which they are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureValues {
    /// Bytes: pixels.
    U8(Array2<u8>),
    /// Single precision.
    F32(Array2<f32>),
    /// Double precision.
    F64(Array2<f64>),
}

impl FeatureValues {
    /// The core's view of these values.
    pub fn view(&self) -> Features<'_> {
        match self {
            Self::U8(values) => Features::U8(values.view()),
            Self::F32(values) => Features::F32(values.view()),
            Self::F64(values) => Features::F64(values.view()),
        }
    }

    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::U8(values) => Self::U8(values.select(Axis(0), rows)),
            Self::F32(values) => Self::F32(values.select(Axis(0), rows)),
            Self::F64(values) => Self::F64(values.select(Axis(0), rows)),
        }
    }
}

impl From<Array2<f32>> for FeatureValues {
    fn from(values: Array2<f32>) -> Self {
        Self::F32(values)
    }
}

impl From<Array2<f64>> for FeatureValues {
    fn from(values: Array2<f64>) -> Self {
        Self::F64(values)
    }
}

/// What is to be predicted, one for each example.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetValues {
    /// A class, counted from 0.
    Classes {
        /// The class of every example.
        labels: Vec<u32>,
        /// How many classes there are, in all parts together.
        classes: usize,
    },
    /// Numbers, (examples, outputs): values to predict, a 0 or 1 for each label ([`Task::MultiLabel`]), or a probability
    /// for each class ([`Task::Classification`]).
    Values(Array2<f64>),
}

impl TargetValues {
    /// The core's view of these targets.
    pub fn view(&self) -> Targets<'_> {
        match self {
            Self::Classes { labels, classes } => Targets::Classes { labels, classes: *classes },
            Self::Values(values) => Targets::Values(values.view()),
        }
    }

    /// The classes as numbers, (examples, 1).
    fn into_numbers(self) -> Self {
        match self {
            Self::Classes { labels, .. } => {
                Self::Values(labels.into_iter().map(f64::from).collect::<Array1<_>>().insert_axis(Axis(1)))
            }
            Self::Values(_) => self,
        }
    }

    fn select(&self, rows: &[usize]) -> Self {
        match self {
            Self::Classes { labels, classes } => {
                Self::Classes { labels: rows.iter().map(|&row| labels[row]).collect(), classes: *classes }
            }
            Self::Values(values) => Self::Values(values.select(Axis(0), rows)),
        }
    }
}

/// How targets are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Targets are classes, counted from 0, or a probability for each class.
    Classification,
    /// Targets are labels, any number of them for an example: a 0 or 1 for each.
    MultiLabel,
    /// Targets are numbers.
    Regression,
}

/// Examples with their targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// (examples, features).
    pub features: FeatureValues,
    /// As many targets as examples.
    pub targets: TargetValues,
    /// What the examples count beside each other, if they do not all count the same: as many weights as examples.
    pub weights: Option<Vec<f64>>,
    /// All rows, where these are a sample of those of a packed file.
    pub stream: Option<Arc<PackPart>>,
}

impl Examples {
    /// All rows, those of the packed file where these are a sample.
    pub fn total_rows(&self) -> usize {
        self.stream.as_ref().map_or_else(|| self.targets.view().rows(), |stream| stream.totals().rows)
    }

    /// Whether there are more rows than these.
    pub fn is_sample(&self) -> bool {
        self.total_rows() > self.targets.view().rows()
    }

    /// The checked view that the core trains on.
    ///
    /// # Errors
    /// Those of [`Dataset::new`], such as a feature that is not finite, and of [`Dataset::with_weights`].
    pub fn dataset(&self) -> Result<Dataset<'_>> {
        let dataset = Dataset::new(self.features.view(), self.targets.view())?;
        let dataset = self.weights.as_deref().map_or(Ok(dataset), |weights| dataset.with_weights(weights))?;
        Ok(self.stream.as_deref().map_or(dataset, |stream| dataset.sample_of(stream)))
    }

    fn into_numbers(self) -> Self {
        Self { targets: self.targets.into_numbers(), ..self }
    }

    fn select(&self, rows: &[usize]) -> Self {
        let of_rows = |weights: &Vec<f64>| rows.iter().map(|&row| weights[row]).collect();
        Self {
            features: self.features.select(rows),
            targets: self.targets.select(rows),
            weights: self.weights.as_ref().map(of_rows),
            stream: None,
        }
    }

    /// Takes the rows of a split out of these examples; nothing if there are none.
    fn split_off(&mut self, split: Split) -> Option<Self> {
        let rows = split.rows(&self.targets);
        if rows.is_empty() {
            return None;
        }
        let stays = |row: &usize| rows.binary_search(row).is_err();
        let others: Vec<usize> = (0..self.targets.view().rows()).filter(stays).collect();
        let part = self.select(&rows);
        *self = self.select(&others);
        Some(part)
    }
}

/// A data set as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// The name of the set, or that of the file or folder, without its extension.
    pub name: String,
    /// What a network learns from.
    pub train: Examples,
    /// What it is judged by, where there is such a part.
    pub test: Option<Examples>,
    /// Whether [`Data::with_test_split`] made `test`; otherwise it was in the file.
    pub test_is_split: bool,
    /// What settings and the best epoch are chosen by, where there is such a part.
    pub valid: Option<Examples>,
    /// Whether [`Data::with_valid_split`] made `valid`; otherwise it was in the file.
    pub valid_is_split: bool,
    /// The shape of one example where that is not a plain row of features: `[28, 28]` for MNIST.
    pub image_shape: Option<Vec<usize>>,
    /// The names of the classes, in their order, where they have any.
    pub class_names: Option<Vec<String>>,
    /// What happened to the files of a folder of pictures.
    pub pictures: Option<Pictures>,
    /// The columns of the table that the examples come from, if they do.
    pub schema: Option<Schema>,
    /// The rows of the table that a model is judged by, as they stand in its file, the columns of the schema in its order: of
    /// the test part, else of the validation part, else of the training part.
    pub judged_table: Option<Table>,
    /// The training rows by which each member of an ensemble is chosen, and which it does not learn from; none where there
    /// is no ensemble, or its members have the validation part in common.
    pub folds: Vec<Vec<usize>>,
}

impl Data {
    /// The data of a file or folder: all parts get the same number of classes. What is wrong, otherwise.
    pub(crate) fn of_parts(
        path: &Path,
        mut train: Examples,
        mut test: Option<Examples>,
        mut valid: Option<Examples>,
        image_shape: Option<Vec<usize>>,
    ) -> Result<Self> {
        let expected = train.features.view().columns();
        for (name, part) in [("test", &test), ("validation", &valid)] {
            let got = part.as_ref().map_or(expected, |part| part.features.view().columns());
            if got != expected {
                let problem = format!("the {name} part has {got} features an example, the training part {expected}");
                return Err(error::file(path, format!("{problem}; expected the same in both")));
            }
        }
        let mut class_counts: Vec<&mut usize> = [Some(&mut train), test.as_mut(), valid.as_mut()]
            .into_iter()
            .flatten()
            .filter_map(|part| match &mut part.targets {
                TargetValues::Classes { classes, .. } => Some(classes),
                TargetValues::Values(_) => None,
            })
            .collect();
        let most = class_counts.iter().map(|classes| **classes).max().unwrap_or(0);
        class_counts.iter_mut().for_each(|classes| **classes = most);
        let whole_path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let name = whole_path.file_stem().map_or_else(|| "data".into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self {
            name,
            train,
            test,
            test_is_split: false,
            valid,
            valid_is_split: false,
            image_shape,
            class_names: None,
            pictures: None,
            schema: None,
            judged_table: None,
            folds: Vec::new(),
        })
    }

    /// This set with its training rows in so many folds, classes with their shares, which depends on the targets alone; without
    /// any where there is a validation part.
    #[must_use]
    pub fn with_folds(mut self, count: usize) -> Self {
        self.folds = if self.valid.is_some() { Vec::new() } else { Split::folds(&self.train.targets, count) };
        self
    }

    /// The rows that are at hand, as if there were no others: where they are a sample, of that.
    #[must_use]
    pub fn sample(&self) -> Self {
        let sample = |part: &Examples| Examples { stream: None, ..part.clone() };
        let [test, valid] = [&self.test, &self.valid].map(|part| part.as_ref().map(sample));
        Self { train: sample(&self.train), test, valid, ..self.clone() }
    }

    /// The training rows that a member of an ensemble is chosen by.
    pub fn fold(&self, member: usize) -> Option<Examples> {
        self.folds.get(member).map(|fold| self.train.select(fold))
    }

    /// The training rows that a member of an ensemble learns from: all but those of its fold.
    pub fn without_fold(&self, member: usize) -> Option<Examples> {
        let fold = self.folds.get(member)?;
        let stays = |row: &usize| fold.binary_search(row).is_err();
        let others: Vec<usize> = (0..self.train.targets.view().rows()).filter(stays).collect();
        Some(self.train.select(&others))
    }

    /// The same data with numbers to predict in place of classes.
    pub(crate) fn into_regression(mut self) -> Self {
        self.train = self.train.into_numbers();
        self.test = self.test.map(Examples::into_numbers);
        self.valid = self.valid.map(Examples::into_numbers);
        self.class_names = None;
        self
    }

    /// Splits 20 % of the training part off as the test part, if there is none yet.
    ///
    /// The split depends on the targets alone, never on a seed of the training. Classes keep their shares; a class of a
    /// single example stays in the training part. Both parts keep the order of the rows. Where no example can be
    /// spared, there is still no test part afterwards.
    #[must_use]
    pub fn with_test_split(mut self) -> Self {
        if self.test.is_some() {
            return self;
        }
        self.test = self.train.split_off(Split::TEST);
        self.test_is_split = self.test.is_some();
        self
    }

    /// Splits this share of the training part off as the validation part, if there is none yet: after
    /// [`Data::with_test_split`], a share of what that left.
    ///
    /// As there, the split depends on the targets (and the share) alone. The share of the rows is rounded up; classes
    /// keep theirs, rounded down or up, and at least one example each stays in the training part. Where no example can be
    /// spared, there is still no validation part afterwards.
    ///
    /// # Panics
    /// The share is negative, 1 or more, or NaN.
    #[must_use]
    pub fn with_valid_split(mut self, share: f64) -> Self {
        let split = Split::valid(share);
        if self.valid.is_none() {
            self.valid = self.train.split_off(split);
            self.valid_is_split = self.valid.is_some();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn numbered(labels: Vec<u32>) -> Data {
        let features = FeatureValues::F32(Array2::from_shape_fn((labels.len(), 1), |(row, _)| row as f32));
        let weights = Some((0..labels.len()).map(|row| row as f64 + 0.5).collect());
        let train = Examples { features, targets: TargetValues::Classes { labels, classes: 9 }, weights, stream: None };
        Data::of_parts(Path::new("numbered"), train, None, None, None).unwrap()
    }

    fn row_numbers(examples: &Examples) -> Vec<f32> {
        let FeatureValues::F32(values) = &examples.features else { panic!("{examples:?}") };
        values.iter().copied().collect()
    }

    /// The parts have together every row once, in order, each with its label and weight.
    #[track_caller]
    fn check_parts(labels: &[u32], parts: &[&Examples], counts: &[usize]) {
        let mut all = Vec::new();
        for (part, &count) in parts.iter().zip(counts) {
            let rows = row_numbers(part);
            assert!(rows.len() == count && rows.is_sorted(), "{rows:?}, expected {count}");
            let expected = rows.iter().map(|&row| labels[row as usize]).collect();
            assert_eq!(part.targets, TargetValues::Classes { labels: expected, classes: 9 });
            let expected: Vec<f64> = rows.iter().map(|&row| f64::from(row) + 0.5).collect();
            assert_eq!(part.dataset().unwrap().weights(), Some(&expected[..]));
            all.extend(rows);
        }
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..labels.len()).map(|row| row as f32).collect::<Vec<_>>());
    }

    #[test]
    fn a_split_shares_out_every_row_in_order_with_its_label_and_weight() {
        let labels: Vec<u32> = (0..50).map(|row| row % 3).collect();
        let whole = numbered(labels.clone());
        let tested = whole.clone().with_test_split();
        assert!(tested.test_is_split && !tested.valid_is_split);
        check_parts(&labels, &[&tested.train, tested.test.as_ref().unwrap()], &[40, 10]);
        let both = tested.clone().with_valid_split(0.25);
        assert!(both.test_is_split && both.valid_is_split);
        assert_eq!(both.test, tested.test, "the test part is the same with and without a validation part");
        check_parts(&labels, &[&both.train, both.test.as_ref().unwrap(), both.valid.as_ref().unwrap()], &[30, 10, 10]);
        let validated = whole.with_valid_split(0.2);
        check_parts(&labels, &[&validated.train, validated.valid.as_ref().unwrap()], &[40, 10]);
        assert_ne!(validated.valid, tested.test, "each split has a seed of its own");
    }

    #[test]
    fn parts_of_the_file_are_left_alone() {
        let data = numbered(vec![0; 10]);
        let data = Data { test: Some(data.train.clone()), valid: Some(data.train.clone()), ..data };
        assert_eq!(data.clone().with_test_split().with_valid_split(0.5), data);
    }

    #[test]
    fn what_cannot_be_split_stays_whole() {
        let data = numbered(vec![4]);
        assert_eq!(data.clone().with_test_split().with_valid_split(0.5), data);
        let data = numbered(vec![4; 10]);
        assert_eq!(data.clone().with_valid_split(0.0), data);
    }

    #[test]
    fn classes_are_shared_and_features_compared_over_all_parts() {
        let part = |columns: usize, classes| Examples {
            features: FeatureValues::U8(Array2::zeros((1, columns))),
            targets: TargetValues::Classes { labels: vec![0], classes },
            weights: None,
            stream: None,
        };
        let of_parts = |test, valid| Data::of_parts(Path::new("parts"), part(2, 3), Some(test), Some(valid), None);
        let data = of_parts(part(2, 1), part(2, 5)).unwrap();
        for part in [data.train, data.test.unwrap(), data.valid.unwrap()] {
            assert_eq!(part.targets.view().width(), 5);
        }
        for (result, name) in
            [(of_parts(part(4, 3), part(2, 3)), "test"), (of_parts(part(2, 3), part(4, 3)), "validation")]
        {
            let message = result.unwrap_err().to_string();
            let expected = format!("the {name} part has 4 features an example, the training part 2");
            assert!(message.contains(&expected), "{message}");
        }
    }

    #[test]
    fn weights_are_checked_with_the_data_set() {
        for (weights, expected) in [
            (vec![1.0], "number of weights: expected 2, got 1"),
            (vec![1.0, -1.0], "weight of row 1"),
            (vec![f64::NAN, 1.0], "weight of row 0"),
            (vec![0.0, 0.0], "one above 0"),
        ] {
            let data = numbered(vec![0, 1]);
            let message = Examples { weights: Some(weights), ..data.train }.dataset().unwrap_err().to_string();
            assert!(message.contains(expected), "{expected:?} is not in {message:?}");
        }
    }
}
