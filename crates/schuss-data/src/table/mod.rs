//! Tables: columns with names, of numbers, categories or times, some of whose values may be missing.
//!
//! [`read_table`] reads them from text (CSV), Parquet and Arrow files. [`conform`] makes one like another: what a model
//! was trained on, from a raw file of the same kind.

mod columnar;
mod columns;
mod conform;
mod csv;
mod infer;
mod set;
mod text;
mod thrift;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use schuss::{Error, Result, Values};

pub use self::conform::{ColumnKind, ColumnSchema, Unknown, conform};
pub(crate) use self::set::{MOST_OF_IDENTIFIER, column_schemas, unknown_classes};
pub use self::set::{Roles, SplitBy, TableSet, Target, features_of};
use crate::error::{self, Parsed, listed, quoted};
use crate::nearest::nearest;

/// Wider tables are not read: rather, something else is taken for one.
const MAX_COLUMNS: usize = 100_000;

/// A table as it was read: columns of the same length.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The file that it was read from, for messages.
    pub path: PathBuf,
    /// In the order of the file, each with a name of its own.
    pub columns: Vec<Column>,
    /// What was made of the file that its author may not have meant, such as another name for a column.
    pub notes: Vec<String>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// A value, or nothing, for each row.
    pub values: ColumnValues,
}

/// The values of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnValues {
    /// Finite numbers; NaN where one is missing.
    Numbers(Vec<f64>),
    /// One of a number of names for each row.
    Categories {
        /// The place in `names` of each row's; nothing where it is missing.
        codes: Vec<Option<u32>>,
        /// Each once, sorted, so that the codes do not depend on the order of the rows. As read, these are those that occur.
        names: Vec<String>,
    },
    /// Seconds since 1970-01-01 UTC; NaN where a time is missing.
    Times(Vec<f64>),
}

/// What kind of values a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// [`ColumnValues::Numbers`].
    Number,
    /// [`ColumnValues::Categories`].
    Category,
    /// [`ColumnValues::Times`].
    Time,
}

impl ColumnType {
    fn plural(self) -> &'static str {
        match self {
            Self::Number => "numbers",
            Self::Category => "categories",
            Self::Time => "times",
        }
    }
}

impl ColumnValues {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::Times(values) => values.len(),
            Self::Categories { codes, .. } => codes.len(),
        }
    }

    /// The type of the column.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Numbers(_) => ColumnType::Number,
            Self::Categories { .. } => ColumnType::Category,
            Self::Times(_) => ColumnType::Time,
        }
    }

    /// Whether the value of this row is missing.
    ///
    /// # Panics
    /// There is no such row.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) | Self::Times(values) => values[row].is_nan(),
            Self::Categories { codes, .. } => codes[row].is_none(),
        }
    }

    /// The value of a row as a person writes it, numbers in the digits that tell them apart; nothing where it is missing.
    ///
    /// # Panics
    /// There is no such row.
    pub fn text(&self, row: usize) -> Option<String> {
        match self {
            _ if self.is_missing(row) => None,
            Self::Numbers(values) => Some(values[row].to_string()),
            Self::Times(values) => Some(infer::time_text(values[row])),
            Self::Categories { codes, names } => codes[row].map(|code| names[code as usize].clone()),
        }
    }

    /// The core's view of these values.
    pub fn view(&self) -> Values<'_> {
        match self {
            Self::Numbers(values) => Values::Numbers(values),
            Self::Categories { codes, names } => Values::Categories { codes, names },
            Self::Times(values) => Values::Times(values),
        }
    }

    /// Takes other categories behind these.
    fn append_categories(&mut self, other: &Self) {
        let (Self::Categories { codes, names }, Self::Categories { codes: more, names: of_more }) = (self, other)
        else {
            return;
        };
        let all: Vec<String> = names.iter().chain(of_more).collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let place = |name: &String| all.binary_search(name).map_or(0, |place| place as u32);
        let [of_own, of_more]: [Vec<u32>; 2] = [&*names, of_more].map(|names| names.iter().map(place).collect());
        codes.iter_mut().flatten().for_each(|code| *code = of_own[*code as usize]);
        codes.extend(more.iter().map(|code| code.map(|code| of_more[code as usize])));
        *names = all;
    }

    fn select(&self, rows: &[usize]) -> Self {
        let of_rows = |values: &[f64]| rows.iter().map(|&row| values[row]).collect();
        match self {
            Self::Numbers(values) => Self::Numbers(of_rows(values)),
            Self::Times(values) => Self::Times(of_rows(values)),
            Self::Categories { codes, names } => {
                Self::Categories { codes: rows.iter().map(|&row| codes[row]).collect(), names: names.clone() }
            }
        }
    }
}

impl Table {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.rows())
    }

    /// The column of this name.
    ///
    /// # Errors
    /// There is none; the message has the names of those that there are, the nearest first.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| self.no_column(name))
    }

    /// These rows, in this order, of all columns. Categories keep their names and codes, also where none of these rows has
    /// them any more.
    ///
    /// # Panics
    /// There is no such row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter();
        let columns = columns.map(|column| Column { name: column.name.clone(), values: column.values.select(rows) });
        Self { path: self.path.clone(), columns: columns.collect(), notes: self.notes.clone() }
    }

    /// The columns of these names, in this order.
    ///
    /// # Errors
    /// As for [`Table::column`].
    pub fn only<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let columns = names.into_iter().map(|name| self.column(name).cloned()).collect::<Result<_>>()?;
        Ok(Self { path: self.path.clone(), columns, notes: self.notes.clone() })
    }

    /// This table without the columns of these names.
    ///
    /// # Errors
    /// As for [`Table::column`].
    pub fn without(mut self, names: &[&str]) -> Result<Self> {
        names.iter().try_for_each(|name| self.column(name).map(drop))?;
        self.columns.retain(|column| !names.contains(&column.name.as_str()));
        Ok(self)
    }

    /// Takes the rows of another table with these columns, and maybe more, behind its own. Categories are those of both.
    ///
    /// # Errors
    /// A column that is not there, or is of another type.
    pub(crate) fn append(&mut self, mut other: Self) -> Result<()> {
        for column in &mut self.columns {
            let more = other.columns.iter_mut().find(|of_other| of_other.name == column.name);
            let Some(more) = more else { return Err(other.no_column(&column.name)) };
            match (&mut column.values, &mut more.values) {
                (ColumnValues::Numbers(values), ColumnValues::Numbers(more))
                | (ColumnValues::Times(values), ColumnValues::Times(more)) => values.append(more),
                (values @ ColumnValues::Categories { .. }, ColumnValues::Categories { .. }) => {
                    values.append_categories(&more.values)
                }
                (values, more) => {
                    let [expected, got] = [values.column_type(), more.column_type()].map(ColumnType::plural);
                    let problem = format!("column {}: expected {expected}, as before, got {got}", quoted(&column.name));
                    return Err(error::file(&other.path, problem));
                }
            }
        }
        self.notes.append(&mut other.notes);
        Ok(())
    }

    fn no_column(&self, name: &str) -> Error {
        error::file(&self.path, no_column(name, &self.names()))
    }

    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }
}

/// That there is no column of this name among those that there are.
pub(crate) fn no_column(name: &str, names: &[&str]) -> String {
    let hint = nearest(name, names.iter().copied());
    let hint = hint.map_or(String::new(), |near| format!("; {} may have been meant", quoted(near)));
    format!(
        "there is no column {}{hint}; expected one of {}",
        quoted(name),
        listed(names.iter().map(|name| quoted(name)))
    )
}

/// How a table is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableOptions {
    /// What stands between the fields of text, one ASCII character; otherwise, for `.tsv`, a tab, else that of `,`, `;`, tab
    /// and `|` by which the first rows have the same number of fields.
    pub delimiter: Option<u8>,
    /// Whether the first row of text names the columns; otherwise it does where it has a word over numbers or times, or no
    /// number, nor a word that comes again below. Columns without names are `column1`, `column2` and so on.
    pub has_header: Option<bool>,
    /// The types of some columns; those of the others follow from their values. What does not fit is an error, then.
    pub types: BTreeMap<String, ColumnType>,
    /// The names of columns that are not read.
    pub ignore: Vec<String>,
    /// The names of the only columns that are read, those of them that are there; otherwise all are.
    pub only: Option<BTreeSet<String>>,
    /// What text has where a value is missing, beside nothing, `NA`, `N/A`, `NaN`, `null`, `?` and other spellings of
    /// these, and, among numbers and times alone, `None`, `-` and `.`.
    pub missing: Vec<String>,
}

impl TableOptions {
    /// Whether a column of this name is read.
    fn reads(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(name)) && !self.ignore.iter().any(|ignored| ignored == name)
    }

    /// Whether there are the columns that these options name.
    fn check_names(&self, names: &[String]) -> Parsed<()> {
        if let Some(only) = &self.only {
            let is_read = only.is_empty() || names.iter().any(|name| self.reads(name));
            let there = || listed(names.iter().map(|name| quoted(name)));
            let wanted = || listed(only.iter().map(|name| quoted(name)));
            return is_read.then_some(()).ok_or_else(|| {
                format!("none of the columns that are needed is there: expected {}; found {}", wanted(), there())
            });
        }
        let there: HashSet<&str> = names.iter().map(String::as_str).collect();
        match self.types.keys().chain(&self.ignore).find(|name| !there.contains(name.as_str())) {
            Some(name) => Err(no_column(name, &names.iter().map(String::as_str).collect::<Vec<_>>())),
            None if names.iter().all(|name| self.ignore.contains(name)) => {
                Err("all its columns are ignored; expected one or more that are not".into())
            }
            None => Ok(()),
        }
    }
}

/// Reads a table: text (`.csv`, `.tsv`, `.txt`, each also with `.gz`), Parquet (`.parquet`) or Arrow's IPC format, of files
/// or of streams (`.arrow`, `.feather`, `.ipc`). Where the name does not say which, the first bytes do.
///
/// Text is rows of fields, in quotes where they hold the delimiter, a quote (doubled) or the end of a line (RFC 4180).
/// It is in UTF-8, in UTF-16 with its mark at the beginning, or else taken for Windows-1252, with a note. Empty lines are
/// skipped, and spaces around a field do not count. A column is
/// - numbers if every value that is there is one: with a point, or an exponent; with a comma where `;` is the delimiter
///   and no column of numbers has points. Thousands have no separators;
/// - times if every value is an ISO 8601 date, or date and time, with an offset or in UTC: `2024-01-31`,
///   `2024-01-31 12:00:00`, `2024-01-31T12:00:00.5+01:00`;
/// - else categories, by their text: so are `true` and `false`, and dates of other forms.
///
/// [`TableOptions::missing`] says what counts as missing.
///
/// Parquet and Arrow files say what their columns are: integers, floating-point numbers and decimals are numbers, strings
/// and booleans (`true`, `false`) are categories, dates and timestamps are times. NaN is missing. Parquet may be packed with
/// Snappy, gzip or LZ4, Arrow with LZ4.
///
/// # Errors
/// A file of another kind, cut short or damaged; rows of differing length; a number that is not finite; a value that is
/// not of the type asked for; columns of lists, structures or bytes; a name in the options that no column has; no rows;
/// more than 100,000 columns; a line of text longer than 16 MiB.
pub fn read_table(path: &Path, options: &TableOptions) -> Result<Table> {
    survey(path, options, &Keep::All).map(|survey| survey.table)
}

/// Which columns' values are kept; of the others, only what they are is found out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep<'a> {
    All,
    /// Those of these names and, if it is asked for, the last one of those that are read.
    Only {
        names: &'a BTreeSet<String>,
        last: bool,
    },
}

impl Keep<'_> {
    fn keeps(&self, name: &str, is_last: bool) -> bool {
        match self {
            Self::All => true,
            Self::Only { names, last } => names.contains(name) || *last && is_last,
        }
    }
}

/// A table that was looked through.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The columns that were to be kept.
    pub(crate) table: Table,
    /// What all columns are that are read.
    pub(crate) types: Vec<(String, ColumnType)>,
    /// Whether it is text that is no UTF-8.
    pub(crate) is_windows_1252: bool,
}

/// [`read_table`] of some columns alone, with the types of all.
pub(crate) fn survey(path: &Path, options: &TableOptions, keep: &Keep) -> Result<Survey> {
    match format(path, options)? {
        Format::Text { delimiter } => csv::read(path, delimiter, options, keep),
        Format::Parquet => columnar::read_parquet(path, options, keep, None),
        Format::Arrow => columnar::read_arrow(path, options, keep, None),
    }
}

/// Who takes the pieces of a table, and how many rows each of them has, at the least or at the most.
struct Pieces<'f> {
    rows: usize,
    take: &'f mut dyn FnMut(Table) -> Result<()>,
}

/// [`read_table`], so many rows at a time; the types of the columns are those of `options`, as a [`survey`] has found them.
pub(crate) fn read_pieces(
    path: &Path,
    options: &TableOptions,
    is_windows_1252: bool,
    rows: usize,
    take: &mut dyn FnMut(Table) -> Result<()>,
) -> Result<()> {
    let pieces = &mut Pieces { rows, take };
    match format(path, options)? {
        Format::Text { delimiter } => csv::read_pieces(path, delimiter, options, is_windows_1252, pieces),
        Format::Parquet => columnar::read_parquet(path, options, &Keep::All, Some(pieces)).map(drop),
        Format::Arrow => columnar::read_arrow(path, options, &Keep::All, Some(pieces)).map(drop),
    }
}

/// What the file at `path` is read as.
fn format(path: &Path, options: &TableOptions) -> Result<Format> {
    let is_delimiter = |byte: &u8| byte.is_ascii() && !matches!(byte, 0 | b'"' | b'\r' | b'\n');
    if let Some(byte) = options.delimiter.filter(|byte| !is_delimiter(byte)) {
        return Err(Error::value(
            "delimiter",
            "one ASCII character, no quote or end of line",
            format!("{:?}", char::from(byte)),
        ));
    }
    let mut file = error::open_file(path)?;
    // Files are read more than once, and their size says what they can be.
    if !file.metadata().map_err(|source| error::io(path, "read", source))?.is_file() {
        return Err(error::file(path, "not a file; expected a table in CSV, Parquet or Arrow"));
    }
    let mut start = Vec::new();
    (&mut file).take(8).read_to_end(&mut start).map_err(|source| error::io(path, "read", source))?;
    Format::of(path, &start).map_err(|problem| error::file(path, problem))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Text { delimiter: Option<u8> },
    Parquet,
    Arrow,
}

/// Whether a file of this name is read as a table.
pub fn is_table(path: &Path) -> bool {
    Format::of_name(path).is_some()
}

impl Format {
    fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        match name.strip_suffix(".gz").unwrap_or(&name).rsplit_once('.')?.1 {
            "csv" | "txt" => Some(Self::Text { delimiter: None }),
            "tsv" | "tab" => Some(Self::Text { delimiter: Some(b'\t') }),
            "parquet" | "pq" => Some(Self::Parquet),
            "arrow" | "arrows" | "feather" | "ipc" => Some(Self::Arrow),
            _ => None,
        }
    }

    /// By the name, else by the first bytes.
    fn of(path: &Path, start: &[u8]) -> Parsed<Self> {
        if let Some(format) = Self::of_name(path) {
            return Ok(format);
        }
        match start {
            [b'P', b'A', b'R', b'1', ..] => Ok(Self::Parquet),
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] | [0xff, 0xff, 0xff, 0xff, ..] => Ok(Self::Arrow),
            [b'P', b'K', 3, 4, ..] | [0xd0, 0xcf, 0x11, 0xe0, ..] => {
                Err("a zip file or a workbook, which is not read; save the table as CSV".into())
            }
            _ => Ok(Self::Text { delimiter: None }),
        }
    }
}

/// What a file may become in memory: so many times its size, which packed tables of few different values reach, but not
/// what is made to fill memory; and for small files, this.
#[derive(Clone, Copy, Debug)]
struct Budget {
    file_bytes: u64,
}

impl Budget {
    const TIMES: u64 = 256;
    const SMALL_BYTES: u64 = 1 << 26;

    fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self { file_bytes: file.metadata()?.len() })
    }

    fn bytes(self) -> u64 {
        self.file_bytes.saturating_mul(Self::TIMES).max(Self::SMALL_BYTES)
    }
}

/// Names that are each there once, and none of them empty.
fn distinct_names(names: Vec<String>, notes: &mut Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = names.iter().cloned().collect();
    let mut seen = HashSet::new();
    // How often a name has been there, so that the next one need not be looked for from the beginning.
    let mut counts = HashMap::<String, usize>::new();
    let mut distinct = Vec::with_capacity(names.len());
    let mut renamed = Vec::new();
    for (number, name) in (1..).zip(names) {
        if !name.is_empty() && seen.insert(name.clone()) {
            distinct.push(name);
            continue;
        }
        let problem =
            if name.is_empty() { "no name".to_string() } else { format!("the name {} of another one", quoted(&name)) };
        let mut other = if name.is_empty() { format!("column{number}") } else { name.clone() };
        let count = counts.entry(name).or_insert(1);
        let base = other.clone();
        while taken.contains(&other) {
            *count += 1;
            other = format!("{base}_{count}");
        }
        taken.insert(other.clone());
        renamed.push(format!("column {number} has {problem} and is called {}", quoted(&other)));
        distinct.push(other);
    }
    if !renamed.is_empty() {
        notes.push(listed(renamed));
    }
    distinct
}

/// What the tests of tables share.
#[cfg(test)]
mod testing {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// What is read from a file of this name with these bytes.
    pub(super) fn read_file(name: &str, bytes: &[u8], options: &TableOptions) -> Result<Table> {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        read_table(&path, options)
    }

    /// A line for each column: its name, then numbers, quoted categories, times behind an @, and _ for what is missing.
    pub(super) fn lines(table: &Table) -> Vec<String> {
        let value = |values: &ColumnValues, row: usize| match values {
            _ if values.is_missing(row) => "_".to_string(),
            ColumnValues::Numbers(values) => values[row].to_string(),
            ColumnValues::Times(values) => format!("@{}", values[row]),
            ColumnValues::Categories { codes, names } => format!("{:?}", names[codes[row].unwrap() as usize]),
        };
        let line = |Column { name, values }: &Column| {
            (0..table.rows()).fold(format!("{name}:"), |line, row| line + " " + &value(values, row))
        };
        table.columns.iter().map(line).collect()
    }

    #[track_caller]
    pub(super) fn check_lines(table: Result<Table>, expected: &[&str]) {
        let table = table.unwrap_or_else(|error| panic!("{error}"));
        assert!(table.columns.iter().all(|column| column.values.rows() == table.rows()));
        assert_eq!(lines(&table), expected);
    }

    #[track_caller]
    pub(super) fn check_message(table: Result<Table>, expected: &[&str]) {
        let message = table.unwrap_err().to_string();
        expected.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::testing::*;
    use super::*;

    const TEXT: &str = "size,colour,day\n1,red,1970-01-02\n,blue,\n3,,1970-01-01\n";
    const LINES: [&str; 3] = ["size: 1 _ 3", "colour: \"red\" \"blue\" _", "day: @86400 _ @0"];

    fn table() -> Table {
        read_file("t.csv", TEXT.as_bytes(), &TableOptions::default()).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn text_is_read_under_many_names() {
        for name in ["t.csv", "T.CSV", "t.txt", "t", "t.data", "t.csv.bak"] {
            check_lines(read_file(name, TEXT.as_bytes(), &TableOptions::default()), &LINES);
            check_lines(read_file(&format!("{name}.gz"), &gzip(TEXT.as_bytes()), &TableOptions::default()), &LINES);
        }
        check_lines(read_file("t.tsv", b"a,b\tc\n1\t2\n", &TableOptions::default()), &["a,b: 1", "c: 2"]);
        check_lines(read_file("t.csv", &gzip(TEXT.as_bytes()), &TableOptions::default()), &LINES);
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let options = TableOptions::default();
        check_message(
            read_file("t.xlsx", b"PK\x03\x04more", &options),
            &["t.xlsx: a zip file or a workbook", "as CSV"],
        );
        check_message(read_file("t.csv", b"PK\x03\x04\x00more", &options), &["t.csv: line 1 has a byte that is 0"]);
        check_message(read_table(Path::new("nowhere.csv"), &options), &["cannot read nowhere.csv"]);
        check_message(read_table(Path::new("/"), &options), &["not a file; expected a table"]);
        for delimiter in [b'"', b'\n', b'\r', 0, 0xe4] {
            let options = TableOptions { delimiter: Some(delimiter), ..TableOptions::default() };
            check_message(read_file("t.csv", TEXT.as_bytes(), &options), &["delimiter: expected one ASCII character"]);
        }
    }

    #[test]
    fn packed_files_that_fill_memory_are_refused() {
        let bytes = gzip(&vec![b'\n'; 80 << 20]);
        check_message(read_file("t.csv.gz", &bytes, &TableOptions::default()), &["far larger than any table"]);
    }

    #[test]
    fn options_name_columns_that_are_there() {
        let with = |types: &[(&str, ColumnType)], ignore: &[&str]| TableOptions {
            types: types.iter().map(|&(name, column_type)| (name.into(), column_type)).collect(),
            ignore: ignore.iter().map(|&name| name.into()).collect(),
            ..TableOptions::default()
        };
        let read = |options: &TableOptions| read_file("t.csv", TEXT.as_bytes(), options);
        check_lines(read(&with(&[], &["colour", "size"])), &LINES[2..]);
        check_lines(read(&with(&[("size", ColumnType::Category)], &["colour", "day"])), &["size: \"1\" _ \"3\""]);
        check_lines(read(&with(&[("size", ColumnType::Time)], &["size", "colour"])), &LINES[2..]);
        let there = "expected one of \"size\", \"colour\", \"day\"";
        check_message(read(&with(&[], &["color"])), &["no column \"color\"; \"colour\" may have been meant", there]);
        check_message(read(&with(&[("Size", ColumnType::Number)], &[])), &["\"size\" may have been meant", there]);
        check_message(read(&with(&[], &["size", "colour", "day"])), &["all its columns are ignored"]);
    }

    #[test]
    fn rows_and_columns_are_selected() {
        let table = table();
        check_lines(Ok(table.select(&[2, 0, 2])), &["size: 3 1 3", "colour: _ \"red\" _", "day: @0 @86400 @0"]);
        assert_eq!(table.select(&[2]).schema(), table.schema(), "categories keep their names");
        check_lines(Ok(table.select(&[])), &["size:", "colour:", "day:"]);
        check_lines(table.clone().without(&["day", "size"]), &LINES[1..2]);
        check_message(table.clone().without(&["dya"]), &["no column \"dya\"; \"day\" may have been meant"]);
        assert_eq!(table.column("size").unwrap().values.column_type(), ColumnType::Number);
        let message = table.column("colours").unwrap_err().to_string();
        assert!(message.contains("t.csv: there is no column \"colours\"; \"colour\" may"), "{message}");
    }

    #[track_caller]
    fn check_names(names: &[&str], expected: &[&str], expected_note: Option<&str>) {
        let mut notes = Vec::new();
        let distinct = distinct_names(names.iter().map(|&name| name.into()).collect(), &mut notes);
        assert_eq!(distinct, expected);
        assert_eq!(notes.first().map(String::as_str), expected_note);
    }

    #[test]
    fn names_become_distinct_and_are_said() {
        check_names(&["a", "b"], &["a", "b"], None);
        check_names(&["", "b"], &["column1", "b"], Some("column 1 has no name and is called \"column1\""));
        check_names(
            &["a", "a", "a_2", "a", ""],
            &["a", "a_3", "a_2", "a_4", "column5"],
            Some(
                "column 2 has the name \"a\" of another one and is called \"a_3\", column 4 has the name \"a\" of another \
                 one and is called \"a_4\", column 5 has no name and is called \"column5\"",
            ),
        );
        let many = distinct_names(vec!["a".into(); MAX_COLUMNS], &mut vec![]);
        assert_eq!(many.last().unwrap(), &format!("a_{MAX_COLUMNS}"));
    }
}
