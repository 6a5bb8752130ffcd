//! Rows like those that a program is used on, to compare it with what was made of it.

use ndarray::Array2;
use schuss::NumberScaling;

use crate::{ColumnKind, Formula, Input, Operation, Program};

/// Random numbers that are a function of where they began (SplitMix64; Steele, Lea and Flood 2014,
/// doi:10.1145/2660193.2660195).
#[derive(Clone, Debug)]
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    fn share(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        (self.share() * count as f64) as usize
    }

    /// Of about a standard normal distribution: the sum of twelve numbers from 0 to 1, less 6.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }
}

impl Program {
    /// Random rows (rows, inputs) of the size that its scalings were fitted to, with values that are missing and categories
    /// that are unknown; the same for the same seed. Features are numbers of single precision.
    pub fn samples(&self, rows: usize, seed: u64) -> Array2<f64> {
        let mut draws = Draws(seed);
        let first = self.nodes.first().map(|node| &node.operation);
        // In the order of the rows.
        Array2::from_shape_fn((rows, self.inputs()), |(_, column)| match &self.input {
            Input::Table(columns) => {
                let features = if let Some(Operation::Encode(features)) = first { &features[..] } else { &[] };
                let scaling = features.iter().find_map(|feature| match &feature.formula {
                    Formula::Number(scaling) if feature.column == column => Some(scaling),
                    _ => None,
                });
                of_column(&columns[column].kind, scaling, &mut draws)
            }
            Input::Features { .. } => f64::from(match first {
                Some(Operation::Divide(divisor)) => (draws.share() * f64::from(*divisor)).round() as f32,
                Some(Operation::Standardize { mean, deviation }) => {
                    (mean[column] + deviation[column] * draws.normal()) as f32
                }
                _ => draws.normal() as f32,
            }),
        })
    }
}

fn of_column(kind: &ColumnKind, scaling: Option<&NumberScaling>, draws: &mut Draws) -> f64 {
    if draws.below(10) == 0 {
        return f64::NAN;
    }
    if let ColumnKind::Category(names) = kind {
        // One that is unknown is among them.
        return draws.below(names.len() + 1) as f64;
    }
    match scaling {
        None | Some(NumberScaling::None) => draws.normal(),
        Some(NumberScaling::Divide(divisor)) => draws.normal() * divisor,
        Some(NumberScaling::Standard { mean, deviation }) => mean + deviation * draws.normal(),
        Some(NumberScaling::Robust { median, factor }) => {
            median + draws.normal() / if *factor == 0.0 { 1.0 } else { *factor }
        }
        Some(NumberScaling::Quantile { knots }) => {
            let place = draws.below(knots.len() - 1);
            let [from, to] = [knots[place], knots[place + 1]];
            // At knots, between them and beyond them.
            match draws.below(3) {
                0 => from,
                1 => from + draws.share() * (to - from),
                _ => from + 0.5 * draws.normal() * (knots[knots.len() - 1] - knots[0]),
            }
        }
    }
}
