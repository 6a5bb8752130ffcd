//! The memory of a forward and a backward pass, laid out once.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use schuss_kernels::{Compute, Products};

use crate::loss::Output;
use crate::{Activation, Layer, Network, Real, Threads};

/// What a network computes with: the batch, every layer's output and its gradient, the gradient of the parameters, and
/// the threads that do it. Made for batches of up to `capacity` rows; passes through it allocate nothing.
#[derive(Debug)]
pub struct Workspace<T> {
    pub(crate) compute: Compute,
    pub(crate) input: Array2<T>,
    pub(crate) layers: Vec<LayerMemory<T>>,
    pub(crate) gradient: Vec<T>,
    pub(crate) rows: usize,
    /// Rows of the output: the batch's, or those of all networks that a [`Fork`](crate::Fork) made.
    pub(crate) output_rows: usize,
    pub(crate) pass: Pass,
    pub(crate) dropout_factor: f64,
}

/// What a forward and a backward are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pass {
    /// Prediction and evaluation: nothing is dropped, a batch norm uses its running statistics.
    #[default]
    Inference,
    /// A step of training.
    Training {
        /// Of what is dropped.
        seed: u64,
        /// Counted from 0 over the whole run.
        step: u64,
        /// Rows of the step in batches before this one: 0 where a step is one batch.
        first_row: usize,
    },
}

impl Pass {
    /// The same for layers behind a fork, which makes so many rows of one.
    pub(crate) fn copied(self, copies: usize) -> Self {
        match self {
            Self::Training { seed, step, first_row } => Self::Training { seed, step, first_row: first_row * copies },
            Self::Inference => self,
        }
    }
}

/// A layer's matrices, (capacity, outputs) each but for `kept`; behind a fork, a row for each of its networks.
#[derive(Clone, Debug)]
pub(crate) struct LayerMemory<T> {
    /// The activation's input; no rows where it is not kept.
    pub(crate) z: Array2<T>,
    /// The activation's output.
    pub(crate) a: Array2<T>,
    /// ∂L/∂a, then ∂L/∂z.
    pub(crate) d: Array2<T>,
    /// What else the layer's backward needs: of a norm, [`crate::norm::Kept::normalized`].
    pub(crate) kept: Array2<T>,
    /// [`crate::norm::Kept::moments`]
    pub(crate) moments: Vec<T>,
}

impl<T: Real> LayerMemory<T> {
    pub(crate) fn new(layer: &Layer, capacity: usize) -> Self {
        let matrix = |rows, columns| Array2::from_elem((rows, columns), T::ZERO);
        let columns = layer.outputs();
        Self {
            z: matrix(if layer.activation().keeps_logits() { capacity } else { 0 }, columns),
            a: matrix(capacity, columns),
            d: matrix(capacity, columns),
            kept: matrix(capacity, layer.kept_columns()),
            moments: vec![T::ZERO; layer.moments()],
        }
    }
}

impl<T: Real> Workspace<T> {
    /// Memory for passes of `network` over up to `capacity` rows.
    pub fn new(network: &Network<T>, capacity: usize, threads: &Threads) -> Self {
        let memory = |(i, layer)| LayerMemory::new(layer, capacity * network.copies_after(i));
        Self {
            compute: Compute::from(threads),
            input: Array2::from_elem((capacity, network.inputs()), T::ZERO),
            layers: network.layers().iter().enumerate().map(memory).collect(),
            gradient: vec![T::ZERO; network.parameters().len()],
            rows: 0,
            output_rows: 0,
            pass: Pass::Inference,
            dropout_factor: 1.0,
        }
    }

    /// The same memory for passes with such matrix products.
    pub fn with_products(mut self, products: Products) -> Self {
        self.compute.products = products;
        self
    }

    /// What the passes from now on are for; inference unless it is said. A backward is for what its forward was for.
    pub fn set_pass(&mut self, pass: Pass) {
        self.pass = pass;
    }

    /// What the rates of dropout are multiplied with from now on, 0 to 1; 1 unless it is said. A backward has the factor of
    /// its forward.
    ///
    /// # Panics
    /// Another factor.
    pub fn set_dropout_factor(&mut self, factor: f64) {
        assert!((0.0..=1.0).contains(&factor), "a factor of dropout from 0 to 1, not {factor}");
        self.dropout_factor = factor;
    }

    /// The most rows that fit.
    pub fn capacity(&self) -> usize {
        self.input.nrows()
    }

    /// The threads that passes use.
    pub fn threads(&self) -> &Threads {
        &self.compute.threads
    }

    /// Starts a batch of `rows` rows: the matrix (rows, inputs) to write it into, before
    /// [`Network::forward_input`].
    ///
    /// # Panics
    /// More rows than the capacity.
    pub fn input(&mut self, rows: usize) -> ArrayViewMut2<'_, T> {
        assert!(rows <= self.capacity(), "a batch of {rows} rows in a workspace for {}", self.capacity());
        self.rows = rows;
        first_rows_mut(&mut self.input, rows)
    }

    /// The network's output for the batch, (rows, outputs); where it [forks](crate::Fork), (rows · members, outputs).
    pub fn output(&self) -> ArrayView2<'_, T> {
        let last = self.layers.last().expect("a network has a layer");
        first_rows(&last.a, self.output_rows)
    }

    /// ∂L/∂parameters of the last backward pass, in the order of [`Network::parameters`].
    pub fn gradient(&self) -> &[T] {
        &self.gradient
    }

    /// The output as losses read it, and the memory of its gradient.
    pub(crate) fn output_and_gradient(&mut self, activation: Activation) -> (Output<'_, T>, ArrayViewMut2<'_, T>) {
        let rows = self.output_rows;
        let LayerMemory { z, a, d, .. } = self.layers.last_mut().expect("a network has a layer");
        let output = Output { activation, z: first_rows(z, rows), a: first_rows(a, rows) };
        (output, first_rows_mut(d, rows))
    }
}

/// The first `rows` rows; as many as there are of a matrix that is not kept.
pub(crate) fn first_rows<T>(matrix: &Array2<T>, rows: usize) -> ArrayView2<'_, T> {
    matrix.view().split_at(Axis(0), rows.min(matrix.nrows())).0
}

/// [`first_rows`], to write.
pub(crate) fn first_rows_mut<T>(matrix: &mut Array2<T>, rows: usize) -> ArrayViewMut2<'_, T> {
    let rows = rows.min(matrix.nrows());
    matrix.view_mut().split_at(Axis(0), rows).0
}
