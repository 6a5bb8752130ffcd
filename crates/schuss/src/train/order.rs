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

    /// The windows of `epoch` over so many blocks, so many in each, and the blocks of each, which ascend: all blocks in an
    /// order that is a function of the seed and the epoch, or as they are stored.
    pub(crate) fn windows(&self, epoch: usize, blocks: usize, of_window: usize) -> Vec<Vec<u32>> {
        let mut all: Vec<u32> = (0..blocks as u32).collect();
        if let Self::Shuffled { seed } = self {
            Stream::new(*seed, Purpose::Blocks, epoch as u64).shuffle(&mut all);
        }
        let window = |blocks: &[u32]| {
            let mut blocks = blocks.to_vec();
            blocks.sort_unstable();
            blocks
        };
        all.chunks(of_window.max(1)).map(window).collect()
    }

    /// Puts the rows of a window of `epoch` into their order. A window of all rows is in the order that it has in memory.
    pub(crate) fn fill_window(&self, epoch: usize, window: u64, rows: &mut [u32]) {
        if let Self::Shuffled { seed } = self {
            Stream::new(*seed, Purpose::Shuffle, epoch as u64).at(window, 0).shuffle(rows);
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
    fn windows_are_all_blocks_once_in_an_order_of_seed_and_epoch() {
        let shuffled = |seed, epoch| Order::Shuffled { seed }.windows(epoch, 10, 4);
        let windows = shuffled(3, 5);
        assert_eq!(windows.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        assert!(windows.iter().all(|window| window.is_sorted()));
        let mut all = windows.concat();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!(windows, shuffled(3, 5));
        assert_ne!(windows, shuffled(3, 6));
        assert_ne!(windows, shuffled(4, 5));
        assert_eq!(Order::Sequential.windows(7, 5, 2), [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn a_window_of_all_rows_is_in_the_order_that_they_have_in_memory() {
        let order = Order::Shuffled { seed: 3 };
        let [mut whole, mut window, mut second] = [(); 3].map(|_| (0..1000).collect::<Vec<u32>>());
        order.fill(5, &mut whole);
        order.fill_window(5, 0, &mut window);
        order.fill_window(5, 1, &mut second);
        assert_eq!(whole, window);
        assert_ne!(window, second);
    }

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
