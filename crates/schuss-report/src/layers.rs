//! The first layer of a model: weights as pictures, or how much each column matters to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schuss::{Dense, Heads, Layer, Model, Real};

use crate::schema::{FirstLayer, Unit};

/// Units, and columns, that are shown at most.
const MOST_UNITS: usize = 64;
const MOST_COLUMNS: usize = 30;

/// The weights of the first dense layer of a model's first network. `columns` are the names of its inputs, where they have
/// any.
pub fn first_layer<T: Real>(model: &Model<T>, columns: &[String]) -> Option<FirstLayer> {
    let model = &model.unfolded();
    let layers = model.network.layers();
    let Some(Layer::Dense(dense)) = layers.iter().find(|layer| matches!(layer, Layer::Dense(_))) else { return None };
    let segment = model.network.segments().iter().find(|segment| segment.name == "layers.0.weight")?;
    let weights = &scaled(model, &model.network.parameters()[segment.range.clone()]);
    let (height, width, channels) = match model.example_shape[..] {
        [height, width] => (height, width, 1),
        [height, width, channels @ (1 | 3)] => (height, width, channels),
        _ => return Some(strengths(weights, dense.inputs, &embedded(layers, columns))),
    };
    let rows = weights.chunks(dense.inputs).take(MOST_UNITS);
    let largest = rows.clone().flatten().fold(0.0, |largest: f64, w| largest.max(w.to_f64().abs()));
    let scale = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    let bytes = |row: &[T]| row.iter().map(|w| (128.0 + (w.to_f64() * scale).round()) as u8).collect::<Vec<u8>>();
    let units = rows.enumerate().map(|(unit, row)| Unit { unit, weights: STANDARD.encode(bytes(row)) }).collect();
    Some(FirstLayer::Pictures { height, width, channels, largest, units, of: dense.outputs })
}

/// The weights of the first dense layer, times the scales of its inputs that are learned.
fn scaled<T: Real>(model: &Model<T>, weights: &[T]) -> Vec<T> {
    let mut weights = weights.to_vec();
    for segment in model.network.segments().iter().filter(|segment| segment.name.starts_with("scales.")) {
        let scale = &model.network.parameters()[segment.range.clone()];
        weights.iter_mut().zip(scale.iter().cycle()).for_each(|(weight, scale)| *weight *= *scale);
    }
    weights
}

/// The names of what the first layer makes of the columns, where it embeds them.
fn embedded(layers: &[Layer], columns: &[String]) -> Vec<String> {
    let Some(Layer::Embed(embed)) = layers.first() else { return columns.to_vec() };
    let of_number = embed.periodic.map_or(1, |periodic| periodic.outputs);
    let widths = std::iter::repeat_n(of_number, embed.numbers)
        .chain(std::iter::repeat_n(1, embed.plain))
        .chain(embed.categories.iter().map(|category| category.width));
    let parts = |(column, width): (usize, usize)| {
        let name = column_name(columns, column);
        (0..width).map(move |part| if width == 1 { name.clone() } else { format!("{name}, part {}", part + 1) })
    };
    widths.enumerate().flat_map(parts).collect()
}

fn strengths<T: Real>(weights: &[T], inputs: usize, columns: &[String]) -> FirstLayer {
    let strongest = strongest(weights, inputs, MOST_COLUMNS);
    FirstLayer::Columns {
        names: strongest.iter().map(|(column, _)| column_name(columns, *column)).collect(),
        strength: strongest.iter().map(|(_, strength)| *strength).collect(),
        of: inputs,
    }
}

/// The inputs with the largest mean absolute weight, `most` of them, the largest first.
fn strongest<T: Real>(weights: &[T], inputs: usize, most: usize) -> Vec<(usize, f64)> {
    let mut strength = vec![0.0; inputs];
    for row in weights.chunks(inputs) {
        strength.iter_mut().zip(row).for_each(|(strength, w)| *strength += w.to_f64().abs());
    }
    let units = (weights.len() / inputs).max(1) as f64;
    let mut order: Vec<_> = strength.into_iter().map(|strength| strength / units).enumerate().collect();
    order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    order.truncate(most);
    order
}

/// The columns of a row that the first layer weighs most, `most` of them, in their order; none where its inputs are others.
pub(crate) fn strongest_columns<T: Real>(model: &Model<T>, most: usize) -> Option<Vec<usize>> {
    let first = model.network.layers().iter().find(|layer| !matches!(layer, Layer::Dropout(_) | Layer::Fork(_)));
    let Some(Layer::Dense(Dense { inputs, .. }) | Layer::Heads(Heads { dense: Dense { inputs, .. }, .. })) = first
    else {
        return None;
    };
    let model = &model.unfolded();
    let segment = model.network.segments().iter().find(|segment| segment.name == "layers.0.weight")?;
    let weights = scaled(model, &model.network.parameters()[segment.range.clone()]);
    let strongest = strongest(&weights, *inputs, most);
    let mut columns: Vec<usize> = strongest.into_iter().map(|(column, _)| column).collect();
    columns.sort_unstable();
    Some(columns)
}

/// The name of a column, or its number.
pub(crate) fn column_name(columns: &[String], column: usize) -> String {
    columns.get(column).cloned().unwrap_or_else(|| format!("column {column}"))
}
