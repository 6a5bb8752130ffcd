//! Packing tables that are larger than memory, a piece at a time; and whatever else is in memory already.
//!
//! A table is read three times: for its target, from which it follows which rows are held out, as of a table in memory; for
//! what the training rows have in each column, from which the schema is fitted; and to be written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use schuss::{
    Dataset, Encoder, Encoding, Moments, NumberScaling, Numbers, Result, Schema, Values, Window, WindowTargets,
    write_atomically_with,
};

use super::Part;
use super::writer::{PackWriter, Packed};
use crate::error::{self, listed, quoted};
use crate::split::{Split, below};
use crate::table::{Keep, MOST_OF_IDENTIFIER, Survey, column_schemas, no_column, read_pieces, survey, unknown_classes};
use crate::{
    Column, ColumnKind, ColumnSchema, ColumnType, ColumnValues, Data, Examples, Roles, Table, TableOptions, TableSet,
    TargetValues, Unknown, conform,
};

/// Numbers of a piece: some tens of megabytes as they are read.
const PIECE_NUMBERS: usize = 2 << 20;
/// Medians and quantiles are those of so many training rows,
const SAMPLE_ROWS: usize = 100_000;
/// as far as these are not more numbers.
const SAMPLE_NUMBERS: usize = 16 << 20;
/// Categories of a column beyond which they are no longer told apart.
const MOST_CATEGORIES: usize = 1 << 20;
/// Of the rows by which columns are scaled.
const SEED: u64 = 60;

/// How a table is packed.
#[derive(Clone, Debug, PartialEq)]
pub struct PackOptions {
    /// A table to test on; otherwise 20 % of the rows are held out.
    pub test: Option<PathBuf>,
    /// Validation rows.
    pub valid: Valid,
    /// How the schema is fitted, unless there is one already.
    pub encoder: Encoder,
    /// Whether whole numbers that are names become categories ([`TableSet::with_nominal`]); where there are more rows than the
    /// sample has, they never do.
    pub finds_nominal: bool,
    /// See [`Packed::window_bytes`].
    pub window_bytes: u64,
}

/// Where validation rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Valid {
    /// This share of the training rows, from 0 to less than 1.
    Share(f64),
    /// A table like the others.
    File(PathBuf),
}

/// Packs data that are in memory.
///
/// # Errors
/// Data that no network takes; the file cannot be written.
pub fn pack_data(data: &Data, window_bytes: u64, out: &Path) -> Result<()> {
    let parts =
        [(Part::Train, Some(&data.train)), (Part::Valid, data.valid.as_ref()), (Part::Test, data.test.as_ref())];
    let about = Packed {
        name: data.name.clone(),
        image_shape: data.image_shape.clone(),
        class_names: data.class_names.clone(),
        schema: data.schema.clone(),
        split: [data.test_is_split, data.valid_is_split],
        window_bytes,
    };
    write_atomically_with(out, |file| {
        let mut writer = PackWriter::new(out, file, about)?;
        for (part, examples) in parts {
            let dataset = examples.map(Examples::dataset).transpose()?;
            dataset.map_or(Ok(()), |dataset| writer.push(dataset, |_| Some(part)))?;
        }
        writer.finish()
    })
}

/// Packs tables of the same columns as one, whatever their size: a piece of them at a time is in memory and, of all rows, the
/// target, the columns by which rows are held out, and the part of each: 30 bytes a row as measured with classes to predict.
///
/// The test part and the validation part are those of [`TableSet`], as is the schema, but for medians and quantiles of more than
/// 100,000 training rows (fewer of more than 167 columns): those are of a sample of so many, always the same, beside the
/// least and the largest number of all, and whole numbers stay numbers, names or not. Means and deviations are of all rows.
/// `on_rows` is told what is being done, and with how many rows so far. What was made of the tables that their authors may not
/// have meant.
///
/// # Errors
/// As for [`TableSet::read`], and [`TableSet::with_test`] of other files; a column of more than 1,048,576 categories that do
/// not name the rows; the file cannot be written.
pub fn pack_tables(
    paths: &[PathBuf],
    options: &TableOptions,
    roles: &Roles,
    how: &PackOptions,
    out: &Path,
    on_rows: &mut dyn FnMut(&'static str, usize),
) -> Result<Vec<String>> {
    let Some(first) = paths.first() else {
        return Err(schuss::Error::value("tables to pack", "one or more", 0));
    };
    on_rows("looking at the target", 0);
    let Sources { files, types, table } = Sources::read(paths, options, roles)?;
    let target = table.columns.last().map(|column| column.name.clone()).unwrap_or_default();
    let target = roles.target.clone().unwrap_or(target);
    let has_target = table.column(&target)?.values.clone();
    let roles = Roles { target: Some(target), ..roles.clone() };
    let mut set = TableSet::of_table(first, table, options, &roles)?;
    let held_out = HeldOut::new(&mut set, &has_target, how)?;
    drop(has_target);

    let features: Vec<(String, ColumnType)> = types.iter().filter(|(name, _)| set.is_feature(name)).cloned().collect();
    let mut found = Found::new(&features);
    let read_types: BTreeMap<String, ColumnType> = types.iter().cloned().collect();
    let reading = TableOptions { types: read_types.clone(), ignore: vec![], ..options.clone() };
    let only =
        |names: &mut dyn Iterator<Item = String>| TableOptions { only: Some(names.collect()), ..reading.clone() };
    let of_features = only(&mut features.iter().map(|(name, _)| name.clone()));
    let piece_rows = (PIECE_NUMBERS / types.len().max(1)).clamp(1, 1 << 16);
    let mut row = 0;
    for (path, is_windows_1252) in &files {
        read_pieces(path, &of_features, *is_windows_1252, piece_rows, &mut |piece| {
            found.add(&piece, |place| held_out.part(row + place))?;
            row += piece.rows();
            on_rows("looking at the columns", row);
            Ok(())
        })?;
    }
    let targets = if how.finds_nominal { held_out.targets.as_ref() } else { None };
    let schema = found.fit(&mut set, &how.encoder, targets, first)?;
    drop(found);

    let mut needed = Needed::new(&schema, &set, &roles, &read_types);
    let about = Packed {
        name: set.name.clone(),
        image_shape: None,
        class_names: set.target.class_names.clone(),
        schema: Some(schema.clone()),
        split: [how.test.is_none(), matches!(how.valid, Valid::Share(_))],
        window_bytes: how.window_bytes,
    };
    let of_needed = only(&mut needed.columns.iter().map(|column| column.name.clone()));
    write_atomically_with(out, |file| {
        let mut writer = PackWriter::new(out, std::io::BufWriter::new(file), about)?;
        let mut rows = 0;
        for (path, is_windows_1252) in &files {
            read_pieces(path, &of_needed, *is_windows_1252, piece_rows, &mut |piece| {
                let before = rows;
                rows += piece.rows();
                on_rows("writing", rows);
                needed.write(piece, &schema, &mut set, &mut writer, |place| held_out.part(before + place)).map(drop)
            })?;
        }
        let valid = if let Valid::File(path) = &how.valid { Some(path) } else { None };
        for (path, part) in [(&how.test, Part::Test), (&valid.cloned(), Part::Valid)] {
            let Some(path) = path else { continue };
            let all = BTreeSet::new();
            let Survey { is_windows_1252, .. } = survey(path, &of_needed, &Keep::Only { names: &all, last: false })?;
            let mut without = 0;
            read_pieces(path, &of_needed, is_windows_1252, piece_rows, &mut |piece| {
                rows += piece.rows();
                on_rows("writing", rows);
                let (left_out, unknown) = needed.write(piece, &schema, &mut set, &mut writer, |_| Some(part))?;
                without += left_out;
                // Not of rows that are held out: whole groups of them are meant to be unknown.
                needed.note(unknown);
                Ok(())
            })?;
            if without > 0 {
                let target = quoted(&set.target.name);
                set.notes.push(format!("{}: {without} rows without a target {target} are left out", path.display()));
            }
        }
        writer.finish()
    })?;
    set.notes.extend(needed.unknown());
    Ok(set.notes)
}

/// What was found out of the tables when they were read first.
struct Sources {
    /// And whether each is text in Windows-1252.
    files: Vec<(PathBuf, bool)>,
    /// Of all columns that are read, in the order of the first file.
    types: Vec<(String, ColumnType)>,
    /// The columns that are not learnt from, of all rows.
    table: Table,
}

impl Sources {
    fn read(paths: &[PathBuf], options: &TableOptions, roles: &Roles) -> Result<Self> {
        let of_split = roles.split.column().map(String::from);
        let mut names: BTreeSet<String> =
            [roles.target.clone(), roles.weight.clone(), of_split].into_iter().flatten().collect();
        let mut options = options.clone();
        let mut is_last = roles.target.is_none();
        loop {
            let mut files = Vec::new();
            let mut types: Vec<(String, ColumnType)> = Vec::new();
            let mut whole: Option<Table> = None;
            let mut has_changed = false;
            for path in paths {
                let survey = survey(path, &options, &Keep::Only { names: &names, last: is_last })?;
                if let (true, Some((last, _))) = (is_last, survey.types.last()) {
                    names.insert(last.clone());
                    is_last = false;
                }
                let there: Vec<&str> = survey.types.iter().map(|(name, _)| name.as_str()).collect();
                if let Some(name) = names.iter().find(|name| !there.contains(&name.as_str())) {
                    return Err(error::file(path, no_column(name, &there)));
                }
                files.push((path.clone(), survey.is_windows_1252));
                if types.is_empty() {
                    types = survey.types;
                } else {
                    let found: HashMap<String, ColumnType> = survey.types.into_iter().collect();
                    for (name, column_type) in &mut types {
                        // What is missing there is said when it is read.
                        let there = found.get(name).copied().unwrap_or(*column_type);
                        if there != *column_type {
                            *column_type = ColumnType::Category;
                            has_changed |= names.contains(name) && !options.types.contains_key(name);
                        }
                    }
                }
                match &mut whole {
                    // All are read again.
                    _ if has_changed => {}
                    None => whole = Some(survey.table),
                    Some(whole) => whole.append(survey.table)?,
                }
            }
            if !has_changed && let Some(table) = whole {
                return Ok(Self { files, types, table });
            }
            options.types.extend(types.into_iter().filter(|(name, _)| names.contains(name)));
        }
    }
}

/// Which part each row of the tables belongs to.
struct HeldOut {
    parts: Vec<Option<Part>>,
    /// Of the training rows, if the sample may have them all.
    targets: Option<TargetValues>,
}

impl HeldOut {
    /// Takes the rows that are held out from the training part of `set`, as [`TableSet`] does; rows without a target belong nowhere.
    fn new(set: &mut TableSet, target: &ColumnValues, how: &PackOptions) -> Result<Self> {
        let of_row = |row| (!target.is_missing(row)).then_some(Part::Train);
        let mut parts: Vec<Option<Part>> = (0..target.rows()).map(of_row).collect();
        let mut take = |set: &mut TableSet, split: Split, part: Part| -> Result<()> {
            let rows = set.held_out(split)?;
            let mut next = rows.iter().peekable();
            let training = parts.iter_mut().filter(|of_row| **of_row == Some(Part::Train));
            for (row, of_row) in training.enumerate() {
                if next.next_if(|next| **next == row).is_some() {
                    *of_row = Some(part);
                }
            }
            if !rows.is_empty() {
                set.remove(&rows);
            }
            Ok(())
        };
        if how.test.is_none() {
            take(set, Split::TEST, Part::Test)?;
        }
        if let Valid::Share(share) = how.valid
            && share > 0.0
        {
            take(set, Split::valid(share), Part::Valid)?;
        }
        let targets = (set.train.rows() <= SAMPLE_ROWS).then(|| set.targets(&set.train)).transpose()?;
        // What is left of it is not needed any more.
        set.train = set.train.select(&[]);
        Ok(Self { parts, targets })
    }

    fn part(&self, row: usize) -> Option<Part> {
        // A file that has grown since it was read first.
        self.parts.get(row).copied().flatten()
    }
}

/// What the training rows have in each column.
struct Found {
    columns: Vec<FoundColumn>,
    /// Rows with a target, those of them that are learnt from, and how many of these are in the sample.
    rows: usize,
    training_rows: usize,
    most: usize,
    draws: ChaCha8Rng,
}

struct FoundColumn {
    name: String,
    values: FoundValues,
    has_missing: bool,
}

enum FoundValues {
    /// A sample of the numbers, with NaN where one is missing, and what is known of all.
    Numbers { sample: Vec<f64>, moments: Moments, is_time: bool },
    /// Whether training rows have each of these.
    Categories(HashMap<String, bool>),
    /// Too many to be told apart: they name the rows.
    Identifiers,
}

impl Found {
    fn new(features: &[(String, ColumnType)]) -> Self {
        let values = |column_type: ColumnType| match column_type {
            ColumnType::Category => FoundValues::Categories(HashMap::new()),
            _ => {
                let is_time = column_type == ColumnType::Time;
                FoundValues::Numbers { sample: Vec::new(), moments: Moments::default(), is_time }
            }
        };
        let column = |(name, column_type): &(String, ColumnType)| FoundColumn {
            name: name.clone(),
            values: values(*column_type),
            has_missing: false,
        };
        Self {
            columns: features.iter().map(column).collect(),
            rows: 0,
            training_rows: 0,
            most: (SAMPLE_NUMBERS / features.len().max(1)).min(SAMPLE_ROWS),
            draws: ChaCha8Rng::seed_from_u64(SEED),
        }
    }

    fn add(&mut self, piece: &Table, part: impl Fn(usize) -> Option<Part>) -> Result<()> {
        let parts: Vec<Option<Part>> = (0..piece.rows()).map(part).collect();
        // The places that training rows take in the sample, if they do (Vitter 1985, algorithm R).
        let mut places: Vec<(usize, usize)> = Vec::new();
        for row in (0..parts.len()).filter(|&row| parts[row] == Some(Part::Train)) {
            let seen = self.training_rows;
            self.training_rows += 1;
            let place = if seen < self.most { seen } else { below(seen as u64 + 1, &mut self.draws) as usize };
            places.extend((place < self.most).then_some((row, place)));
        }
        self.rows += parts.iter().flatten().count();
        for column in &mut self.columns {
            let values = &piece.column(&column.name)?.values;
            column
                .add(values, &parts, &places, self.rows)
                .map_err(|problem| error::file(&piece.path, format!("column {}: {problem}", quoted(&column.name))))?;
        }
        Ok(())
    }

    /// The schema, and what is left out.
    fn fit(
        &self,
        set: &mut TableSet,
        encoder: &Encoder,
        targets: Option<&TargetValues>,
        path: &Path,
    ) -> Result<Schema> {
        let is_identifier = |column: &&FoundColumn| match &column.values {
            FoundValues::Categories(names) => names.len() > MOST_OF_IDENTIFIER && 2 * names.len() > self.rows,
            FoundValues::Identifiers => true,
            FoundValues::Numbers { .. } => false,
        };
        let names: Vec<String> = self.columns.iter().filter(is_identifier).map(|column| quoted(&column.name)).collect();
        if !names.is_empty() {
            let shown = listed(names);
            set.notes.push(format!("columns are left out whose categories name the rows, most of them once: {shown}"));
        }
        let mut columns: Vec<Column> =
            self.columns.iter().filter(|column| !is_identifier(column)).map(FoundColumn::stand_in).collect();
        let are_all =
            |targets: &&TargetValues| self.training_rows <= self.most && targets.view().rows() == self.training_rows;
        if let Some(targets) = targets.filter(are_all) {
            let whole = columns.iter_mut().filter(|column| column.values.rows() == self.training_rows);
            set.make_nominal(whole.collect(), targets)?;
        }
        let mut schema = set.fit_to(&columns.iter().collect::<Vec<_>>(), encoder)?;
        if self.training_rows > self.most {
            set.notes.push(format!(
                "{}: medians and quantiles are of a sample of {} of {} training rows, the same every time",
                path.display(),
                self.most,
                self.training_rows
            ));
            for column in &mut schema.columns {
                let found = self.columns.iter().find(|found| found.name == column.name);
                if let Some(FoundColumn { values: FoundValues::Numbers { moments, .. }, .. }) = found
                    && let Encoding::Number(scaling) | Encoding::Skewed([scaling, _]) | Encoding::Time { scaling, .. } =
                        &mut column.encoding
                    && let NumberScaling::Standard { mean, deviation } = scaling
                {
                    (*mean, *deviation) = (moments.mean, moments.deviation());
                }
            }
        }
        Ok(schema)
    }
}

impl FoundColumn {
    /// Takes the values of a piece, whose training rows go to these places of the sample; what is wrong with them.
    fn add(
        &mut self,
        values: &ColumnValues,
        parts: &[Option<Part>],
        places: &[(usize, usize)],
        rows: usize,
    ) -> std::result::Result<(), String> {
        let is_training = |row: usize| parts[row] == Some(Part::Train);
        let mut training = (0..parts.len()).filter(|&row| is_training(row));
        self.has_missing = self.has_missing || training.any(|row| values.is_missing(row));
        match (&mut self.values, values) {
            (
                FoundValues::Numbers { sample, moments, .. },
                ColumnValues::Numbers(values) | ColumnValues::Times(values),
            ) => {
                let training = values.iter().enumerate().filter(|(row, x)| !x.is_nan() && is_training(*row));
                training.for_each(|(_, &x)| moments.add(x));
                for &(row, place) in places {
                    sample.resize(sample.len().max(place + 1), f64::NAN);
                    sample[place] = values[row];
                }
            }
            (FoundValues::Categories(known), ColumnValues::Categories { codes, names }) => {
                let mut is_there = vec![None; names.len()];
                for (code, part) in codes.iter().zip(parts) {
                    if let (Some(code), Some(part)) = (code, part) {
                        *is_there[*code as usize].get_or_insert(false) |= *part == Part::Train;
                    }
                }
                for (name, is_there) in names.iter().zip(is_there) {
                    let Some(is_training) = is_there else { continue };
                    match known.get_mut(name) {
                        Some(of_training) => *of_training |= is_training,
                        None => drop(known.insert(name.clone(), is_training)),
                    }
                }
                if known.len() > MOST_CATEGORIES {
                    if 2 * known.len() <= rows {
                        return Err(format!(
                            "more than {MOST_CATEGORIES} categories, far too many to learn; ignore it"
                        ));
                    }
                    self.values = FoundValues::Identifiers;
                }
            }
            (FoundValues::Identifiers, _) => {}
            (_, other) => return Err(format!("{:?} where there were others before", other.column_type())),
        }
        Ok(())
    }

    /// A column from which the same is to be learnt as from the training rows.
    fn stand_in(&self) -> Column {
        let values = match &self.values {
            FoundValues::Numbers { sample, moments, is_time } => {
                let mut values = sample.clone();
                if (values.len() as f64) < moments.count || self.has_missing {
                    let ends = [moments.least, moments.most].into_iter().filter(|_| moments.count > 0.0);
                    let has = |x: f64| values.contains(&x);
                    let missing = ends.filter(|&x| !has(x)).collect::<Vec<_>>();
                    values.extend(missing);
                    values.extend((self.has_missing && !values.iter().any(|x| x.is_nan())).then_some(f64::NAN));
                }
                if *is_time { ColumnValues::Times(values) } else { ColumnValues::Numbers(values) }
            }
            FoundValues::Categories(known) => {
                let names: BTreeSet<&String> =
                    known.iter().filter(|(_, of_training)| **of_training).map(|(name, _)| name).collect();
                let codes = (0..names.len() as u32).map(Some).chain(self.has_missing.then_some(None)).collect();
                ColumnValues::Categories { codes, names: names.into_iter().cloned().collect() }
            }
            FoundValues::Identifiers => ColumnValues::Numbers(Vec::new()),
        };
        Column { name: self.name.clone(), values }
    }
}

/// The columns that are read to be written, and the categories among them that no training row has.
struct Needed {
    columns: Vec<ColumnSchema>,
    unknown: BTreeMap<String, (BTreeSet<String>, usize)>,
}

impl Needed {
    fn new(schema: &Schema, set: &TableSet, roles: &Roles, types: &BTreeMap<String, ColumnType>) -> Self {
        let mut columns = column_schemas(schema);
        let target = match (&set.target.class_names, types.get(&set.target.name)) {
            (Some(names), Some(ColumnType::Category)) => ColumnKind::Category { names: names.clone() },
            _ => ColumnKind::Number,
        };
        columns.push(ColumnSchema { name: set.target.name.clone(), kind: target });
        columns.extend(roles.weight.iter().map(|name| ColumnSchema { name: name.clone(), kind: ColumnKind::Number }));
        Self { columns, unknown: BTreeMap::new() }
    }

    /// Writes the rows of a piece that have a target to their parts; how many have none, and the categories that no training
    /// row has.
    fn write<W: std::io::Write>(
        &self,
        piece: Table,
        schema: &Schema,
        set: &mut TableSet,
        writer: &mut PackWriter<W>,
        part: impl Fn(usize) -> Option<Part>,
    ) -> Result<(usize, Vec<Unknown>)> {
        let path = piece.path.clone();
        let (table, unknown) = conform(piece, &self.columns)?;
        let target = &table.column(&set.target.name)?.values;
        if let Some(classes) = unknown.iter().find(|unknown| unknown.column == set.target.name) {
            return Err(unknown_classes(&path, &set.target, &classes.names));
        }
        let rows: Vec<usize> = (0..table.rows()).filter(|&row| !target.is_missing(row)).collect();
        let without = table.rows() - rows.len();
        let parts: Vec<Option<Part>> = rows.iter().map(|&row| part(row)).collect();
        let table = if without == 0 { table } else { table.select(&rows) };
        if rows.is_empty() {
            return Ok((without, unknown));
        }
        let features = &table.columns[..schema.columns.len()];
        let values: Vec<Values> = features.iter().map(|column| column.values.view()).collect();
        let features: Array2<f32> = schema.encode(&values).map_err(|error| error::file(&path, error.to_string()))?;
        let targets = set.targets(&table)?;
        // Whatever is wrong with them is said as of any data.
        Dataset::new(schuss::Features::F32(features.view()), targets.view())
            .map_err(|error| error::file(&path, error.to_string()))?;
        let window = Window {
            columns: features.ncols(),
            features: Numbers::F32(features.into_raw_vec_and_offset().0),
            targets: match targets {
                TargetValues::Classes { labels, classes } => WindowTargets::Classes { labels, classes },
                TargetValues::Values(values) => {
                    let width = values.ncols();
                    WindowTargets::Values { values: values.into_raw_vec_and_offset().0, width }
                }
            },
            weights: set.weights(&table)?,
        };
        writer.push(window.dataset(), |row| parts[row])?;
        Ok((without, unknown))
    }

    fn note(&mut self, unknown: Vec<Unknown>) {
        for Unknown { column, names, rows } in unknown {
            let (of_column, count) = self.unknown.entry(column).or_default();
            // As many as a message shows.
            of_column.extend(names.into_iter().take(50));
            *count += rows;
        }
    }

    fn unknown(self) -> impl Iterator<Item = String> {
        self.unknown
            .into_iter()
            .map(|(column, (names, rows))| Unknown { column, names: names.into_iter().collect(), rows }.to_string())
    }
}
