//! Packed data sets on the command line: what was settled when they were packed, and what is not.

use std::path::Path;

use schuss::{Column, Encoding, ModelFile, NumberScaling, Schema};
use schuss_data::{Data, Examples, open_pack};

use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::report::grouped;
use crate::run_folder::model_in;
use crate::tables::{check_codes, check_no_table, chooses, columns_of, reading_flags, schema_of, set};

/// Whether DATA is a packed data set.
pub fn is_name_of_pack(name: &str) -> bool {
    !schuss_data::NAMES.contains(&name) && schuss_data::is_pack(Path::new(name))
}

/// Opens a packed data set to learn from; the options get what was chosen for it, with the reasons.
pub fn open(name: &str, options: &mut Options, reasons: &mut Vec<String>) -> Result<Data> {
    let of_pictures = set([("image-size", options.image_size.is_some())]);
    if let Some(flag) = reading_flags(options).chain(of_pictures).next() {
        return Err(Failure::Usage(format!(
            "--{flag}: {name} is packed, which settled that; leave it out, or give it to `schuss data pack`"
        )));
    }
    if options.valid.as_deref().is_some_and(|valid| valid != "0") {
        return Err(Failure::Usage(format!(
            "--valid: the validation rows of {name} were chosen when it was packed; leave it out, or 0 to learn from them, too"
        )));
    }
    let mut data = open_pack(Path::new(name), true)?;
    let is_table = data.schema.is_some();
    let needs_valid = if is_table { chooses(options) } else { options.chooses_by_validation() };
    // Validation rows of their own stay what they are; those that were split off are there for choices.
    let is_wanted = options.valid.is_none() && (needs_valid || !data.valid_is_split);
    if data.valid.is_some() && !is_wanted {
        data = open_pack(Path::new(name), false)?;
    } else if data.valid.is_none() && is_table {
        options.valid.get_or_insert_with(|| {
            reasons.push("valid 0: packed without validation rows".into());
            "0".into()
        });
    }
    match data.schema.take() {
        Some(schema) => {
            let scale = scale_of(&schema);
            let asked = options.scale.get_or_insert_with(|| scale.clone());
            if *asked != scale {
                return Err(Failure::Usage(format!(
                    "--scale {asked}: {name} is packed with --scale {scale}; leave it out, or pack the data again with another"
                )));
            }
            check_codes(&schema, options)?;
            options.bag.get_or_insert_with(|| {
                reasons.push("bag 1: one network for packed data".into());
                1
            });
            let schema = match &options.from {
                Some(from) => {
                    let file = ModelFile::read(&model_in(from))?;
                    let of_model = schema_of(&file, &from.display())?;
                    check_schema(name, &schema, of_model)?;
                    of_model.clone()
                }
                None => Schema { fingerprint: data.train.dataset()?.fingerprint(), ..schema },
            };
            reasons.push(columns_of(&schema));
            data.schema = Some(schema);
        }
        None => check_no_table(options, name)?,
    }
    reasons.extend(sampled(&data));
    Ok(data)
}

/// How the numbers of packed rows are scaled.
fn scale_of(schema: &Schema) -> String {
    let mut scalings = schema.columns.iter().filter_map(|column| match &column.encoding {
        Encoding::Number(scaling) | Encoding::Skewed([scaling, _]) | Encoding::Time { scaling, .. } => Some(scaling),
        _ => None,
    });
    // Which standardises columns with heavy tails.
    let is_robust = |column: &Column| matches!(column.encoding, Encoding::Skewed(_));
    if schema.columns.iter().any(is_robust) || scalings.clone().any(|s| matches!(s, NumberScaling::Robust { .. })) {
        return "robust".into();
    }
    match scalings.next() {
        Some(NumberScaling::None) => "none".into(),
        Some(NumberScaling::Divide(divisor)) => divisor.to_string(),
        Some(NumberScaling::Standard { .. }) => "standard".into(),
        Some(NumberScaling::Quantile { .. }) => "quantile".into(),
        Some(NumberScaling::Robust { .. }) | None => "robust".into(),
    }
}

fn check_schema(name: &str, packed: &Schema, of_model: &Schema) -> Result<()> {
    if (&packed.columns, &packed.target) == (&of_model.columns, &of_model.target) {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{name}: packed with other columns, or other scales of them, than the model learned from; give it the table itself, or \
         the file that it learned from"
    )))
}

/// Opens a packed data set for a model that exists: whatever part of it, all rows that are not tested on are one.
pub fn open_for(file: &ModelFile, name: &str) -> Result<Data> {
    let data = open_pack(Path::new(name), false)?;
    match (&data.schema, file.schema()) {
        (Some(packed), Some(of_model)) => check_schema(name, packed, of_model)?,
        (None, Some(_)) => {
            return Err(Failure::Failed(format!("{name}: the model takes a table, and this was packed from none")));
        }
        _ => {}
    }
    let names = &file.model::<f64>().class_names;
    let packed = data.class_names.as_deref().unwrap_or_default();
    if !names.is_empty() && !packed.is_empty() && names != packed {
        return Err(Failure::Failed(format!(
            "{name}: packed with the classes {}, where the model knows {}",
            packed.join(", "),
            names.join(", ")
        )));
    }
    Ok(data)
}

/// Which rows stand for all.
fn sampled(data: &Data) -> Option<String> {
    let parts = [("training", Some(&data.train)), ("validation", data.valid.as_ref()), ("test", data.test.as_ref())];
    let sample = |(part, examples): (&str, Option<&Examples>)| {
        let examples = examples.filter(|examples| examples.is_sample())?;
        let [rows, all] = [examples.targets.view().rows(), examples.total_rows()].map(grouped);
        Some(format!("{rows} of {all} {part} rows"))
    };
    let samples: Vec<String> = parts.into_iter().filter_map(sample).collect();
    (!samples.is_empty()).then(|| {
        format!(
            "sampled: {}, for initial parameters, temperatures, intervals, baselines, warnings and the report; losses and \
             scores of the epochs are of all rows",
            samples.join(", ")
        )
    })
}
