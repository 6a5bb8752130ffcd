//! What an optimiser remembers, and its step.

use super::clip::Clipper;
use super::lbfgs::{self, Pairs};
use super::muon::{Constants, Matrices, Part};
use super::pass::{Pass, Run};
use super::schedule_free::Weights;
use super::{Clip, Optimizer};
use crate::{Error, Real, Result, Segment, Threads};

/// What an optimiser remembers from step to step. Everything is laid out by [`OptimizerState::new`]; a step allocates
/// nothing.
///
/// What it remembers can be saved and restored, bit for bit:
/// ```
/// use schuss::*;
/// let network = Network::<f32>::new(&[2, 3, 1], Activation::Tanh, Activation::Identity)?;
/// let mut state = OptimizerState::new(Optimizer::ADAM, network.segments(), 0.0, None)?;
/// let mut parameters = network.parameters().to_vec();
/// assert!(state.step(&Threads::ONE, &mut parameters, &[0.5; 13], 0.001));
///
/// let buffers: Vec<(&str, Vec<f32>)> = state.buffers().map(|(name, values)| (name, values.to_vec())).collect();
/// assert_eq!(buffers[1].0, "second_moment");
/// let mut other = OptimizerState::new(Optimizer::ADAM, network.segments(), 0.0, None)?;
/// other.restore(state.steps(), &state.numbers(), &buffers)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OptimizerState<T> {
    optimizer: Optimizer,
    clip: Option<Clip>,
    runs: Vec<(usize, Run)>,
    decay_factor: f64,
    steps: u64,
    buffers: Vec<Buffer<T>>,
    memory: Memory<T>,
}

/// A named part of what is remembered, flat.
#[derive(Clone, Debug)]
pub(super) struct Buffer<T> {
    name: &'static str,
    values: Vec<T>,
}

/// What is remembered beside the buffers, and memory to compute in.
#[derive(Clone, Debug)]
enum Memory<T> {
    None,
    ScheduleFree(Weights),
    Muon { parts: Vec<Part>, matrices: Matrices<T> },
    Lbfgs(Pairs),
}

impl<T: Real> OptimizerState<T> {
    /// The state before the first step, for parameters of these segments, which follow one another from 0 on;
    /// `weight_decay` is λ for those of them that decay.
    ///
    /// # Errors
    /// A constant, the weight decay, the limit of the clip or a segment's learning-rate factor or gain outside its range;
    /// more to remember than fits the memory.
    pub fn new(optimizer: Optimizer, segments: &[Segment], weight_decay: f64, clip: Option<Clip>) -> Result<Self> {
        optimizer.check()?;
        clip.map_or(Ok(()), Clip::check)?;
        if !(weight_decay.is_finite() && weight_decay >= 0.0) {
            return Err(Error::value("weight decay", "a finite number of 0 or more", weight_decay));
        }
        let mut end = 0;
        for Segment { name, range, shape, learning_rate_factor, gain, decay_factor, .. } in segments {
            if range.start != end || range.len() != shape.iter().product::<usize>() {
                let expected = format!("{shape:?} from {end} on");
                return Err(Error::value(format!("range of {name}"), expected, format!("{range:?}")));
            }
            for (what, factor) in [("learning-rate", learning_rate_factor), ("weight-decay", decay_factor)] {
                if !(factor.is_finite() && *factor >= 0.0) {
                    let what = format!("{what} factor of {name}");
                    return Err(Error::value(what, "a finite number of 0 or more", factor));
                }
            }
            if !(gain.is_finite() && *gain > 0.0) {
                return Err(Error::value(format!("gain of {name}"), "a finite number above 0", gain));
            }
            end = range.end;
        }
        let memory = match optimizer {
            Optimizer::ScheduleFree { .. } => Memory::ScheduleFree(Weights::default()),
            Optimizer::Lbfgs { history } => Memory::Lbfgs(Pairs::new(history)),
            Optimizer::Muon { .. } => {
                let parts = Part::all(segments, weight_decay);
                Memory::Muon { matrices: Matrices::new(&parts)?, parts }
            }
            _ => Memory::None,
        };
        let layout = match (&memory, optimizer) {
            (Memory::Muon { parts, .. }, _) => vec![("momentum", end), ("second_moment", Part::others(parts))],
            (_, Optimizer::Sgd { momentum, .. }) => vec![("velocity", end); usize::from(momentum > 0.0)],
            (_, Optimizer::RmsProp { momentum, centered, .. }) => {
                let names = [("mean_square", true), ("mean", centered), ("velocity", momentum > 0.0)];
                names.into_iter().filter(|(_, is_used)| *is_used).map(|(name, _)| (name, end)).collect()
            }
            (_, Optimizer::ScheduleFree { .. }) => vec![("z", end), ("second_moment", end)],
            (_, Optimizer::Lbfgs { history }) => {
                let values = end.saturating_mul(history + 1);
                vec![("steps", values), ("gradient_changes", values)]
            }
            _ => vec![("first_moment", end), ("second_moment", end)],
        };
        let buffer = |(name, length)| Ok(Buffer { name, values: zeros(length)? });
        let buffers = layout.into_iter().map(buffer).collect::<Result<_>>()?;
        let runs = Run::of(segments, weight_decay);
        Ok(Self { optimizer, clip, runs, decay_factor: 1.0, steps: 0, buffers, memory })
    }

    /// From the next step on λ is multiplied by `factor`, 1 at first: see [`Settings::decay_schedule`](crate::Settings).
    pub fn set_decay_factor(&mut self, factor: f64) {
        self.decay_factor = factor;
    }

    /// One update of the flat parameters. Whether all of them are finite afterwards.
    ///
    /// # Panics
    /// The number of parameters or gradients is not that of the segments.
    pub fn step(&mut self, threads: &Threads, parameters: &mut [T], gradient: &[T], learning_rate: f64) -> bool {
        self.steps += 1;
        let Self { runs, decay_factor, steps: step, buffers, memory, .. } = self;
        let clipper = Clipper::new(threads, self.clip, gradient);
        if let (Optimizer::ScheduleFree { .. }, 1) = (self.optimizer, *step) {
            buffers[0].values.copy_from_slice(parameters);
        }
        let decay_factor = *decay_factor;
        let pass = Pass { threads, runs, parameters, gradient, clipper, learning_rate, decay_factor, step: *step };
        match (self.optimizer, memory) {
            (Optimizer::Sgd { momentum: 0.0, .. }, _) => pass.sgd(),
            (Optimizer::Sgd { momentum, nesterov }, _) => pass.sgd_with_momentum(slices(buffers), momentum, nesterov),
            (Optimizer::RmsProp { decay, epsilon, momentum, centered }, _) => {
                pass.rmsprop(buffers, decay, epsilon, momentum, centered)
            }
            (
                Optimizer::Muon { momentum, nesterov, newton_schulz_steps, rate, beta1, beta2, epsilon },
                Memory::Muon { parts, matrices },
            ) => {
                let constants = Constants { momentum, nesterov, newton_schulz_steps, rate };
                pass.muon(slices(buffers), parts, matrices, constants, [beta1, beta2, epsilon])
            }
            (Optimizer::ScheduleFree { beta1, beta2, epsilon, warm_up }, Memory::ScheduleFree(weights)) => {
                pass.schedule_free(slices(buffers), weights, [beta1, beta2, epsilon], warm_up)
            }
            (Optimizer::Lbfgs { .. }, Memory::Lbfgs(pairs)) => pass.lbfgs(slices(buffers), pairs),
            (Optimizer::Adam { beta1, beta2, epsilon } | Optimizer::AdamW { beta1, beta2, epsilon }, _) => {
                pass.adam(slices(buffers), beta1, beta2, epsilon)
            }
            (Optimizer::Muon { .. } | Optimizer::ScheduleFree { .. } | Optimizer::Lbfgs { .. }, _) => {
                unreachable!("`new` laid out the memory of this optimiser")
            }
        }
    }

    /// gᵀs for the last step s = Δθ of [`Optimizer::Lbfgs`], made with the gradient g: what a line search asks for.
    pub(crate) fn slope(&self, threads: &Threads, gradient: &[T]) -> Option<f64> {
        let Memory::Lbfgs(pairs) = &self.memory else { return None };
        Some(lbfgs::slope(threads, gradient, &self.buffers[0].values, pairs))
    }

    /// Makes the last step of [`Optimizer::Lbfgs`] shorter by `factor`, after the fact.
    pub(crate) fn shorten(&mut self, threads: &Threads, parameters: &mut [T], factor: f64) {
        if let Memory::Lbfgs(pairs) = &self.memory {
            lbfgs::shorten(threads, parameters, &mut self.buffers[0].values, pairs, factor);
        }
    }

    /// Writes the parameters to evaluate and to keep, where they are not those that are trained: x of
    /// [`Optimizer::ScheduleFree`], for `parameters` = y. Whether they differ; if not, `out` is left as it is.
    ///
    /// # Panics
    /// The number of either is not that of the segments.
    pub fn averaged(&self, parameters: &[T], out: &mut [T]) -> bool {
        let Optimizer::ScheduleFree { beta1, .. } = self.optimizer else { return false };
        if self.steps == 0 {
            return false;
        }
        let z = &self.buffers[0].values;
        assert_eq!([parameters.len(), out.len()], [z.len(); 2], "numbers of parameters");
        let factor = T::from_f64(1.0 - 1.0 / beta1);
        out.iter_mut().zip(parameters).zip(z).for_each(|((x, &y), &z)| *x = y + factor * (z - y));
        true
    }

    /// The rule and its constants.
    pub fn optimizer(&self) -> Optimizer {
        self.optimizer
    }

    /// Steps made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The buffers of what is remembered, in their order.
    pub fn buffers(&self) -> impl Iterator<Item = (&'static str, &[T])> {
        self.buffers.iter().map(|buffer| (buffer.name, &buffer.values[..]))
    }

    /// The single numbers of what is remembered; none for most optimisers.
    pub fn numbers(&self) -> Vec<(&'static str, f64)> {
        match &self.memory {
            Memory::None | Memory::Muon { .. } => Vec::new(),
            Memory::ScheduleFree(Weights { largest_rate, sum }) => {
                vec![("largest_rate", *largest_rate), ("weight_sum", *sum)]
            }
            Memory::Lbfgs(pairs) => vec![("place", pairs.place as f64), ("pairs", pairs.count as f64)],
        }
    }

    /// Goes on from what [`OptimizerState::steps`], [`OptimizerState::numbers`] and [`OptimizerState::buffers`] gave,
    /// with the same bits.
    ///
    /// # Errors
    /// Numbers or buffers that are missing, of another length, or outside their range; nothing is changed then.
    pub fn restore(
        &mut self,
        steps: u64,
        numbers: &[(impl AsRef<str>, f64)],
        buffers: &[(impl AsRef<str>, impl AsRef<[T]>)],
    ) -> Result<()> {
        let number = |wanted: &str, largest: f64| {
            let found = numbers.iter().find(|(name, _)| name.as_ref() == wanted).map(|(_, number)| *number);
            let what = || format!("{wanted} of the optimizer's state");
            let number = found.ok_or_else(|| Error::value(what(), "a number", "none"))?;
            if (0.0..=largest).contains(&number) {
                return Ok(number);
            }
            Err(Error::value(what(), format!("a number from 0 to {largest:?}"), number))
        };
        let mut found = Vec::new();
        for Buffer { name: wanted, values } in &self.buffers {
            let what = || format!("{wanted} of the optimizer's state");
            let expected = || format!("{} values", values.len());
            let (_, buffer) = buffers
                .iter()
                .find(|(name, _)| name.as_ref() == *wanted)
                .ok_or_else(|| Error::value(what(), expected(), "none"))?;
            if buffer.as_ref().len() != values.len() {
                return Err(Error::value(what(), expected(), buffer.as_ref().len()));
            }
            found.push(buffer.as_ref());
        }
        match &mut self.memory {
            Memory::None | Memory::Muon { .. } => {}
            Memory::ScheduleFree(weights) => {
                let [largest_rate, sum] = [number("largest_rate", f64::MAX)?, number("weight_sum", f64::MAX)?];
                *weights = Weights { largest_rate, sum };
            }
            Memory::Lbfgs(pairs) => {
                let most = (pairs.places() - 1) as f64;
                let [place, count] = [number("place", most)? as usize, number("pairs", most)? as usize];
                pairs.restore(place, count, found[0], found[1]);
            }
        }
        self.buffers.iter_mut().zip(found).for_each(|(buffer, values)| buffer.values.copy_from_slice(values));
        self.steps = steps;
        Ok(())
    }
}

/// As many buffers as an optimiser has.
pub(super) fn slices<T, const N: usize>(buffers: &mut [Buffer<T>]) -> [&mut [T]; N] {
    assert_eq!(buffers.len(), N, "buffers of the optimiser");
    let mut buffers = buffers.iter_mut();
    std::array::from_fn(|_| buffers.next().map_or(&mut [][..], |buffer| &mut buffer.values[..]))
}

/// Zeros, if they fit the memory.
pub(super) fn zeros<T: Real>(length: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    if values.try_reserve_exact(length).is_err() {
        return Err(Error::value("state of the optimizer", "one that fits the memory", format!("{length} values")));
    }
    values.resize(length, T::ZERO);
    Ok(values)
}
