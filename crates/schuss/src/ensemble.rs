//! Several networks that predict together.

use ndarray::ArrayViewMut2;

use crate::activation::sigmoid;
use crate::workspace::{Workspace, first_rows_mut};
use crate::{Activation, Error, Loss, Model, Network, Real, Result};

impl<T: Real> Model<T> {
    /// The model whose prediction is the mean of those of `members` (Breiman 1996, Machine Learning 24): of probabilities
    /// where they predict some, of numbers otherwise. All but their parameters is that of the first one.
    ///
    /// # Errors
    /// No members; one whose layers, loss, task, scalings or columns are not those of the first one.
    pub fn ensemble(members: Vec<Self>) -> Result<Self> {
        let mut members = members.into_iter();
        let missing = || Error::value("members of an ensemble", "one at least", 0);
        let mut first = members.next().ok_or_else(missing)?;
        for (i, member) in members.enumerate() {
            let fits = member.network.layers() == first.network.layers()
                && (member.loss, member.task) == (first.loss, first.task)
                && (&member.scaling, &member.target_scaling) == (&first.scaling, &first.target_scaling)
                && (&member.schema, &member.class_names) == (&first.schema, &first.class_names);
            if !fits {
                let what = format!("member {} of an ensemble (counted from 0)", i + 1);
                return Err(Error::value(what, "the layers, loss, task, scalings and columns of the first", "others"));
            }
            first.others.push(member.network);
            first.others.extend(member.others);
        }
        Ok(first)
    }

    /// The networks whose predictions are averaged; mostly one.
    pub fn networks(&self) -> impl ExactSizeIterator<Item = &Network<T>> {
        // One more than the slice, as a chain cannot say.
        (0..self.others.len() + 1).map(|i| if i == 0 { &self.network } else { &self.others[i - 1] })
    }

    /// How many networks predict together, those that share layers among them.
    pub fn members(&self) -> usize {
        self.networks().map(Network::members).sum()
    }

    /// The same model of networks that share nothing: its predictions are the same to the last bit.
    pub fn unfolded(&self) -> Self {
        let mut networks = self.networks().flat_map(Network::unfolded);
        let network = networks.next().expect("a model has a network");
        let others = networks.collect();
        Self { network, others, ..self.clone() }
    }

    /// Runs the batch in `workspace` through all networks; the output there is then that of a network which predicts the
    /// mean.
    pub(crate) fn forward_input(&self, workspace: &mut Workspace<T>, sums: &mut Vec<Said<T>>) {
        if self.members() == 1 {
            self.network.forward_input(workspace);
            return;
        }
        let (rows, outputs) = (workspace.rows, self.network.outputs());
        sums.clear();
        sums.resize(rows * outputs, [T::ZERO; 2]);
        for network in self.networks() {
            network.forward_input(workspace);
            let output = workspace.output();
            let of_rows = output.as_slice().unwrap_or_default().chunks_exact(network.members() * outputs);
            for (output, sums) in of_rows.zip(sums.chunks_exact_mut(outputs)) {
                output.chunks_exact(outputs).for_each(|of_member| self.add_said(of_member, sums));
            }
        }
        workspace.output_rows = rows;
        let last = workspace.layers.last_mut().expect("a network has a layer");
        let (z, a) = (first_rows_mut(&mut last.z, rows), first_rows_mut(&mut last.a, rows));
        self.write_mean(sums, z, a);
    }

    /// Adds what an output says.
    pub(crate) fn add_said(&self, output: &[T], sums: &mut [Said<T>]) {
        let said = |a: T| match self.loss {
            Loss::BinaryCrossEntropy => [a, -a].map(sigmoid),
            Loss::Poisson => [a.exp(), T::ZERO],
            _ => [a, T::ZERO],
        };
        sums.iter_mut().zip(output).for_each(|([sum, rest], &a)| {
            let [x, y] = said(a);
            (*sum, *rest) = (*sum + x, *rest + y);
        });
    }

    /// Overwrites an output, and the logits where they are kept, with what says the mean of such sums.
    pub(crate) fn write_mean(&self, sums: &[Said<T>], mut z: ArrayViewMut2<T>, mut a: ArrayViewMut2<T>) {
        let share = T::from_f64(1.0 / self.members() as f64);
        // That of 0 is a number, too, so that a loss is one; it stands for 0 in every precision.
        let of_zero = T::from_f64(-1000.0);
        let ln = |x: T| if x == T::ZERO { of_zero } else { x.ln() };
        let output = |[sum, rest]: Said<T>| match self.loss {
            Loss::BinaryCrossEntropy => ln(sum * share) - ln(rest * share),
            Loss::Poisson => ln(sum * share),
            _ => sum * share,
        };
        a.iter_mut().zip(sums).for_each(|(a, &sums)| *a = output(sums));
        if let Activation::Softmax { .. } = self.network.last_activation() {
            // Logits of these probabilities.
            z.iter_mut().zip(sums).for_each(|(z, &[sum, _])| *z = ln(sum * share));
        }
    }
}

/// What outputs of several networks say, summed up: probabilities, and those of the opposite, as a difference from 1 would
/// lose them; rates; numbers.
pub(crate) type Said<T> = [T; 2];
