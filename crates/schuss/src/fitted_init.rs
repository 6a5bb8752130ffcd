//! Initial parameters that fit the data.

use ndarray::{Array2, Axis};
use schuss_kernels::{Fused, Threads, gemm};

use crate::fork::of_member;
use crate::init::draw_own;
use crate::random::{Purpose, Stream};
use crate::workspace::first_rows;
use crate::{Features, Model, Real, Result, Workspace};

/// Examples that are looked at.
const MOST_ROWS: usize = 4096;
/// Examples between which a unit begins to bend.
const POINTS: usize = 5;
/// The least deviation that a unit is divided by.
const LEAST: f64 = 1e-30;

impl<T: Real> Model<T> {
    /// Overwrites the parameters of the dense layers by what the data say, layer after layer (Holzmüller et al. 2024,
    /// arXiv:2407.04491): a weight's rows w are drawn from N(0, 1) and divided by the standard deviation of w·x over the
    /// examples; a bias is -w·x for a random point x between five of the examples (he+5 of Steinwart 2019,
    /// arXiv:1903.11482), so that every unit's zero lies among the data. An [`Embed`](crate::Embed) is drawn as
    /// [`Init`](crate::Init) says.
    ///
    /// A function of the network, the examples and the seed; of more than 4096 examples, a sample.
    ///
    /// # Errors
    /// See [`Model::check_features`].
    pub fn fit_init(&mut self, features: Features, seed: u64, threads: &Threads) -> Result<()> {
        self.check_features(features)?;
        draw_own(&mut self.network, seed);
        let draws = Stream::new(seed, Purpose::FittedInit, 0);
        let mut rows: Vec<u32> = (0..features.rows() as u32).collect();
        draws.at(0, 0).shuffle(&mut rows);
        rows.truncate(MOST_ROWS / self.network.members().min(MOST_ROWS));

        let mut workspace = Workspace::new(&self.network, rows.len(), threads);
        self.scaling.gather(threads, features, &rows, workspace.input(rows.len()));
        let layers = self.network.layers().to_vec();
        for (i, layer) in layers.iter().enumerate() {
            let Some(dense) = layer.dense() else { continue };
            self.network.forward_input(&mut workspace);
            let x = match i.checked_sub(1) {
                Some(before) => first_rows(&workspace.layers[before].a, rows.len() * self.network.copies_after(before)),
                None => workspace.input.view(),
            };
            let mut draws = draws.at(1 + i as u64, 0);
            let segments = self.network.segments().iter().filter(|segment| segment.layer == i);
            let ranges: Vec<_> = segments.map(|segment| segment.range.clone()).collect();
            // W and b, of each of the networks that the layer ends.
            let heads = ranges.as_chunks::<2>().0;
            for (j, [of_weight, of_bias]) in heads.iter().enumerate() {
                let x = x.slice_axis(Axis(0), of_member(j, heads.len()));
                let weight: Vec<T> = normals(&mut draws).take(dense.inputs * dense.outputs).map(T::from_f64).collect();
                let weight =
                    Array2::from_shape_vec((dense.outputs, dense.inputs), weight).expect("as many as the shape says");
                let mut z = Array2::from_elem((x.nrows(), dense.outputs), T::ZERO);
                gemm(&workspace.compute, x, weight.t(), Fused::Nothing, z.view_mut());

                let parameters = self.network.parameters_mut();
                for (unit, z) in z.columns().into_iter().enumerate() {
                    let z: Vec<f64> = z.iter().map(|z| z.to_f64()).collect();
                    let deviation = deviation(&z).max(LEAST);
                    let of_unit = &mut parameters[of_weight.clone()][unit * dense.inputs..][..dense.inputs];
                    let divided = weight.row(unit).into_iter().map(|w| T::from_f64(w.to_f64() / deviation));
                    of_unit.iter_mut().zip(divided).for_each(|(to, w)| *to = w);
                    parameters[of_bias.clone()][unit] = T::from_f64(-point(&mut draws, &z) / deviation);
                }
            }
        }
        Ok(())
    }
}

fn normals(draws: &mut Stream) -> impl Iterator<Item = f64> {
    std::iter::repeat_with(|| draws.normal_pair()).flatten()
}

/// Of the population.
fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count).sqrt()
}

/// A random mean of some of the values, their weights uniform on the simplex.
fn point(draws: &mut Stream, values: &[f64]) -> f64 {
    let [mut sum, mut total] = [0.0; 2];
    for _ in 0..POINTS {
        let weight = -(1.0 - draws.uniform()).ln();
        sum += weight * values[draws.below(values.len() as u32) as usize];
        total += weight;
    }
    sum / total
}
