//! Examples that own their values.

use std::path::Path;

use ndarray::{Array1, Array2, Axis};
use schuss::{Dataset, Features, Result, Targets};

use crate::Pictures;
use crate::error;
use crate::split::test_rows;

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

/// What is to be predicted, one for each example.
#[derive(Clone, Debug, PartialEq)]
pub enum TargetValues {
    /// A class, counted from 0.
    Classes {
        /// The class of every example.
        labels: Vec<u32>,
        /// How many classes there are, in the training and the test part together.
        classes: usize,
    },
    /// Numbers, (examples, outputs).
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

    /// Gives both the larger number of classes.
    fn share_classes(&mut self, other: &mut Self) {
        if let (Self::Classes { classes, .. }, Self::Classes { classes: other, .. }) = (self, other) {
            *classes = (*classes).max(*other);
            *other = *classes;
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
    /// Targets are classes, counted from 0.
    Classification,
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
}

impl Examples {
    /// The checked view that the core trains on.
    ///
    /// # Errors
    /// Those of [`Dataset::new`], such as a feature that is not finite.
    pub fn dataset(&self) -> Result<Dataset<'_>> {
        Dataset::new(self.features.view(), self.targets.view())
    }

    fn select(&self, rows: &[usize]) -> Self {
        Self { features: self.features.select(rows), targets: self.targets.select(rows) }
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
    /// The shape of one example where that is not a plain row of features: `[28, 28]` for MNIST.
    pub image_shape: Option<Vec<usize>>,
    /// The names of the classes, in their order, where they have any.
    pub class_names: Option<Vec<String>>,
    /// What happened to the files of a folder of pictures.
    pub pictures: Option<Pictures>,
}

impl Data {
    /// The data of a file or folder: both parts get the same number of classes. What is wrong, otherwise.
    pub(crate) fn of_parts(
        path: &Path,
        mut train: Examples,
        mut test: Option<Examples>,
        image_shape: Option<Vec<usize>>,
    ) -> Result<Self> {
        if let Some(test) = &mut test {
            let [expected, got] = [&train, test].map(|part| part.features.view().columns());
            if got != expected {
                let problem = format!("the test part has {got} features an example, the training part {expected}");
                return Err(error::file(path, format!("{problem}; expected the same in both")));
            }
            train.targets.share_classes(&mut test.targets);
        }
        let whole_path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let name = whole_path.file_stem().map_or_else(|| "data".into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self { name, train, test, test_is_split: false, image_shape, class_names: None, pictures: None })
    }

    /// The same data with numbers to predict in place of classes.
    pub(crate) fn into_regression(mut self) -> Self {
        self.train.targets = self.train.targets.into_numbers();
        self.test = self.test.map(|test| Examples { targets: test.targets.into_numbers(), ..test });
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
        let test_rows = test_rows(&self.train.targets);
        if test_rows.is_empty() {
            return self;
        }
        let is_train = |row: &usize| test_rows.binary_search(row).is_err();
        let train_rows: Vec<usize> = (0..self.train.targets.view().rows()).filter(is_train).collect();
        self.test = Some(self.train.select(&test_rows));
        self.train = self.train.select(&train_rows);
        self.test_is_split = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn numbered(labels: Vec<u32>) -> Data {
        let features = FeatureValues::F32(Array2::from_shape_fn((labels.len(), 1), |(row, _)| row as f32));
        let train = Examples { features, targets: TargetValues::Classes { labels, classes: 9 } };
        Data::of_parts(Path::new("numbered"), train, None, None).unwrap()
    }

    fn row_numbers(examples: &Examples) -> Vec<f32> {
        let FeatureValues::F32(values) = &examples.features else { panic!("{examples:?}") };
        values.iter().copied().collect()
    }

    #[test]
    fn a_split_shares_out_every_row_in_order_with_its_label() {
        let labels: Vec<u32> = (0..50).map(|row| row % 3).collect();
        let data = numbered(labels.clone()).with_test_split();
        let test = data.test.unwrap();
        let [train_rows, test_rows] = [&data.train, &test].map(row_numbers);
        assert_eq!((train_rows.len(), test_rows.len(), data.test_is_split), (40, 10, true));
        assert!(train_rows.is_sorted() && test_rows.is_sorted());
        let mut all = [train_rows, test_rows.clone()].concat();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..50).map(|row| row as f32).collect::<Vec<_>>());
        let expected = test_rows.iter().map(|&row| labels[row as usize]).collect();
        assert_eq!(test.targets, TargetValues::Classes { labels: expected, classes: 9 });
    }

    #[test]
    fn a_test_part_of_the_file_is_left_alone() {
        let data = numbered(vec![0; 10]);
        let data = Data { test: Some(data.train.clone()), ..data };
        assert_eq!(data.clone().with_test_split(), data);
    }

    #[test]
    fn what_cannot_be_split_stays_whole() {
        let data = numbered(vec![4]);
        assert_eq!(data.clone().with_test_split(), data);
    }
}
