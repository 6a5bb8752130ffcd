//! NPZ in Keras's layout: a zip archive of NPY arrays.
//!
//! | part | examples | targets | sample weights |
//! |---|---|---|---|
//! | training | `x_train` | `y_train` | `sample_weight`, or `sample_weight_train` |
//! | test | `x_test` | `y_test` | `sample_weight_test` |
//! | validation | `x_valid`, or `x_val` | `y_valid`, or `y_val` | `sample_weight_valid`, or `sample_weight_val` |

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ndarray::{Array2, ShapeError};
use schuss::Result;
use zip::ZipArchive;

use crate::error::{Parsed, listed, quoted};
use crate::nearest::nearest;
use crate::npy::{self, Array, Values};
use crate::{Data, Examples, FeatureValues, TargetValues, Task, error, targets};

/// The names of the arrays of a part, the usual one first.
struct PartNames {
    x: &'static [&'static str],
    y: &'static [&'static str],
    weights: &'static [&'static str],
}

const TRAIN: PartNames =
    PartNames { x: &["x_train"], y: &["y_train"], weights: &["sample_weight", "sample_weight_train"] };
const TEST: PartNames = PartNames { x: &["x_test"], y: &["y_test"], weights: &["sample_weight_test"] };
const VALID: PartNames = PartNames {
    x: &["x_valid", "x_val"],
    y: &["y_valid", "y_val"],
    weights: &["sample_weight_valid", "sample_weight_val"],
};
/// What the names of all weights begin with.
const WEIGHT: &str = "sample_weight";

/// Reads an NPZ file that holds the arrays `x_train`, `y_train` and, if there is a test part, `x_test`, `y_test`, and, if
/// there is a validation part, `x_valid`, `y_valid` (or `x_val`, `y_val`). Each part may have sample weights:
/// `sample_weight` (or `sample_weight_train`), `sample_weight_test`, `sample_weight_valid` (or `sample_weight_val`). Other
/// arrays are ignored.
///
/// `x` is (n, ...), of booleans, integers, float32 or float64 in C or Fortran order, and is flattened to (n, features).
/// Bytes stay bytes, and booleans become bytes; other integers become single precision where that is exact (up to
/// 2^24), else double.
///
/// `y` is (n,) or (n, outputs). What it means follows from the `task` and the values of `y_train`; the other parts mean the
/// same.
/// - Without a task, integers and booleans are classes counted from 0, rows of one 1 and else 0 are classes, and other
///   floating-point numbers are values to predict.
/// - With [`Task::Classification`], floating-point numbers may be classes too; or rows of a probability for each class,
///   numbers of 0 or more that sum to 1 within 0.001.
/// - With [`Task::MultiLabel`], there is a 0 or 1 for each label.
/// - With [`Task::Regression`], all are values to predict.
///
/// There are as many classes as the largest label of all parts needs, or as a row of one-hot targets is wide.
///
/// Sample weights are (n,), of any of these types: numbers of 0 or more, not all of them 0.
///
/// # Errors
/// No zip archive, a damaged one, a missing array, one of other values (objects, strings, complex numbers), a header
/// that does not fit the bytes, targets that are not what the task needs, weights that are none, arrays that do not fit
/// together, an array under two of its names.
pub fn read_npz(path: &Path, task: Option<Task>) -> Result<Data> {
    let file = error::open_file(path)?;
    let read = || -> Parsed<_> {
        let archive = ZipArchive::new(BufReader::new(file));
        let mut archive = Archive(archive.map_err(|e| format!("not an NPZ file, which is a zip archive ({e})"))?);
        archive.check_weight_names()?;
        let train = read_part(&mut archive, &TRAIN, |y| targets::read(y, task))?;
        let mut other_part = |names: &PartNames| {
            if [names.x, names.y, names.weights].concat().iter().all(|name| !archive.has(name)) {
                return Ok(None);
            }
            // The training part has decided what kind of targets there are.
            let kind = train.target_kind;
            let part = read_part(&mut archive, names, |y| targets::read_as(y, kind).map(|targets| (targets, kind)))?;
            if part.target_columns != train.target_columns {
                let [got, expected] = [part.target_columns, train.target_columns];
                let problem = format!("{got} numbers a row, but y_train has {expected}; expected the same");
                return Err(format!("{}: {problem}", part.y_name));
            }
            Ok(Some(part.examples))
        };
        let [test, valid] = [other_part(&TEST)?, other_part(&VALID)?];
        Ok((train, test, valid))
    };
    let (train, test, valid) = read().map_err(|problem| error::file(path, problem))?;
    Data::of_parts(path, train.examples, test, valid, train.image_shape)
}

struct Part {
    examples: Examples,
    y_name: &'static str,
    target_columns: usize,
    target_kind: targets::Kind,
    image_shape: Option<Vec<usize>>,
}

fn read_part(
    archive: &mut Archive,
    names: &PartNames,
    read_targets: impl Fn(&Array) -> Parsed<(TargetValues, targets::Kind)>,
) -> Parsed<Part> {
    let x_name = archive.find(names.x)?.unwrap_or(names.x[0]);
    let y_name = archive.find(names.y)?.unwrap_or(names.y[0]);
    let x = archive.read(x_name)?;
    let [rows, image_shape @ ..] = &x.shape[..] else {
        return Err(format!("{x_name}: a single number; expected an array (n, ...) of n examples"));
    };
    let rows = *rows;
    let image_shape = (image_shape.len() > 1).then(|| image_shape.to_vec());
    let features = features(x).map_err(|problem| format!("{x_name}: {problem}"))?;
    let y = archive.read(y_name)?;
    let target_columns = y.shape.get(1).copied().unwrap_or(1);
    let (targets, target_kind) = read_targets(&y).map_err(|problem| format!("{y_name}: {problem}"))?;
    let target_rows = targets.view().rows();
    if target_rows != rows {
        return Err(format!("{y_name}: {target_rows} targets for the {rows} examples of {x_name}; expected as many"));
    }
    let weights = match archive.find(names.weights)? {
        Some(name) => {
            let array = archive.read(name)?;
            let weights = weights(&array, rows, x_name).map_err(|problem| format!("{name}: {problem}"))?;
            Some(weights)
        }
        None => None,
    };
    Ok(Part {
        examples: Examples { features, targets, weights, stream: None },
        y_name,
        target_columns,
        target_kind,
        image_shape,
    })
}

/// The weights of `rows` examples.
fn weights(Array { shape, values }: &Array, rows: usize, x_name: &str) -> Parsed<Vec<f64>> {
    let &[count] = &shape[..] else {
        return Err(format!("its shape is {shape:?}; expected ({rows},): a weight for each example of {x_name}"));
    };
    if count != rows {
        return Err(format!("{count} weights for the {rows} examples of {x_name}; expected as many"));
    }
    let weights: Vec<f64> = (0..rows).map(|row| values.get(row)).collect();
    if let Some(row) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        let problem = format!("row {row} is {}; expected a finite number of 0 or more", weights[row]);
        return Err(format!("{problem}; rows are counted from 0"));
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err("all weights are 0; expected one above 0 at least".into());
    }
    Ok(weights)
}

/// The largest integer up to which every integer is a single-precision number.
const EXACT_IN_F32: u64 = 1 << 24;

/// Flattens an array of at least one dimension.
fn features(Array { shape, values }: Array) -> Parsed<FeatureValues> {
    let count: usize = shape.iter().product();
    if count == 0 {
        return Err(format!("no values: its shape is {shape:?}; expected at least one example and one feature"));
    }
    let dimensions = (shape[0], count / shape[0]);
    let features = match values {
        Values::U8(values) => Array2::from_shape_vec(dimensions, values).map(FeatureValues::U8),
        Values::F32(values) => Array2::from_shape_vec(dimensions, values).map(FeatureValues::F32),
        Values::F64(values) => Array2::from_shape_vec(dimensions, values).map(FeatureValues::F64),
        Values::I64(values) if values.iter().all(|value| value.unsigned_abs() <= EXACT_IN_F32) => {
            let values = values.into_iter().map(|value| value as f32).collect();
            Array2::from_shape_vec(dimensions, values).map(FeatureValues::F32)
        }
        Values::I64(values) => {
            let values = values.into_iter().map(|value| value as f64).collect();
            Array2::from_shape_vec(dimensions, values).map(FeatureValues::F64)
        }
    };
    features.map_err(|e: ShapeError| e.to_string())
}

struct Archive(ZipArchive<BufReader<File>>);

impl Archive {
    fn has(&self, name: &str) -> bool {
        self.0.index_for_name(&member(name)).is_some()
    }

    /// The one of these names of an array that is there, if any is.
    fn find<'a>(&self, names: &[&'a str]) -> Parsed<Option<&'a str>> {
        let mut there = names.iter().copied().filter(|name| self.has(name));
        match (there.next(), there.next()) {
            (Some(one), Some(other)) => Err(format!("there are both {one:?} and {other:?}; expected one of them")),
            (one, _) => Ok(one),
        }
    }

    /// Fails where weights would be ignored for their name.
    fn check_weight_names(&self) -> Parsed<()> {
        let known = [TRAIN.weights, TEST.weights, VALID.weights].concat();
        match self.names().iter().find(|name| name.starts_with(WEIGHT) && !known.contains(&name.as_str())) {
            Some(name) => {
                Err(format!("{} is no name of weights; expected {}; rename it", quoted(name), known.join(", ")))
            }
            None => Ok(()),
        }
    }

    /// The names of all arrays.
    fn names(&self) -> Vec<String> {
        let array_name = |raw: &[u8]| String::from_utf8_lossy(raw.strip_suffix(b".npy").unwrap_or(raw)).into_owned();
        self.0.file_names_raw().map(array_name).collect()
    }

    fn read(&mut self, name: &str) -> Parsed<Array> {
        if !self.has(name) {
            return Err(self.missing(name));
        }
        let member = self.0.by_name(&member(name));
        let mut member = member.map_err(|e| format!("{name}: cannot be read from the archive ({e})"))?;
        npy::read(&mut member).map_err(|problem| format!("{name}: {problem}"))
    }

    fn missing(&self, name: &str) -> String {
        let there = self.names();
        let list = listed(there.iter().map(|name| quoted(name)));
        let known = [TRAIN, TEST, VALID].map(|part| [part.x, part.y, part.weights].concat()).concat();
        let others = there.iter().map(String::as_str).filter(|name| !known.contains(name));
        let hint =
            nearest(name, others).map_or(String::new(), |near| format!("; {near:?} may have been meant: rename it"));
        format!(
            "there is no array {name:?}; expected x_train, y_train and, for a test part, x_test and y_test, for a \
             validation part x_valid and y_valid; the file holds {}{hint}",
            if list.is_empty() { "no arrays" } else { &list },
        )
    }
}

fn member(array: &str) -> String {
    format!("{array}.npy")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Cursor, Write};

    use ndarray::array;
    use tempfile::TempDir;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;
    use crate::npy::tests::npy;

    type Member<'a> = (&'a str, Vec<u8>);

    fn zip(members: &[Member], method: CompressionMethod) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            writer.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn read_bytes(bytes: &[u8], task: Option<Task>) -> Result<Data> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("table.npz");
        fs::write(&path, bytes).unwrap();
        read_npz(&path, task)
    }

    fn read_members(members: &[Member], task: Option<Task>) -> Result<Data> {
        let [stored, deflated] = [CompressionMethod::Stored, CompressionMethod::Deflated]
            .map(|method| read_bytes(&zip(members, method), task));
        match (&stored, &deflated) {
            // As text, in which NaN equals NaN.
            (Ok(stored), Ok(deflated)) => assert_eq!(format!("{stored:?}"), format!("{deflated:?}")),
            (stored, deflated) => assert_eq!(stored.is_err(), deflated.is_err()),
        }
        deflated
    }

    #[track_caller]
    fn check_message(result: Result<Data>, expected: &[&str]) {
        let message = result.unwrap_err().to_string();
        assert!(message.contains("table.npz: "), "{message}");
        expected.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
    }

    #[track_caller]
    fn check_error(members: &[Member], expected: &[&str]) {
        check_message(read_members(members, None), expected);
    }

    fn floats(shape: &[usize], values: &[f32]) -> Vec<u8> {
        npy("<f4", false, shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    fn longs(shape: &[usize], values: &[i64]) -> Vec<u8> {
        npy("<i8", false, shape, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())
    }

    fn bytes(shape: &[usize], values: &[u8]) -> Vec<u8> {
        npy("|u1", false, shape, values)
    }

    #[track_caller]
    fn check_features(x: Vec<u8>, expected: FeatureValues, image_shape: Option<Vec<usize>>) {
        let data = read_members(&[("x_train", x), ("y_train", longs(&[2], &[0, 1]))], None).unwrap();
        assert_eq!((data.train.features, data.image_shape), (expected, image_shape));
    }

    #[test]
    fn keras_layout_is_read() {
        let data = read_members(
            &[
                ("x_train", bytes(&[3, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])),
                ("y_train", longs(&[3], &[0, 2, 1])),
                ("x_test", bytes(&[1, 2, 2], &[9, 8, 7, 6])),
                ("y_test", longs(&[1], &[6])),
                ("something_else", b"not an array".to_vec()),
            ],
            None,
        )
        .unwrap();
        let train = array![[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]];
        let part = |features, labels| Examples {
            features: FeatureValues::U8(features),
            targets: TargetValues::Classes { labels, classes: 7 },
            weights: None,
            stream: None,
        };
        let expected = Data {
            name: "table".into(),
            train: part(train, vec![0, 2, 1]),
            test: Some(part(array![[9, 8, 7, 6]], vec![6])),
            test_is_split: false,
            valid: None,
            valid_is_split: false,
            image_shape: Some(vec![2, 2]),
            class_names: None,
            pictures: None,
            schema: None,
            judged_table: None,
            folds: vec![],
        };
        assert_eq!(data, expected);
    }

    #[test]
    fn features_keep_their_type_where_the_core_has_it() {
        check_features(bytes(&[2, 2], &[1, 2, 3, 4]), FeatureValues::U8(array![[1, 2], [3, 4]]), None);
        check_features(npy("|b1", false, &[2], &[1, 0]), FeatureValues::U8(array![[1], [0]]), None);
        check_features(npy("|i1", false, &[2], &[255, 0]), FeatureValues::F32(array![[-1.], [0.]]), None);
        check_features(floats(&[2, 1], &[0.1, 2.]), FeatureValues::F32(array![[0.1], [2.]]), None);
        let doubles = [0.1f64, 0.2].map(f64::to_le_bytes).concat();
        check_features(npy("<f8", false, &[2], &doubles), FeatureValues::F64(array![[0.1], [0.2]]), None);
        let exact = 1 << 24;
        check_features(longs(&[2], &[-exact, exact]), FeatureValues::F32(array![[-16777216.], [16777216.]]), None);
        check_features(longs(&[2], &[0, exact + 1]), FeatureValues::F64(array![[0.], [16777217.]]), None);
        check_features(longs(&[2], &[0, i64::MIN]), FeatureValues::F64(array![[0.], [i64::MIN as f64]]), None);
        let fortran = npy("|u1", true, &[2, 1, 2], &[1, 3, 2, 4]);
        check_features(fortran, FeatureValues::U8(array![[1, 2], [3, 4]]), Some(vec![1, 2]));
    }

    #[test]
    fn the_training_part_decides_the_task_of_both() {
        let part = |y_train, y_test| {
            let members = [
                ("x_train", floats(&[2], &[1., 2.])),
                ("y_train", y_train),
                ("x_test", floats(&[1], &[3.])),
                ("y_test", y_test),
            ];
            read_members(&members, None)
        };
        let data = part(floats(&[2], &[0.5, 1.]), longs(&[1], &[7])).unwrap();
        assert_eq!(data.test.unwrap().targets, TargetValues::Values(array![[7.]]));
        let data = part(longs(&[2], &[0, 1]), floats(&[1], &[3.])).unwrap();
        assert_eq!(data.test.unwrap().targets, TargetValues::Classes { labels: vec![3], classes: 4 });
        assert_eq!(data.train.targets, TargetValues::Classes { labels: vec![0, 1], classes: 4 });
        check_message(part(longs(&[2], &[0, 1]), floats(&[1], &[0.5])), &["y_test: row 0 is 0.5"]);
        let one_hot = longs(&[2, 3], &[0, 1, 0, 1, 0, 0]);
        check_message(part(one_hot, longs(&[1, 2], &[0, 1])), &["y_test: 2 numbers a row, but y_train has 3"]);
    }

    /// A training part of two examples and these arrays.
    fn with_train<'a>(y_train: Vec<u8>, others: &[Member<'a>]) -> Vec<Member<'a>> {
        [&[("x_train", floats(&[2], &[1., 2.])), ("y_train", y_train)], others].concat()
    }

    #[test]
    fn a_validation_part_is_read_under_both_of_its_names() {
        for [x_valid, y_valid] in [["x_valid", "y_valid"], ["x_val", "y_val"], ["x_valid", "y_val"]] {
            let part = [(x_valid, floats(&[1], &[3.])), (y_valid, longs(&[1], &[4]))];
            let data = read_members(&with_train(longs(&[2], &[0, 1]), &part), None).unwrap();
            let valid = data.valid.unwrap();
            assert_eq!(valid.features, FeatureValues::F32(array![[3.]]));
            assert_eq!(valid.targets, TargetValues::Classes { labels: vec![4], classes: 5 });
            assert_eq!(data.train.targets.view().width(), 5);
            assert_eq!((data.test, data.test_is_split, data.valid_is_split), (None, false, false));
        }
        let check =
            |others: &[Member], expected: &[&str]| check_error(&with_train(longs(&[2], &[0, 1]), others), expected);
        let x = || floats(&[1], &[3.]);
        check(&[("x_valid", x())], &["there is no array \"y_valid\"", "for a validation part x_valid and y_valid"]);
        check(&[("y_val", x())], &["there is no array \"x_valid\""]);
        check(&[("x_valid", x()), ("x_val", x()), ("y_val", x())], &["both \"x_valid\" and \"x_val\"; expected one"]);
        check(&[("x_val", x()), ("y_val", longs(&[2], &[0, 1]))], &["y_val: 2 targets for the 1 examples of x_val"]);
        check(&[("x_val", x()), ("y_val", longs(&[1, 2], &[0, 1]))], &["y_val: 2 numbers a row, but y_train has 1"]);
        let wide = [("x_val", floats(&[1, 2], &[3.; 2])), ("y_val", longs(&[1], &[0]))];
        check(&wide, &["the validation part has 2 features an example, the training part 1"]);
    }

    #[test]
    fn weights_of_any_type_are_read_for_every_part() {
        let doubles = [0.5f64, 0.0].map(f64::to_le_bytes).concat();
        for (array, expected) in [
            (floats(&[2], &[0.5, 2.]), [0.5, 2.]),
            (npy("<f8", false, &[2], &doubles), [0.5, 0.]),
            (longs(&[2], &[0, 7]), [0., 7.]),
            (bytes(&[2], &[3, 255]), [3., 255.]),
            (npy("|b1", false, &[2], &[1, 0]), [1., 0.]),
        ] {
            for name in ["sample_weight", "sample_weight_train"] {
                let members = with_train(longs(&[2], &[0, 1]), &[(name, array.clone())]);
                let train = read_members(&members, None).unwrap().train;
                assert_eq!(train.dataset().unwrap().weights(), Some(&expected[..]), "{name}");
            }
        }
        let part = |[x, y, weight]: [&'static str; 3]| {
            [(x, floats(&[2], &[3., 4.])), (y, longs(&[2], &[1, 0])), (weight, floats(&[2], &[1., 3.]))]
        };
        for valid in ["sample_weight_valid", "sample_weight_val"] {
            let others =
                [part(["x_test", "y_test", "sample_weight_test"]), part(["x_valid", "y_valid", valid])].concat();
            let data = read_members(&with_train(longs(&[2], &[0, 1]), &others), None).unwrap();
            assert_eq!(data.train.weights, None);
            [data.test, data.valid].into_iter().for_each(|part| assert_eq!(part.unwrap().weights, Some(vec![1., 3.])));
        }
    }

    #[test]
    fn what_are_no_weights_is_named() {
        let check = |array, expected: &str| {
            let members = with_train(longs(&[2], &[0, 1]), &[("sample_weight", array)]);
            check_error(&members, &["table.npz: sample_weight: ", expected]);
        };
        check(floats(&[3], &[1.; 3]), "3 weights for the 2 examples of x_train; expected as many");
        check(floats(&[0], &[]), "0 weights for the 2 examples");
        check(floats(&[2, 1], &[1.; 2]), "its shape is [2, 1]; expected (2,): a weight for each example of x_train");
        check(floats(&[], &[1.]), "its shape is []; expected (2,)");
        check(
            floats(&[2], &[1., -0.5]),
            "row 1 is -0.5; expected a finite number of 0 or more; rows are counted from 0",
        );
        check(longs(&[2], &[-7, 1]), "row 0 is -7");
        check(floats(&[2], &[f32::NAN, 1.]), "row 0 is NaN");
        check(floats(&[2], &[1., f32::INFINITY]), "row 1 is inf");
        check(floats(&[2], &[0., -0.]), "all weights are 0; expected one above 0");
        check(npy("|O", false, &[2], &[0; 16]), "pickled objects are not read");
        let weights = || floats(&[2], &[1.; 2]);
        let check =
            |others: &[Member], expected: &[&str]| check_error(&with_train(longs(&[2], &[0, 1]), others), expected);
        let both = [("sample_weight", weights()), ("sample_weight_train", weights())];
        check(&both, &["both \"sample_weight\" and \"sample_weight_train\""]);
        check(&[("sample_weight_test", weights())], &["there is no array \"x_test\""]);
        check(&[("sample_weight_val", weights())], &["there is no array \"x_valid\""]);
        check(
            &[("sample_weights", weights())],
            &["\"sample_weights\" is no name of weights", "sample_weight_val; rename"],
        );
    }

    #[test]
    fn probabilities_and_labels_are_read_for_every_part() {
        let check = |y_train, y_valid, task, expected: [ndarray::Array2<f64>; 2]| {
            let valid = [("x_valid", floats(&[1], &[3.])), ("y_valid", y_valid)];
            let data = read_members(&with_train(y_train, &valid), Some(task)).unwrap();
            assert_eq!([data.train, data.valid.unwrap()].map(|part| part.targets), expected.map(TargetValues::Values));
        };
        let soft = || floats(&[2, 2], &[0.25, 0.75, 1., 0.]);
        let hard = || longs(&[1, 2], &[0, 1]);
        check(soft(), hard(), Task::Classification, [array![[0.25, 0.75], [1., 0.]], array![[0., 1.]]]);
        let labels = || bytes(&[2, 2], &[1, 0, 0, 1]);
        check(labels(), hard(), Task::MultiLabel, [array![[1., 0.], [0., 1.]], array![[0., 1.]]]);
        let message = |y_train, y_valid, task| {
            let valid = [("x_valid", floats(&[1], &[3.])), ("y_valid", y_valid)];
            read_members(&with_train(y_train, &valid), Some(task))
        };
        let half = || floats(&[1, 2], &[0.5, 0.25]);
        check_message(
            message(soft(), half(), Task::Classification),
            &["y_valid: row 0 is not one-hot", "sums to 0.75"],
        );
        check_message(message(labels(), half(), Task::MultiLabel), &["y_valid: row 0 has 0.5 in column 0"]);
        let classes = longs(&[1], &[1]);
        check_message(message(labels(), classes, Task::MultiLabel), &["y_valid: 1 numbers a row, but y_train has 2"]);
    }

    #[test]
    fn a_given_task_wins() {
        let members = [("x_train", floats(&[2], &[1., 2.])), ("y_train", longs(&[2], &[3, -4]))];
        let data = read_members(&members, Some(Task::Regression)).unwrap();
        assert_eq!(data.train.targets, TargetValues::Values(array![[3.], [-4.]]));
        check_message(read_members(&members, None), &["y_train: row 1 is -4; expected a class", "--task regression"]);
    }

    #[test]
    fn a_missing_array_is_named_and_its_like_is_offered() {
        let x = || floats(&[1], &[1.]);
        check_error(
            &[("X_train", x()), ("y", x())],
            &[
                "there is no array \"x_train\"",
                "expected x_train, y_train and, for a test part, x_test and y_test",
                "the file holds \"X_train\", \"y\"",
                "\"X_train\" may have been meant",
            ],
        );
        check_error(&[("x_train", x()), ("ytrain", x())], &["no array \"y_train\"", "\"ytrain\" may have been meant"]);
        check_error(&[("x_train", x())], &["no array \"y_train\"", "the file holds \"x_train\""]);
        check_error(&[], &["there is no array \"x_train\"", "the file holds no arrays"]);
        let train = [("x_train", x()), ("y_train", x())];
        check_error(&[&train[..], &[("x_test", x())]].concat(), &["there is no array \"y_test\""]);
        check_error(&[&train[..], &[("y_test", x())]].concat(), &["there is no array \"x_test\""]);
        let names: Vec<String> = (0..30).map(|i| format!("{i}{}", "a".repeat(100))).collect();
        let many: Vec<Member> = names.iter().map(|name| (name.as_str(), vec![])).collect();
        check_error(&many, &[&format!("\"0{}\"", "a".repeat(39)), "and 10 more"]);
    }

    #[test]
    fn arrays_that_do_not_fit_together_are_refused() {
        let y = || longs(&[2], &[0, 1]);
        check_error(
            &[("x_train", floats(&[3], &[0.; 3])), ("y_train", y())],
            &["y_train: 2 targets for the 3 examples of x_train"],
        );
        check_error(&[("x_train", floats(&[], &[0.])), ("y_train", y())], &["x_train: a single number"]);
        check_error(
            &[("x_train", floats(&[2], &[0.; 2])), ("y_train", longs(&[], &[0]))],
            &["y_train: its shape is []"],
        );
        check_error(
            &[("x_train", floats(&[2, 0], &[])), ("y_train", y())],
            &["x_train: no values: its shape is [2, 0]"],
        );
        check_error(&[("x_train", floats(&[0, 3], &[])), ("y_train", longs(&[0], &[]))], &["x_train: no values"]);
        let parts = [
            ("x_train", floats(&[2, 3], &[0.; 6])),
            ("y_train", y()),
            ("x_test", floats(&[2, 2], &[0.; 4])),
            ("y_test", y()),
        ];
        check_error(&parts, &["the test part has 2 features an example, the training part 3"]);
    }

    #[test]
    fn what_is_wrong_with_an_array_is_said_with_its_name() {
        let y = || longs(&[2], &[0, 1]);
        let object = npy("|O", false, &[2], &[0; 16]);
        check_error(&[("x_train", object), ("y_train", y())], &["x_train: pickled objects are not read"]);
        let mut short = floats(&[2], &[0.; 2]);
        short.pop();
        check_error(&[("x_train", short), ("y_train", y())], &["x_train: cut short", "8 bytes, but 7 bytes are there"]);
        check_error(&[("x_train", vec![]), ("y_train", y())], &["x_train: not an NPY array"]);
    }

    #[test]
    fn a_damaged_archive_is_refused() {
        let members = [("x_train", floats(&[2], &[7.; 2])), ("y_train", longs(&[2], &[0, 1]))];
        check_message(read_bytes(b"x,y\n1,2\n", None), &["not an NPZ file, which is a zip archive"]);
        check_message(read_bytes(b"", None), &["not an NPZ file"]);
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let whole = zip(&members, method);
            check_message(read_bytes(&whole[..whole.len() - 30], None), &["not an NPZ file"]);
            check_message(read_bytes(&whole[..60], None), &["not an NPZ file"]);
            // The first member begins after its 30-byte header and its name of 11 bytes.
            let mut flipped = whole.clone();
            flipped[41 + 60] ^= 0x10;
            check_message(read_bytes(&flipped, None), &["x_train: "]);
        }
        let stored = zip(&members, CompressionMethod::Stored);
        let value_at = stored.windows(4).position(|bytes| bytes == 7f32.to_le_bytes()).unwrap();
        let mut flipped = stored;
        flipped[value_at] ^= 1;
        check_message(read_bytes(&flipped, None), &["x_train: the content cannot be read", "hecksum"]);
    }

    #[test]
    fn a_feature_that_is_not_finite_is_left_to_the_data_set() {
        let members = [("x_train", floats(&[1], &[f32::NAN])), ("y_train", longs(&[1], &[0]))];
        let data = read_members(&members, None).unwrap();
        assert!(data.train.dataset().unwrap_err().to_string().contains("infinity or NaN"));
    }
}
