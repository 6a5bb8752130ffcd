//! NPZ in Keras's layout: a zip archive of NPY arrays `x_train`, `y_train` and, for the test part, `x_test`, `y_test`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use ndarray::{Array2, ShapeError};
use schuss::Result;
use zip::ZipArchive;

use crate::error::Parsed;
use crate::nearest::nearest;
use crate::npy::{self, Array, Values};
use crate::{Data, Examples, FeatureValues, TargetValues, Task, error, targets};

const NAMES: [&str; 4] = ["x_train", "y_train", "x_test", "y_test"];
/// So many names of arrays, and so many letters of each, are shown in a message.
const SHOWN_NAMES: usize = 20;
const SHOWN_LETTERS: usize = 40;

/// Reads an NPZ file that holds the arrays `x_train`, `y_train` and, for the test part, `x_test`, `y_test`. Others are
/// ignored.
///
/// `x` is (n, ...), of booleans, integers, float32 or float64 in C or Fortran order, and is flattened to (n, features).
/// Bytes stay bytes, and booleans become bytes; other integers become single precision where that is exact (up to
/// 2^24), else double.
///
/// `y` is (n,) or (n, outputs). Without a `task`, integers and booleans are classes counted from 0, rows of one 1 and
/// else 0 are classes, and other floating-point numbers are values to predict. There are as many classes as the largest
/// label of both parts needs, or as a row of one-hot targets is wide.
///
/// # Errors
/// No zip archive, a damaged one, a missing array, one of other values (objects, strings, complex numbers), a header
/// that does not fit the bytes, labels that are not classes, arrays that do not fit together.
pub fn read_npz(path: &Path, task: Option<Task>) -> Result<Data> {
    let file = error::open_file(path)?;
    let read = || -> Parsed<_> {
        let archive = ZipArchive::new(BufReader::new(file));
        let mut archive = Archive(archive.map_err(|e| format!("not an NPZ file, which is a zip archive ({e})"))?);
        let train = read_part(&mut archive, ["x_train", "y_train"], task)?;
        let test = if archive.has("x_test") || archive.has("y_test") {
            // The training part has decided what kind of targets there are.
            let task = match train.examples.targets {
                TargetValues::Classes { .. } => Task::Classification,
                TargetValues::Values(_) => Task::Regression,
            };
            let test = read_part(&mut archive, ["x_test", "y_test"], Some(task))?;
            if test.target_columns != train.target_columns {
                let [got, expected] = [test.target_columns, train.target_columns];
                return Err(format!("y_test: {got} numbers a row, but y_train has {expected}; expected the same"));
            }
            Some(test.examples)
        } else {
            None
        };
        Ok((train, test))
    };
    let (train, test) = read().map_err(|problem| error::file(path, problem))?;
    Data::of_parts(path, train.examples, test, train.image_shape)
}

struct Part {
    examples: Examples,
    target_columns: usize,
    image_shape: Option<Vec<usize>>,
}

fn read_part(archive: &mut Archive, [x_name, y_name]: [&str; 2], task: Option<Task>) -> Parsed<Part> {
    let x = archive.read(x_name)?;
    let [rows, image_shape @ ..] = &x.shape[..] else {
        return Err(format!("{x_name}: a single number; expected an array (n, ...) of n examples"));
    };
    let rows = *rows;
    let image_shape = (image_shape.len() > 1).then(|| image_shape.to_vec());
    let features = features(x).map_err(|problem| format!("{x_name}: {problem}"))?;
    let y = archive.read(y_name)?;
    let target_columns = y.shape.get(1).copied().unwrap_or(1);
    let targets = targets::read(&y, task).map_err(|problem| format!("{y_name}: {problem}"))?;
    let target_rows = targets.view().rows();
    if target_rows != rows {
        return Err(format!("{y_name}: {target_rows} targets for the {rows} examples of {x_name}; expected as many"));
    }
    Ok(Part { examples: Examples { features, targets }, target_columns, image_shape })
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

    fn read(&mut self, name: &str) -> Parsed<Array> {
        if !self.has(name) {
            return Err(self.missing(name));
        }
        let member = self.0.by_name(&member(name));
        let mut member = member.map_err(|e| format!("{name}: cannot be read from the archive ({e})"))?;
        npy::read(&mut member).map_err(|problem| format!("{name}: {problem}"))
    }

    fn missing(&self, name: &str) -> String {
        let array_name = |raw: &[u8]| String::from_utf8_lossy(raw.strip_suffix(b".npy").unwrap_or(raw)).into_owned();
        let there: Vec<String> = self.0.file_names_raw().map(array_name).collect();
        let shown = |name: &String| format!("{:?}", name.chars().take(SHOWN_LETTERS).collect::<String>());
        let mut list = there.iter().take(SHOWN_NAMES).map(shown).collect::<Vec<_>>().join(", ");
        if there.len() > SHOWN_NAMES {
            list += &format!(" and {} more", there.len() - SHOWN_NAMES);
        }
        let others = there.iter().map(String::as_str).filter(|name| !NAMES.contains(name));
        let hint =
            nearest(name, others).map_or(String::new(), |near| format!("; {near:?} may have been meant: rename it"));
        format!(
            "there is no array {name:?}; expected x_train, y_train and, for a test part, x_test and y_test; the file \
             holds {}{hint}",
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
        };
        let expected = Data {
            name: "table".into(),
            train: part(train, vec![0, 2, 1]),
            test: Some(part(array![[9, 8, 7, 6]], vec![6])),
            test_is_split: false,
            image_shape: Some(vec![2, 2]),
            class_names: None,
            pictures: None,
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
