//! How the trials of a search are compared: by which rows of the training data.

use schuss_data::Data;

/// What the trials of a search are compared by, unless the data have a validation part.
#[derive(Clone, Copy, Debug)]
pub struct Folds {
    /// How many; one is a validation part, and none what fits the number of rows.
    pub asked: Option<usize>,
}

impl Folds {
    /// The share of the training rows that is one validation part.
    pub const SHARE: f64 = 0.2;

    /// How many folds of so many rows: with many, one part of them tells as much as trials can differ.
    pub fn count(self, rows: usize) -> usize {
        const MANY_ROWS: usize = 20_000;
        self.asked.unwrap_or(if rows < MANY_ROWS { 5 } else { 1 })
    }

    /// The data with these.
    pub fn of(self, data: Data) -> Data {
        match self.count(data.train.targets.view().rows()) {
            _ if data.valid.is_some() => data,
            1 => data.with_valid_split(Self::SHARE),
            count => data.with_folds(count),
        }
    }
}
