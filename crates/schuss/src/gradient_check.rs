//! The proof that backward is the derivative of forward: central differences in double precision.

use ndarray::{Array2, ArrayView2};

use crate::loss::{BatchTargets, Output};
use crate::random::{Purpose, Stream};
use crate::workspace::Pass;
use crate::{Activation, Error, Layer, Loss, Network, Result, Threads, Workspace};

/// The step h of the differences (8 (L(θ+h) - L(θ-h)) - (L(θ+2h) - L(θ-2h))) / 12h. Their error is about h⁴ from the
/// formula and 1e-16/h from rounding, 1e-12 here.
const STEP: f64 = 1e-4;
/// Up to so many coordinates are all checked, beyond that a seeded sample of so many.
const MOST: usize = 20_000;
/// A larger relative error fails.
pub const TOLERANCE: f64 = 1e-6;
/// Errors are relative to the numbers compared, but to no less than this share of the largest gradient and than this
/// number: below, the differences have too few digits left to tell.
const FLOOR_SHARE: f64 = 1e-3;
const FLOOR: f64 = 1e-5;

/// The gradient of a mean loss with respect to everything that goes into it.
#[derive(Clone, Debug, PartialEq)]
pub struct LossGradient {
    /// ∂L/∂parameters, flat.
    pub parameters: Vec<f64>,
    /// ∂L/∂x, (batch, inputs).
    pub input: Array2<f64>,
}

/// What a comparison of gradients came to.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientCheck {
    /// Parameters and inputs of the batch.
    pub coordinates: usize,
    /// How many of them were compared.
    pub compared: usize,
    /// How many were looked at but not compared, because a ReLU changes side within the step, where there is no
    /// derivative to compare with.
    pub corners: usize,
    /// The largest relative error.
    pub worst: f64,
    /// Its coordinate: a tensor's name and an index, or `input`.
    pub worst_at: String,
}

impl GradientCheck {
    /// Whether no error is above [`TOLERANCE`], and something was compared at all.
    pub fn passed(&self) -> bool {
        self.worst <= TOLERANCE && self.compared > 0
    }
}

/// A network, its loss, and a batch.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The network.
    pub network: &'a Network<f64>,
    /// The loss.
    pub loss: Loss,
    /// (batch, inputs), scaled.
    pub x: ArrayView2<'a, f64>,
    /// As many as rows of the output.
    pub targets: BatchTargets<'a, f64>,
    /// What the passes are for: in those of training, dropout and batch norms take part.
    pub pass: Pass,
}

impl Subject<'_> {
    /// The gradient as training computes it.
    ///
    /// # Errors
    /// The batch does not fit the network.
    pub fn backward(&self) -> Result<LossGradient> {
        let mut workspace = Workspace::new(self.network, self.x.nrows(), &Threads::ONE);
        workspace.set_pass(self.pass);
        let mut input = Array2::zeros(self.x.dim());
        self.network.forward(&mut workspace, self.x)?;
        let last = self.network.last_activation();
        let (output, gradient) = workspace.output_and_gradient(last);
        self.loss.evaluate(&Threads::ONE, output, self.targets, None, Some(gradient));
        let left = self.loss.activation_left(last);
        self.network.backward_output(&mut workspace, left, Some(input.view_mut()));
        Ok(LossGradient { parameters: workspace.gradient, input })
    }

    /// Compares `gradient` with central differences of fourth order, coordinate by coordinate: all of them up to 20,000, else a
    /// sample that depends on `seed` alone.
    ///
    /// # Errors
    /// The batch does not fit the network; a softmax that smooths (its backward is by design not the derivative of its
    /// forward: see [`softmax_jacobian_error`]).
    pub fn compare(&self, gradient: &LossGradient, seed: u64) -> Result<GradientCheck> {
        for layer in self.network.layers() {
            if layer.activation().epsilon() != 0.0 {
                return Err(Error::value("softmax epsilon of a gradient check", "0", layer.activation().epsilon()));
            }
        }
        let mut network = self.network.clone();
        let mut x = self.x.to_owned();
        let mut workspace = Workspace::new(&network, x.nrows(), &Threads::ONE);
        workspace.set_pass(self.pass);
        let parameters = network.parameters().len();
        let coordinates = parameters + x.len();
        let analytic = |i: usize| match i.checked_sub(parameters) {
            None => gradient.parameters[i],
            Some(i) => gradient.input[(i / x.ncols(), i % x.ncols())],
        };
        let largest = (0..coordinates).map(|i| analytic(i).abs()).fold(0.0, f64::max);
        let floor = (FLOOR_SHARE * largest).max(FLOOR);

        let mut check = GradientCheck { coordinates, compared: 0, corners: 0, worst: 0.0, worst_at: String::new() };
        let analytic: Vec<(usize, f64)> = sample(coordinates, seed).into_iter().map(|i| (i, analytic(i))).collect();
        for (i, analytic) in analytic {
            let mut at = |steps: f64| -> Result<(f64, Vec<bool>)> {
                let value: &mut f64 = match i.checked_sub(parameters) {
                    None => &mut network.parameters_mut()[i],
                    Some(i) => &mut x.as_slice_mut().expect("owned and row-major")[i],
                };
                let before = *value;
                *value += steps * STEP;
                let result = self.loss_and_sides(&network, x.view(), &mut workspace);
                match i.checked_sub(parameters) {
                    None => network.parameters_mut()[i] = before,
                    Some(i) => x.as_slice_mut().expect("owned and row-major")[i] = before,
                }
                result
            };
            let [(near_above, sides), near_below, far_above, far_below] = [at(1.0)?, at(-1.0)?, at(2.0)?, at(-2.0)?];
            if [&near_below, &far_above, &far_below].into_iter().any(|(_, other)| *other != sides) {
                check.corners += 1;
                continue;
            }
            check.compared += 1;
            let numeric = (8.0 * (near_above - near_below.0) - (far_above.0 - far_below.0)) / (12.0 * STEP);
            let error = (numeric - analytic).abs() / numeric.abs().max(analytic.abs()).max(floor);
            // A NaN is the worst of errors.
            if error.is_nan() || error > check.worst {
                check.worst = if error.is_nan() { f64::INFINITY } else { error };
                check.worst_at = self.name(i);
            }
        }
        Ok(check)
    }

    /// The mean loss, and on which side of its corner every unit and every error is that has one.
    fn loss_and_sides(
        &self,
        network: &Network<f64>,
        x: ArrayView2<f64>,
        workspace: &mut Workspace<f64>,
    ) -> Result<(f64, Vec<bool>)> {
        network.forward(workspace, x)?;
        let (output, _) = workspace.output_and_gradient(network.last_activation());
        let rows = output.a.nrows() as f64;
        let loss = self.loss.evaluate(&Threads::ONE, output, self.targets, None, None) / rows;
        let with_corner = network.layers().iter().zip(&workspace.layers).filter(|(l, _)| l.function().has_corner());
        let functions = with_corner.flat_map(|(layer, memory)| match layer {
            Layer::Parametric(_) => &memory.kept,
            _ => &memory.a,
        });
        let mut sides: Vec<_> = functions.map(|&f| f > 0.0).collect();
        let last = workspace.layers.last().expect("a network has a layer");
        let output = Output { activation: network.last_activation(), z: last.z.view(), a: last.a.view() };
        sides.extend(self.loss.sides(output, self.targets));
        Ok((loss, sides))
    }

    fn name(&self, coordinate: usize) -> String {
        let segment = self.network.segments().iter().find(|segment| segment.range.contains(&coordinate));
        match segment {
            Some(segment) => format!("{}[{}]", segment.name, coordinate - segment.range.start),
            None => format!("input[{}]", coordinate - self.network.parameters().len()),
        }
    }
}

/// All of 0..`count`, or a seeded sample.
fn sample(count: usize, seed: u64) -> Vec<usize> {
    if count <= MOST {
        return (0..count).collect();
    }
    let mut stream = Stream::new(seed, Purpose::Check, 0);
    (0..MOST).map(|_| (stream.uniform() * count as f64) as usize).collect()
}

/// The largest difference, relative to p·max|da|, between softmax's backward and its explicit Jacobian at the smoothed output,
/// diagonal p_i (1 - p_i), off-diagonal -p_i p_j, over rows from flat to saturated.
pub fn softmax_jacobian_error(epsilon: f64) -> f64 {
    const N: usize = 5;
    let softmax = Activation::Softmax { epsilon };
    let mut worst: f64 = 0.0;
    for spread in [0.0, 1.0, 10.0, 100.0, 1000.0] {
        let z = Array2::from_shape_fn((1, N), |(_, j)| spread * ((j as f64 * 2.3).sin() + j as f64 * 0.1));
        let da = Array2::from_shape_fn((1, N), |(_, j)| (j as f64 * 1.7 + 0.4).cos());
        let mut p = z.clone();
        softmax.apply(&Threads::ONE, p.view_mut());
        let mut dz = da.clone();
        softmax.chain(&Threads::ONE, z.view(), p.view(), dz.view_mut());
        let largest = da.iter().fold(0.0, |largest: f64, da| largest.max(da.abs()));
        for j in 0..N {
            let jacobian = |i: usize| if i == j { p[(0, i)] * (1.0 - p[(0, i)]) } else { -p[(0, i)] * p[(0, j)] };
            let explicit: f64 = (0..N).map(|i| jacobian(i) * da[(0, i)]).sum();
            worst = worst.max((dz[(0, j)] - explicit).abs() / (p[(0, j)] * largest).max(f64::MIN_POSITIVE));
        }
    }
    worst
}
