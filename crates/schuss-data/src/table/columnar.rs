//! Tables in Parquet and in Arrow's IPC format, which say what their columns are.
//!
//! The crates that read these formats believe some of what a damaged file says of itself: sizes that would take memory
//! for bytes that are not there, and schemas without an end, are refused before. A panic within them becomes a message.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, types};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{CompressionType, Message, root_as_message};
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use schuss::Result;

use super::infer::{Builder, Reading, Seen};
use super::{
    Budget, Column, ColumnType, ColumnValues, Keep, MAX_COLUMNS, Pieces, Survey, Table, TableOptions, distinct_names,
    thrift,
};
use crate::decompress::read_up_to;
use crate::error::{self, Parsed, quoted};

const CUT_SHORT: &str = "cut short, or damaged; get the file again";
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

/// The columns of a table that is being read.
struct Columns {
    /// Those that are not ignored.
    kept: Vec<Kept>,
    /// What all are.
    types: Vec<(String, ColumnType)>,
    missing: Vec<String>,
    rows: usize,
    /// Rows that were given away.
    given: usize,
    notes: Vec<String>,
}

struct Kept {
    name: String,
    /// Its place in the schema.
    index: usize,
    values: Values,
}

enum Values {
    Numbers(Vec<f64>),
    Times(Vec<f64>),
    /// What has to be read as text is.
    Text(Builder),
}

impl Columns {
    fn new(schema: &Schema, options: &TableOptions, keep: &Keep) -> Parsed<Self> {
        let fields = schema.fields();
        if fields.len() > MAX_COLUMNS {
            return Err(format!("{} columns; at most {MAX_COLUMNS} are read", fields.len()));
        }
        let mut notes = Vec::new();
        let names = distinct_names(fields.iter().map(|field| field.name().trim().to_string()).collect(), &mut notes);
        options.check_names(&names)?;
        let (mut kept, mut types) = (Vec::new(), Vec::new());
        let last = names.iter().rposition(|name| options.reads(name));
        for (index, (name, field)) in names.into_iter().zip(fields).enumerate() {
            if options.reads(&name) {
                let values = Values::new(field.data_type(), options.types.get(&name).copied());
                let values = values.map_err(|problem| format!("column {} {problem}", quoted(&name)))?;
                types.push((name.clone(), values.column_type()));
                if keep.keeps(&name, Some(index) == last) {
                    kept.push(Kept { name, index, values });
                }
            }
        }
        Ok(Self { kept, types, missing: options.missing.clone(), rows: 0, given: 0, notes })
    }

    /// Fails if so many rows cannot be in the file.
    fn reserve(&self, rows: u64, budget: Budget) -> Parsed<()> {
        let bytes = rows.checked_mul(8 * self.kept.len() as u64);
        bytes.filter(|&bytes| bytes <= budget.bytes()).map(drop).ok_or_else(|| {
            format!("it says that it has {rows} rows, far more than fit into so small a file; get the file again")
        })
    }

    /// Appends the columns of `batch` at `places`, one for each that is kept.
    fn append(&mut self, batch: &RecordBatch, places: impl IntoIterator<Item = usize>) -> Parsed<()> {
        let reading = Reading { missing: &self.missing, commas: false };
        for (column, place) in self.kept.iter_mut().zip(places) {
            let array = batch.columns().get(place).ok_or(CUT_SHORT)?;
            column
                .values
                .append(array, self.rows, &reading)
                .map_err(|(row, problem)| at(row, &column.name, &problem))?;
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// The rows so far as a table; those that follow begin anew.
    fn take(&mut self, path: &Path) -> Parsed<Table> {
        let mut columns = Vec::new();
        for Kept { name, values, .. } in &mut self.kept {
            let values = match values {
                Values::Numbers(values) => ColumnValues::Numbers(std::mem::take(values)),
                Values::Times(values) => ColumnValues::Times(std::mem::take(values)),
                Values::Text(builder) => builder.take().map_err(|(row, problem)| at(row, name, &problem))?,
            };
            columns.push(Column { name: name.clone(), values });
        }
        self.given = self.rows;
        Ok(Table { path: path.into(), columns, notes: std::mem::take(&mut self.notes) })
    }

    fn finish(mut self, path: &Path) -> Parsed<Survey> {
        if self.rows == 0 {
            return Err("there are no rows; expected at least one".into());
        }
        let table = self.take(path)?;
        Ok(Survey { table, types: self.types, is_windows_1252: false })
    }
}

fn at(row: u64, column: &str, problem: &str) -> String {
    format!("row {row}, column {}: {problem}", quoted(column))
}

/// What is wrong with a value, and in which row, counted from 1.
type InRow<T> = std::result::Result<T, (u64, String)>;

impl Values {
    /// For a column of this type, to be read as `forced`.
    fn new(data_type: &DataType, forced: Option<ColumnType>) -> Parsed<Self> {
        let data_type = match data_type {
            DataType::Dictionary(_, values) => values,
            other => other,
        };
        let text = |column_type| Ok(Self::Text(Builder::new(column_type, true, Seen::default())));
        let own = match data_type {
            DataType::Null => return text(forced.unwrap_or(ColumnType::Number)),
            DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                return text(forced.unwrap_or(ColumnType::Category));
            }
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => ColumnType::Time,
            _ if data_type.is_integer() || data_type.is_floating() || data_type.is_decimal() => ColumnType::Number,
            _ => {
                let data_type = quoted(&data_type.to_string());
                let expected = "expected numbers, strings, booleans, dates or timestamps";
                return Err(format!(
                    "is of type {data_type}, which is not read; {expected}: ignore it, or write it otherwise"
                ));
            }
        };
        match (own, forced.unwrap_or(own)) {
            (ColumnType::Number, ColumnType::Category) => text(ColumnType::Category),
            (ColumnType::Number, ColumnType::Number) => Ok(Self::Numbers(Vec::new())),
            (ColumnType::Time, ColumnType::Time) => Ok(Self::Times(Vec::new())),
            (own, forced) => Err(format!("has {}, not {}", own.plural(), forced.plural())),
        }
    }

    fn column_type(&self) -> ColumnType {
        match self {
            Self::Numbers(_) => ColumnType::Number,
            Self::Times(_) => ColumnType::Time,
            Self::Text(builder) => builder.column_type().unwrap_or(ColumnType::Category),
        }
    }

    /// Appends what `array` has, the first of it being of row `rows`, counted from 0.
    fn append(&mut self, array: &dyn Array, rows: usize, reading: &Reading) -> InRow<()> {
        match array.as_any_dictionary_opt() {
            Some(dictionary) if !dictionary.values().is_empty() => {
                let keys = dictionary.normalized_keys();
                let places = keys.into_iter().enumerate().map(|(row, key)| array.is_valid(row).then_some(key));
                self.append_places(dictionary.values(), places, rows, reading)
            }
            Some(_) => self.append_places(array, vec![None; array.len()], rows, reading),
            None => self.append_places(array, (0..array.len()).map(Some), rows, reading),
        }
    }

    /// Appends what `array` has at these places; nothing where a place is missing.
    fn append_places(
        &mut self,
        array: &dyn Array,
        places: impl IntoIterator<Item = Option<usize>>,
        rows: usize,
        reading: &Reading,
    ) -> InRow<()> {
        let places = (rows as u64 + 1..).zip(places);
        let places = places.map(|(row, place)| (row, place.filter(|&place| array.is_valid(place))));
        macro_rules! numbers {
            ($type:ty, $to_number:expr) => {{
                let array = array.as_primitive::<$type>();
                for (row, place) in places {
                    let value = place.map(|place| array.value(place));
                    self.push_number(value.map(|value| ($to_number(value), value)), row, reading)?;
                }
            }};
        }
        macro_rules! decimals {
            ($type:ty) => {{
                let array = array.as_primitive::<$type>();
                for (row, place) in places {
                    // The nearest number: division by a power of ten would round twice.
                    let value = place.and_then(|place| array.value_as_string(place).parse::<f64>().ok());
                    self.push_number(value.map(|value| (value, value)), row, reading)?;
                }
            }};
        }
        macro_rules! times {
            ($type:ty, $units:expr) => {{
                let array = array.as_primitive::<$type>();
                for (_, place) in places {
                    self.push_time(place.map(|place| seconds(array.value(place).into(), $units)));
                }
            }};
        }
        macro_rules! texts {
            ($array:expr) => {{
                let array = $array;
                for (row, place) in places {
                    self.push_text(place.map_or("", |place| array.value(place)), row, reading)?;
                }
            }};
        }
        match array.data_type() {
            DataType::Int8 => numbers!(types::Int8Type, f64::from),
            DataType::Int16 => numbers!(types::Int16Type, f64::from),
            DataType::Int32 => numbers!(types::Int32Type, f64::from),
            DataType::Int64 => numbers!(types::Int64Type, |value: i64| value as f64),
            DataType::UInt8 => numbers!(types::UInt8Type, f64::from),
            DataType::UInt16 => numbers!(types::UInt16Type, f64::from),
            DataType::UInt32 => numbers!(types::UInt32Type, f64::from),
            DataType::UInt64 => numbers!(types::UInt64Type, |value: u64| value as f64),
            DataType::Float16 => numbers!(types::Float16Type, f64::from),
            DataType::Float32 => numbers!(types::Float32Type, f64::from),
            DataType::Float64 => numbers!(types::Float64Type, f64::from),
            DataType::Decimal32(..) => decimals!(types::Decimal32Type),
            DataType::Decimal64(..) => decimals!(types::Decimal64Type),
            DataType::Decimal128(..) => decimals!(types::Decimal128Type),
            DataType::Decimal256(..) => decimals!(types::Decimal256Type),
            DataType::Date32 => times!(types::Date32Type, Units::Days),
            DataType::Date64 => times!(types::Date64Type, Units::PerSecond(1_000)),
            DataType::Timestamp(TimeUnit::Second, _) => times!(types::TimestampSecondType, Units::PerSecond(1)),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                times!(types::TimestampMillisecondType, Units::PerSecond(1_000))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                times!(types::TimestampMicrosecondType, Units::PerSecond(1_000_000))
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                times!(types::TimestampNanosecondType, Units::PerSecond(1_000_000_000))
            }
            DataType::Utf8 => texts!(array.as_string::<i32>()),
            DataType::LargeUtf8 => texts!(array.as_string::<i64>()),
            DataType::Utf8View => texts!(array.as_string_view()),
            DataType::Boolean => {
                let array = array.as_boolean();
                for (row, place) in places {
                    let text = place.map_or("", |place| if array.value(place) { "true" } else { "false" });
                    self.push_text(text, row, reading)?;
                }
            }
            // Nothing but missing values.
            _ => {
                for (row, _) in places {
                    match self {
                        Self::Numbers(values) | Self::Times(values) => values.push(f64::NAN),
                        Self::Text(_) => self.push_text("", row, reading)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// A number, and that of which the text is its own.
    fn push_number(&mut self, value: Option<(f64, impl ToString)>, row: u64, reading: &Reading) -> InRow<()> {
        match self {
            Self::Text(_) => {
                let text = value.map_or(String::new(), |(_, value)| value.to_string());
                return self.push_text(&text, row, reading);
            }
            Self::Numbers(values) | Self::Times(values) => {
                let number = value.map_or(f64::NAN, |(number, _)| number);
                if number.is_infinite() {
                    let problem = "is not finite, which no network can use; correct it, or leave it out";
                    return Err((row, format!("{number} {problem}")));
                }
                values.push(number);
            }
        }
        Ok(())
    }

    fn push_time(&mut self, seconds: Option<f64>) {
        if let Self::Numbers(values) | Self::Times(values) = self {
            values.push(seconds.unwrap_or(f64::NAN));
        }
    }

    fn push_text(&mut self, text: &str, row: u64, reading: &Reading) -> InRow<()> {
        match self {
            Self::Text(builder) => builder.push(text.trim(), row, reading).map_err(|problem| (row, problem)),
            Self::Numbers(_) | Self::Times(_) => Ok(()),
        }
    }
}

/// What times are counted in.
#[derive(Clone, Copy)]
enum Units {
    Days,
    PerSecond(i64),
}

fn seconds(value: i64, units: Units) -> f64 {
    match units {
        Units::Days => value as f64 * 86_400.0,
        Units::PerSecond(units) => (value / units) as f64 + (value % units) as f64 / units as f64,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{
        ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
        DictionaryArray, Float16Array, Float32Array, Float64Array, Int8Array, Int32Array, Int64Array, LargeStringArray,
        NullArray, StringArray, StringViewArray, TimestampMicrosecondArray, TimestampMillisecondArray,
        TimestampNanosecondArray, TimestampSecondArray, UInt8Array, UInt64Array,
    };
    use arrow_ipc::MetadataVersion;
    use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    use parquet::arrow::ArrowWriter;
    use parquet::basic::GzipLevel;
    use parquet::file::properties::WriterProperties;

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

    /// A column of a billion times the same value takes next to nothing in Parquet.
    #[test]
    fn more_rows_than_memory_are_refused() {
        let columns = Columns {
            kept: vec![Kept { name: "x".into(), index: 0, values: Values::Numbers(vec![]) }],
            types: vec![],
            missing: vec![],
            rows: 0,
            given: 0,
            notes: vec![],
        };
        let budget = Budget { file_bytes: 1000 };
        assert!(columns.reserve(1_000_000, budget).is_ok());
        for rows in [1_000_000_000, u64::MAX] {
            let problem = columns.reserve(rows, budget).unwrap_err();
            assert!(problem.contains("far more than fit into so small a file"), "{problem}");
        }
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
