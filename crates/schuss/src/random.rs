//! Random numbers as pure functions of a seed, a purpose and a counter: there is no generator state to save.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream of numbers is for. Streams of different purposes are independent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// A segment's initial parameters; the counter is the segment.
    Init = 1,
    /// The order of the examples; the counter is the epoch.
    Shuffle = 2,
    /// The coordinates of a gradient check.
    Check = 3,
    /// The changes of pictures; the counter is the step.
    Augment = 4,
    /// What dropout drops; the counter is the step.
    Dropout = 5,
    /// Partners and shares of mixed examples; the counter is the step.
    Mixup = 6,
    /// Rows drawn again for a confidence interval; the counter is the replicate.
    Bootstrap = 7,
    /// The rows by which columns are judged.
    Leak = 8,
    /// Initial parameters that fit the data.
    FittedInit = 9,
    /// The orders into which a column is shuffled; the counter is the column, from 1 on.
    Permutation = 10,
    /// The order of the blocks of a stream; the counter is the epoch.
    Blocks = 11,
}

/// The numbers for `purpose` and `counter`.
#[derive(Clone)]
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    pub(crate) fn new(seed: u64, purpose: Purpose, counter: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&counter.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// One of 2⁶⁴ streams of these numbers, from its `word`th 32-bit word on.
    pub(crate) fn at(&self, stream: u64, word: u64) -> Self {
        let mut draws = self.0.clone();
        draws.set_stream(stream);
        draws.set_word_pos(u128::from(word));
        Self(draws)
    }

    /// Two of these numbers as the keys of numbers that are functions of their place.
    pub(crate) fn places(mut self) -> Places {
        Places { keys: std::array::from_fn(|_| self.0.next_u32()) }
    }

    /// The numbers for one of many items, which needs none of the others' to be drawn; from the first one on.
    pub(crate) fn item(mut self, item: u64) -> Self {
        self.0.set_stream(item);
        self.0.set_word_pos(0);
        self
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in [-1, 1).
    pub(crate) fn signed(&mut self) -> f64 {
        2.0 * self.uniform() - 1.0
    }

    /// Two independent draws, each of 65,536 numbers in (-1, 1) that are equally likely and as far apart.
    #[inline(always)]
    pub(crate) fn signed_pair(&mut self) -> [f32; 2] {
        let bits = self.0.next_u32();
        [bits as u16 as i16, (bits >> 16) as u16 as i16].map(|number| (f32::from(number) + 0.5) * (1.0 / 32768.0))
    }

    /// Two independent draws of the standard normal distribution (Box and Muller 1958).
    pub(crate) fn normal_pair(&mut self) -> [f64; 2] {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        [radius * cos, radius * sin]
    }

    /// From Beta(α, α), 0 < α ≤ 4 (Jöhnk 1964).
    pub(crate) fn beta(&mut self, alpha: f64) -> f64 {
        loop {
            let [x, y] = [0; 2].map(|_| self.uniform().powf(1.0 / alpha));
            if x + y == 0.0 {
                // Both too small to tell: the distribution has nearly nothing between its ends.
                return f64::from(self.below(2));
            }
            if x + y <= 1.0 {
                return x / (x + y);
            }
        }
    }

    /// Uniform in 0..bound, without bias (Lemire 2019, arXiv:1805.10941).
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u64::from(self.0.next_u32()) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Puts `items` into a uniformly random order (Fisher and Yates).
    pub(crate) fn shuffle(&mut self, items: &mut [u32]) {
        for end in (2..=items.len()).rev() {
            items.swap(end - 1, self.below(end as u32) as usize);
        }
    }
}

/// Random numbers that are functions of their place, as simple as can be: a loop over elements makes them on its way, and
/// makes them again where that is less work than to read them (Salmon et al. 2011, "Parallel random numbers: as easy as
/// 1, 2, 3"). The hash is `lowbias32` of Wellons 2018 ("Prospecting for hash functions"), with keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    keys: [u32; 2],
}

impl Places {
    /// Uniform in 0..2³².
    #[inline(always)]
    pub(crate) fn at(self, place: u32) -> u32 {
        let x = place ^ self.keys[0];
        let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        let x = (x ^ (x >> 15)).wrapping_add(self.keys[1]).wrapping_mul(0x846c_a68b);
        x ^ (x >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of pairs of draws, each one of eight classes, beside what is expected: χ² of 63 degrees of freedom, which is
    /// above 115 once in 10,000 times.
    fn chi_squared(pairs: impl Iterator<Item = [u32; 2]>) -> f64 {
        let mut counts = [0u32; 64];
        pairs.for_each(|[x, y]| counts[((x >> 29) * 8 + (y >> 29)) as usize] += 1);
        let expected = f64::from(counts.iter().sum::<u32>()) / 64.0;
        counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum()
    }

    #[test]
    fn draws_of_neighbours_rows_layers_and_steps_look_independent() {
        const PLACES: u32 = 1 << 16;
        let of = |seed, layer, step| Stream::new(seed, Purpose::Dropout, step).item(layer).places();
        for seed in 0..20 {
            let draws = of(seed, 3, 7);
            for distance in [1, 2, 16, 255, 256, 4096] {
                let sum = chi_squared((0..PLACES).map(|i| [i, i + distance].map(|i| draws.at(i))));
                assert!(sum < 115.0, "seed {seed}, distance {distance}: {sum}");
            }
            for others in [of(seed, 3, 8), of(seed, 5, 7), of(seed + 1, 3, 7)] {
                let sum = chi_squared((0..PLACES).map(|i| [draws.at(i), others.at(i)]));
                assert!(sum < 115.0, "seed {seed}: {sum}");
            }
            // The lowest bits, too.
            let low = chi_squared((0..PLACES).map(|i| [draws.at(i) << 29, draws.at(i + 1) << 29]));
            assert!(low < 115.0, "seed {seed}: {low}");
        }
    }
}
