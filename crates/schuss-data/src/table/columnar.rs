//! Tables in Parquet and in Arrow's IPC format, which say what their columns are.
//!
//! The crates that read these formats believe some of what a damaged file says of itself: sizes that would take memory
//! for bytes that are not there, and schemas without an end, are refused before. A panic within them becomes a message.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{CompressionType, Message, root_as_message};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use schuss::Result;

use super::columns::Columns;
use super::{Budget, Keep, Pieces, Survey, TableOptions, thrift};
use crate::decompress::read_up_to;
use crate::error::{self, Parsed, quoted};

pub(super) const CUT_SHORT: &str = "cut short, or damaged; get the file again";
const FOOTER_BYTES: u64 = 8;
/// More than any writer aligns the parts of an Arrow file to.
const MAX_ALIGNMENT: u64 = 512;

/// Reads the Parquet file at `path`; whole pieces are given away, if they are asked for.
pub(super) fn read_parquet(
    path: &Path,
    options: &TableOptions,
    keep: &Keep,
    pieces: Option<&mut Pieces>,
) -> Result<Survey> {
    read(path, pieces, |file, budget, columns, give| {
        let metadata = parquet_metadata(file)?;
        check_parquet(file, &metadata, budget)?;
        // The types of Parquet alone: nothing is to be learnt from what Arrow wrote beside them.
        let reader_options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), reader_options).map_err(damaged)?;
        let columns = columns.insert(Columns::new(metadata.schema(), options, keep)?);
        let rows = metadata
            .metadata()
            .row_groups()
            .iter()
            .try_fold(0u64, |rows, group| rows.checked_add(group.num_rows().try_into().ok()?));
        columns.reserve(rows.ok_or(CUT_SHORT)?, budget)?;
        let file = file.try_clone().map_err(|e| e.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.kept.iter().map(|column| column.index));
        let batches = builder.with_projection(mask).build().map_err(damaged)?;
        for batch in batches {
            columns.append(&batch.map_err(damaged)?, 0..)?;
            give(columns)?;
        }
        Ok(())
    })
}

/// Reads the Arrow file, or stream, at `path`: a file is a stream between a mark and an index, which is not needed.
pub(super) fn read_arrow(
    path: &Path,
    options: &TableOptions,
    keep: &Keep,
    pieces: Option<&mut Pieces>,
) -> Result<Survey> {
    read(path, pieces, |file, budget, columns, give| {
        let start = read_up_to(file, 8).map_err(|e| e.to_string())?;
        if start.starts_with(b"FEA1") {
            return Err("Feather's first version, which is not read; write it again as version 2 or Parquet".into());
        }
        if start.starts_with(b"ARROW1") {
            // The mark is filled up with zeros to 8 bytes, or to as many as all is aligned to.
            let next = read_up_to(file, MAX_ALIGNMENT).map_err(|e| e.to_string())?;
            let zeros = next.iter().take_while(|&&byte| byte == 0).count() as u64;
            file.seek(SeekFrom::Start(8 + zeros / 8 * 8)).map_err(|e| e.to_string())?;
        } else {
            file.rewind().map_err(|e| e.to_string())?;
        }
        let mut decoder = StreamDecoder::new();
        let mut rows = 0u64;
        loop {
            let message = read_message(file, budget)?;
            let is_end = message.is_none();
            let mut buffer = Buffer::from_vec(message.unwrap_or_else(|| END_OF_STREAM.to_vec()));
            while !buffer.is_empty() {
                let batch = decoder.decode(&mut buffer).map_err(damaged)?;
                if columns.is_none()
                    && let Some(schema) = decoder.schema()
                {
                    *columns = Some(Columns::new(&schema, options, keep)?);
                }
                if let (Some(batch), Some(columns)) = (batch, &mut *columns) {
                    rows = rows.checked_add(batch.num_rows() as u64).ok_or(CUT_SHORT)?;
                    columns.reserve(rows, budget)?;
                    let all = columns.kept.iter().map(|column| column.index).collect::<Vec<_>>();
                    columns.append(&batch, all)?;
                    give(columns)?;
                }
            }
            if is_end {
                return Ok(());
            }
        }
    })
}

/// What `read_columns` puts into the place that it gets, with a message for whatever is wrong. It calls what it is given
/// last after every batch.
fn read(
    path: &Path,
    mut pieces: Option<&mut Pieces>,
    read_columns: impl Fn(&mut File, Budget, &mut Option<Columns>, &mut dyn FnMut(&mut Columns) -> Parsed<()>) -> Parsed<()>,
) -> Result<Survey> {
    let mut file = error::open_file(path)?;
    let budget = Budget::of_file(&file).map_err(|source| error::io(path, "read", source))?;
    let mut refused = None;
    let read = || {
        let mut give = |columns: &mut Columns, least: usize| match &mut pieces {
            Some(pieces) if columns.rows - columns.given >= least.min(pieces.rows) => {
                (pieces.take)(columns.take(path)?).map_err(|error| {
                    refused = Some(error);
                    String::new()
                })
            }
            _ => Ok(()),
        };
        let mut columns = None;
        read_columns(&mut file, budget, &mut columns, &mut |columns| give(columns, usize::MAX))?;
        let mut columns = columns.ok_or_else(|| CUT_SHORT.to_string())?;
        if columns.rows > columns.given {
            give(&mut columns, 1)?;
        }
        columns.finish(path)
    };
    let survey = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(CUT_SHORT.into()));
    survey.map_err(|problem| refused.unwrap_or_else(|| error::file(path, problem)))
}

fn damaged(error: impl std::fmt::Display) -> String {
    let error: String = error.to_string().chars().take(200).collect();
    format!("damaged, or of a kind that is not read ({error})")
}

/// What stands at the end of a Parquet file, once it is known to be sound enough to be read.
fn parquet_metadata(file: &mut File) -> Parsed<ParquetMetaData> {
    let mut read_at = |from: SeekFrom, count: u64| -> Parsed<Vec<u8>> {
        file.seek(from).map_err(|_| CUT_SHORT)?;
        read_up_to(file, count).map_err(|e| e.to_string())
    };
    let footer = read_at(SeekFrom::End(-(FOOTER_BYTES as i64)), FOOTER_BYTES)?;
    let length = match footer[..] {
        [a, b, c, d, b'P', b'A', b'R', b'1'] => u32::from_le_bytes([a, b, c, d]),
        [.., b'P', b'A', b'R', b'E'] => return Err("encrypted, which is not read; write it without".into()),
        _ => return Err(format!("no Parquet file, which ends in PAR1: {CUT_SHORT}")),
    };
    let metadata = read_at(SeekFrom::End(-(FOOTER_BYTES as i64) - i64::from(length)), length.into())?;
    match thrift::is_shallow(&metadata) {
        Some(true) => ParquetMetaDataReader::decode_metadata(&metadata).map_err(damaged),
        Some(false) => Err("columns within columns, too deep to be read".into()),
        None => Err(CUT_SHORT.into()),
    }
}

/// Whether all pages are there, and unpacked no larger than so small a file is believed to be.
fn check_parquet(file: &mut File, metadata: &ParquetMetaData, budget: Budget) -> Parsed<()> {
    let mut left = budget.bytes();
    for chunk in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let name = || quoted(chunk.column_descr().name());
        match chunk.compression() {
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) => {}
            Compression::LZ4 | Compression::LZ4_RAW => {}
            other => {
                let codec = other.to_string();
                let codec = codec.split('(').next().unwrap_or_default();
                let problem = format!("column {} is packed with {codec}, which is not read", name());
                return Err(format!("{problem}; write it with Snappy, gzip or LZ4, or without packing"));
            }
        }
        let (start, length) = chunk.byte_range();
        file.seek(SeekFrom::Start(start)).map_err(|_| CUT_SHORT)?;
        let bytes = read_up_to(file, length).map_err(|e| e.to_string())?;
        let mut rest = &bytes[..];
        let cut_short = || format!("column {}: {CUT_SHORT}", name());
        if (bytes.len() as u64) < length {
            return Err(cut_short());
        }
        while !rest.is_empty() {
            let page = thrift::page(rest).ok_or_else(cut_short)?;
            left = left.checked_sub(page.unpacked_bytes).ok_or("unpacked, it is far larger than its size allows")?;
            rest = usize::try_from(page.packed_bytes)
                .ok()
                .and_then(|packed| rest.get(page.header_bytes..)?.get(packed..))
                .ok_or_else(cut_short)?;
        }
    }
    Ok(())
}

const CONTINUATION: [u8; 4] = [0xff; 4];
const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// The next message of an Arrow stream, with its body; nothing at its end.
fn read_message(file: &mut File, budget: Budget) -> Parsed<Option<Vec<u8>>> {
    let mut read_exactly = |count: u64| -> Parsed<Vec<u8>> {
        let bytes = read_up_to(file, count).map_err(|e| e.to_string())?;
        if (bytes.len() as u64) < count { Err(CUT_SHORT.into()) } else { Ok(bytes) }
    };
    let mut length = read_exactly(4)?;
    // Streams of before 2019 lack it.
    if length == CONTINUATION {
        length = read_exactly(4)?;
    }
    let [a, b, c, d] = length[..] else { return Err(CUT_SHORT.into()) };
    let length = u32::from_le_bytes([a, b, c, d]);
    if length == 0 {
        return Ok(None);
    }
    let head = read_exactly(length.into())?;
    let message = root_as_message(&head).map_err(damaged)?;
    let body = read_exactly(message.bodyLength().try_into().map_err(|_| CUT_SHORT)?)?;
    check_packed(&message, &body, budget)?;
    Ok(Some([&CONTINUATION[..], &length.to_le_bytes(), &head, &body].concat()))
}

/// Whether what is packed in the body of a message is no larger, unpacked, than so small a file is believed to be. Each
/// packed buffer begins with its unpacked size.
fn check_packed(message: &Message, body: &[u8], budget: Budget) -> Parsed<()> {
    let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    let Some(batch) = message.header_as_record_batch().or(dictionary) else { return Ok(()) };
    let Some(compression) = batch.compression() else { return Ok(()) };
    if compression.codec() != CompressionType::LZ4_FRAME {
        return Err("packed with Zstandard, which is not read; write it with LZ4, or without packing".into());
    }
    let mut left = budget.bytes();
    for buffer in batch.buffers().into_iter().flatten() {
        let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let bytes = place.and_then(|(offset, length)| body.get(offset..)?.get(..length)).ok_or(CUT_SHORT)?;
        if let Some(&size) = bytes.first_chunk() {
            // -1 is for what is not packed after all.
            let size = i64::from_le_bytes(size).max(0) as u64;
            left = left.checked_sub(size).ok_or("unpacked, it is far larger than its size allows")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{
        Array, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
        DictionaryArray, Float16Array, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, LargeStringArray,
        NullArray, RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
        TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt64Array, types,
    };
    use arrow_ipc::MetadataVersion;
    use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    use arrow_schema::{DataType, Schema};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::GzipLevel;
    use parquet::file::properties::WriterProperties;

    use super::super::ColumnType;
    use super::super::testing::{check_lines, check_message, read_file};
    use super::*;

    fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.iter().map(|(name, array)| (name, array.clone(), true)))
            .unwrap()
    }

    fn parquet_of(batch: &RecordBatch, compression: Compression) -> Vec<u8> {
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn arrow_file(batch: &RecordBatch, compression: Option<CompressionType>) -> Vec<u8> {
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn typed(name: &str, column_type: ColumnType) -> TableOptions {
        TableOptions { types: [(name.into(), column_type)].into(), ..TableOptions::default() }
    }

    /// The table is the same from Parquet, an Arrow file and an Arrow stream.
    #[track_caller]
    fn check(columns: &[(&str, ArrayRef)], options: &TableOptions, expected: &[&str]) {
        let batch = batch(columns);
        check_lines(read_file("t.parquet", &parquet_of(&batch, Compression::UNCOMPRESSED), options), expected);
        check_arrow(columns, options, expected);
    }

    #[track_caller]
    fn check_arrow(columns: &[(&str, ArrayRef)], options: &TableOptions, expected: &[&str]) {
        let batch = batch(columns);
        check_lines(read_file("t.arrow", &arrow_file(&batch, None), options), expected);
        check_lines(read_file("t.arrows", &arrow_stream(&batch), options), expected);
    }

    #[track_caller]
    fn check_error(columns: &[(&str, ArrayRef)], options: &TableOptions, expected: &[&str]) {
        let batch = batch(columns);
        check_message(read_file("t.parquet", &parquet_of(&batch, Compression::UNCOMPRESSED), options), expected);
        check_message(read_file("t.arrow", &arrow_file(&batch, None), options), expected);
    }

    fn strings(values: [Option<&str>; 3]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn numbers_of_every_type_are_read() {
        let decimals =
            Decimal128Array::from(vec![Some(1), None, Some(-123_456)]).with_precision_and_scale(20, 3).unwrap();
        let half = Float16Array::from_iter([Some(Half::from_f32(1.5)), None, Some(Half::from_f32(f32::NAN))]);
        check(
            &[
                ("i8", Arc::new(Int8Array::from(vec![Some(-1), None, Some(7)]))),
                ("i32", Arc::new(Int32Array::from(vec![Some(-1), None, Some(7)]))),
                ("i64", Arc::new(Int64Array::from(vec![Some(1 << 53), None, Some(7)]))),
                ("u8", Arc::new(UInt8Array::from(vec![Some(255), None, Some(7)]))),
                ("u64", Arc::new(UInt64Array::from(vec![Some(1 << 60), None, Some(7)]))),
                ("f16", Arc::new(half)),
                ("f32", Arc::new(Float32Array::from(vec![Some(0.5), None, Some(f32::NAN)]))),
                ("f64", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(1e300)]))),
                ("d", Arc::new(decimals)),
            ],
            &TableOptions::default(),
            &[
                "i8: -1 _ 7",
                "i32: -1 _ 7",
                "i64: 9007199254740992 _ 7",
                "u8: 255 _ 7",
                "u64: 1152921504606847000 _ 7",
                "f16: 1.5 _ _",
                "f32: 0.5 _ _",
                &format!("f64: 0.1 _ {}", 1e300),
                "d: 0.001 _ -123.456",
            ],
        );
    }

    type Half = <types::Float16Type as ArrowPrimitiveType>::Native;

    #[test]
    fn strings_and_booleans_are_categories_as_in_text() {
        let values = vec![Some(" b "), None, Some("NA")];
        let expected = |name: &str| format!("{name}: \"b\" _ _");
        check(
            &[
                ("s", Arc::new(StringArray::from(values.clone()))),
                ("l", Arc::new(LargeStringArray::from(values.clone()))),
                ("v", Arc::new(StringViewArray::from(values.clone()))),
                ("d", Arc::new(values.into_iter().collect::<DictionaryArray<types::Int16Type>>())),
                ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
            ],
            &TableOptions::default(),
            &[&expected("s"), &expected("l"), &expected("v"), &expected("d"), "b: \"true\" _ \"false\""],
        );
        let keys = Int8Array::from(vec![Some(1), None, Some(0)]);
        let numbers = DictionaryArray::new(keys, Arc::new(Float64Array::from(vec![Some(2.5), Some(-1.0)])));
        check_arrow(&[("n", Arc::new(numbers))], &TableOptions::default(), &["n: -1 _ 2.5"]);
        let empty = DictionaryArray::new(Int8Array::from(vec![None, None]), strings([None; 3]).slice(0, 0));
        check_arrow(&[("e", Arc::new(empty))], &TableOptions::default(), &["e: _ _"]);
        check_arrow(&[("null", Arc::new(NullArray::new(2)))], &TableOptions::default(), &["null: _ _"]);
    }

    #[test]
    fn dates_and_timestamps_are_seconds() {
        let zoned = TimestampMicrosecondArray::from(vec![Some(1_500_000), None]).with_timezone("Europe/Berlin");
        check(
            &[
                ("day", Arc::new(Date32Array::from(vec![Some(-1), None]))),
                ("ms", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None]))),
                ("us", Arc::new(zoned)),
                ("ns", Arc::new(TimestampNanosecondArray::from(vec![Some(1_706_702_400_250_000_000), None]))),
            ],
            &TableOptions::default(),
            &["day: @-86400 _", "ms: @-0.001 _", "us: @1.5 _", "ns: @1706702400.25 _"],
        );
        check_arrow(
            &[
                ("s", Arc::new(TimestampSecondArray::from(vec![Some(9), None]))),
                ("d", Arc::new(Date64Array::from(vec![Some(86_400_000), None]))),
            ],
            &TableOptions::default(),
            &["s: @9 _", "d: @86400 _"],
        );
    }

    #[test]
    fn types_that_are_asked_for_are_kept() {
        let longs = || Arc::new(Int64Array::from(vec![Some((1 << 53) + 1), None, Some(7)])) as ArrayRef;
        let floats = || Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::NAN), Some(2.0)])) as ArrayRef;
        let days = || Arc::new(Date32Array::from(vec![Some(1)])) as ArrayRef;
        use ColumnType::{Category, Number, Time};
        check(&[("a", longs())], &typed("a", Category), &["a: \"9007199254740993\" _ \"7\""]);
        check(&[("a", floats())], &typed("a", Category), &["a: \"0.1\" _ \"2\""]);
        check(&[("a", strings([Some("1.5"), None, Some("-")]))], &typed("a", Number), &["a: 1.5 _ _"]);
        check(&[("a", strings([Some("1970-01-02"), None, Some("")]))], &typed("a", Time), &["a: @86400 _ _"]);
        check_error(
            &[("a", strings([Some("1.5"), None, Some("x")]))],
            &typed("a", Number),
            &["row 3, column \"a\": \"x\" is no number"],
        );
        check_error(&[("a", longs())], &typed("a", Time), &["column \"a\" has numbers, not times"]);
        check_error(&[("a", days())], &typed("a", Category), &["column \"a\" has times, not categories"]);
    }

    #[test]
    fn what_is_not_read_is_named_and_may_be_ignored() {
        let list: ArrayRef = {
            let mut builder = ListBuilder::new(Int32Builder::new());
            builder.append_value([Some(1), Some(2)]);
            Arc::new(builder.finish())
        };
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"x"[..])]));
        let number: ArrayRef = Arc::new(Int32Array::from(vec![5]));
        let columns = [("list", list), ("n", number.clone()), ("bytes", bytes)];
        check_error(
            &columns,
            &TableOptions::default(),
            &["column \"list\" is of type \"List(", "not read", "ignore it"],
        );
        let ignore = |names: &[&str]| TableOptions {
            ignore: names.iter().map(|&name| name.into()).collect(),
            ..TableOptions::default()
        };
        check_error(&columns, &ignore(&["list"]), &["column \"bytes\" is of type \"Binary\""]);
        check(&columns, &ignore(&["list", "bytes"]), &["n: 5"]);
        check_error(&columns, &ignore(&["lists"]), &["no column \"lists\"; \"list\" may have been meant"]);
        let infinite: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NEG_INFINITY]));
        check_error(&[("x", infinite)], &TableOptions::default(), &["row 2, column \"x\": -inf is not finite"]);
        check_error(&[("n", number.slice(0, 0))], &TableOptions::default(), &["there are no rows"]);
    }

    #[test]
    fn packed_files_are_read_where_their_packing_is() {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..5000));
        let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..5000).map(|row| format!("w{}", row % 7))));
        let batch = batch(&[("n", numbers), ("w", words)]);
        let options = TableOptions::default();
        let expected = read_file("t.arrow", &arrow_file(&batch, None), &options).unwrap().columns;
        let check = |name: &str, bytes: Vec<u8>| {
            assert_eq!(read_file(name, &bytes, &options).unwrap().columns, expected, "{name}");
        };
        check("t.feather", arrow_file(&batch, Some(CompressionType::LZ4_FRAME)));
        for compression in
            [Compression::SNAPPY, Compression::GZIP(GzipLevel::default()), Compression::LZ4, Compression::LZ4_RAW]
        {
            check("t.parquet", parquet_of(&batch, compression));
            check("without extension", parquet_of(&batch, compression));
        }
    }

    #[test]
    fn any_alignment_is_read() {
        let batch = batch(&[("n", Arc::new(Int32Array::from(vec![1, 2])))]);
        for alignment in [8, 16, 32, 64] {
            let options = IpcWriteOptions::try_new(alignment, false, MetadataVersion::V5).unwrap();
            let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
            writer.write(&batch).unwrap();
            let bytes = writer.into_inner().unwrap();
            check_lines(read_file("t.arrow", &bytes, &TableOptions::default()), &["n: 1 2"]);
        }
    }

    #[test]
    fn several_batches_follow_one_another() {
        let [first, second] = [vec![1, 2], vec![3]].map(|values| batch(&[("n", Arc::new(Int32Array::from(values)))]));
        let mut writer = StreamWriter::try_new(Vec::new(), &first.schema()).unwrap();
        writer.write(&first).unwrap();
        writer.write(&second).unwrap();
        let bytes = writer.into_inner().unwrap();
        check_lines(read_file("t.ipc", &bytes, &TableOptions::default()), &["n: 1 2 3"]);
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), first.schema(), Some(properties)).unwrap();
        writer.write(&first).unwrap();
        writer.write(&second).unwrap();
        let bytes = writer.into_inner().unwrap();
        check_lines(read_file("t.parquet", &bytes, &TableOptions::default()), &["n: 1 2 3"]);
    }

    #[test]
    fn names_are_made_distinct() {
        let number: ArrayRef = Arc::new(Int32Array::from(vec![5]));
        let fields = ["a", "a", ""].map(|name| arrow_schema::Field::new(name, DataType::Int32, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let batch = RecordBatch::try_new(schema, vec![number; 3]).unwrap();
        check_lines(
            read_file("t.arrow", &arrow_file(&batch, None), &TableOptions::default()),
            &["a: 5", "a_2: 5", "column3: 5"],
        );
    }

    #[test]
    fn other_files_are_refused() {
        let options = TableOptions::default();
        for bytes in [&b""[..], b"PAR1", b"a,b\n1,2\n3,4\n"] {
            check_message(read_file("t.parquet", bytes, &options), &["t.parquet: "]);
            check_message(read_file("t.arrow", bytes, &options), &["t.arrow: "]);
        }
        check_message(read_file("t.parquet", b"PAR1....PARE", &options), &["encrypted"]);
        check_message(read_file("t.feather", b"FEA1............", &options), &["first version"]);
        // A footer longer than the file, and one whose length is right.
        check_message(read_file("t.parquet", b"PAR1\xff\xff\xff\x7fPAR1", &options), &[CUT_SHORT]);
        let groups = [&[0x29, 0xfc, 100][..], &[0x55, 2, 0].repeat(99), &[0, 0]].concat();
        let deep = [b"PAR1", &groups[..], &(groups.len() as u32).to_le_bytes(), b"PAR1"].concat();
        check_message(read_file("t.parquet", &deep, &options), &["columns within columns, too deep"]);
    }

    #[test]
    fn what_unpacks_to_more_than_memory_is_refused() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..4000).map(|row| row % 3)));
        let mut bytes = arrow_file(&batch(&[("n", numbers)]), Some(CompressionType::LZ4_FRAME));
        // What a buffer of 4000 numbers of 8 bytes begins with.
        let at = bytes.windows(8).position(|bytes| bytes == 32_000i64.to_le_bytes()).unwrap();
        bytes[at + 4] = 0x7f;
        check_message(read_file("t.arrow", &bytes, &TableOptions::default()), &["unpacked, it is far larger"]);
    }
}
