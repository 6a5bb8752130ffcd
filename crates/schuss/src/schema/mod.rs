//! What a table's columns are, and how their values become a network's inputs. Fitted on the training rows, kept in the
//! model.

mod cycle;
mod nominal;
mod scaling;

use std::collections::HashSet;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

pub use self::cycle::Cycle;
pub use self::nominal::is_nominal;
pub use self::scaling::{NumberScale, NumberScaling};
use crate::{Error, Real, Result};

/// The columns of a table that a model needs, and how each becomes inputs of its network.
///
/// The inputs are, side by side, the numbers of all columns, then columns of 0 and 1 and the like that need no scale, then
/// codes of categories, as [`Embed`](crate::Embed) takes them.
///
/// ```
/// use schuss::{Encoder, Schema, Values};
/// let names = ["blue", "red"].map(String::from);
/// let age = Values::Numbers(&[20.0, f64::NAN, 60.0, 40.0]);
/// let colour = Values::Categories { codes: &[Some(1), Some(0), None, Some(1)], names: &names };
/// let schema = Schema::fit([("age", age), ("colour", colour)], &Encoder::default());
/// // The age, whether it is missing, the colour as -1, 1 or 0, and whether that is missing.
/// assert_eq!((schema.numbers(), schema.plain(), schema.inputs()), (1, 3, 4));
/// let inputs = schema.encode::<f32>(&[age, colour])?;
/// assert_eq!(inputs.row(1).to_vec(), [0.0, 1.0, -1.0, 0.0]);
/// # Ok::<(), schuss::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// In the order of the inputs.
    pub columns: Vec<Column>,
    /// The name of the column that is predicted.
    #[serde(default)]
    pub target: String,
    /// Of the training data ([`Dataset::fingerprint`](crate::Dataset::fingerprint)).
    #[serde(default)]
    pub fingerprint: String,
    /// The column that says what each row counts, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// What stands for a missing value in text, beside what usually does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The columns of categories that are read as numbers, which are names ([`is_nominal`]): `7.0` is `7` there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nominal: Vec<String>,
}

/// A column that a model needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether it has an input of its own that is 1 where the value is missing, else 0 (of a column of codes: a code); there
    /// were such rows in training.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub marks_missing: bool,
    /// What becomes of its values.
    pub encoding: Encoding,
}

/// What becomes of a column's values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Encoding {
    /// A number becomes a number; 0 where it is missing, which is the middle.
    Number(NumberScaling),
    /// A number of which two scalings are far from a straight line of each other becomes both; 0 where it is missing.
    Skewed([NumberScaling; 2]),
    /// Two categories: -1 and 1; 0 where it is missing or unknown.
    Binary {
        /// The names of both.
        names: Vec<String>,
    },
    /// An input for each category, 1 where it is that, else 0; none is 1 where it is missing or unknown.
    OneHot {
        /// The names of the categories.
        names: Vec<String>,
    },
    /// The place among the categories, for an embedding; -1 where it is unknown, or missing without a code of its own.
    Code {
        /// The names of the categories.
        names: Vec<String>,
    },
    /// A time, in seconds since 1970, becomes a number, and where it is in each of these cycles: sine and cosine.
    Time {
        /// Of the seconds.
        scaling: NumberScaling,
        /// Those that the training rows go through.
        cycles: Vec<Cycle>,
    },
}

/// How a schema is fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Encoder {
    /// Of numbers and times.
    pub scale: NumberScale,
    /// Columns with more categories become codes, which an embedding takes.
    pub most_one_hot: usize,
}

impl Default for Encoder {
    /// As RealMLP has it: categories of up to nine values, with the missing one, as columns of 0 and 1.
    fn default() -> Self {
        Self { scale: NumberScale::Robust, most_one_hot: 8 }
    }
}

/// The values of a table's column, a row each.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// Finite numbers; NaN where one is missing.
    Numbers(&'a [f64]),
    /// Places in `names`.
    Categories {
        /// Nothing where it is missing.
        codes: &'a [Option<u32>],
        /// What they stand for.
        names: &'a [String],
    },
    /// Seconds since 1970-01-01 UTC; NaN where a time is missing.
    Times(&'a [f64]),
}

impl Values<'_> {
    fn rows(&self) -> usize {
        match self {
            Self::Numbers(values) | Self::Times(values) => values.len(),
            Self::Categories { codes, .. } => codes.len(),
        }
    }

    fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) | Self::Times(values) => values[row].is_nan(),
            Self::Categories { codes, .. } => codes[row].is_none(),
        }
    }
}

/// How many inputs of each kind a column has: numbers, plain ones, codes.
struct Width {
    numbers: usize,
    plain: usize,
    codes: usize,
}

impl Encoding {
    /// That of a column of numbers, of which these are there, ascending.
    fn of_numbers(scale: NumberScale, sorted: &[f64]) -> Self {
        let scaling = NumberScaling::fit(scale, sorted);
        if scale != NumberScale::Robust {
            return Self::Number(scaling);
        }
        let quantile = NumberScaling::fit(NumberScale::Quantile, sorted);
        if quantile.is_straight_in(&scaling, sorted) {
            Self::Number(scaling)
        } else {
            Self::Skewed([scaling, quantile])
        }
    }
}

impl Column {
    /// What becomes of these values of the training rows; nothing of a column that is empty or always the same.
    fn fit(name: &str, values: Values, encoder: &Encoder) -> Option<Self> {
        let rows = values.rows();
        let missing = (0..rows).filter(|&row| values.is_missing(row)).count();
        let marks_missing = missing > 0;
        let sorted = |values: &[f64]| {
            let mut there: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
            there.sort_unstable_by(f64::total_cmp);
            there
        };
        let is_told_apart = |sorted: &[f64]| sorted.first() != sorted.last() || marks_missing;
        let encoding = match values {
            _ if missing == rows => return None,
            Values::Numbers(numbers) => {
                let sorted = sorted(numbers);
                is_told_apart(&sorted).then(|| Encoding::of_numbers(encoder.scale, &sorted))?
            }
            Values::Times(times) => {
                let sorted = sorted(times);
                let cycles = Cycle::ALL.into_iter().filter(|cycle| cycle.is_gone_through(&sorted)).collect();
                let fit = || Encoding::Time { scaling: NumberScaling::fit(encoder.scale, &sorted), cycles };
                is_told_apart(&sorted).then(fit)?
            }
            Values::Categories { codes, names } => {
                // Those of other rows have nothing to be learnt from.
                let there: HashSet<u32> = codes.iter().flatten().copied().collect();
                let names: Vec<String> =
                    (0..).zip(names).filter(|(code, _)| there.contains(code)).map(|(_, name)| name.clone()).collect();
                match names.len() {
                    1 if !marks_missing => return None,
                    2 => Encoding::Binary { names },
                    count if count <= encoder.most_one_hot => Encoding::OneHot { names },
                    _ => Encoding::Code { names },
                }
            }
        };
        Some(Self { name: name.into(), marks_missing, encoding })
    }

    /// The names of its categories, of which its codes are the places.
    pub fn category_names(&self) -> Option<&[String]> {
        match &self.encoding {
            Encoding::Binary { names } | Encoding::OneHot { names } | Encoding::Code { names } => Some(names),
            Encoding::Number(_) | Encoding::Skewed(_) | Encoding::Time { .. } => None,
        }
    }

    fn width(&self) -> Width {
        let mark = usize::from(self.marks_missing);
        match &self.encoding {
            Encoding::Number(_) => Width { numbers: 1, plain: mark, codes: 0 },
            Encoding::Skewed(_) => Width { numbers: 2, plain: mark, codes: 0 },
            Encoding::Binary { .. } => Width { numbers: 0, plain: 1 + mark, codes: 0 },
            Encoding::OneHot { names } => Width { numbers: 0, plain: names.len() + mark, codes: 0 },
            Encoding::Code { .. } => Width { numbers: 0, plain: 0, codes: 1 },
            Encoding::Time { cycles, .. } => Width { numbers: 1, plain: 2 * cycles.len() + mark, codes: 0 },
        }
    }

    /// Codes, with that of what is missing.
    fn codes(&self) -> Option<usize> {
        match &self.encoding {
            Encoding::Code { names } => Some(names.len() + usize::from(self.marks_missing)),
            _ => None,
        }
    }

    /// What its numbers are.
    fn number_names(&self) -> Vec<String> {
        let name = &self.name;
        match self.width().numbers {
            0 => Vec::new(),
            1 => vec![name.clone()],
            _ => vec![name.clone(), format!("{name}: quantile")],
        }
    }

    /// What the columns of 0 and 1 and the like stand for.
    fn plain_names(&self) -> Vec<String> {
        let name = &self.name;
        let mut names = match &self.encoding {
            Encoding::Number(_) | Encoding::Skewed(_) | Encoding::Code { .. } => Vec::new(),
            Encoding::Binary { names } => vec![format!("{name} is {}", names[1])],
            Encoding::OneHot { names } => names.iter().map(|category| format!("{name} is {category}")).collect(),
            Encoding::Time { cycles, .. } => {
                let of_cycle =
                    |cycle: &Cycle| ["sine", "cosine"].map(|part| format!("{name}: {part} of the {}", cycle.name()));
                cycles.iter().flat_map(of_cycle).collect()
            }
        };
        if self.marks_missing && self.codes().is_none() {
            names.push(format!("{name} is missing"));
        }
        names
    }

    fn check(&self) -> Result<()> {
        match &self.encoding {
            Encoding::Number(scaling) | Encoding::Time { scaling, .. } => scaling.check(),
            Encoding::Skewed(scalings) => scalings.iter().try_for_each(NumberScaling::check),
            Encoding::Binary { names } if names.len() != 2 => {
                Err(Error::value(format!("categories of column {:?}", self.name), "two", names.len()))
            }
            Encoding::Binary { names } | Encoding::OneHot { names } | Encoding::Code { names } => {
                let distinct: HashSet<&String> = names.iter().collect();
                if names.is_empty() || distinct.len() < names.len() {
                    let expected = "one or more, each once";
                    return Err(Error::value(format!("categories of column {:?}", self.name), expected, names.len()));
                }
                Ok(())
            }
        }
    }

    /// Overwrites this column's parts of a row.
    fn encode<T: Real>(&self, values: Values, row: usize, numbers: &mut [T], plain: &mut [T], codes: &mut [T]) {
        let is_missing = values.is_missing(row);
        let code = match values {
            Values::Categories { codes, .. } => codes[row],
            Values::Numbers(_) | Values::Times(_) => None,
        };
        if self.marks_missing && self.codes().is_none() {
            plain[plain.len() - 1] = T::from_f64(f64::from(u8::from(is_missing)));
        }
        match (&self.encoding, values) {
            (Encoding::Number(scaling), Values::Numbers(x)) => {
                numbers[0] = if is_missing { T::ZERO } else { T::from_f64(scaling.scale(x[row])) };
            }
            (Encoding::Skewed(scalings), Values::Numbers(x)) => {
                for (number, scaling) in numbers.iter_mut().zip(scalings) {
                    *number = if is_missing { T::ZERO } else { T::from_f64(scaling.scale(x[row])) };
                }
            }
            (Encoding::Time { scaling, cycles }, Values::Times(x)) => {
                numbers[0] = if is_missing { T::ZERO } else { T::from_f64(scaling.scale(x[row])) };
                for (i, cycle) in cycles.iter().enumerate() {
                    let parts = if is_missing { [0.0; 2] } else { cycle.place(x[row]) };
                    plain[2 * i..][..2].copy_from_slice(&parts.map(T::from_f64));
                }
            }
            (Encoding::Binary { .. }, _) => {
                plain[0] = T::from_f64(code.map_or(0.0, |code| [-1.0, 1.0].get(code as usize).copied().unwrap_or(0.0)));
            }
            (Encoding::OneHot { names }, _) => {
                plain[..names.len()].fill(T::ZERO);
                if let Some(code) = code.filter(|code| (*code as usize) < names.len()) {
                    plain[code as usize] = T::ONE;
                }
            }
            (Encoding::Code { names }, _) => {
                let missing = if self.marks_missing { names.len() as f64 } else { -1.0 };
                codes[0] = T::from_f64(match code {
                    Some(code) if (code as usize) < names.len() => f64::from(code),
                    Some(_) => -1.0,
                    None => missing,
                });
            }
            (Encoding::Number(_) | Encoding::Skewed(_) | Encoding::Time { .. }, _) => {
                unreachable!("checked at the door")
            }
        }
    }
}

impl Schema {
    /// The schema of a table with these columns of training rows. Columns that are empty or always the same are left out.
    pub fn fit<'a>(columns: impl IntoIterator<Item = (&'a str, Values<'a>)>, encoder: &Encoder) -> Self {
        let columns = columns.into_iter().filter_map(|(name, values)| Column::fit(name, values, encoder));
        Self { columns: columns.collect(), ..Self::default() }
    }

    /// Inputs that are numbers.
    pub fn numbers(&self) -> usize {
        self.columns.iter().map(|column| column.width().numbers).sum()
    }

    /// Inputs that need no scale.
    pub fn plain(&self) -> usize {
        self.columns.iter().map(|column| column.width().plain).sum()
    }

    /// How many codes each of the inputs that are codes has.
    pub fn codes(&self) -> Vec<usize> {
        self.columns.iter().filter_map(Column::codes).collect()
    }

    /// Inputs of the network.
    pub fn inputs(&self) -> usize {
        self.numbers() + self.plain() + self.codes().len()
    }

    /// What each input is: the name of its column, with more where a column has several.
    pub fn input_names(&self) -> Vec<String> {
        let numbers = self.columns.iter().flat_map(Column::number_names);
        let plain = self.columns.iter().flat_map(Column::plain_names);
        let codes = self.columns.iter().filter(|column| column.width().codes > 0).map(|column| column.name.clone());
        numbers.chain(plain).chain(codes).collect()
    }

    /// The places of the inputs that a column becomes.
    pub fn inputs_of(&self, column: usize) -> Vec<usize> {
        let [mut number, mut plain, mut code] = [0, self.numbers(), self.numbers() + self.plain()];
        for before in &self.columns[..column] {
            let width = before.width();
            number += width.numbers;
            plain += width.plain;
            code += width.codes;
        }
        let width = self.columns[column].width();
        let range = |start: usize, count: usize| start..start + count;
        range(number, width.numbers).chain(range(plain, width.plain)).chain(range(code, width.codes)).collect()
    }

    /// Fails unless this can be a schema of a network with so many inputs.
    ///
    /// # Errors
    /// Another number of inputs, scales that are no finite numbers, categories that are not told apart.
    pub fn check(&self, inputs: usize) -> Result<()> {
        self.columns.iter().try_for_each(Column::check)?;
        if self.inputs() != inputs {
            return Err(Error::Shape { what: "inputs of the schema", expected: inputs, got: self.inputs() });
        }
        Ok(())
    }

    /// The inputs, (rows, inputs), of these columns, which are those of the schema in its order, with its categories' codes. A
    /// row's are the same alone and among others.
    ///
    /// # Errors
    /// Another number of columns, values of another type, columns of different length, a number that is infinite.
    pub fn encode<T: Real>(&self, columns: &[Values]) -> Result<Array2<T>> {
        if columns.len() != self.columns.len() {
            return Err(Error::Shape {
                what: "columns of the table",
                expected: self.columns.len(),
                got: columns.len(),
            });
        }
        let rows = columns.first().map_or(0, Values::rows);
        for (column, values) in self.columns.iter().zip(columns) {
            let fits = match (&column.encoding, values) {
                (Encoding::Number(_) | Encoding::Skewed(_), Values::Numbers(numbers))
                | (Encoding::Time { .. }, Values::Times(numbers)) => {
                    if let Some(row) = numbers.iter().position(|x| x.is_infinite()) {
                        let what = format!("column {:?}, row {row} (counted from 0)", column.name);
                        return Err(Error::value(what, "a finite number", numbers[row]));
                    }
                    true
                }
                (Encoding::Number(_) | Encoding::Skewed(_) | Encoding::Time { .. }, _) => false,
                (_, values) => matches!(values, Values::Categories { .. }),
            };
            if !fits {
                return Err(Error::value(format!("column {:?}", column.name), "values as in training", "another type"));
            }
            if values.rows() != rows {
                return Err(Error::Shape { what: "rows of a column", expected: rows, got: values.rows() });
            }
        }
        let mut inputs = Array2::from_elem((rows, self.inputs()), T::ZERO);
        let (of_numbers, of_plain) = (self.numbers(), self.plain());
        for (row, inputs) in inputs.axis_iter_mut(Axis(0)).enumerate() {
            let inputs = inputs.into_slice().expect("rows are contiguous");
            let (mut numbers, rest) = inputs.split_at_mut(of_numbers);
            let (mut plain, mut codes) = rest.split_at_mut(of_plain);
            for (column, &values) in self.columns.iter().zip(columns) {
                let width = column.width();
                let [number, plain, code] = [
                    numbers.split_off_mut(..width.numbers).unwrap_or_default(),
                    plain.split_off_mut(..width.plain).unwrap_or_default(),
                    codes.split_off_mut(..width.codes).unwrap_or_default(),
                ];
                column.encode(values, row, number, plain, code);
            }
        }
        Ok(inputs)
    }
}
