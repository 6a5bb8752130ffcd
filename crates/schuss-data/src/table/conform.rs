//! A table in the form of another one.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use schuss::Result;

use super::infer::Categories;
use super::{Column, ColumnType, ColumnValues, Table};
use crate::error::{self, Parsed, listed, quoted};
use crate::nearest::nearest;

/// What a column is, without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSchema {
    /// Its name.
    pub name: String,
    /// What its values are.
    pub kind: ColumnKind,
}

/// A [`ColumnType`], with what is needed to read other values as these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Numbers.
    Number,
    /// One of these names.
    Category {
        /// Each once, sorted: what the codes stand for.
        names: Vec<String>,
    },
    /// Times.
    Time,
}

impl ColumnKind {
    /// The type, to read other files with ([`TableOptions::types`](crate::TableOptions::types)).
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Number => ColumnType::Number,
            Self::Category { .. } => ColumnType::Category,
            Self::Time => ColumnType::Time,
        }
    }
}

/// Categories that were not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The name of the column.
    pub column: String,
    /// The names of those categories, sorted.
    pub names: Vec<String>,
    /// How many rows have them.
    pub rows: usize,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = listed(self.names.iter().map(|name| quoted(name)));
        let rows = if self.rows == 1 { "1 row has".into() } else { format!("{} rows have", self.rows) };
        write!(
            f,
            "column {}: {rows} categories that no training row has, taken for missing: {names}",
            quoted(&self.column)
        )
    }
}

impl Table {
    /// What the columns are.
    pub fn schema(&self) -> Vec<ColumnSchema> {
        let kind = |values: &ColumnValues| match values {
            ColumnValues::Numbers(_) => ColumnKind::Number,
            ColumnValues::Categories { names, .. } => ColumnKind::Category { names: names.clone() },
            ColumnValues::Times(_) => ColumnKind::Time,
        };
        let columns = self.columns.iter();
        columns.map(|column| ColumnSchema { name: column.name.clone(), kind: kind(&column.values) }).collect()
    }
}

/// The columns of `schema`, in its order, from `table`, whose own may be in another order, and more. Codes are those of
/// the schema's names: a category that is not among them is missing, and comes back with the table.
///
/// Numbers become categories where the schema has them: what was text before is best read with the schema's types
/// ([`ColumnKind::column_type`]), which keeps `007` apart from `7`. A column without any value fits every kind.
///
/// # Errors
/// A column that is not there, or one of values of another type.
pub fn conform(table: Table, schema: &[ColumnSchema]) -> Result<(Table, Vec<Unknown>)> {
    let Table { path, columns, notes } = table;
    let mut there: HashMap<String, ColumnValues> =
        columns.into_iter().map(|column| (column.name, column.values)).collect();
    let found: Vec<Option<ColumnValues>> = schema.iter().map(|column| there.remove(&column.name)).collect();
    let missing = || schema.iter().zip(&found).filter(|(_, values)| values.is_none());
    if missing().next().is_some() {
        let mut others: Vec<&str> = there.keys().map(String::as_str).collect();
        others.sort_unstable();
        let named = listed(missing().map(|(column, _)| missing_column(&column.name, &others)));
        return Err(error::file(&path, format!("columns that are needed are not there: {named}; rename or add them")));
    }
    let mut unknown = Vec::new();
    let mut columns = Vec::with_capacity(schema.len());
    for (ColumnSchema { name, kind }, values) in schema.iter().zip(found.into_iter().flatten()) {
        let values = convert(values, kind, name, &mut unknown);
        let values = values.map_err(|problem| error::file(&path, format!("column {}: {problem}", quoted(name))))?;
        columns.push(Column { name: name.clone(), values });
    }
    Ok((Table { path, columns, notes }, unknown))
}

fn missing_column(name: &str, others: &[&str]) -> String {
    let hint = nearest(name, others.iter().copied());
    hint.map_or_else(|| quoted(name), |near| format!("{} ({} may be it)", quoted(name), quoted(near)))
}

/// These values as what `kind` says; what is wrong with them, otherwise.
fn convert(values: ColumnValues, kind: &ColumnKind, name: &str, unknown: &mut Vec<Unknown>) -> Parsed<ColumnValues> {
    let rows = values.rows();
    Ok(match (kind, values) {
        (ColumnKind::Number, values @ ColumnValues::Numbers(_)) => values,
        (ColumnKind::Time, values @ ColumnValues::Times(_)) => values,
        (ColumnKind::Category { names }, ColumnValues::Categories { codes, names: own }) => {
            recode(&codes, &own, names, name, unknown)
        }
        (ColumnKind::Category { .. }, ColumnValues::Numbers(numbers)) => {
            convert(Categories::of_numbers(&numbers)?, kind, name, unknown)?
        }
        (kind, values) if (0..rows).all(|row| values.is_missing(row)) => match kind {
            ColumnKind::Number => ColumnValues::Numbers(vec![f64::NAN; rows]),
            ColumnKind::Time => ColumnValues::Times(vec![f64::NAN; rows]),
            ColumnKind::Category { names } => {
                ColumnValues::Categories { codes: vec![None; rows], names: names.clone() }
            }
        },
        (kind, values) => {
            let example = match &values {
                ColumnValues::Categories { names, .. } => names.first(),
                ColumnValues::Numbers(_) | ColumnValues::Times(_) => None,
            };
            let example = example.map_or(String::new(), |name| format!(", such as {}", quoted(name)));
            let [expected, got] = [kind.column_type(), values.column_type()].map(ColumnType::plural);
            return Err(format!("expected {expected}, got {got}{example}"));
        }
    })
}

/// Codes of `own` names as codes of `names`; what is not among these goes to `unknown`, of the column `name`.
fn recode(
    codes: &[Option<u32>],
    own: &[String],
    names: &[String],
    name: &str,
    unknown: &mut Vec<Unknown>,
) -> ColumnValues {
    let code_of: HashMap<&String, u32> = names.iter().zip(0..).collect();
    let new_code: Vec<Option<u32>> = own.iter().map(|name| code_of.get(name).copied()).collect();
    let mut others = BTreeSet::new();
    let mut rows = 0;
    let recode = |code: &Option<u32>| {
        let own_code = (*code)? as usize;
        if new_code[own_code].is_none() {
            others.insert(&own[own_code]);
            rows += 1;
        }
        new_code[own_code]
    };
    let codes = codes.iter().map(recode).collect();
    if rows > 0 {
        unknown.push(Unknown { column: name.into(), names: others.into_iter().cloned().collect(), rows });
    }
    ColumnValues::Categories { codes, names: names.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories(values: &[&str]) -> ColumnValues {
        let mut categories = Categories::default();
        values.iter().for_each(|name| categories.push((!name.is_empty()).then_some(name)).unwrap());
        categories.finish()
    }

    fn table(columns: &[(&str, ColumnValues)]) -> Table {
        let column = |(name, values): &(&str, ColumnValues)| Column { name: (*name).into(), values: values.clone() };
        Table { path: "raw.csv".into(), columns: columns.iter().map(column).collect(), notes: vec![] }
    }

    fn trained_on() -> Vec<ColumnSchema> {
        table(&[
            ("size", ColumnValues::Numbers(vec![1.0, 2.0])),
            ("colour", categories(&["red", "blue"])),
            ("day", ColumnValues::Times(vec![0.0, 1.0])),
        ])
        .schema()
    }

    fn good() -> [(&'static str, ColumnValues); 3] {
        [
            ("day", ColumnValues::Times(vec![7.0, 8.0, 9.0])),
            ("colour", categories(&["red", "red", "blue"])),
            ("size", ColumnValues::Numbers(vec![4.0, 5.0, 6.0])),
        ]
    }

    #[test]
    fn columns_come_in_the_order_of_the_schema_and_others_are_left_out() {
        let mut columns = good().to_vec();
        columns.insert(1, ("more", categories(&["a", "b", "c"])));
        let (table, unknown) = conform(table(&columns), &trained_on()).unwrap();
        assert_eq!((table.schema(), unknown), (trained_on(), vec![]));
        assert_eq!(table.columns[0].values, ColumnValues::Numbers(vec![4.0, 5.0, 6.0]));
        let codes = vec![Some(1), Some(1), Some(0)];
        let names = ["blue", "red"].map(String::from).to_vec();
        assert_eq!(table.columns[1].values, ColumnValues::Categories { codes, names });
    }

    #[track_caller]
    fn check_categories(schema: &[&str], values: ColumnValues, codes: &[Option<u32>], unknown: &[(&[&str], usize)]) {
        let schema = table(&[("c", categories(schema))]).schema();
        let (table, got) = conform(table(&[("c", values)]), &schema).unwrap();
        let ColumnValues::Categories { codes: got_codes, .. } = &table.columns[0].values else { panic!("categories") };
        assert_eq!(got_codes, codes);
        let got: Vec<(Vec<&str>, usize)> =
            got.iter().map(|unknown| (unknown.names.iter().map(String::as_str).collect(), unknown.rows)).collect();
        let unknown: Vec<(Vec<&str>, usize)> = unknown.iter().map(|(names, rows)| (names.to_vec(), *rows)).collect();
        assert_eq!(got, unknown);
    }

    #[test]
    fn unknown_categories_are_missing_and_reported() {
        check_categories(
            &["a", "b"],
            categories(&["b", "z", "", "y", "z"]),
            &[Some(1), None, None, None, None],
            &[(&["y", "z"], 3)],
        );
        check_categories(&["a", "b"], categories(&["b", ""]), &[Some(1), None], &[]);
    }

    #[test]
    fn numbers_become_categories_and_nothing_becomes_anything() {
        let numbers = ColumnValues::Numbers(vec![1.0, 2.5, f64::NAN, 3.0]);
        check_categories(&["1", "2.5"], numbers, &[Some(0), Some(1), None, None], &[(&["3"], 1)]);
        check_categories(&["0"], ColumnValues::Numbers(vec![-0.0, 0.0]), &[Some(0); 2], &[]);
        check_categories(&["1"], ColumnValues::Numbers(vec![f64::NAN; 2]), &[None; 2], &[]);
        check_categories(&["1"], ColumnValues::Times(vec![f64::NAN; 2]), &[None; 2], &[]);
        let mut columns = good();
        columns[0].1 = categories(&["", "", ""]);
        columns[2].1 = categories(&["", "", ""]);
        let (table, _) = conform(table(&columns), &trained_on()).unwrap();
        assert_eq!(table.schema(), trained_on());
        assert!([0, 2].iter().all(|&column| table.columns[column].values.is_missing(2)));
    }

    #[track_caller]
    fn check_error(columns: &[(&str, ColumnValues)], expected: &[&str]) {
        let message = conform(table(columns), &trained_on()).unwrap_err().to_string();
        expected.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut columns = good();
        columns[1].0 = "Color";
        columns[2].0 = "mass";
        check_error(&columns, &["raw.csv: ", "\"size\", \"colour\" (\"Color\" may be it)", "rename or add"]);
        let mut columns = good();
        columns[2].1 = categories(&["4", "five", ""]);
        check_error(&columns, &["column \"size\": expected numbers, got categories, such as \"4\""]);
        let mut columns = good();
        columns[0].1 = ColumnValues::Numbers(vec![1.0; 3]);
        check_error(&columns, &["column \"day\": expected times, got numbers"]);
        let mut columns = good();
        columns[1].1 = ColumnValues::Times(vec![1.0; 3]);
        check_error(&columns, &["column \"colour\": expected categories, got times"]);
    }
}
