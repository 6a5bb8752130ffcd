//! Where the steps of an epoch take their rows from: from memory, or a window of a stream after the other.

use std::ops::Range;

use crate::stream::{Stream, Window, Windows};
use crate::train::Order;
use crate::{Dataset, Result};

/// The rows of an epoch, in their order.
///
/// Of a stream, the order is that of its windows, one after the other, each in an order of its own: a function of the seed
/// and the epoch. What a window leaves over when a step wants more is carried to the next, so that steps are as large as
/// they are in memory, and as many.
#[derive(Debug)]
pub(super) struct Source<'d> {
    dataset: Dataset<'d>,
    order: Order,
    /// Rows of a step.
    step_rows: usize,
    /// Rows of the epoch from the place `first` on, as far as they are known: of the data set, or of the window.
    rows: Vec<u32>,
    first: usize,
    epoch: usize,
    reading: Option<Reading<'d>>,
}

#[derive(Debug)]
struct Reading<'d> {
    windows: Box<dyn Windows + 'd>,
    /// The number of the next one.
    next: u64,
    window: Option<Window>,
}

impl<'d> Source<'d> {
    pub(super) fn new(dataset: Dataset<'d>, order: &Order, step_rows: usize) -> Self {
        let rows = if dataset.stream().is_some() { Vec::new() } else { vec![0; dataset.rows()] };
        Self { dataset, order: order.clone(), step_rows, rows, first: 0, epoch: 0, reading: None }
    }

    /// Rows of an epoch.
    pub(super) fn len(&self) -> usize {
        self.dataset.total_rows()
    }

    /// Goes to a place in an epoch: its first row, or one where a step begins.
    pub(super) fn begin(&mut self, epoch: usize, place: usize) {
        self.epoch = epoch;
        match self.dataset.stream() {
            None => self.order.fill(epoch, &mut self.rows),
            Some(stream) => self.begin_reading(stream, epoch, place),
        }
    }

    fn begin_reading(&mut self, stream: &'d dyn Stream, epoch: usize, place: usize) {
        // Memory is given back first, to be used again.
        self.end();
        let mut windows = self.order.windows(epoch, stream.blocks().len(), stream.window_blocks());
        let rows_of = |window: &Vec<u32>| window.iter().map(|&block| stream.blocks()[block as usize] as usize).sum();
        let mut next = 0;
        self.first = 0;
        for window in &windows {
            let rows: usize = rows_of(window);
            if self.first + rows > place {
                break;
            }
            self.first += rows;
            next += 1;
        }
        let largest = windows.iter().map(rows_of).max().unwrap_or(0);
        self.rows.clear();
        self.rows.reserve(largest + self.step_rows);
        windows.drain(..next);
        let windows = stream.read(windows, self.step_rows);
        self.reading = Some(Reading { windows, next: next as u64, window: None });
    }

    /// The rows at these places of the epoch, and the data set that they are rows of. The places follow those of the last
    /// call, or where [`Source::begin`] went.
    ///
    /// # Errors
    /// A window that cannot be read.
    pub(super) fn take(&mut self, places: Range<usize>) -> Result<(Dataset<'_>, &[u32])> {
        while let Some(reading) = &mut self.reading
            && places.end > self.first + self.rows.len()
        {
            let mut window = reading.windows.next()?;
            let own = window.rows() as u32;
            // Where the epoch is gone on with, the window may have begun before.
            let left_over = places.start.saturating_sub(self.first).min(self.rows.len());
            if let Some(before) = reading.window.take() {
                window.append(&before, &self.rows[left_over..]);
                reading.windows.give_back(before);
            }
            self.first += left_over;
            self.rows.clear();
            self.rows.extend(own..window.rows() as u32);
            let carried = self.rows.len();
            self.rows.extend(0..own);
            self.order.fill_window(self.epoch, reading.next, &mut self.rows[carried..]);
            reading.next += 1;
            reading.window = Some(window);
        }
        let rows = &self.rows[places.start - self.first..places.end - self.first];
        let window = self.reading.as_ref().and_then(|reading| reading.window.as_ref());
        Ok((window.map_or_else(|| self.dataset.reborrow(), Window::dataset), rows))
    }

    /// Frees what is not needed between epochs.
    pub(super) fn end(&mut self) {
        if let Some(mut reading) = self.reading.take()
            && let Some(window) = reading.window.take()
        {
            reading.windows.give_back(window);
        }
    }
}
