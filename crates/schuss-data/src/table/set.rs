//! From tables to examples: which column is predicted, which rows are held out, and what becomes of the others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use ndarray::Array2;
use schuss::{Encoder, Encoding, NumberScaling, Real, Result, Schema, Values, is_nominal};

use super::infer::Categories;
use super::{
    Column, ColumnKind, ColumnSchema, ColumnType, ColumnValues, Table, TableOptions, Unknown, conform, read_table,
};
use crate::error::{self, Parsed, listed, quoted};
use crate::split::Split;
use crate::{Data, Examples, FeatureValues, TargetValues, Task};

/// Whole numbers are classes where there are at most so many different ones,
const MOST_CLASSES: usize = 20;
/// each of so many rows on average or more.
const LEAST_ROWS: usize = 20;
/// Categories of which so many are told apart, more than half as many as there are rows, name the rows.
pub(crate) const MOST_OF_IDENTIFIER: usize = 100;

/// What the columns of a table are for, beside those that are learnt from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roles {
    /// The name of the column that is predicted; otherwise the last one is.
    pub target: Option<String>,
    /// What the target is; otherwise this follows from its values.
    pub task: Option<Task>,
    /// The name of a column that says what each row counts.
    pub weight: Option<String>,
    /// How rows are held out.
    pub split: SplitBy,
}

/// How rows are held out.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum SplitBy {
    /// At random; classes keep their shares.
    #[default]
    Rows,
    /// Whole groups: the column of this name says which one a row is of, and is not learnt from.
    Group(String),
    /// The last ones by the column of this name, so that nothing learns from the future. Of the column itself, only what
    /// comes back (time of the day, of the week, of the year) is learnt from.
    Time(String),
}

/// What is predicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The name of its column.
    pub name: String,
    /// The names of the classes, in their order; none of a number.
    pub class_names: Option<Vec<String>>,
}

/// Tables of the same columns: what a network learns from, and what it is judged by.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSet {
    /// That of the file, without its extension.
    pub name: String,
    /// What is predicted.
    pub target: Target,
    /// What a network learns from.
    pub train: Table,
    /// What it is judged by, where there is such a part.
    pub test: Option<Table>,
    /// Whether the test part was split off.
    pub test_is_split: bool,
    /// What settings and the best epoch are chosen by, where there is such a part.
    pub valid: Option<Table>,
    /// Whether the validation part was split off.
    pub valid_is_split: bool,
    /// What was made of the files that their authors may not have meant.
    pub notes: Vec<String>,
    weight: Option<String>,
    split: SplitBy,
    /// Of the members of an ensemble.
    folds: Vec<Vec<usize>>,
    /// See [`TableSet::with_nominal`].
    nominal: Vec<String>,
    options: TableOptions,
}

impl TableSet {
    /// Reads a table to learn from.
    ///
    /// Rows without a target are left out, and said. Whole numbers of which there are at most 20 different ones, for 20 rows
    /// each or more, are classes; so are categories. A column of identifiers, more than 100 categories for fewer than twice
    /// as many rows, is left out and said.
    ///
    /// # Errors
    /// As for [`read_table`]; a column that is named and not there; a target that is missing everywhere, or the same in all
    /// rows, or of times; a weight that is missing or negative.
    pub fn read(path: &Path, options: &TableOptions, roles: &Roles) -> Result<Self> {
        Self::of_table(path, read_table(path, options)?, options, roles)
    }

    /// [`TableSet::read`] of a table that was read.
    pub(crate) fn of_table(path: &Path, mut table: Table, options: &TableOptions, roles: &Roles) -> Result<Self> {
        let mut notes = std::mem::take(&mut table.notes);
        let wrong = |problem: String| error::file(path, problem);
        let name = match &roles.target {
            Some(name) => table.column(name)?.name.clone(),
            None => table.columns.last().map(|column| column.name.clone()).unwrap_or_default(),
        };
        for column in [&roles.weight, &roles.split.column().map(String::from)].into_iter().flatten() {
            table.column(column)?;
            if *column == name {
                return Err(wrong(format!("column {}: it is the target, and cannot be more", quoted(column))));
            }
        }
        let found = target_of(&table.column(&name)?.values, roles.task);
        let class_names = found.map_err(|problem| wrong(format!("target {}: {problem}", quoted(&name))))?;
        if roles.task.is_none()
            && let (Some(classes), ColumnValues::Numbers(_)) = (&class_names, &table.column(&name)?.values)
        {
            let classes = listed(classes.iter().cloned());
            notes.push(format!(
                "target {} is taken for classes: {classes}; --task regression for a number",
                quoted(&name)
            ));
        }
        let target = Target { name, class_names };
        let table = with_target(table, &target.name, &mut notes)?;
        let mut set = Self {
            weight: roles.weight.clone(),
            split: roles.split.clone(),
            ..Self::of(path, options, target, table, notes)
        };
        set.weights(&set.train)?;
        set.leave_out_identifiers()?;
        let TargetValues::Classes { labels, classes } = set.targets(&set.train)? else { return Ok(set) };
        let mut counts = vec![0usize; classes];
        labels.iter().for_each(|&label| counts[label as usize] += 1);
        let names = set.target.class_names.as_deref().unwrap_or_default();
        let single: Vec<String> =
            names.iter().zip(counts).filter(|(_, count)| *count == 1).map(|(name, _)| quoted(name)).collect();
        if !single.is_empty() {
            set.notes
                .push(format!("classes of a single row, which is learnt from but never tested on: {}", listed(single)));
        }
        Ok(set)
    }

    /// This set with a test part from a file of the same columns.
    ///
    /// # Errors
    /// As for [`read_table`] and [`conform`]; a class that the training rows do not have.
    pub fn with_test(mut self, path: &Path) -> Result<Self> {
        self.test = Some(self.read_more(path)?);
        Ok(self)
    }

    /// This set with a validation part from a file of the same columns.
    ///
    /// # Errors
    /// As for [`TableSet::with_test`].
    pub fn with_valid(mut self, path: &Path) -> Result<Self> {
        self.valid = Some(self.read_more(path)?);
        Ok(self)
    }

    fn read_more(&mut self, path: &Path) -> Result<Table> {
        let needed = |column: &ColumnSchema| {
            self.is_feature(&column.name)
                || self.target.name == column.name
                || self.weight.as_ref() == Some(&column.name)
        };
        let columns: Vec<_> = self.train.schema().into_iter().filter(needed).collect();
        let (table, unknown) = read_as(path, &columns, &self.nominal, &self.options)?;
        let table = with_target(table, &self.target.name, &mut self.notes)?;
        self.notes.extend(unknown.iter().filter(|unknown| unknown.column != self.target.name).map(Unknown::to_string));
        if let Some(unknown) = unknown.iter().find(|unknown| unknown.column == self.target.name) {
            return Err(unknown_classes(path, &self.target, &unknown.names));
        }
        self.targets(&table).map(|_| table)
    }

    /// This set with 20 % of its rows as the test part, if there is none yet: which ones depends on the data alone.
    ///
    /// # Errors
    /// Rows without a time, where they are split by it.
    pub fn with_test_split(mut self) -> Result<Self> {
        if self.test.is_none() {
            self.test = self.split_off(Split::TEST)?;
            self.test_is_split = self.test.is_some();
        }
        Ok(self)
    }

    /// This set with this share of its training rows as the validation part, if there is neither one yet nor folds.
    ///
    /// # Errors
    /// As for [`TableSet::with_test_split`].
    ///
    /// # Panics
    /// The share is negative, 1 or more, or NaN.
    pub fn with_valid_split(mut self, share: f64) -> Result<Self> {
        if self.valid.is_none() && self.folds.is_empty() {
            self.valid = self.split_off(Split::valid(share))?;
            self.valid_is_split = self.valid.is_some();
        }
        Ok(self)
    }

    /// This set with its training rows in so many folds, one for each member of an ensemble to be chosen by; without any where
    /// there is one network, or a validation part already, or a split by time: nothing is to learn from the future.
    ///
    /// # Errors
    /// As for [`TableSet::with_test_split`].
    pub fn with_folds(mut self, count: usize) -> Result<Self> {
        self.folds = match &self.split {
            _ if self.valid.is_some() || count < 2 => vec![],
            SplitBy::Rows => Split::folds(&self.targets(&self.train)?, count),
            SplitBy::Group(name) => Split::folds_by_group(&self.train.column(name)?.values, count),
            SplitBy::Time(_) => vec![],
        };
        Ok(self)
    }

    /// This set with those columns of whole numbers as categories that are names rather than quantities, by all training rows
    /// and whatever these weigh ([`is_nominal`]), and said; not those whose type was asked for, and none where rows are held out
    /// by group or by time: other groups, and the future, have other names.
    ///
    /// # Errors
    /// More categories than there can be.
    pub fn with_nominal(mut self) -> Result<Self> {
        let targets = self.targets(&self.train)?;
        let mut columns = std::mem::take(&mut self.train.columns);
        let made = self.make_nominal(columns.iter_mut().collect(), &targets);
        self.train.columns = columns;
        // The other parts follow the schema, as any file does.
        made.map(|()| self)
    }

    /// Makes categories of those columns of training rows that are names.
    pub(crate) fn make_nominal(&mut self, columns: Vec<&mut Column>, targets: &TargetValues) -> Result<()> {
        if self.split != SplitBy::Rows {
            return Ok(());
        }
        for column in columns {
            let name = &column.name;
            let may_be = self.is_feature(name) && !self.options.types.contains_key(name);
            if let ColumnValues::Numbers(numbers) = &column.values
                && may_be
                && is_nominal(numbers, targets.view())
            {
                let categories = Categories::of_numbers(numbers);
                column.values = categories
                    .map_err(|problem| error::file(&self.train.path, format!("column {}: {problem}", quoted(name))))?;
                self.nominal.push(name.clone());
            }
        }
        if !self.nominal.is_empty() {
            let names = listed(self.nominal.iter().map(|name| quoted(name)));
            self.notes.push(format!(
                "numbers are taken for names, since targets of next ones are not alike: {names}; --types COLUMN=number for a \
                 quantity"
            ));
        }
        Ok(())
    }

    /// Takes the rows of a split out of the training part; nothing if there are none.
    fn split_off(&mut self, split: Split) -> Result<Option<Table>> {
        let rows = self.held_out(split)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let part = self.train.select(&rows);
        self.remove(&rows);
        Ok(Some(part))
    }

    /// Takes these rows, which ascend, out of the training part.
    pub(crate) fn remove(&mut self, rows: &[usize]) {
        let stays = |row: &usize| rows.binary_search(row).is_err();
        let others: Vec<usize> = (0..self.train.rows()).filter(stays).collect();
        self.train = self.train.select(&others);
    }

    /// The rows of the training part that a split holds out.
    pub(crate) fn held_out(&self, split: Split) -> Result<Vec<usize>> {
        Ok(match &self.split {
            SplitBy::Rows => split.rows(&self.targets(&self.train)?),
            SplitBy::Group(name) => split.rows_by_group(&self.train.column(name)?.values),
            SplitBy::Time(name) => match &self.train.column(name)?.values {
                ColumnValues::Numbers(times) | ColumnValues::Times(times) => split
                    .rows_by_time(times)
                    .map_err(|error| error::file(&self.train.path, format!("column {}: {error}", quoted(name))))?,
                ColumnValues::Categories { names, .. } => {
                    let example = names.first().map_or(String::new(), |name| quoted(name));
                    let problem = format!(
                        "column {}: expected times (such as 2024-01-31 12:00:00) or numbers to split by, got categories, such \
                         as {example}",
                        quoted(name)
                    );
                    return Err(error::file(&self.train.path, problem));
                }
            },
        })
    }

    /// The schema of the training rows.
    ///
    /// # Errors
    /// No column has anything to learn from.
    pub fn fit(&mut self, encoder: &Encoder) -> Result<Schema> {
        let columns = std::mem::take(&mut self.train.columns);
        let features: Vec<&Column> = columns.iter().filter(|column| self.is_feature(&column.name)).collect();
        let schema = self.fit_to(&features, encoder);
        self.train.columns = columns;
        schema
    }

    /// [`TableSet::fit`] of columns that may differ in length: what the training rows have in each.
    pub(crate) fn fit_to(&mut self, columns: &[&Column], encoder: &Encoder) -> Result<Schema> {
        let views = columns.iter().map(|column| (column.name.as_str(), column.values.view()));
        let mut schema = Schema {
            target: self.target.name.clone(),
            weight: self.weight.clone(),
            missing: self.options.missing.clone(),
            nominal: self.nominal.clone(),
            ..Schema::fit(views, encoder)
        };
        let has = |name: &str| schema.columns.iter().any(|column| column.name == name);
        let is_empty = |column: &&&Column| (0..column.values.rows()).all(|row| column.values.is_missing(row));
        let left_out = |is_kind: &dyn Fn(&&&Column) -> bool| {
            let names = columns.iter().filter(|column| !has(&column.name)).filter(|column| is_kind(column));
            names.map(|column| quoted(&column.name)).collect::<Vec<_>>()
        };
        let kinds = [
            (left_out(&is_empty), "have no value in the training rows"),
            (left_out(&|column| !is_empty(column)), "have the same value in all training rows"),
        ];
        let notes = kinds.into_iter().filter(|(names, _)| !names.is_empty());
        let notes: Vec<_> =
            notes.map(|(names, reason)| format!("columns are left out that {reason}: {}", listed(names))).collect();
        if schema.columns.is_empty() {
            let problem = "no column to learn from beside the target: expected one or more with different values";
            return Err(error::file(&self.train.path, problem));
        }
        self.notes.extend(notes);
        // What lies in the future was never seen.
        if let SplitBy::Time(name) = &self.split
            && let Some(column) = schema.columns.iter_mut().find(|column| column.name == *name)
        {
            let nothing = NumberScaling::Robust { median: 0.0, factor: 0.0 };
            match &mut column.encoding {
                Encoding::Time { scaling, .. } => *scaling = nothing,
                Encoding::Number(_) | Encoding::Skewed(_) => column.encoding = Encoding::Number(nothing),
                _ => {}
            }
        }
        Ok(schema)
    }

    /// The examples of all parts, as inputs of a network.
    ///
    /// # Errors
    /// The schema is not one of these columns.
    pub fn examples<T: Real>(&self, schema: &Schema) -> Result<Data>
    where
        FeatureValues: From<Array2<T>>,
    {
        let part = |table: &Table| -> Result<Examples> {
            let (features, _) = features::<T>(table.clone(), schema)?;
            Ok(Examples { features, targets: self.targets(table)?, weights: self.weights(table)?, stream: None })
        };
        let optional = |table: &Option<Table>| table.as_ref().map(part).transpose();
        let judged = self.test.as_ref().or(self.valid.as_ref()).unwrap_or(&self.train);
        Ok(Data {
            name: self.name.clone(),
            train: part(&self.train)?,
            test: optional(&self.test)?,
            test_is_split: self.test_is_split,
            valid: optional(&self.valid)?,
            valid_is_split: self.valid_is_split,
            image_shape: None,
            class_names: self.target.class_names.clone(),
            pictures: None,
            schema: Some(schema.clone()),
            judged_table: Some(judged.only(schema.columns.iter().map(|column| column.name.as_str()))?),
            folds: self.folds.clone(),
        })
    }

    /// The rows of a file, to judge a model by that has this schema and target; each counts as much as in training.
    ///
    /// # Errors
    /// As for [`read_table`] and [`conform`]; a class that the model does not know; no target.
    pub fn for_model(path: &Path, schema: &Schema, target: &Target) -> Result<Self> {
        let options = reading(schema);
        let mut columns = column_schemas(schema);
        // Classes that are numbers may be written in more than one way.
        let are_numbers = |names: &Vec<String>| names.iter().all(|name| name.parse::<f64>().is_ok());
        let kind = match &target.class_names {
            Some(names) if !are_numbers(names) => ColumnKind::Category { names: names.clone() },
            _ => ColumnKind::Number,
        };
        columns.push(ColumnSchema { name: target.name.clone(), kind });
        columns.extend(schema.weight.iter().map(|name| ColumnSchema { name: name.clone(), kind: ColumnKind::Number }));
        let (table, unknown) = read_as(path, &columns, &schema.nominal, &options)?;
        if let Some(unknown) = unknown.iter().find(|unknown| unknown.column == target.name) {
            return Err(unknown_classes(path, target, &unknown.names));
        }
        let mut notes = unknown.iter().map(Unknown::to_string).collect();
        let table = with_target(table, &target.name, &mut notes)?;
        let set = Self { weight: schema.weight.clone(), ..Self::of(path, &options, target.clone(), table, notes) };
        set.weights(&set.train)?;
        Ok(set)
    }

    /// A set of one table, all of whose rows count the same.
    fn of(path: &Path, options: &TableOptions, target: Target, train: Table, notes: Vec<String>) -> Self {
        Self {
            name: path.file_name().map_or_else(|| "table".into(), stem),
            target,
            train,
            test: None,
            test_is_split: false,
            valid: None,
            valid_is_split: false,
            notes,
            weight: None,
            split: SplitBy::Rows,
            folds: vec![],
            nominal: vec![],
            options: options.clone(),
        }
    }

    pub(crate) fn is_feature(&self, name: &str) -> bool {
        let is_group = matches!(&self.split, SplitBy::Group(group) if group == name);
        name != self.target.name && self.weight.as_deref() != Some(name) && !is_group
    }

    pub(crate) fn targets(&self, table: &Table) -> Result<TargetValues> {
        let values = &table.column(&self.target.name)?.values;
        let wrong =
            |problem: &str| error::file(&table.path, format!("target {}: {problem}", quoted(&self.target.name)));
        let Some(names) = &self.target.class_names else {
            let ColumnValues::Numbers(numbers) = values else { return Err(wrong("expected numbers")) };
            let numbers = Array2::from_shape_vec((numbers.len(), 1), numbers.clone()).expect("a number a row");
            return Ok(TargetValues::Values(numbers));
        };
        let places: HashMap<&String, u32> = names.iter().zip(0..).collect();
        let mut unknown = BTreeSet::new();
        let mut place = |name: String| {
            let place = places.get(&name).copied();
            if place.is_none() {
                unknown.insert(name);
            }
            place.unwrap_or_default()
        };
        let labels: Vec<u32> = match values {
            ColumnValues::Numbers(numbers) => {
                // Each is looked up once.
                let mut known = HashMap::new();
                let mut of_number =
                    |number: &f64| *known.entry((number + 0.0).to_bits()).or_insert_with(|| place(class_name(*number)));
                numbers.iter().map(&mut of_number).collect()
            }
            ColumnValues::Categories { codes, names } => {
                let mut known = vec![None; names.len()];
                let mut of_code =
                    |code: &u32| *known[*code as usize].get_or_insert_with(|| place(names[*code as usize].clone()));
                codes.iter().flatten().map(&mut of_code).collect()
            }
            ColumnValues::Times(_) => return Err(wrong("expected classes, got times")),
        };
        if !unknown.is_empty() {
            return Err(unknown_classes(&table.path, &self.target, &unknown));
        }
        Ok(TargetValues::Classes { labels, classes: names.len() })
    }

    pub(crate) fn weights(&self, table: &Table) -> Result<Option<Vec<f64>>> {
        let Some(name) = &self.weight else { return Ok(None) };
        let wrong = |problem: String| error::file(&table.path, format!("weights {}: {problem}", quoted(name)));
        let ColumnValues::Numbers(weights) = &table.column(name)?.values else {
            return Err(wrong("expected numbers of 0 or more".into()));
        };
        match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            Some(row) => {
                let got = if weights[row].is_nan() { "nothing".into() } else { weights[row].to_string() };
                Err(wrong(format!("row {row} (counted from 0): expected a number of 0 or more, got {got}")))
            }
            None => Ok(Some(weights.clone())),
        }
    }

    fn leave_out_identifiers(&mut self) -> Result<()> {
        let rows = self.train.rows();
        let is_identifier = |column: &&Column| match &column.values {
            ColumnValues::Categories { names, .. } => names.len() > MOST_OF_IDENTIFIER && 2 * names.len() > rows,
            ColumnValues::Numbers(_) | ColumnValues::Times(_) => false,
        };
        let columns = self.train.columns.iter().filter(|column| self.is_feature(&column.name));
        let names: Vec<String> = columns.filter(is_identifier).map(|column| column.name.clone()).collect();
        if !names.is_empty() {
            let shown = listed(names.iter().map(|name| quoted(name)));
            self.notes.push(format!("columns are left out whose categories name the rows, most of them once: {shown}"));
            let table = std::mem::replace(&mut self.train, Table { path: "".into(), columns: vec![], notes: vec![] });
            self.train = table.without(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

impl SplitBy {
    pub(crate) fn column(&self) -> Option<&str> {
        match self {
            Self::Rows => None,
            Self::Group(name) | Self::Time(name) => Some(name),
        }
    }
}

/// The features of a file for a model with this schema, and what it does not know of them.
///
/// # Errors
/// As for [`read_table`] and [`conform`].
pub fn features_of<T: Real>(path: &Path, schema: &Schema) -> Result<(FeatureValues, Vec<Unknown>)>
where
    FeatureValues: From<Array2<T>>,
{
    let (table, unknown) = read_as(path, &column_schemas(schema), &schema.nominal, &reading(schema))?;
    let (features, _) = features::<T>(table, schema)?;
    Ok((features, unknown))
}

/// The inputs of a table that has the columns of the schema.
fn features<T: Real>(table: Table, schema: &Schema) -> Result<(FeatureValues, Vec<Unknown>)>
where
    FeatureValues: From<Array2<T>>,
{
    let (table, unknown) = conform(table, &column_schemas(schema))?;
    let values: Vec<Values> = table.columns.iter().map(|column| column.values.view()).collect();
    let inputs = schema.encode::<T>(&values).map_err(|error| error::file(&table.path, error.to_string()))?;
    Ok((inputs.into(), unknown))
}

/// How files of a schema are read.
fn reading(schema: &Schema) -> TableOptions {
    TableOptions { missing: schema.missing.clone(), ..TableOptions::default() }
}

/// The columns that a model needs.
pub(crate) fn column_schemas(schema: &Schema) -> Vec<ColumnSchema> {
    let kind = |encoding: &Encoding| match encoding {
        Encoding::Number(_) | Encoding::Skewed(_) => ColumnKind::Number,
        Encoding::Time { .. } => ColumnKind::Time,
        Encoding::Binary { names } | Encoding::OneHot { names } | Encoding::Code { names } => {
            ColumnKind::Category { names: names.clone() }
        }
    };
    let columns = schema.columns.iter();
    columns.map(|column| ColumnSchema { name: column.name.clone(), kind: kind(&column.encoding) }).collect()
}

/// Reads these columns of a file, whatever others it has, as what they are; those that are `nominal` as numbers, where they
/// are some there, as in training.
fn read_as(
    path: &Path,
    columns: &[ColumnSchema],
    nominal: &[String],
    options: &TableOptions,
) -> Result<(Table, Vec<Unknown>)> {
    let only: BTreeSet<String> = columns.iter().map(|column| column.name.clone()).collect();
    let typed = columns.iter().filter(|column| !nominal.contains(&column.name));
    let types: BTreeMap<String, ColumnType> =
        typed.map(|column| (column.name.clone(), column.kind.column_type())).collect();
    let table = read_table(path, &TableOptions { types, only: Some(only), ignore: vec![], ..options.clone() })?;
    conform(table, columns)
}

/// The rows that have a target.
fn with_target(table: Table, name: &str, notes: &mut Vec<String>) -> Result<Table> {
    let values = &table.column(name)?.values;
    let rows: Vec<usize> = (0..table.rows()).filter(|&row| !values.is_missing(row)).collect();
    let without = table.rows() - rows.len();
    if without == 0 {
        return Ok(table);
    }
    if rows.is_empty() {
        return Err(error::file(&table.path, format!("target {}: no row has one", quoted(name))));
    }
    notes.push(format!("{}: {without} rows without a target {} are left out", table.path.display(), quoted(name)));
    Ok(table.select(&rows))
}

/// The classes of a target, none of a number; what is wrong with it, otherwise.
fn target_of(values: &ColumnValues, task: Option<Task>) -> Parsed<Option<Vec<String>>> {
    let there: Vec<usize> = (0..values.rows()).filter(|&row| !values.is_missing(row)).collect();
    if there.is_empty() {
        return Err("no row has one; expected a value in each".into());
    }
    let same =
        |value: &str| Err(format!("it is {value} in all {} rows: expected two different values or more", there.len()));
    match (values, task) {
        (_, Some(Task::MultiLabel)) => {
            Err("a column has one value a row; --task multi-label needs an .npz file".into())
        }
        (ColumnValues::Times(_), _) => Err("expected numbers or categories, got times".into()),
        (ColumnValues::Categories { names, .. }, Some(Task::Regression)) => {
            let example = names.first().map_or(String::new(), |name| quoted(name));
            Err(format!("expected numbers, as --task regression needs, got categories, such as {example}"))
        }
        (ColumnValues::Categories { names, .. }, _) if names.len() == 1 => same(&quoted(&names[0])),
        (ColumnValues::Categories { names, .. }, _) => Ok(Some(names.clone())),
        (ColumnValues::Numbers(numbers), task) => {
            let mut different: Vec<f64> = there.iter().map(|&row| numbers[row] + 0.0).collect();
            different.sort_unstable_by(f64::total_cmp);
            different.dedup();
            let are_whole = different.iter().all(|x| x.fract() == 0.0);
            let are_few = different.len() <= MOST_CLASSES && there.len() >= LEAST_ROWS * different.len();
            if let [value] = different[..] {
                return same(&value.to_string());
            }
            let are_classes = match task {
                Some(Task::Classification) => true,
                Some(Task::Regression | Task::MultiLabel) => false,
                None => are_whole && (are_few || different.len() == 2),
            };
            if are_classes && different.len() > there.len() / 2 && different.len() > MOST_CLASSES {
                return Err(format!(
                    "{} different numbers in {} rows are no classes; --task regression predicts numbers",
                    different.len(),
                    there.len()
                ));
            }
            Ok(are_classes.then(|| different.into_iter().map(class_name).collect()))
        }
    }
}

/// A class that is a number in the file.
fn class_name(number: f64) -> String {
    (number + 0.0).to_string()
}

pub(crate) fn unknown_classes<'n>(
    path: &Path,
    target: &Target,
    names: impl IntoIterator<Item = &'n String>,
) -> schuss::Error {
    let known = listed(target.class_names.iter().flatten().map(|name| quoted(name)));
    let got = listed(names.into_iter().map(|name| quoted(name)));
    error::file(path, format!("target {}: expected one of the classes {known}, got {got}", quoted(&target.name)))
}

/// A file's name without its extensions.
fn stem(name: &std::ffi::OsStr) -> String {
    let name = name.to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_string()
}
