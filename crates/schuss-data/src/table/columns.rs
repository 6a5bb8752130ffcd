//! The columns of a Parquet or Arrow file as they are read: arrays of Arrow, of whatever type, become numbers, times and text.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch, types};
use arrow_schema::{DataType, Schema, TimeUnit};

use super::columnar::CUT_SHORT;
use super::infer::{Builder, Reading, Seen};
use super::{Budget, Column, ColumnType, ColumnValues, Keep, MAX_COLUMNS, Survey, Table, TableOptions, distinct_names};
use crate::error::{Parsed, quoted};

/// The columns of a table that is being read.
pub(super) struct Columns {
    /// Those that are not ignored.
    pub(super) kept: Vec<Kept>,
    /// What all are.
    types: Vec<(String, ColumnType)>,
    missing: Vec<String>,
    pub(super) rows: usize,
    /// Rows that were given away.
    pub(super) given: usize,
    notes: Vec<String>,
}

pub(super) struct Kept {
    name: String,
    /// Its place in the schema.
    pub(super) index: usize,
    values: Values,
}

enum Values {
    Numbers(Vec<f64>),
    Times(Vec<f64>),
    /// What has to be read as text is.
    Text(Builder),
}

impl Columns {
    pub(super) fn new(schema: &Schema, options: &TableOptions, keep: &Keep) -> Parsed<Self> {
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
    pub(super) fn reserve(&self, rows: u64, budget: Budget) -> Parsed<()> {
        let bytes = rows.checked_mul(8 * self.kept.len() as u64);
        bytes.filter(|&bytes| bytes <= budget.bytes()).map(drop).ok_or_else(|| {
            format!("it says that it has {rows} rows, far more than fit into so small a file; get the file again")
        })
    }

    /// Appends the columns of `batch` at `places`, one for each that is kept.
    pub(super) fn append(&mut self, batch: &RecordBatch, places: impl IntoIterator<Item = usize>) -> Parsed<()> {
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
    pub(super) fn take(&mut self, path: &Path) -> Parsed<Table> {
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

    pub(super) fn finish(mut self, path: &Path) -> Parsed<Survey> {
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
    use super::*;

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
}
