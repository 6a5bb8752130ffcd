//! Tables on the command line: from the flags that are about columns to examples.

use std::collections::BTreeMap;
use std::path::Path;

use schuss::{Encoder, Encoding, ModelFile, NumberScale, Precision, Schema, Task};
use schuss_data::{
    ColumnType, Data, FeatureValues, Roles, SplitBy, TableOptions, TableSet, Target, features_of, is_table,
};

use crate::failure::{Failure, Result};
use crate::folds::Folds;
use crate::options::Options;
use crate::run_folder::model_in;
use crate::values::list;

/// The share of the training rows by which the best epoch is chosen.
pub const VALID: f64 = 0.2;
/// Networks of the usual ensemble.
const MEMBERS: usize = 4;
/// Columns of more categories are not spread over columns of 0 and 1, if nothing embeds them.
const MOST_ONE_HOT: usize = 1000;

/// How a network for tables is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// RealMLP with all that it has.
    Td,
    /// Its simpler form.
    Small,
    /// Dense layers as for other data.
    Plain,
}

impl Preset {
    pub fn of(options: &Options) -> Self {
        match options.preset.as_deref() {
            Some("small") => Self::Small,
            Some("plain") => Self::Plain,
            _ => Self::Td,
        }
    }
}

/// Whether DATA is a table.
pub fn is_name_of_table(name: &str) -> bool {
    !schuss_data::NAMES.contains(&name) && is_table(Path::new(name))
}

/// The flags that are set of those that say how a table is read.
pub fn reading_flags(options: &Options) -> impl Iterator<Item = &'static str> {
    set([
        ("target", options.target.is_some()),
        ("test", options.test.is_some()),
        ("types", options.types.is_some()),
        ("ignore", options.ignore.is_some()),
        ("weight", options.weight.is_some()),
        ("group", options.group.is_some()),
        ("split-by-time", options.split_by_time.is_some()),
        ("delimiter", options.delimiter.is_some()),
        ("missing", options.missing.is_some()),
    ])
}

/// Those flags that are set.
pub fn set<const N: usize>(flags: [(&'static str, bool); N]) -> impl Iterator<Item = &'static str> {
    flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag))
}

/// Fails where options are set that only tables have.
pub fn check_no_table(options: &Options, name: &str) -> Result<()> {
    let others = set([
        ("preset", options.preset.is_some()),
        ("scale robust", options.scale.as_deref() == Some("robust")),
        ("scale quantile", options.scale.as_deref() == Some("quantile")),
    ]);
    match reading_flags(options).chain(others).next() {
        Some(flag) => Err(Failure::Usage(format!(
            "--{flag} needs a table (CSV, Parquet or Arrow), which {name} is not; leave it out"
        ))),
        None => Ok(()),
    }
}

/// Reads a table and what belongs to it, with folds where a search compares by them; the options get what was chosen for
/// them, with the reasons.
pub fn open(name: &str, options: &mut Options, reasons: &mut Vec<String>, folds: Option<Folds>) -> Result<Data> {
    let path = Path::new(name);
    let mut set = TableSet::read(path, &table_options(options)?, &roles(options))?;
    if options.target.is_none() {
        reasons.push(format!("target {}: the last column", set.target.name));
        options.target = Some(set.target.name.clone());
    }
    set = match &options.test {
        Some(test) => set.with_test(Path::new(test))?,
        None => set.with_test_split()?,
    };
    let preset = Preset::of(options);
    let is_timed = options.time.is_some() || options.pace.is_some();
    let is_several = options.ensemble.is_some_and(|members| members > 1);
    let is_bag = preset == Preset::Td && !is_timed && options.from.is_none() && !is_several;
    let usual = if is_bag { MEMBERS } else { 1 };
    let members = *options.bag.get_or_insert(usual);
    let chooses = chooses(options);
    set = match options.valid.as_deref().map(|valid| (valid, valid.parse::<f64>())) {
        Some((_, Ok(share))) if share > 0.0 => set.with_valid_split(share)?,
        Some((_, Ok(_))) => set,
        Some((valid, Err(_))) => set.with_valid(Path::new(valid))?,
        None if let Some(folds) = folds => {
            let count = folds.count(set.train.rows());
            set.with_folds(count)?.with_valid_split(Folds::SHARE)?
        }
        // Where there are no folds, all have the same rows.
        None if chooses => set.with_folds(members)?.with_valid_split(VALID)?,
        None => set,
    };
    let schema = match &options.from {
        Some(from) => schema_of(&ModelFile::read(&model_in(from))?, &from.display())?.clone(),
        None => {
            let scale = options.scale.get_or_insert_with(|| {
                reasons.push(
                    "scale robust: numbers less their median, by their interquartile range, clipped smoothly; skewed ones as quantiles, too"
                        .into(),
                );
                "robust".into()
            });
            // Names of many values need an embedding.
            if preset != Preset::Plain {
                set = set.with_nominal()?;
            }
            set.fit(&encoder(scale, preset))?
        }
    };
    check_codes(&schema, options)?;
    let mut data = encoded(&set, &schema, options.precision.as_deref() == Some("f64"))?;
    set.notes.iter().for_each(|note| eprintln!("note: {note}"));
    if options.from.is_none() {
        let fingerprint = data.train.dataset()?.fingerprint();
        data.schema = data.schema.map(|schema| Schema { fingerprint, ..schema });
    }
    let schema = data.schema.as_ref().map_or(&schema, |schema| schema);
    reasons.push(columns_of(schema));
    Ok(data)
}

/// What the columns of a table are for.
pub fn roles(options: &Options) -> Roles {
    let split = match (&options.group, &options.split_by_time) {
        (Some(column), _) => SplitBy::Group(column.clone()),
        (None, Some(column)) => SplitBy::Time(column.clone()),
        (None, None) => SplitBy::Rows,
    };
    let task = super::commands::data_task(options.task.as_deref());
    Roles { target: options.target.clone(), task, weight: options.weight.clone(), split }
}

/// Whether something of a run on a table is chosen by validation rows.
pub fn chooses(options: &Options) -> bool {
    options.keep.as_deref() != Some("last") && Preset::of(options) != Preset::Plain || options.chooses_by_validation()
}

/// Fails where a network cannot take the codes of categories.
pub fn check_codes(schema: &Schema, options: &Options) -> Result<()> {
    let coded = schema.columns.iter().find(|column| matches!(column.encoding, Encoding::Code { .. }));
    if let (Preset::Plain, Some(column), None) = (Preset::of(options), coded, &options.from) {
        let count = column.category_names().map_or(0, <[String]>::len);
        return Err(Failure::Usage(format!(
            "column {:?}: {count} categories are too many for --preset plain, which embeds none and has a column for each of up \
             to {MOST_ONE_HOT}; take --preset td or small, or --ignore the column",
            column.name
        )));
    }
    Ok(())
}

/// How many columns of which kind there are.
pub fn columns_of(schema: &Schema) -> String {
    let columns = [
        (schema.columns.iter().filter(|column| column.category_names().is_none()).count(), "of numbers or times"),
        (schema.columns.iter().filter(|column| column.category_names().is_some()).count(), "of categories"),
    ];
    let columns: Vec<String> =
        columns.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
    format!("columns: {}; {} inputs", columns.join(", "), schema.inputs())
}

fn encoded(set: &TableSet, schema: &Schema, is_double: bool) -> Result<Data> {
    Ok(if is_double { set.examples::<f64>(schema)? } else { set.examples::<f32>(schema)? })
}

/// How a schema is fitted.
pub fn encoder(scale: &str, preset: Preset) -> Encoder {
    let scale = match scale {
        "none" => NumberScale::None,
        "standard" => NumberScale::Standard,
        "robust" => NumberScale::Robust,
        "quantile" => NumberScale::Quantile,
        divisor => NumberScale::Divide(divisor.parse().expect("checked by the parser")),
    };
    let usual = Encoder::default();
    Encoder { scale, most_one_hot: if preset == Preset::Plain { MOST_ONE_HOT } else { usual.most_one_hot } }
}

/// How a table is read.
pub fn table_options(options: &Options) -> Result<TableOptions> {
    let delimiter = match options.delimiter.as_deref() {
        None => None,
        Some("tab" | "\\t") => Some(b'\t'),
        Some(text) => match text.as_bytes() {
            [byte] => Some(*byte),
            _ => return Err(Failure::Usage(format!("--delimiter: expected one character, or tab, got {text}"))),
        },
    };
    let types = options.types.as_deref().map_or(Ok(BTreeMap::new()), types).map_err(Failure::Usage)?;
    let names = |names: &Option<String>| names.as_deref().map_or(Vec::new(), list);
    let [ignore, missing] = [names(&options.ignore), names(&options.missing)];
    Ok(TableOptions { delimiter, types, ignore, missing, ..TableOptions::default() })
}

/// `zip=category,day=time`
pub fn types(text: &str) -> std::result::Result<BTreeMap<String, ColumnType>, String> {
    let read = |pair: String| {
        let (name, column_type) = pair.rsplit_once('=')?;
        let column_type = match column_type.trim() {
            "number" => ColumnType::Number,
            "category" => ColumnType::Category,
            "time" => ColumnType::Time,
            _ => return None,
        };
        Some((name.trim().to_string(), column_type))
    };
    let expected = || format!("expected COLUMN=number|category|time, separated by commas, got {text}");
    list(text).into_iter().map(read).collect::<Option<_>>().ok_or_else(expected)
}

/// The schema of a model for tables.
pub fn schema_of<'f>(file: &'f ModelFile, name: &dyn std::fmt::Display) -> Result<&'f Schema> {
    file.schema().ok_or_else(|| {
        Failure::Failed(format!(
            "{name}: the model knows no columns: it was not trained on a table, and cannot take one"
        ))
    })
}

/// The rows of a table as features of a model; what it does not know of them is said.
pub fn features_for(file: &ModelFile, name: &str) -> Result<FeatureValues> {
    let schema = schema_of(file, &name)?;
    let path = Path::new(name);
    let (features, unknown) = match file.precision {
        Precision::F32 => features_of::<f32>(path, schema)?,
        Precision::F64 => features_of::<f64>(path, schema)?,
    };
    unknown.iter().for_each(|unknown| eprintln!("note: {unknown}"));
    Ok(features)
}

/// The rows of a table with their targets, to judge a model by.
pub fn data_for(file: &ModelFile, name: &str) -> Result<Data> {
    let schema = schema_of(file, &name)?;
    let model = file.model::<f64>();
    let class_names = (model.task != Task::Regression).then(|| model.class_names.clone());
    let target = Target { name: schema.target.clone(), class_names };
    let set = TableSet::for_model(Path::new(name), schema, &target)?;
    set.notes.iter().for_each(|note| eprintln!("note: {note}"));
    encoded(&set, schema, file.precision == Precision::F64)
}
