//! IDX, the format of MNIST: `0 0 type dimensions`, a big-endian u32 for each dimension, then the values in C order.
//!
//! Only unsigned bytes (type 8) are read, gzip'd or not.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use ndarray::Array2;
use schuss::Result;

use crate::decompress::{decompress, describe, read_up_to};
use crate::error::Parsed;
use crate::{Data, Examples, FeatureValues, TargetValues, error};

/// Reads a folder of IDX files, named as those of MNIST are: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and,
/// for the test part, `t10k-` (or `test-`) in place of `train-`. Each may end in `.gz`, and may have a dot in place of
/// the dash before `idx`.
///
/// Images are (examples, ...) and are flattened to (examples, features); labels are (examples,). The test part may be
/// missing.
///
/// # Errors
/// A missing file, or one that is not what its name says: cut short, too long, damaged, of other values or dimensions,
/// with another number of labels than of images, or with other features in the test part.
pub fn read_idx_folder(folder: &Path) -> Result<Data> {
    let has = |part: &&str| ["images", "labels"].iter().any(|content| find(folder, part, content).is_some());
    let test_part = ["t10k", "test"].into_iter().find(has);
    // Both parts are decompressed at once.
    let (train, test) = std::thread::scope(|scope| {
        let test = test_part.map(|part| scope.spawn(move || read_part(folder, part)));
        let train = read_part(folder, "train");
        (train, test.map(|test| test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    });
    let (train, image_shape) = train?;
    let test = test.transpose()?.map(|(test, _)| test);
    Data::of_parts(folder, train, test, None, image_shape)
}

/// Whether this folder has any file of the names that are read.
pub(crate) fn has_files(folder: &Path) -> bool {
    let of_part = |part| ["images", "labels"].iter().any(|content| find(folder, part, content).is_some());
    ["train", "t10k", "test"].into_iter().any(of_part)
}

/// The file of a part (`train`, `t10k`, `test`) with that content (`images`, `labels`), under any of its names.
pub(crate) fn find(folder: &Path, part: &str, content: &str) -> Option<PathBuf> {
    file_names(part, content).map(|name| folder.join(name)).into_iter().find(|path| path.is_file())
}

/// The name of such a file where it is published.
pub(crate) fn published_name(part: &str, content: &str) -> String {
    let [published, ..] = file_names(part, content);
    published
}

fn file_names(part: &str, content: &str) -> [String; 4] {
    let dimensions = if content == "images" { 3 } else { 1 };
    ["-.gz", "-", "..gz", "."].map(|form| {
        let (separator, extension) = form.split_at(1);
        format!("{part}-{content}{separator}idx{dimensions}-ubyte{extension}")
    })
}

/// The examples of a part, and the shape of one where it is more than a row.
fn read_part(folder: &Path, part: &str) -> Result<(Examples, Option<Vec<usize>>)> {
    let [images_path, labels_path] = ["images", "labels"].map(|content| {
        let missing = || format!("no {content} here; expected a file named {}", file_names(part, content).join(" or "));
        find(folder, part, content).ok_or_else(|| error::file(folder, missing()))
    });
    let (images_path, labels_path) = (images_path?, labels_path?);
    let images = read_file(&images_path, "images", |dimensions| dimensions >= 2)?;
    let labels = read_file(&labels_path, "labels", |dimensions| dimensions == 1)?;
    let [image_count, label_count] = [images.shape[0], labels.shape[0]];
    if label_count != image_count {
        let problem = format!("{label_count} labels for the {image_count} images of {}", images_path.display());
        return Err(error::file(&labels_path, problem));
    }
    if images.bytes.is_empty() {
        return Err(error::file(&images_path, format!("no pixels: its dimensions are {:?}", images.shape)));
    }
    let columns = images.bytes.len() / image_count;
    let features = Array2::from_shape_vec((image_count, columns), images.bytes)
        .map_err(|shape_error| error::file(&images_path, shape_error.to_string()))?;
    let labels: Vec<u32> = labels.bytes.into_iter().map(u32::from).collect();
    let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let image_shape = (images.shape.len() > 2).then(|| images.shape[1..].to_vec());
    let targets = TargetValues::Classes { labels, classes };
    Ok((Examples { features: FeatureValues::U8(features), targets, weights: None, stream: None }, image_shape))
}

/// Unsigned bytes in C order. There is at least one dimension, and there are as many bytes as the shape says.
struct Idx {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

fn read_file(path: &Path, content: &str, accepts: impl Fn(usize) -> bool) -> Result<Idx> {
    let file = error::open_file(path)?;
    let parse = || -> Parsed<_> {
        let mut reader = decompress(BufReader::new(file)).map_err(|e| describe(&e))?;
        parse(&mut reader, content, accepts)
    };
    parse().map_err(|problem| error::file(path, problem))
}

fn parse(reader: &mut dyn Read, content: &str, accepts: impl Fn(usize) -> bool) -> Parsed<Idx> {
    let magic = read_up_to(reader, 4).map_err(|e| describe(&e))?;
    if magic.is_empty() {
        return Err("the file is empty; get it again".into());
    }
    let dimensions = match magic[..] {
        [0, 0, 8, dimensions] if accepts(dimensions.into()) => usize::from(dimensions),
        _ => {
            let expected =
                if content == "images" { "00 00 08 03 (03: or another number from 02)" } else { "00 00 08 01" };
            let got: Vec<String> = magic.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(format!(
                "expected IDX {content}, which begin with {expected}; it begins with {}",
                got.join(" ")
            ));
        }
    };
    let header = read_up_to(reader, 4 * dimensions as u64).map_err(|e| describe(&e))?;
    if header.len() < 4 * dimensions {
        return Err(format!(
            "cut short in its header: expected {dimensions} dimensions of 4 bytes; get the file again"
        ));
    }
    let shape: Vec<usize> = header.as_chunks().0.iter().map(|&bytes| u32::from_be_bytes(bytes) as usize).collect();
    let size = shape.iter().try_fold(1u64, |size, &dimension| size.checked_mul(dimension as u64));
    let Some(size) = size.filter(|&size| size < u64::MAX) else {
        return Err(format!("its dimensions {shape:?} multiply to more bytes than a file can hold"));
    };
    // A byte more: whether the file ends where it should, and, in a gzip stream, to get to its checksum.
    let bytes = read_up_to(reader, size + 1).map_err(|e| describe(&e))?;
    match (bytes.len() as u64).cmp(&size) {
        std::cmp::Ordering::Equal => Ok(Idx { shape, bytes }),
        std::cmp::Ordering::Less => Err(format!(
            "cut short: its dimensions {shape:?} are {size} bytes, but {} are there; get the file again",
            bytes.len()
        )),
        std::cmp::Ordering::Greater => {
            Err(format!("bytes follow after the {size} of its dimensions {shape:?}; get the file again"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tempfile::TempDir;

    use super::*;

    fn idx(shape: &[u32], bytes: &[u8]) -> Vec<u8> {
        let dimensions = shape.iter().flat_map(|dimension| dimension.to_be_bytes()).collect();
        [vec![0, 0, 8, shape.len() as u8], dimensions, bytes.to_vec()].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Three images of 2 x 2 pixels and their labels, as images and labels of a part.
    fn three() -> [Vec<u8>; 2] {
        [idx(&[3, 2, 2], &[0, 1, 2, 3, 10, 11, 12, 13, 255, 254, 253, 252]), idx(&[3], &[1, 0, 4])]
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
        let folder = TempDir::new().unwrap();
        files.iter().for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).unwrap());
        folder
    }

    #[track_caller]
    fn check_three(examples: &Examples, classes: usize) {
        let pixels = vec![0, 1, 2, 3, 10, 11, 12, 13, 255, 254, 253, 252];
        assert_eq!(examples.features, FeatureValues::U8(Array2::from_shape_vec((3, 4), pixels).unwrap()));
        assert_eq!(examples.targets, TargetValues::Classes { labels: vec![1, 0, 4], classes });
    }

    /// The message for a folder whose training images, or labels, are these bytes.
    #[track_caller]
    fn check_error(images: Option<Vec<u8>>, labels: Option<Vec<u8>>, expected: &[&str]) {
        let [good_images, good_labels] = three();
        let folder = folder(&[
            ("train-images-idx3-ubyte", images.unwrap_or(good_images)),
            ("train-labels-idx1-ubyte", labels.unwrap_or(good_labels)),
        ]);
        check_message(folder.path(), expected);
    }

    #[track_caller]
    fn check_message(folder: &Path, expected: &[&str]) {
        let message = read_idx_folder(folder).unwrap_err().to_string();
        expected.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
    }

    #[test]
    fn every_name_plain_or_gzipped_is_read() {
        let [images, labels] = three();
        for [image_name, label_name] in [
            ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
            ["train-images.idx3-ubyte", "train-labels.idx1-ubyte"],
        ] {
            let folder = folder(&[(image_name, images.clone()), (label_name, labels.clone())]);
            let data = read_idx_folder(folder.path()).unwrap();
            check_three(&data.train, 5);
            assert_eq!((data.test, data.image_shape), (None, Some(vec![2, 2])));
        }
        for part in ["t10k", "test"] {
            let folder = folder(&[
                ("train-images-idx3-ubyte.gz", gzip(&images)),
                ("train-labels.idx1-ubyte.gz", gzip(&labels)),
                (&format!("{part}-images.idx3-ubyte.gz"), images.clone()),
                (&format!("{part}-labels-idx1-ubyte"), gzip(&idx(&[3], &[1, 0, 4]))),
            ]);
            let data = read_idx_folder(folder.path()).unwrap();
            check_three(&data.train, 5);
            check_three(&data.test.unwrap(), 5);
        }
    }

    #[test]
    fn classes_count_over_both_parts() {
        let [images, labels] = three();
        let folder = folder(&[
            ("train-images-idx3-ubyte", images),
            ("train-labels-idx1-ubyte", labels),
            ("t10k-images-idx3-ubyte", idx(&[1, 4], &[1, 2, 3, 4])),
            ("t10k-labels-idx1-ubyte", idx(&[1], &[8])),
        ]);
        let data = read_idx_folder(folder.path()).unwrap();
        check_three(&data.train, 9);
        assert_eq!(data.test.unwrap().targets, TargetValues::Classes { labels: vec![8], classes: 9 });
    }

    #[test]
    fn a_missing_file_is_named() {
        let [images, labels] = three();
        let names = ["train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte.gz"];
        check_message(folder(&[]).path(), &names);
        check_message(folder(&[("train-labels-idx1-ubyte", labels.clone())]).path(), &["no images here", names[0]]);
        let folder = folder(&[
            ("train-images-idx3-ubyte", images.clone()),
            ("train-labels-idx1-ubyte", labels),
            ("t10k-images-idx3-ubyte", images),
        ]);
        check_message(folder.path(), &["no labels here", "t10k-labels-idx1-ubyte"]);
    }

    #[test]
    fn a_file_of_the_wrong_length_is_refused() {
        let [images, labels] = three();
        check_error(Some(vec![]), None, &["train-images-idx3-ubyte: the file is empty"]);
        check_error(None, Some(vec![]), &["train-labels-idx1-ubyte: the file is empty"]);
        check_error(Some(images[..9].to_vec()), None, &["cut short in its header", "3 dimensions"]);
        check_error(Some(images[..20].to_vec()), None, &["cut short", "[3, 2, 2] are 12 bytes, but 4 are there"]);
        check_error(None, Some([&labels[..], &[0]].concat()), &["bytes follow after the 3 of its dimensions [3]"]);
        check_error(Some(idx(&[0, 2, 2], &[])), Some(idx(&[0], &[])), &["no pixels", "[0, 2, 2]"]);
        check_error(Some(idx(&[3, 0], &[])), None, &["no pixels", "[3, 0]"]);
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused() {
        let claim = |shape: &[u32]| Some(idx(shape, &[0; 12]));
        check_error(claim(&[u32::MAX; 3]), None, &["multiply to more bytes than a file can hold"]);
        check_error(claim(&[u32::MAX; 2]), None, &["are 18446744065119617025 bytes, but 12 are there"]);
        check_error(claim(&[9; 255]), None, &["multiply to more bytes"]);
    }

    #[test]
    fn another_magic_is_named() {
        let [images, labels] = three();
        check_error(Some(labels.clone()), None, &["begin with 00 00 08 03", "it begins with 00 00 08 01"]);
        check_error(None, Some(images), &["begin with 00 00 08 01;", "it begins with 00 00 08 03"]);
        check_error(Some(b"<html>".to_vec()), None, &["it begins with 3c 68 74 6d"]);
        check_error(Some([&[0, 0, 0x0d], &labels[3..]].concat()), None, &["it begins with 00 00 0d 01"]);
        check_error(Some(vec![0, 0]), None, &["it begins with 00 00"]);
    }

    #[test]
    fn a_damaged_gzip_stream_is_refused() {
        let [images, _] = three();
        let whole = gzip(&images);
        for length in [3, 12, whole.len() - 9, whole.len() - 1] {
            check_error(Some(whole[..length].to_vec()), None, &["the compressed content is cut short"]);
        }
        let mut wrong_sum = whole.clone();
        wrong_sum[whole.len() - 8] ^= 1;
        check_error(Some(wrong_sum), None, &["cannot be read", "checksum"]);
    }

    #[test]
    fn parts_must_fit_together() {
        let [images, labels] = three();
        check_error(None, Some(idx(&[2], &[0, 1])), &["train-labels-idx1-ubyte: 2 labels for the 3 images of"]);
        let folder = folder(&[
            ("train-images-idx3-ubyte", images),
            ("train-labels-idx1-ubyte", labels.clone()),
            ("t10k-images-idx3-ubyte", idx(&[3, 5], &[0; 15])),
            ("t10k-labels-idx1-ubyte", labels),
        ]);
        check_message(folder.path(), &["the test part has 5 features an example, the training part 4"]);
    }
}
