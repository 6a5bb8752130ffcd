//! How much each column matters to a model: what it loses when the column is shuffled.

use ndarray::{Array2, ArrayView2, Axis};

use super::{Evaluation, Measure};
use crate::random::{Purpose, Stream};
use crate::{Dataset, Error, Features, Model, Real, Result, Targets, Threads};

/// How [`Importances`] are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permutations {
    /// How often each column is shuffled.
    pub repeats: usize,
    /// Of more rows so many are drawn, the same ones for all columns.
    pub most_rows: usize,
    /// Of the rows that are drawn, and of their orders.
    pub seed: u64,
}

impl Default for Permutations {
    /// Five times, of 2,000 rows at most.
    fn default() -> Self {
        Self { repeats: 5, most_rows: 2000, seed: 0 }
    }
}

/// How much worse a model becomes, by its main measure, when the values of a column are put in another order: permutation
/// importance (Breiman 2001, Machine Learning 45, section 10).
///
/// The definition is that of scikit-learn's `permutation_importance`: for each column, the measure on the rows as they are
/// less that on the rows whose values of this column are shuffled, once for each repeat; where less is better, the other way
/// round. A column that the model does not need is around 0, below it by chance. It says what this model uses: of columns that
/// say the same, each may seem to matter little.
#[derive(Clone, Debug, PartialEq)]
pub struct Importances {
    /// The main measure on these rows as they are, without an interval.
    pub measure: Measure,
    /// How many rows were looked at.
    pub rows: usize,
    /// How often each column was shuffled.
    pub repeats: usize,
    /// Of each column, in their order.
    pub columns: Vec<Importance>,
}

/// How much worse a model becomes without a column: a number for each repeat, in the unit of the measure.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// Not finite where the measure is not.
    pub drops: Vec<f64>,
}

impl Importance {
    /// Of the repeats.
    pub fn mean(&self) -> f64 {
        self.drops.iter().sum::<f64>() / self.drops.len() as f64
    }

    /// The standard deviation of the repeats, √(Σ(x - mean)²/n), as scikit-learn has it.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        (self.drops.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / self.drops.len() as f64).sqrt()
    }
}

impl Importances {
    /// The places of the columns, the one that matters most first; equal ones in their order.
    pub fn ranking(&self) -> Vec<usize> {
        let means: Vec<f64> = self.columns.iter().map(Importance::mean).collect();
        let mut order: Vec<usize> = (0..means.len()).collect();
        order.sort_by(|&a, &b| means[b].total_cmp(&means[a]));
        order
    }
}

impl<T: Real> Model<T> {
    /// How much each column matters on these rows. `columns` are the inputs that each becomes, such as
    /// [`Schema::inputs_of`](crate::Schema::inputs_of) has them: they are shuffled together, which is to shuffle the values
    /// that they come from. The result is a function of these arguments, whatever the number of threads.
    ///
    /// # Errors
    /// See [`Model::check`]; no repeats, no rows, an input that the model does not have.
    pub fn importances(
        &self,
        dataset: Dataset,
        columns: &[Vec<usize>],
        permutations: Permutations,
        threads: &Threads,
    ) -> Result<Importances> {
        self.check(dataset)?;
        let Permutations { repeats, most_rows, seed } = permutations;
        for (what, count) in [("repeats of a permutation", repeats), ("rows of a permutation", most_rows)] {
            if count == 0 {
                return Err(Error::value(what, "one or more", count));
            }
        }
        if let Some(input) = columns.iter().flatten().find(|input| **input >= self.network.inputs()) {
            let expected = format!("one of the model's {} inputs", self.network.inputs());
            return Err(Error::value("input of a column", expected, input));
        }
        let counts = |row: &u32| dataset.weights().is_none_or(|weights| weights[*row as usize] > 0.0);
        let rows = sample((0..dataset.rows() as u32).filter(counts).collect(), most_rows, seed);
        let weights: Option<Vec<f64>> = dataset.weights().map(|all| rows.iter().map(|&row| all[row]).collect());
        let targets = match dataset.targets() {
            Targets::Classes { labels, classes } => {
                Chosen::Classes { labels: rows.iter().map(|&row| labels[row]).collect(), classes }
            }
            Targets::Values(values) => Chosen::Values(values.select(Axis(0), &rows)),
        };
        let shuffle = Shuffle { columns, repeats, seed };
        let (measure, drops) = match dataset.features() {
            Features::U8(all) => shuffle
                .drops(all, &rows, |x| self.score(Features::U8(x.view()), &targets, weights.as_deref(), threads))?,
            Features::F32(all) => shuffle
                .drops(all, &rows, |x| self.score(Features::F32(x.view()), &targets, weights.as_deref(), threads))?,
            Features::F64(all) => shuffle
                .drops(all, &rows, |x| self.score(Features::F64(x.view()), &targets, weights.as_deref(), threads))?,
        };
        let columns = drops.into_iter().map(|drops| Importance { drops }).collect();
        Ok(Importances { measure, rows: rows.len(), repeats, columns })
    }

    /// The main measure on these examples.
    fn score<'d>(
        &self,
        features: Features<'d>,
        targets: &'d Chosen,
        weights: Option<&'d [f64]>,
        threads: &Threads,
    ) -> Result<Measure> {
        let predictions = self.predict(features, threads)?;
        let subset = Dataset::new(features, targets.view())?;
        let subset = weights.map_or(Ok(subset), |weights| subset.with_weights(weights))?;
        Ok(Evaluation::of_model(self, predictions, subset)?.main_value())
    }
}

/// The targets of the rows that are looked at.
enum Chosen {
    Classes { labels: Vec<u32>, classes: usize },
    Values(Array2<f64>),
}

impl Chosen {
    fn view(&self) -> Targets<'_> {
        match self {
            Self::Classes { labels, classes } => Targets::Classes { labels, classes: *classes },
            Self::Values(values) => Targets::Values(values.view()),
        }
    }
}

/// These rows, or `most` of them, drawn at random and in their order.
fn sample(mut rows: Vec<u32>, most: usize, seed: u64) -> Vec<usize> {
    if rows.len() > most {
        Stream::new(seed, Purpose::Permutation, 0).shuffle(&mut rows);
        rows.truncate(most);
        rows.sort_unstable();
    }
    rows.into_iter().map(|row| row as usize).collect()
}

struct Shuffle<'a> {
    columns: &'a [Vec<usize>],
    repeats: usize,
    seed: u64,
}

impl Shuffle<'_> {
    /// The measure of these rows as they are, and what is lost of it, column by column and repeat by repeat.
    fn drops<A: Copy>(
        &self,
        all: ArrayView2<A>,
        rows: &[usize],
        score: impl Fn(&Array2<A>) -> Result<Measure>,
    ) -> Result<(Measure, Vec<Vec<f64>>)> {
        let original = all.select(Axis(0), rows);
        let measure = score(&original)?;
        let value = |measure: &Measure| measure.value.unwrap_or(f64::NAN);
        let sign = if measure.higher_is_better { 1.0 } else { -1.0 };
        let mut shuffled = original.clone();
        let mut drops = Vec::with_capacity(self.columns.len());
        for (column, inputs) in (1..).zip(self.columns) {
            let mut of_column = Vec::with_capacity(self.repeats);
            for repeat in 0..self.repeats as u64 {
                let mut order: Vec<u32> = (0..rows.len() as u32).collect();
                Stream::new(self.seed, Purpose::Permutation, column).item(repeat).shuffle(&mut order);
                for &input in inputs {
                    let from = original.column(input);
                    shuffled.column_mut(input).iter_mut().zip(&order).for_each(|(x, &row)| *x = from[row as usize]);
                }
                of_column.push(sign * (value(&measure) - value(&score(&shuffled)?)));
            }
            inputs.iter().for_each(|&input| shuffled.column_mut(input).assign(&original.column(input)));
            drops.push(of_column);
        }
        Ok((measure, drops))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Loss, Mlp, Network, Task};

    /// y = Σ weight·x, exactly.
    fn linear(weights: &[f64], loss: Loss, task: Task) -> Model<f64> {
        let mlp = Mlp::new(&[weights.len(), 1], Activation::Relu, Activation::Identity);
        let mut network = Network::of_layers(mlp.layers().unwrap()).unwrap();
        network.parameters_mut()[..weights.len()].copy_from_slice(weights);
        Model::new(network, loss, task)
    }

    /// Numbers that depend on nothing but their place, uniform in [-1, 1).
    fn features(rows: usize, columns: usize) -> Array2<f64> {
        let mut stream = Stream::new(7, Purpose::Check, 0);
        Array2::from_shape_fn((rows, columns), |_| stream.signed())
    }

    fn importances<'d>(
        model: &Model<f64>,
        x: &'d Array2<f64>,
        y: Targets<'d>,
        columns: &[Vec<usize>],
        threads: &Threads,
    ) -> Importances {
        let dataset = Dataset::new(Features::F64(x.view()), y).unwrap();
        let permutations = Permutations { repeats: 20, most_rows: 4000, seed: 3 };
        model.importances(dataset, columns, permutations, threads).unwrap()
    }

    /// For a model that is exact, shuffling x leaves the error w·(x - x'): of variance 2·w²·Var x, as x' is as good as
    /// drawn anew; Var x = 1/3.
    #[test]
    fn of_an_exact_linear_model_they_are_its_weights_times_a_known_factor() {
        let weights = [3.0, 0.0, -1.0];
        let model = linear(&weights, Loss::Mse, Task::Regression);
        let x = features(4000, 3);
        let y = Array2::from_shape_fn((4000, 1), |(row, _)| 3.0 * x[(row, 0)] - x[(row, 2)]);
        let columns = [vec![0], vec![1], vec![2]];
        let found = importances(&model, &x, Targets::Values(y.view()), &columns, &Threads::ONE);
        assert_eq!((found.measure.key, found.rows, found.repeats), ("rmse", 4000, 20));
        assert!(found.measure.value.unwrap() < 1e-12);
        assert_eq!(found.ranking(), [0, 2, 1]);
        assert!(found.columns[1].drops.iter().all(|drop| *drop == 0.0), "{found:?}");
        for (importance, weight) in found.columns.iter().zip(weights) {
            let expected = f64::abs(weight) * (2.0f64 / 3.0).sqrt();
            assert!((importance.mean() - expected).abs() <= 0.02 * expected, "{} {expected}", importance.mean());
            assert!(importance.deviation() <= 0.02 * expected);
        }
    }

    /// Of two classes as frequent, told apart by the sign of one column, shuffling it leaves a half right.
    #[test]
    fn of_an_exact_classifier_the_column_is_worth_half_the_rows() {
        let model = linear(&[50.0, 0.0], Loss::BinaryCrossEntropy, Task::Classification { classes: 2 });
        let x = features(4000, 2);
        let labels: Vec<u32> = x.column(0).iter().map(|x| u32::from(*x > 0.0)).collect();
        let targets = Targets::Classes { labels: &labels, classes: 2 };
        let found = importances(&model, &x, targets, &[vec![0], vec![1]], &Threads::ONE);
        assert_eq!((found.measure.key, found.measure.value), ("accuracy", Some(1.0)));
        assert!((found.columns[0].mean() - 0.5).abs() < 0.01 && found.columns[1].mean() == 0.0, "{found:?}");
    }

    /// What several inputs say together stays together: x0 - x1 is 0 in every row, also in another one's.
    #[test]
    fn the_inputs_of_a_column_are_shuffled_as_one() {
        let model = linear(&[2.0, -2.0], Loss::Mse, Task::Regression);
        let mut x = features(300, 2);
        let first = x.column(0).to_owned();
        x.column_mut(1).assign(&first);
        let y = Array2::zeros((300, 1));
        let found = importances(&model, &x, Targets::Values(y.view()), &[vec![0, 1], vec![0]], &Threads::ONE);
        assert!(found.columns[0].mean() == 0.0 && found.columns[1].mean() > 1.0, "{found:?}");
    }

    #[test]
    fn rows_are_drawn_and_the_bits_do_not_depend_on_threads() {
        let model = linear(&[1.0, -0.5, 0.25], Loss::Mse, Task::Regression);
        let x = features(9000, 3);
        let y = features(9000, 1);
        let columns = [vec![0], vec![1, 2]];
        let [one, three] = [1, 3]
            .map(|count| importances(&model, &x, Targets::Values(y.view()), &columns, &Threads::new(count).unwrap()));
        assert_eq!((one.rows, &one), (4000, &three));
        let [these, others] = [3, 4].map(|seed| sample((0..9000).collect(), 4000, seed));
        assert!(these.is_sorted() && others.is_sorted() && these != others);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let model = linear(&[1.0], Loss::Mse, Task::Regression);
        let (x, y) = (features(3, 1), features(3, 1));
        let dataset = Dataset::new(Features::F64(x.view()), Targets::Values(y.view())).unwrap();
        let check = |columns: &[Vec<usize>], permutations: Permutations, expected: &str| {
            let error = model.importances(dataset, columns, permutations, &Threads::ONE).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let usual = Permutations::default();
        check(&[vec![1]], usual, "one of the model's 1 inputs");
        check(&[vec![0]], Permutations { repeats: 0, ..usual }, "repeats");
        check(&[vec![0]], Permutations { most_rows: 0, ..usual }, "rows");
    }
}
