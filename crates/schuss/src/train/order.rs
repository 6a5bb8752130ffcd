//! The order of the examples.

use crate::random::{Purpose, Stream};
use crate::{Error, Result};

/// In which order an epoch takes the examples.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// A fresh permutation for each epoch, a function of the seed and the epoch alone.
    Shuffled {
        /// Any number.
        seed: u64,
    },
    /// As they are stored.
    Sequential,
    /// As given: the rows of each epoch.
    Given(Vec<Vec<u32>>),
}

impl Order {
    /// Overwrites `rows` with the order of `epoch`.
    pub(crate) fn fill(&self, epoch: usize, rows: &mut [u32]) {
        match self {
            Self::Given(epochs) => rows.copy_from_slice(&epochs[epoch]),
            Self::Sequential | Self::Shuffled { .. } => {
                rows.iter_mut().enumerate().for_each(|(i, row)| *row = i as u32);
            }
        }
        if let Self::Shuffled { seed } = self {
            Stream::new(*seed, Purpose::Shuffle, epoch as u64).shuffle(rows);
        }
    }

    /// Fails unless this is an order of `rows` examples for `epochs` epochs.
    pub(crate) fn check(&self, rows: usize, epochs: usize) -> Result<()> {
        if u32::try_from(rows).is_err() {
            return Err(Error::value("examples", format!("at most {}", u32::MAX), rows));
        }
        let Self::Given(given) = self else { return Ok(()) };
        if given.len() < epochs {
            return Err(Error::Shape { what: "epochs of the given order", expected: epochs, got: given.len() });
        }
        for epoch in given {
            if epoch.len() != rows {
                return Err(Error::Shape { what: "examples of the given order", expected: rows, got: epoch.len() });
            }
            if let Some(row) = epoch.iter().find(|&&row| row as usize >= rows) {
                return Err(Error::value("row of the given order", format!("below {rows}"), row));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_of_its_own_for_every_seed_and_epoch() {
        let order = |seed, epoch| {
            let mut rows = vec![0; 1000];
            Order::Shuffled { seed }.fill(epoch, &mut rows);
            rows
        };
        let mut sorted = order(3, 5);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_eq!(order(3, 5), order(3, 5));
        assert_ne!(order(3, 5), order(3, 6));
        assert_ne!(order(3, 5), order(4, 5));
    }
}
