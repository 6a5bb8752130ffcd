//! What the numbers of an array mean as targets.

use ndarray::Array2;

use crate::error::Parsed;
use crate::npy::{Array, Values};
use crate::{TargetValues, Task};

/// The largest class that is believed: beyond it, whole numbers are rather amounts than classes.
const MAX_LABEL: u32 = (1 << 20) - 1;

/// Reads `array`, (n,) or (n, outputs), as targets. Without a task, integers are classes, rows of one 1 and else 0 are
/// classes too, and other numbers are values.
pub(crate) fn read(array: &Array, task: Option<Task>) -> Parsed<TargetValues> {
    let (rows, columns) = match array.shape[..] {
        [rows] => (rows, 1),
        [rows, columns] if columns > 0 => (rows, columns),
        _ => return Err(format!("its shape is {:?}; expected (n,) or (n, outputs)", array.shape)),
    };
    let numbers = || numbers(&array.values, rows, columns);
    let may_be_numbers = task.is_none() && !array.values.are_integers();
    if task == Some(Task::Regression) || (may_be_numbers && columns == 1) {
        return numbers();
    }
    let labels = match columns {
        1 => (0..rows)
            .map(|row| label(array.values.get(row)).map_err(|problem| format!("row {row} {problem}")))
            .collect(),
        _ => one_hot_labels(&array.values, rows, columns),
    };
    match labels {
        Ok(labels) => Ok(classes(labels, if columns > 1 { columns } else { 0 })),
        Err(_) if may_be_numbers => numbers(),
        Err(problem) => Err(format!("{problem}; rows are counted from 0. Numbers to predict need --task regression")),
    }
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

/// The column of the 1 in each row.
fn one_hot_labels(values: &Values, rows: usize, columns: usize) -> Parsed<Vec<u32>> {
    let row_label = |row: usize| {
        let mut ones = (0..columns).filter(|column| values.get(row * columns + column) != 0.0);
        match (ones.next(), ones.next()) {
            (Some(column), None) if values.get(row * columns + column) == 1.0 => label(column as f64),
            _ => Err("is not one-hot: expected one 1 and else 0".into()),
        }
        .map_err(|problem| format!("row {row} {problem}"))
    };
    (0..rows).map(row_label).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::Task::{Classification, Regression};

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
        assert_eq!(read(&array, task), Ok(TargetValues::Classes { labels: labels.to_vec(), classes }));
    }

    #[track_caller]
    fn check_numbers(array: Array, task: Option<Task>, expected: Array2<f64>) {
        assert_eq!(read(&array, task), Ok(TargetValues::Values(expected)));
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
        check_error(floats(&[1, 2], &[0.5, 0.5]), Some(Classification), "row 0 is not one-hot");
    }

    #[test]
    fn other_shapes_are_refused() {
        check_error(integers(&[], &[1]), None, "its shape is []; expected (n,) or (n, outputs)");
        check_error(integers(&[1, 1, 1], &[1]), None, "its shape is [1, 1, 1]");
        check_error(integers(&[3, 0], &[]), Some(Regression), "its shape is [3, 0]");
    }
}
