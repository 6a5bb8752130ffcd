//! Thousands of damaged tables: each is read or refused with a message, without a panic that gets out and without memory
//! for bytes that are not there.

mod common;

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use common::{check_damages, peak_memory};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Packing, GzipLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use schuss_data::{Split, TableOptions, conform, read_table};
use tempfile::TempDir;

const DAMAGES: u64 = 700;
/// Above what the files (a few kB), the budget of small ones, the allocator and the test itself need; far below what
/// damaged headers claim.
const MEMORY_BYTES: u64 = 512 << 20;

const TEXT: &str =
    "size;colour;day;share\n1;red;2024-01-31;1,5\n;\"bl\"\"ue;\";NA;2\n-3;\"two\nlines\";2024-02-01T12:00:00Z;,25\n";

/// How the bytes that are damaged become a file.
type Wrap = fn(Vec<u8>) -> Vec<u8>;

/// One test in this file, so that no other one takes memory meanwhile.
#[test]
fn damaged_tables_are_read_or_refused() {
    // Panics within the crates that read the formats are caught there, and thousands of them are not worth reading.
    let hook = take_hook();
    set_hook(Box::new(move |info| {
        if info.location().is_none_or(|location| !location.file().contains("/registry/")) {
            hook(info);
        }
    }));
    let memory_before = peak_memory();
    check("text", TEXT.as_bytes().to_vec(), |bytes| bytes, "t.csv");
    check("text in UTF-16", utf16(TEXT), |bytes| bytes, "t.csv");
    check("gzip'd text", gzip(TEXT.as_bytes().to_vec()), |bytes| bytes, "t.csv.gz");
    check("text in a sound gzip stream", TEXT.as_bytes().to_vec(), gzip, "t.csv.gz");
    let batch = batch();
    for packing in [Packing::UNCOMPRESSED, Packing::SNAPPY, Packing::GZIP(GzipLevel::default()), Packing::LZ4_RAW] {
        check(
            &format!("Parquet, {packing}"),
            parquet(&batch, packing, WriterVersion::PARQUET_1_0),
            |bytes| bytes,
            "t.parquet",
        );
    }
    let second_version = parquet(&batch, Packing::SNAPPY, WriterVersion::PARQUET_2_0);
    check("Parquet 2", second_version, |bytes| bytes, "t.parquet");
    check("Arrow file", arrow_file(&batch, None), |bytes| bytes, "t.arrow");
    check("packed Arrow file", arrow_file(&batch, Some(CompressionType::LZ4_FRAME)), |bytes| bytes, "t.feather");
    check("Arrow stream", arrow_stream(&batch), |bytes| bytes, "t.arrows");
    if let (Some(before), Some(after)) = (memory_before, peak_memory()) {
        let growth = after.saturating_sub(before);
        assert!(growth < MEMORY_BYTES, "reading small files took {growth} bytes of memory");
    }
}

/// Reads the file undamaged, then with every damage.
#[track_caller]
fn check(what: &str, bytes: Vec<u8>, wrap: Wrap, file_name: &str) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(file_name);
    let read = |bytes: Vec<u8>| {
        fs::write(&path, wrap(bytes)).unwrap();
        catch_unwind(AssertUnwindSafe(|| {
            let table = read_table(&path, &TableOptions::default())?;
            // Whatever was read can be used.
            let schema = table.schema();
            assert!(table.columns.iter().all(|column| column.values.rows() == table.rows()));
            table.columns.iter().for_each(|column| drop(Split::TEST.rows_by_group(&column.values)));
            conform(table, &schema).map(drop)
        }))
    };
    check_damages(what, &bytes, DAMAGES, read);
}

fn gzip(bytes: Vec<u8>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn batch() -> RecordBatch {
    let words = |row: i32| ["red", "blue", "a colour with a long name"][row as usize % 3];
    let decimals = (0..60).map(i128::from).map(Some).collect::<Decimal128Array>();
    let columns: [(&str, ArrayRef); 7] = [
        ("int", Arc::new((0..60).map(|row| (row % 5 > 0).then_some(row)).collect::<Int32Array>())),
        ("float", Arc::new(Float64Array::from_iter_values((0..60).map(|row| f64::from(row) / 7.0)))),
        ("text", Arc::new(StringArray::from_iter_values((0..60).map(words)))),
        ("dictionary", Arc::new((0..60).map(words).collect::<DictionaryArray<Int8Type>>())),
        ("bool", Arc::new(BooleanArray::from((0..60).map(|row| row % 2 == 0).collect::<Vec<_>>()))),
        ("day", Arc::new(Date32Array::from_iter_values(0..60))),
        ("decimal", Arc::new(decimals.with_precision_and_scale(10, 2).unwrap())),
    ];
    let time: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(0..60));
    RecordBatch::try_from_iter(columns.into_iter().chain([("time", time)])).unwrap()
}

fn parquet(batch: &RecordBatch, packing: Packing, version: WriterVersion) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(packing).set_writer_version(version).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn arrow_file(batch: &RecordBatch, packing: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(packing).unwrap();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}
