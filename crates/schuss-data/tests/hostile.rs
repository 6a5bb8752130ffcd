//! Thousands of damaged files: each is read or refused with a message, without a panic and without memory for bytes
//! that are not there.

mod common;

use std::fs;
use std::io::{Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::{check_damages, peak_memory};
use flate2::Compression;
use flate2::write::GzEncoder;
use schuss::Result;
use schuss_data::{Data, Task, read_idx_folder, read_npz};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

const DAMAGES: u64 = 1000;
/// Above what the files (less than 1 kB), the allocator and the test itself need; far below what damaged headers claim.
const MEMORY_BYTES: u64 = 256 << 20;

/// How the bytes that are damaged become a file.
type Wrap = fn(Vec<u8>) -> Vec<u8>;
/// How the folder that has the file is read.
type Read = fn(&Path) -> Result<Data>;

/// One test in this file, so that no other one takes memory meanwhile.
#[test]
fn damaged_files_are_read_or_refused() {
    let memory_before = peak_memory();
    let images = idx(&[3, 2, 2], &[0, 1, 2, 3, 10, 11, 12, 13, 255, 254, 253, 252]);
    let npz = |method| zip(&[("x_train", x_npy()), ("y_train", y_npy())], method);
    check("plain IDX", images.clone(), |bytes| bytes, "train-images-idx3-ubyte", read_folder);
    check("IDX in a sound gzip stream", images.clone(), gzip, "train-images-idx3-ubyte", read_folder);
    check("gzip'd IDX", gzip(images), |bytes| bytes, "train-images-idx3-ubyte.gz", read_folder);
    check("stored NPZ", npz(CompressionMethod::Stored), |bytes| bytes, "data.npz", read_file);
    check("deflated NPZ", npz(CompressionMethod::Deflated), |bytes| bytes, "data.npz", read_file);
    check("x in a sound NPZ", x_npy(), |x| zip_deflated(x, y_npy()), "data.npz", read_file);
    check("y in a sound NPZ", y_npy(), |y| zip_deflated(x_npy(), y), "data.npz", read_file);
    check("weights in a sound NPZ", weights_npy(), zip_with_weights, "data.npz", read_file);
    check("y of a validation part in a sound NPZ", y_npy(), zip_with_valid, "data.npz", read_file);
    check(
        "probabilities in a sound NPZ",
        rows_npy([0.25, 0.75]),
        |y| zip_deflated(x_npy(), y),
        "data.npz",
        |folder| read_npz(&folder.join("data.npz"), Some(Task::Classification)),
    );
    check(
        "labels in a sound NPZ",
        rows_npy([1.0, 1.0]),
        |y| zip_deflated(x_npy(), y),
        "data.npz",
        |folder| read_npz(&folder.join("data.npz"), Some(Task::MultiLabel)),
    );
    if let (Some(before), Some(after)) = (memory_before, peak_memory()) {
        let growth = after.saturating_sub(before);
        assert!(growth < MEMORY_BYTES, "reading small files took {growth} bytes of memory");
    }
}

/// Reads the file undamaged, then with every damage.
#[track_caller]
fn check(what: &str, bytes: Vec<u8>, wrap: Wrap, file_name: &str, read: Read) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("train-labels-idx1-ubyte"), idx(&[3], &[0, 1, 2])).unwrap();
    let read = |bytes: Vec<u8>| {
        fs::write(folder.path().join(file_name), wrap(bytes)).unwrap();
        catch_unwind(AssertUnwindSafe(|| read(folder.path()).and_then(use_all)))
    };
    check_damages(what, &bytes, DAMAGES, read);
}

/// Whatever was read can be split, and its parts checked.
fn use_all(data: Data) -> Result<()> {
    let data = data.with_test_split().with_valid_split(0.5);
    [Some(&data.train), data.test.as_ref(), data.valid.as_ref()]
        .into_iter()
        .flatten()
        .try_for_each(|part| part.dataset().map(drop))
}

fn read_folder(folder: &Path) -> Result<Data> {
    read_idx_folder(folder)
}

fn read_file(folder: &Path) -> Result<Data> {
    read_npz(&folder.join("data.npz"), None)
}

fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let dimensions = shape.iter().flat_map(|dimension| dimension.to_be_bytes()).collect();
    [vec![0, 0, 8, shape.len() as u8], dimensions, values.to_vec()].concat()
}

fn gzip(bytes: Vec<u8>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap()
}

/// Fortran order, so that the indices are at stake too; a number of examples with digits that damage makes huge.
fn x_npy() -> Vec<u8> {
    npy("{'descr': '<f4', 'fortran_order': True, 'shape': (0000000003, 2, 2), }\n", &[0x3d; 48])
}

fn y_npy() -> Vec<u8> {
    npy("{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }\n", &[0, 0, 1, 0, 2, 0])
}

fn weights_npy() -> Vec<u8> {
    npy(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n",
        &[0.5f32, 1.0, 2.0].map(f32::to_le_bytes).concat(),
    )
}

/// The same row for each of three examples.
fn rows_npy(row: [f32; 2]) -> Vec<u8> {
    let values = [row; 3].concat().into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }\n", &values)
}

fn npy(header: &str, values: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
}

fn zip_deflated(x: Vec<u8>, y: Vec<u8>) -> Vec<u8> {
    zip(&[("x_train", x), ("y_train", y)], CompressionMethod::Deflated)
}

fn zip_with_weights(weights: Vec<u8>) -> Vec<u8> {
    zip(&[("x_train", x_npy()), ("y_train", y_npy()), ("sample_weight", weights)], CompressionMethod::Deflated)
}

fn zip_with_valid(y: Vec<u8>) -> Vec<u8> {
    let members = [("x_train", x_npy()), ("y_train", y_npy()), ("x_valid", x_npy()), ("y_valid", y)];
    zip(&members, CompressionMethod::Deflated)
}

fn zip(members: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}
