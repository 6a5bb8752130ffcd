//! Tables that are written and read back, with random contents, delimiters, quotes and ends of lines.

use std::fs;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schuss_data::{Column, ColumnValues, Table, TableOptions, read_table};
use tempfile::TempDir;

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound as u64) as usize
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// A word with all that quotes are for, which is no number, time or word for missing, and has no space around it.
    fn word(&mut self) -> String {
        let letters: Vec<char> = "ab,;\t|\"'\n\r éβ漢".chars().collect();
        let middle = (0..self.below(6)).map(|_| self.of(&letters)).collect::<String>();
        format!("w{middle}w")
    }

    fn column(&mut self, rows: usize) -> ColumnValues {
        // The first value is there: a column without any would be numbers.
        let mut is_there = |row: usize| row == 0 || self.below(4) > 0;
        let there: Vec<bool> = (0..rows).map(&mut is_there).collect();
        let or_nan = |is_there: bool, value: f64| if is_there { value } else { f64::NAN };
        match self.below(3) {
            0 => {
                let number = |random: &mut Self| match random.below(3) {
                    0 => random.below(10) as f64,
                    1 => random.below(1_000_000) as f64 / 1000.0 - 500.0,
                    _ => f64::from_bits(random.0.next_u64()),
                };
                let finite = |number: f64| if number.is_finite() { number } else { -1e-300 };
                ColumnValues::Numbers(there.iter().map(|&is_there| or_nan(is_there, finite(number(self)))).collect())
            }
            1 => {
                let time = |random: &mut Self| random.below(4_000_000_000) as f64 - 1e9;
                ColumnValues::Times(there.iter().map(|&is_there| or_nan(is_there, time(self))).collect())
            }
            _ => {
                let words: Vec<Option<String>> = there.iter().map(|&is_there| is_there.then(|| self.word())).collect();
                let mut names: Vec<String> = words.iter().flatten().cloned().collect();
                names.sort();
                names.dedup();
                let code = |word: &Option<String>| Some(names.binary_search(word.as_ref()?).unwrap() as u32);
                ColumnValues::Categories { codes: words.iter().map(code).collect(), names }
            }
        }
    }

    fn table(&mut self) -> Table {
        let rows = 1 + self.below(12);
        let column = |index| Column { name: format!("name {index}"), values: self.column(rows) };
        Table { path: Default::default(), columns: (0..2 + rows % 4).map(column).collect(), notes: vec![] }
    }

    /// `field`, in quotes where it needs them, or at random.
    fn quote(&mut self, field: &str, delimiter: char) -> String {
        let needs_quotes = field.contains([delimiter, '"', '\n', '\r']);
        if needs_quotes || self.below(3) == 0 { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into() }
    }

    fn csv(&mut self, table: &Table) -> String {
        let delimiter = self.of(&[',', ';', '\t', '|']);
        let line_end = self.of(&["\n", "\r\n"]);
        let decimals = if delimiter == ';' { self.of(&[".", ","]) } else { "." };
        let mut lines = Vec::new();
        lines.push(table.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>());
        for row in 0..table.rows() {
            lines.push(table.columns.iter().map(|column| self.field(&column.values, row, decimals)).collect());
        }
        let mut text = String::new();
        for fields in &lines {
            let fields: Vec<String> = fields.iter().map(|field| self.quote(field, delimiter)).collect();
            text += &fields.join(&delimiter.to_string());
            text += &line_end.repeat(self.of(&[1, 1, 2]));
        }
        if self.below(2) == 0 { text.trim_end_matches(['\r', '\n']).into() } else { text }
    }

    fn field(&mut self, values: &ColumnValues, row: usize, decimals: &str) -> String {
        match values {
            _ if values.is_missing(row) => self.of(&["", "NA", "NaN", "null", "?"]).into(),
            ColumnValues::Categories { codes, names } => names[codes[row].unwrap() as usize].clone(),
            ColumnValues::Numbers(values) => match self.below(2) {
                0 => values[row].to_string().replace('.', decimals),
                _ => format!("{:e}", values[row]).replace('.', decimals),
            },
            ColumnValues::Times(values) => {
                let time = jiff::Timestamp::from_second(values[row] as i64).unwrap();
                if self.below(2) == 0 { time.to_string() } else { time.to_string().replace(['T', 'Z'], " ") }
            }
        }
    }
}

/// Missing numbers are equal here.
fn same(a: &ColumnValues, b: &ColumnValues) -> bool {
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    match (a, b) {
        (ColumnValues::Numbers(a), ColumnValues::Numbers(b)) | (ColumnValues::Times(a), ColumnValues::Times(b)) => {
            bits(a) == bits(b)
        }
        _ => a == b,
    }
}

#[test]
fn a_written_table_reads_back_the_same() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("table.csv");
    for seed in 0..2000 {
        let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
        let table = random.table();
        let text = random.csv(&table);
        fs::write(&path, &text).unwrap();
        let got = read_table(&path, &TableOptions::default()).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text:?}"));
        assert_eq!(got.columns.len(), table.columns.len(), "seed {seed}: {text:?}");
        for (got, expected) in got.columns.iter().zip(&table.columns) {
            assert_eq!(got.name, expected.name, "seed {seed}: {text:?}");
            assert!(same(&got.values, &expected.values), "seed {seed}: {got:?}, expected {expected:?}, of {text:?}");
        }
    }
}
