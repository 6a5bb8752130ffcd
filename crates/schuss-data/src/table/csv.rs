//! Tables in text: fields with a delimiter between them, one row a line (RFC 4180, and what people write).

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use csv_core::ReadRecordResult;
use encoding_rs::Encoding;
use schuss::{Error, Result};

use super::infer::{Builder, Meaning, Reading, Seen, have_decimal_commas};
use super::{Budget, Column, ColumnType, Keep, MAX_COLUMNS, Pieces, Survey, Table, TableOptions, distinct_names, text};
use crate::decompress::{describe, read_up_to};
use crate::error::{self, Parsed, quoted};

/// A line that goes on for longer is none.
const MAX_LINE_BYTES: usize = 16 << 20;
/// The delimiter, the header and a first guess at the types follow from so much of the text, and so many of its rows.
const SAMPLE_BYTES: u64 = 1 << 20;
const SAMPLE_ROWS: usize = 1000;
/// A comma comes last: where it seems to be the delimiter and another one does too, it is that of decimals.
const DELIMITERS: [u8; 4] = [b'\t', b';', b'|', b','];

/// Why reading stopped.
enum Stop {
    /// The text is in another encoding than was thought: the line.
    NotUtf8(u64),
    Problem(String),
    /// Whoever takes the pieces refuses one.
    Refused(Error),
}

impl From<String> for Stop {
    fn from(problem: String) -> Self {
        Self::Problem(problem)
    }
}

/// Reads the text at `path`; `delimiter` is that of its extension.
///
/// It is read a second time where it turns out to be other than its beginning looks: in another encoding, or with a word
/// far down in a column of numbers.
pub(super) fn read(path: &Path, delimiter: Option<u8>, options: &TableOptions, keep: &Keep) -> Result<Survey> {
    let file = |encoding| File { path, encoding, options, keep, delimiter: options.delimiter.or(delimiter) };
    let survey = match file(None).read() {
        Err(Stop::NotUtf8(line)) => {
            let note = format!("line {line} is not UTF-8: the text is read as Windows-1252 (Latin-1)");
            file(Some(encoding_rs::WINDOWS_1252)).read().map(|mut survey| {
                survey.table.notes.insert(0, note);
                Survey { is_windows_1252: true, ..survey }
            })
        }
        survey => survey,
    };
    survey.map_err(|stop| stop.error(path))
}

/// Reads the text at `path`, whose columns have the types of `options`, a piece at a time.
pub(super) fn read_pieces(
    path: &Path,
    delimiter: Option<u8>,
    options: &TableOptions,
    is_windows_1252: bool,
    pieces: &mut Pieces,
) -> Result<()> {
    let encoding = is_windows_1252.then_some(encoding_rs::WINDOWS_1252);
    let delimiter = options.delimiter.or(delimiter);
    let file = File { path, encoding, options, keep: &Keep::All, delimiter };
    file.read_pieces(pieces).map_err(|stop| stop.error(path))
}

impl Stop {
    fn error(self, path: &Path) -> Error {
        match self {
            Self::NotUtf8(line) => error::file(
                path,
                format!("line {line} is not UTF-8, which its first bytes announce; get the file again"),
            ),
            Self::Problem(problem) => error::file(path, problem),
            Self::Refused(error) => error,
        }
    }
}

struct File<'a> {
    path: &'a Path,
    encoding: Option<&'static Encoding>,
    options: &'a TableOptions,
    keep: &'a Keep<'a>,
    delimiter: Option<u8>,
}

/// How a text is cut into fields, and what its beginning says of the columns.
struct Form<'a> {
    delimiter: u8,
    reading: Reading<'a>,
    has_header: bool,
    seen: Vec<Seen>,
}

impl File<'_> {
    fn form(&self) -> Parsed<Form<'_>> {
        let sample = self.sample()?;
        let delimiter = self.delimiter.unwrap_or_else(|| find_delimiter(&sample));
        let reading = Reading { missing: &self.options.missing, commas: delimiter == b';' };
        let records = sample_records(&sample, delimiter, SAMPLE_ROWS);
        let has_header = self.options.has_header.unwrap_or_else(|| has_header(&records, &reading));
        let seen = seen(&records[usize::from(has_header && !records.is_empty())..], &reading);
        Ok(Form { delimiter, reading, has_header, seen })
    }

    fn read(&self) -> std::result::Result<Survey, Stop> {
        let mut form = self.form()?;
        loop {
            let pass = self.pass(&form, None)?;
            let seen = pass.seen();
            let has_decimal_commas = have_decimal_commas(&seen);
            if pass.columns.iter().flatten().all(|builder| builder.is_right(has_decimal_commas)) {
                return Ok(pass.finish(self.path, has_decimal_commas)?);
            }
            // All rows have been seen now: the next pass is right, unless somebody writes to the file meanwhile; what is
            // seen only grows, so that there is an end to that, too.
            form.seen = seen;
        }
    }

    fn read_pieces(&self, pieces: &mut Pieces) -> std::result::Result<(), Stop> {
        let mut pass = self.pass(&self.form()?, Some(pieces))?;
        pass.give(self.path, pieces)
    }

    fn text(&self) -> Parsed<impl BufRead + use<>> {
        let file = std::fs::File::open(self.path).map_err(|e| format!("cannot be read ({e})"))?;
        let budget = Budget::of_file(&file).map_err(|e| format!("cannot be read ({e})"))?;
        text::open(file, budget, self.encoding).map_err(|e| describe(&e))
    }

    /// The beginning of the text: whole lines, where there are any.
    fn sample(&self) -> Parsed<Vec<u8>> {
        let mut sample = read_up_to(&mut self.text()?, SAMPLE_BYTES).map_err(|e| describe(&e))?;
        if sample.len() as u64 == SAMPLE_BYTES
            && let Some(end) = sample.iter().rposition(|&byte| byte == b'\n')
        {
            sample.truncate(end + 1);
        }
        Ok(sample)
    }

    /// Reads the whole text, each column as what was seen of it makes it. Whole pieces are given away.
    fn pass(&self, form: &Form, mut pieces: Option<&mut Pieces>) -> std::result::Result<Pass, Stop> {
        let Form { delimiter, ref reading, has_header, ref seen } = *form;
        let mut records = Records::new(self.text()?, delimiter);
        if !records.next()? {
            return Err("there is nothing in it; expected a line with the names of columns, and rows below"
                .to_string()
                .into());
        }
        let header_line = records.line;
        let width = records.field_count;
        let mut notes = Vec::new();
        let names = if has_header {
            let names = records.fields().map(|field| field.map(|name| name.trim().to_string()));
            distinct_names(names.collect::<std::result::Result<_, _>>()?, &mut notes)
        } else {
            (1..=width).map(|number| format!("column{number}")).collect()
        };
        self.options.check_names(&names)?;
        let has_decimal_commas = have_decimal_commas(seen);
        let last = names.iter().rfind(|name| self.options.reads(name));
        let builder = |(index, name): (usize, &String)| {
            let seen = seen.get(index).copied().unwrap_or_default();
            let forced = self.options.types.get(name).copied();
            let column_type = forced.unwrap_or_else(|| seen.column_type(has_decimal_commas));
            let builder = || match self.keep.keeps(name, Some(name) == last) {
                true => Builder::new(column_type, forced.is_some(), seen),
                false => Builder::watching(seen),
            };
            self.options.reads(name).then(builder)
        };
        let columns = names.iter().enumerate().map(builder).collect();
        let types = self.options.types.clone();
        let mut pass = Pass { names, columns, notes, types, rows: 0 };
        let mut rows = 0usize;
        let mut is_row = !has_header || records.next()?;
        while is_row {
            let line = records.line;
            if records.field_count != width {
                if records.is_blank() {
                    is_row = records.next()?;
                    continue;
                }
                let got = plural(records.field_count, "field");
                return Err(Stop::Problem(format!(
                    "line {line} has {got}, but line {header_line} has {width}; expected as many in every line, and \
                     quotes around a field with a {} in it",
                    shown_delimiter(delimiter)
                )));
            }
            for ((field, column), name) in records.fields().zip(&mut pass.columns).zip(&pass.names) {
                let field = field?;
                if let Some(column) = column {
                    let pushed = column.push(field.trim(), line, reading);
                    pushed.map_err(|problem| format!("line {line}, column {}: {problem}", quoted(name)))?;
                }
            }
            rows += 1;
            pass.rows += 1;
            if let Some(pieces) = pieces.as_mut().filter(|pieces| pieces.rows == pass.rows) {
                pass.give(self.path, pieces)?;
            }
            is_row = records.next()?;
        }
        if rows == 0 {
            return Err("there are no rows below its header; expected at least one".to_string().into());
        }
        Ok(pass)
    }
}

/// All that one reading of the text gives.
struct Pass {
    names: Vec<String>,
    /// Nothing for those that are ignored.
    columns: Vec<Option<Builder>>,
    notes: Vec<String>,
    /// The types that were asked for.
    types: BTreeMap<String, ColumnType>,
    /// Those of the piece that is being read.
    rows: usize,
}

impl Pass {
    fn seen(&self) -> Vec<Seen> {
        self.columns.iter().map(|column| column.as_ref().map_or(Seen::default(), |builder| builder.seen)).collect()
    }

    /// The rows so far as a table; those that follow begin anew.
    fn take(&mut self, path: &Path) -> Parsed<Table> {
        let mut columns = Vec::new();
        for (name, builder) in self.names.iter().zip(&mut self.columns) {
            if let Some(builder) = builder.as_mut().filter(|builder| builder.column_type().is_some()) {
                let values = builder.take();
                let values =
                    values.map_err(|(line, problem)| format!("line {line}, column {}: {problem}", quoted(name)))?;
                columns.push(Column { name: name.clone(), values });
            }
        }
        self.rows = 0;
        Ok(Table { path: path.into(), columns, notes: std::mem::take(&mut self.notes) })
    }

    /// Gives the rows so far away, if there are any.
    fn give(&mut self, path: &Path, pieces: &mut Pieces) -> std::result::Result<(), Stop> {
        if self.rows == 0 {
            return Ok(());
        }
        let table = self.take(path)?;
        (pieces.take)(table).map_err(Stop::Refused)
    }

    fn finish(mut self, path: &Path, has_decimal_commas: bool) -> Parsed<Survey> {
        let column_type = |(name, builder): (&String, &Option<Builder>)| {
            let seen = builder.as_ref()?.seen.column_type(has_decimal_commas);
            Some((name.clone(), self.types.get(name).copied().unwrap_or(seen)))
        };
        let types = self.names.iter().zip(&self.columns).filter_map(column_type).collect();
        Ok(Survey { table: self.take(path)?, types, is_windows_1252: false })
    }
}

/// The records of a text, one at a time. Lines without anything are none.
struct Records<R> {
    text: R,
    parser: csv_core::Reader,
    /// The fields of the record, one after another, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    byte_count: usize,
    field_count: usize,
    /// The line where the record begins, counted from 1.
    line: u64,
}

impl<R: BufRead> Records<R> {
    fn new(text: R, delimiter: u8) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
        Self { text, parser, bytes: vec![0; 1024], ends: vec![0; 64], byte_count: 0, field_count: 0, line: 1 }
    }

    /// Goes on to the next record; false where there is none.
    fn next(&mut self) -> Parsed<bool> {
        self.skip_line_ends()?;
        self.line = self.parser.line();
        let line = self.line;
        (self.byte_count, self.field_count) = (0, 0);
        loop {
            let mut input = self.text.fill_buf().map_err(|e| describe(&e))?;
            let is_at_end = input.is_empty();
            if is_at_end {
                // Ends a last line that lacks it; but not within quotes.
                input = b"\n";
            }
            let (bytes, ends) = (&mut self.bytes[self.byte_count..], &mut self.ends[self.field_count..]);
            let (result, read, written, ended) = self.parser.read_record(input, bytes, ends);
            if !is_at_end {
                self.text.consume(read);
            }
            self.byte_count += written;
            self.field_count += ended;
            match result {
                ReadRecordResult::InputEmpty if is_at_end && self.byte_count + self.field_count == 0 => {
                    return Ok(false);
                }
                ReadRecordResult::InputEmpty if is_at_end => {
                    return Err(format!(
                        "the quotes that open in line {line}, or in a line that it goes on in, never close"
                    ));
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.bytes.len() >= MAX_LINE_BYTES => {
                    return Err(format!(
                        "line {line} is longer than {} MiB; expected a table with rows in lines, and quotes that close",
                        MAX_LINE_BYTES >> 20
                    ));
                }
                ReadRecordResult::OutputFull => self.bytes.resize(2 * self.bytes.len(), 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() > MAX_COLUMNS => {
                    return Err(format!("line {line} has more than {MAX_COLUMNS} columns; no more are read"));
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize((2 * self.ends.len()).min(MAX_COLUMNS + 1), 0),
                ReadRecordResult::Record if self.bytes[..self.byte_count].contains(&0) => {
                    return Err(format!(
                        "line {line} has a byte that is 0, which no text has; expected a table in UTF-8, or in UTF-16 \
                         with its mark at the beginning"
                    ));
                }
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// To where the next record begins, so that its line is known.
    fn skip_line_ends(&mut self) -> Parsed<()> {
        loop {
            let input = self.text.fill_buf().map_err(|e| describe(&e))?;
            let line_ends = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
            let (count, lines) =
                line_ends.fold((0, 0), |(count, lines), &byte| (count + 1, lines + u64::from(byte == b'\n')));
            let is_all = count == input.len();
            self.text.consume(count);
            self.parser.set_line(self.parser.line() + lines);
            if count == 0 || !is_all {
                return Ok(());
            }
        }
    }

    fn fields(&self) -> impl Iterator<Item = std::result::Result<&str, Stop>> {
        let text = str::from_utf8(&self.bytes[..self.byte_count]).ok();
        let mut start = 0;
        self.ends[..self.field_count].iter().map(move |&end| {
            let field = text.and_then(|text| text.get(start..end));
            start = end;
            field.ok_or(Stop::NotUtf8(self.line))
        })
    }

    /// The bytes of the fields as they are.
    fn raw_fields(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends[..self.field_count].iter().map(move |&end| {
            let field = &self.bytes[start..end];
            start = end;
            field
        })
    }

    fn is_blank(&self) -> bool {
        self.field_count == 1 && self.bytes[..self.byte_count].trim_ascii().is_empty()
    }
}

/// The first records of a sample; what is wrong with them is left to the pass over the whole text.
fn sample_records(sample: &[u8], delimiter: u8, limit: usize) -> Vec<Vec<String>> {
    let mut records = Records::new(sample, delimiter);
    let mut all = Vec::new();
    while all.len() < limit && records.next().unwrap_or(false) {
        if !records.is_blank() {
            let fields = records.raw_fields().map(|field| String::from_utf8_lossy(field).trim().to_string());
            all.push(fields.collect::<Vec<_>>());
        }
    }
    all
}

/// The delimiter by which most rows have the same number of fields, more than one.
fn find_delimiter(sample: &[u8]) -> u8 {
    let agreement = |&delimiter: &u8| {
        let records = sample_records(sample, delimiter, SAMPLE_ROWS / 10);
        let mut counts = BTreeMap::<usize, usize>::new();
        records.iter().for_each(|fields| *counts.entry(fields.len()).or_default() += 1);
        let most_common = counts.into_iter().max_by_key(|&(_, count)| count);
        let agree = most_common.filter(|&(fields, _)| fields > 1).map_or(0, |(_, count)| count);
        agree * SAMPLE_ROWS / records.len().max(1)
    };
    // Of equals, the last: in the order of DELIMITERS, the first.
    let best = DELIMITERS.into_iter().rev().max_by_key(agreement).filter(|best| agreement(best) > 0);
    best.unwrap_or(b',')
}

/// What there is in each column of these records.
fn seen(records: &[Vec<String>], reading: &Reading) -> Vec<Seen> {
    let mut columns = Vec::new();
    for fields in records {
        columns.resize(columns.len().max(fields.len()), Seen::default());
        columns.iter_mut().zip(fields).for_each(|(seen, field)| seen.add(reading.meaning(field)));
    }
    columns
}

/// Whether the first record names the columns: it has a word where those below are numbers or times. Where there are but
/// words, it names them unless one of its own comes again below.
fn has_header(records: &[Vec<String>], reading: &Reading) -> bool {
    let Some((first, rows)) = records.split_first() else { return true };
    let columns = seen(rows, reading);
    let has_decimal_commas = have_decimal_commas(&columns);
    let is_number = |field: &String| matches!(reading.meaning(field), Meaning::Number(..) | Meaning::Time(_));
    let is_word = |field: &String| matches!(reading.meaning(field), Meaning::Word | Meaning::MissingOrWord);
    let over_numbers = || first.iter().zip(&columns).filter(|(_, seen)| seen.is_numeric(has_decimal_commas));
    if over_numbers().any(|(field, _)| is_word(field)) {
        return true;
    }
    let comes_again =
        |(index, field): (usize, &String)| is_word(field) && rows.iter().any(|row| row.get(index) == Some(field));
    !over_numbers().any(|(field, _)| is_number(field))
        && !first.iter().any(is_number)
        && !first.iter().enumerate().any(comes_again)
}

fn plural(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

fn shown_delimiter(delimiter: u8) -> String {
    if delimiter == b'\t' { "tab".into() } else { char::from(delimiter).into() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check_lines, check_message, lines, read_file};
    use super::super::{ColumnType, ColumnValues};
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        check_lines(read_file("t.csv", text.as_bytes(), &TableOptions::default()), expected);
    }

    #[track_caller]
    fn check_with(text: &str, options: &TableOptions, expected: &[&str]) {
        check_lines(read_file("t.csv", text.as_bytes(), options), expected);
    }

    #[track_caller]
    fn check_error(text: &str, options: &TableOptions, expected: &[&str]) {
        check_message(read_file("t.csv", text.as_bytes(), options), expected);
    }

    fn typed(name: &str, column_type: ColumnType) -> TableOptions {
        TableOptions { types: [(name.into(), column_type)].into(), ..TableOptions::default() }
    }

    #[test]
    fn quotes_hold_delimiters_quotes_and_lines() {
        check(
            "a,b\n\"x,y\",1\n\"say \"\"no\"\"\",2\n\"two\nlines\",3\n",
            &["a: \"x,y\" \"say \\\"no\\\"\" \"two\\nlines\"", "b: 1 2 3"],
        );
        check("a,b\n5' 11\",1\nx\"y,2\n", &["a: \"5' 11\\\"\" \"x\\\"y\"", "b: 1 2"]);
        check("\"a\",\"b\"\n\"1\",\"\"\n\"\",\"2\"\n", &["a: 1 _", "b: _ 2"]);
    }

    #[test]
    fn ends_of_lines_and_empty_lines_do_not_matter() {
        let expected = ["a: 1 3", "b: \"x\" \"y\""];
        for text in [
            "a,b\n1,x\n3,y\n",
            "a,b\n1,x\n3,y",
            "a,b\r\n1,x\r\n3,y\r\n",
            "a,b\r1,x\r3,y\r",
            "\n\na,b\n\n1,x\r\n\r\n   \n3,y\n\n",
            "a, b\n 1, x \n\t3 ,y\n",
        ] {
            check(text, &expected);
        }
    }

    #[test]
    fn every_delimiter_is_found() {
        for delimiter in [",", ";", "\t", "|"] {
            let text = "a,b,c\n1,x,2.5\n2,\"y,z\",3\n".replace("y,z", "COMMA").replace(',', delimiter);
            check(&text.replace("COMMA", "y,z"), &["a: 1 2", "b: \"x\" \"y,z\"", "c: 2.5 3"]);
        }
        check("a\n1\n2\n", &["a: 1 2"]);
        check("1,5;2,25\n2,5;3\n", &["column1: 1.5 2.5", "column2: 2.25 3"]);
        check("name\ttext\nx\tone, two\ny\tthree\n", &["name: \"x\" \"y\"", "text: \"one, two\" \"three\""]);
        check("a,b\n1|2,x;y\n3|4,z\n", &["a: \"1|2\" \"3|4\"", "b: \"x;y\" \"z\""]);
        let options = TableOptions { delimiter: Some(b' '), ..TableOptions::default() };
        check_with("a b\n1 2\n", &options, &["a: 1", "b: 2"]);
    }

    #[test]
    fn decimal_commas_are_read_where_no_point_speaks_against_them() {
        check("a;b\n1,5;x\n2;y\n", &["a: 1.5 2", "b: \"x\" \"y\""]);
        check("a;b\n1,500;2.5\n2,000;3\n", &["a: \"1,500\" \"2,000\"", "b: 2.5 3"]);
        let options = typed("a", ColumnType::Number);
        check_with("a;b\n1,500;2.5\n2,000;3\n", &options, &["a: 1.5 2", "b: 2.5 3"]);
        check_error(
            "a;b\n1,500;2.5\n2.5;3\n",
            &options,
            &["line 3, column \"a\": \"2.5\" among numbers with the other"],
        );
        check("a,b\n\"1,5\",x\n2,y\n", &["a: \"1,5\" \"2\"", "b: \"x\" \"y\""]);
    }

    #[test]
    fn a_header_is_found_or_forced() {
        check("1,2\n3,4\n", &["column1: 1 3", "column2: 2 4"]);
        check("a,2\n3,4\n", &["a: 3", "2: 4"]);
        check("2019,2020\n3,4\n", &["column1: 2019 3", "column2: 2020 4"]);
        check("day\n2024-01-31\n", &["day: @1706659200"]);
        check("name,town\nx,y\n", &["name: \"x\"", "town: \"y\""]);
        check("x,y\nx,z\n", &["column1: \"x\" \"x\"", "column2: \"y\" \"z\""]);
        check(",a\n0,5\n1,6\n", &["column1: 0 1", "a: 5 6"]);
        check("1,x\n2,y\n", &["column1: 1 2", "column2: \"x\" \"y\""]);
        check("7\n", &["column1: 7"]);
        let forced = |has_header| TableOptions { has_header: Some(has_header), ..TableOptions::default() };
        check_with("2019,2020\n3,4\n", &forced(true), &["2019: 3", "2020: 4"]);
        check_with("a,2\n3,4\n", &forced(false), &["column1: \"a\" \"3\"", "column2: 2 4"]);
        check_error("a,b\n", &TableOptions::default(), &["t.csv: there are no rows below its header"]);
        check_error("1,2\n", &forced(true), &["no rows"]);
        for empty in ["", "\n\r\n", "\u{feff}"] {
            check_error(empty, &TableOptions::default(), &["there is nothing in it"]);
        }
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "größe,café\n1,ja – „schön“\n2,€\n";
        let expected = ["größe: 1 2", "café: \"ja – „schön“\" \"€\""];
        let utf16 = |to_bytes: fn(u16) -> [u8; 2]| {
            [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(to_bytes).collect::<Vec<u8>>()
        };
        let options = TableOptions::default();
        check(text, &expected);
        for bytes in [format!("\u{feff}{text}").into_bytes(), utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
            check_lines(read_file("t.csv", &bytes, &options), &expected);
        }
        let (windows, _, _) = encoding_rs::WINDOWS_1252.encode(text);
        let table = read_file("t.csv", &windows, &options).unwrap();
        assert_eq!(table.notes, ["line 1 is not UTF-8: the text is read as Windows-1252 (Latin-1)"]);
        check_lines(Ok(table), &expected);
        // Where the first such letter comes long after the sample, and where it is cut apart by a delimiter.
        let late = [b"a,b\n".to_vec(), b"1,x\n".repeat(SAMPLE_BYTES as usize), b"2,\xe4\n".to_vec()].concat();
        let table = read_file("t.csv", &late, &options).unwrap();
        assert_eq!(table.notes.len(), 1);
        let ColumnValues::Categories { names, .. } = &table.columns[1].values else { panic!("words") };
        assert_eq!(names, &["x", "ä"]);
        check_lines(read_file("t.csv", b"a,b\nx\xc3,\xa4y\n", &options), &["a: \"xÃ\"", "b: \"¤y\""]);
    }

    #[test]
    fn a_wrong_mark_is_refused() {
        let options = TableOptions::default();
        let bytes = [b"\xef\xbb\xbfa,b\n".as_slice(), b"1,\xe4\n"].concat();
        check_message(read_file("t.csv", &bytes, &options), &["line 2 is not UTF-8, which its first bytes announce"]);
        let bytes = [b"\xff\xfe".as_slice(), b"a\0\x00\xd8b\0"].concat();
        check_message(read_file("t.csv", &bytes, &options), &["not the UTF-16LE that its first bytes announce"]);
        check_error("a,b\n1,x\0\n", &options, &["line 2 has a byte that is 0", "UTF-16"]);
    }

    /// Words, times, commas and points far below the sample change what was thought; each is read right in the end.
    #[test]
    fn types_follow_from_all_rows() {
        let rows = SAMPLE_ROWS + 10;
        let read = |first: &str, last: &str| {
            let text = format!("a;b\n{}{last};2\n", format!("{first};1\n").repeat(rows));
            let table = read_file("t.csv", text.as_bytes(), &TableOptions::default()).unwrap();
            let line = lines(&table).swap_remove(0);
            let (name, values) = line.split_once(' ').unwrap();
            let (start, end) = values.rsplit_once(' ').unwrap();
            let each = start.split_once(' ').unwrap().0;
            assert_eq!(start, vec![each; rows].join(" "));
            format!("{name} {each} {end}")
        };
        for (first, last, expected) in [
            ("1", "2", "a: 1 2"),
            ("1", "x", "a: \"1\" \"x\""),
            ("01", "x", "a: \"01\" \"x\""),
            ("", "x", "a: _ \"x\""),
            ("", "2024-01-31", "a: _ @1706659200"),
            ("2024-01-31", "NA", "a: @1706659200 _"),
            ("2024-01-31", "5", "a: \"2024-01-31\" \"5\""),
            ("None", "5", "a: _ 5"),
            ("None", "x", "a: \"None\" \"x\""),
            ("5", "None", "a: 5 _"),
            ("1", "2,5", "a: 1 2.5"),
            ("1.5", "2,5", "a: \"1.5\" \"2,5\""),
        ] {
            assert_eq!(read(first, last), expected, "{first:?}, then {last:?}");
        }
    }

    #[test]
    fn types_that_are_asked_for_are_kept() {
        check_with("a\n01\n1\n", &typed("a", ColumnType::Category), &["a: \"01\" \"1\""]);
        check_with("a\nNone\nNA\n", &typed("a", ColumnType::Category), &["a: \"None\" _"]);
        check_with("a,b\n-,x\n3,y\n", &typed("a", ColumnType::Number), &["a: _ 3", "b: \"x\" \"y\""]);
        check_with("a,b\n-,x\n,y\n", &typed("a", ColumnType::Time), &["a: _ _", "b: \"x\" \"y\""]);
        check_error(
            "a,b\n1,x\n2a,y\n",
            &typed("a", ColumnType::Number),
            &["t.csv: line 3, column \"a\": \"2a\" is no number; correct it"],
        );
        check_error(
            "a,b\n2024-01-31,x\n2024,y\n",
            &typed("a", ColumnType::Time),
            &["line 3, column \"a\": \"2024\" is no ISO 8601 date or time, such as"],
        );
    }

    #[test]
    fn missing_words_may_be_given() {
        let options = TableOptions { missing: vec!["-999".into(), "unknown".into()], ..TableOptions::default() };
        check_with("a,b\n-999,x\n3,unknown\n", &options, &["a: _ 3", "b: \"x\" _"]);
        check("a,b\nNA,x\n?,NA\n3,None\n", &["a: _ _ 3", "b: \"x\" _ \"None\""]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let options = TableOptions::default();
        check_error(
            "a,b\n1,2\n\n3,4,5\n",
            &options,
            &["line 4 has 3 fields, but line 1 has 2", "quotes around a field with a ,"],
        );
        check_error("a\tb\n1\t2\n3\n", &options, &["line 3 has 1 field, but line 1 has 2", "a tab in it"]);
        check_error("\n\na,b\n\"1\n\n\",2\n3\n", &options, &["line 7 has 1 field, but line 3 has 2"]);
        check_error("a,b\n1,x\n2,\"y\n3,z\n", &options, &["quotes that open in line 3", "never close"]);
        check_error("a,b\n1,2\n-inf,3\n", &options, &["line 3, column \"a\": \"-inf\" is not finite"]);
        check_error("a,b\n1,2\n1e999,3\n", &options, &["line 3, column \"a\": \"1e999\" is not finite"]);
        check("a,b\n1,2\ninf,3\nx,4\n", &["a: \"1\" \"inf\" \"x\"", "b: 2 3 4"]);
    }

    #[test]
    fn endless_lines_and_columns_are_refused() {
        let options = TableOptions::default();
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        check_error(&long, &options, &["line 1 is longer than 16 MiB"]);
        check_error(&format!("a,b\n1,\"{long}"), &options, &["line 2 is longer than 16 MiB"]);
        let wide = ",".repeat(MAX_COLUMNS + 1);
        check_error(&format!("a,b\n{wide}"), &options, &["line 2 has more than 100000 columns"]);
        check_error(&format!("{wide}\n{wide}"), &options, &["line 1 has more than 100000 columns"]);
        let table = read_file("t.csv", vec!["1"; 90_000].join(",").as_bytes(), &options).unwrap();
        assert_eq!((table.columns.len(), table.rows()), (90_000, 1));
    }
}
