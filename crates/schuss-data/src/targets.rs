//! What the numbers of an array mean as targets.

use ndarray::Array2;

use crate::error::Parsed;
use crate::npy::{Array, Values};
use crate::{TargetValues, Task};

/// The largest class that is believed: beyond it, whole numbers are rather amounts than classes.
const MAX_LABEL: u32 = (1 << 20) - 1;

/// What targets are, as far as that was settled by the task and the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Classes, counted from 0, or rows of one 1 and else 0.
    Classes,
    /// Rows of a probability for each class.
    Probabilities,
    /// Rows of a 0 or 1 for each label.
    Labels,
    /// Numbers to predict.
    Numbers,
}

/// The probabilities of a row sum to 1 with this tolerance: they may have been written in half precision.
const SUM_TOLERANCE: f64 = 1e-3;

/// Reads `array`, (n,) or (n, outputs), as targets. Without a task, integers are classes, rows of one 1 and else 0 are
/// classes too, and other numbers are values.
pub(crate) fn read(array: &Array, task: Option<Task>) -> Parsed<(TargetValues, Kind)> {
    let (_, columns) = dimensions(array)?;
    let are_integers = array.values.are_integers();
    let (first, otherwise) = match task {
        Some(Task::Regression) => (Kind::Numbers, None),
        Some(Task::MultiLabel) => (Kind::Labels, None),
        Some(Task::Classification) if !are_integers && columns > 1 => (Kind::Classes, Some(Kind::Probabilities)),
        None if !are_integers && columns > 1 => (Kind::Classes, Some(Kind::Numbers)),
        None if !are_integers => (Kind::Numbers, None),
        Some(Task::Classification) | None => (Kind::Classes, None),
    };
    match (read_as(array, first), otherwise) {
        (Err(_), Some(kind)) => read_as(array, kind).map(|targets| (targets, kind)),
        (targets, _) => targets.map(|targets| (targets, first)),
    }
}

/// Reads `array`, (n,) or (n, outputs), as targets of this kind.
pub(crate) fn read_as(array: &Array, kind: Kind) -> Parsed<TargetValues> {
    let (rows, columns) = dimensions(array)?;
    let values = &array.values;
    let way_out = match kind {
        Kind::Classes | Kind::Probabilities if columns > 1 => {
            ". Numbers to predict need --task regression, labels that are each 0 or 1 --task multi-label"
        }
        Kind::Classes | Kind::Probabilities => ". Numbers to predict need --task regression",
        Kind::Labels | Kind::Numbers => "",
    };
    let targets = match kind {
        Kind::Classes if columns == 1 => each_row(rows, |row| label(values.get(row))).map(|labels| classes(labels, 0)),
        Kind::Classes => {
            each_row(rows, |row| one_hot_label(values, row, columns)).map(|labels| classes(labels, columns))
        }
        Kind::Probabilities => {
            each_row(rows, |row| check_probabilities(values, row, columns)).and_then(|_| numbers(values, rows, columns))
        }
        Kind::Labels => {
            each_row(rows, |row| check_labels(values, row, columns)).and_then(|_| numbers(values, rows, columns))
        }
        Kind::Numbers => numbers(values, rows, columns),
    };
    targets.map_err(|problem| format!("{problem}; rows are counted from 0{way_out}"))
}

fn dimensions(array: &Array) -> Parsed<(usize, usize)> {
    match array.shape[..] {
        [rows] => Ok((rows, 1)),
        [rows, columns] if columns > 0 => Ok((rows, columns)),
        _ => Err(format!("its shape is {:?}; expected (n,) or (n, outputs)", array.shape)),
    }
}

/// `f` of every row, or what is wrong with the first row that it refuses.
fn each_row<R>(rows: usize, f: impl Fn(usize) -> Parsed<R>) -> Parsed<Vec<R>> {
    (0..rows).map(|row| f(row).map_err(|problem| format!("row {row} {problem}"))).collect()
}

fn numbers(values: &Values, rows: usize, columns: usize) -> Parsed<TargetValues> {
    let numbers = (0..rows * columns).map(|index| values.get(index)).collect();
    Array2::from_shape_vec((rows, columns), numbers).map(TargetValues::Values).map_err(|e| e.to_string())
}

/// As many classes as the labels need, or `at_least`.
fn classes(labels: Vec<u32>, at_least: usize) -> TargetValues {
    let classes = labels.iter().max().map_or(0, |&label| label as usize + 1).max(at_least);
    TargetValues::Classes { labels, classes }
}

fn label(value: f64) -> Parsed<u32> {
    if value < 0.0 || value.fract() != 0.0 || !value.is_finite() {
        Err(format!("is {value}; expected a class: a whole number, counted from 0"))
    } else if value > MAX_LABEL.into() {
        Err(format!("is {value}; expected a class: at most {MAX_LABEL}"))
    } else {
        Ok(value as u32)
    }
}

/// The column of the 1 in a row.
fn one_hot_label(values: &Values, row: usize, columns: usize) -> Parsed<u32> {
    let mut ones = (0..columns).filter(|column| values.get(row * columns + column) != 0.0);
    match (ones.next(), ones.next()) {
        (Some(column), None) if values.get(row * columns + column) == 1.0 => label(column as f64),
        _ => Err("is not one-hot: expected one 1 and else 0".into()),
    }
}

fn check_probabilities(values: &Values, row: usize, columns: usize) -> Parsed<()> {
    let of_row = || (row * columns..(row + 1) * columns).map(|index| values.get(index));
    let sum: f64 = of_row().sum();
    let got = match of_row().find(|value| !(value.is_finite() && *value >= 0.0)) {
        Some(value) => format!("has a {value}"),
        None if (sum - 1.0).abs() <= SUM_TOLERANCE => return Ok(()),
        None => format!("sums to {sum}"),
    };
    let expected = "expected one 1 and else 0, or a probability for each class, which sum to 1";
    Err(format!("is not one-hot: {expected}; it {got}"))
}

fn check_labels(values: &Values, row: usize, columns: usize) -> Parsed<()> {
    let is_label = |value: f64| value == 0.0 || value == 1.0;
    match (0..columns).find(|column| !is_label(values.get(row * columns + column))) {
        Some(column) => {
            let value = values.get(row * columns + column);
            Err(format!("has {value} in column {column}; expected a 0 or 1 for each label"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::Task::{Classification, MultiLabel, Regression};

    fn bytes(shape: &[usize], values: &[u8]) -> Array {
        Array { shape: shape.to_vec(), values: Values::U8(values.to_vec()) }
    }

    fn integers(shape: &[usize], values: &[i64]) -> Array {
        Array { shape: shape.to_vec(), values: Values::I64(values.to_vec()) }
    }

    fn floats(shape: &[usize], values: &[f32]) -> Array {
        Array { shape: shape.to_vec(), values: Values::F32(values.to_vec()) }
    }

    #[track_caller]
    fn check_classes(array: Array, task: Option<Task>, labels: &[u32], classes: usize) {
        assert_eq!(read(&array, task), Ok((TargetValues::Classes { labels: labels.to_vec(), classes }, Kind::Classes)));
    }

    #[track_caller]
    fn check_values(array: Array, task: Option<Task>, kind: Kind, expected: Array2<f64>) {
        assert_eq!(read(&array, task), Ok((TargetValues::Values(expected), kind)));
    }

    #[track_caller]
    fn check_numbers(array: Array, task: Option<Task>, expected: Array2<f64>) {
        check_values(array, task, Kind::Numbers, expected);
    }

    #[track_caller]
    fn check_error(array: Array, task: Option<Task>, expected: &str) {
        let message = read(&array, task).unwrap_err();
        assert!(message.contains(expected), "{expected:?} is not in {message:?}");
    }

    #[test]
    fn the_task_follows_from_the_values() {
        check_classes(bytes(&[3], &[0, 4, 1]), None, &[0, 4, 1], 5);
        check_classes(integers(&[3, 1], &[0, 4, 1]), None, &[0, 4, 1], 5);
        check_classes(integers(&[2, 3], &[0, 1, 0, 1, 0, 0]), None, &[1, 0], 3);
        check_classes(floats(&[2, 3], &[0., 1., 0., 1., 0., 0.]), None, &[1, 0], 3);
        check_numbers(floats(&[2], &[0., 1.]), None, array![[0.], [1.]]);
        check_numbers(floats(&[2, 1], &[0.5, 1.]), None, array![[0.5], [1.]]);
        check_numbers(floats(&[2, 2], &[0., 1., 1., 1.]), None, array![[0., 1.], [1., 1.]]);
        check_numbers(floats(&[1, 2], &[0.5, 0.5]), None, array![[0.5, 0.5]]);
    }

    #[test]
    fn a_given_task_wins() {
        check_numbers(bytes(&[2], &[3, 200]), Some(Regression), array![[3.], [200.]]);
        check_numbers(integers(&[1, 2], &[-3, 1]), Some(Regression), array![[-3., 1.]]);
        check_numbers(floats(&[1, 2], &[0., 1.]), Some(Regression), array![[0., 1.]]);
        check_classes(floats(&[3], &[2., 0., -0.]), Some(Classification), &[2, 0, 0], 3);
    }

    #[test]
    fn what_is_not_a_class_is_named_with_its_row() {
        check_error(integers(&[3], &[0, 1, -1]), None, "row 2 is -1; expected a class");
        check_error(integers(&[1], &[i64::MAX]), None, "expected a class: at most 1048575");
        check_error(integers(&[2], &[1 << 20, 0]), None, "row 0 is 1048576");
        check_error(integers(&[2, 2], &[0, 1, 1, 1]), None, "row 1 is not one-hot");
        check_error(integers(&[2, 2], &[0, 1, 0, 2]), None, "Numbers to predict need --task regression");
        check_error(integers(&[1, 2], &[0, 0]), None, "row 0 is not one-hot");
        check_error(floats(&[2], &[1., 0.5]), Some(Classification), "row 1 is 0.5; expected a class");
        check_error(floats(&[1], &[f32::NAN]), Some(Classification), "row 0 is NaN");
        check_error(floats(&[1], &[f32::INFINITY]), Some(Classification), "row 0 is inf");
        for task in [None, Some(Classification)] {
            check_error(integers(&[2, 2], &[0, 1, 1, 1]), task, "labels that are each 0 or 1 --task multi-label");
        }
    }

    #[test]
    fn rows_that_sum_to_1_are_probabilities_of_classes() {
        let check = |values: &[f32]| {
            let expected = Array2::from_shape_vec((2, 2), values.iter().map(|&x| x.into()).collect()).unwrap();
            check_values(floats(&[2, 2], values), Some(Classification), Kind::Probabilities, expected);
        };
        check(&[0.5, 0.5, 0.25, 0.75]);
        check(&[0., 1., 0.25, 0.75]);
        check(&[0.9995, 0., 0.5, 0.5009]);
        for (row, problem) in [
            ([0.5, 0.6], "it sums to 1.1"),
            ([0.5, 0.498], "it sums to 0.99"),
            ([0., 0.], "it sums to 0"),
            ([-0.5, 1.5], "it has a -0.5"),
            ([f32::NAN, 1.], "it has a NaN"),
            ([f32::INFINITY, 0.], "it has a inf"),
        ] {
            let values = [&[0.5, 0.5], &row[..]].concat();
            let array = || floats(&[2, 2], &values);
            check_error(array(), Some(Classification), "row 1 is not one-hot: expected one 1 and else 0, or a prob");
            check_error(array(), Some(Classification), problem);
            check_error(array(), Some(Classification), "labels that are each 0 or 1 --task multi-label");
        }
    }

    #[test]
    fn zeros_and_ones_are_labels_where_they_are_asked_for() {
        let expected = || array![[0., 1., 1.], [0., 0., 0.]];
        for array in [
            bytes(&[2, 3], &[0, 1, 1, 0, 0, 0]),
            integers(&[2, 3], &[0, 1, 1, 0, 0, 0]),
            floats(&[2, 3], &[0., 1., 1., 0., -0., 0.]),
        ] {
            check_values(array, Some(MultiLabel), Kind::Labels, expected());
        }
        check_values(bytes(&[2, 2], &[0, 1, 1, 0]), Some(MultiLabel), Kind::Labels, array![[0., 1.], [1., 0.]]);
        check_values(bytes(&[2], &[0, 1]), Some(MultiLabel), Kind::Labels, array![[0.], [1.]]);
        let message = "row 1 has 2 in column 0; expected a 0 or 1 for each label; rows are counted from 0";
        check_error(integers(&[2, 2], &[0, 1, 2, 1]), Some(MultiLabel), message);
        check_error(integers(&[2], &[0, -1]), Some(MultiLabel), "row 1 has -1 in column 0");
        check_error(floats(&[1, 2], &[1., 0.5]), Some(MultiLabel), "row 0 has 0.5 in column 1");
        check_error(floats(&[1, 2], &[1., f32::NAN]), Some(MultiLabel), "row 0 has NaN in column 1");
        check_error(integers(&[1, 1, 1], &[1]), Some(MultiLabel), "its shape is [1, 1, 1]");
    }

    /// Parts beside the training part are of its kind, whatever their own values suggest.
    #[test]
    fn a_given_kind_wins() {
        let one_hot = floats(&[1, 2], &[0., 1.]);
        for kind in [Kind::Probabilities, Kind::Labels, Kind::Numbers] {
            assert_eq!(read_as(&one_hot, kind), Ok(TargetValues::Values(array![[0., 1.]])));
        }
        assert!(read_as(&one_hot, Kind::Classes).is_ok());
        assert!(read_as(&floats(&[1, 2], &[0.5, 0.5]), Kind::Classes).unwrap_err().contains("row 0 is not one-hot"));
    }

    #[test]
    fn other_shapes_are_refused() {
        check_error(integers(&[], &[1]), None, "its shape is []; expected (n,) or (n, outputs)");
        check_error(integers(&[1, 1, 1], &[1]), None, "its shape is [1, 1, 1]");
        check_error(integers(&[3, 0], &[]), Some(Regression), "its shape is [3, 0]");
    }
}
