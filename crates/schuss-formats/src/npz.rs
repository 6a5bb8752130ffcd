//! Weights as NumPy reads them.

use std::io::{Cursor, Write as _};

use schuss::{Model, Real};
use zip::write::{SimpleFileOptions, ZipWriter};

/// All parameters and running statistics as an NPZ file: an array for each, by its name in the model file
/// (`layers.0.weight` (outputs, inputs), `layers.0.bias`, ...; `members.1.layers.0.weight` of the second network), in the
/// model's precision, C order, little-endian, not compressed.
pub fn to_npz<T: Real>(model: &Model<T>) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let in_memory = "writing to memory does not fail";
    for (member, network) in model.networks().enumerate() {
        let prefix = if member == 0 { String::new() } else { format!("members.{member}.") };
        for (name, shape, numbers) in network.tensors() {
            let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
            let options = options.large_file(size_of_val(numbers) as u64 >= u64::from(u32::MAX) / 2);
            archive.start_file(format!("{prefix}{name}.npy"), options).expect(in_memory);
            archive.write_all(&npy(&shape, numbers)).expect(in_memory);
        }
    }
    archive.finish().expect(in_memory).into_inner()
}

/// An array as NPY, version 1.0: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
fn npy<T: Real>(shape: &[usize], numbers: &[T]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let header = format!("{{'descr': '<f{}', 'fortran_order': False, 'shape': ({sizes}), }}", size_of::<T>());
    // With its end of line, the header ends at a multiple of 64.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(length).expect("a short header").to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = length - 1).bytes());
    numbers.iter().for_each(|x| x.push_le_bytes(&mut bytes));
    bytes
}
