//! Initial parameters.

use std::fmt;
use std::str::FromStr;

use crate::random::{Purpose, Stream};
use crate::{Error, Layer, Network, Real};

/// How initial parameters are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Weights and biases from N(0, deviation²).
    Normal {
        /// The standard deviation.
        deviation: f64,
    },
    /// Weights uniform in ±√(6/(inputs + outputs)), biases 0 (Glorot and Bengio 2010).
    Glorot,
    /// Weights from N(0, 2/inputs), biases 0 (He et al. 2015, arXiv:1502.01852).
    He,
}

impl Init {
    /// Overwrites the parameters of the dense layers with draws that depend on the segment and `seed` alone; in double precision, so that
    /// those of an f32 network are the rounded ones of an f64 network. An [`Embed`](crate::Embed) has its own way, whatever this is: w₁
    /// from N(0, deviation²), b₁ uniform in ±π, W₂ and b₂ uniform in ±1/√k, tables from N(0, 1). A [`Fork`](crate::Fork)'s scales
    /// are ±1.
    pub fn draw<T: Real>(self, network: &mut Network<T>, seed: u64) {
        draw_own(network, seed);
        let segments = network.segments().to_vec();
        let of_dense = segments.into_iter().filter(|segment| segment.is_dense());
        for (counter, segment) in of_dense.enumerate() {
            let mut stream = Stream::new(seed, Purpose::Init, counter as u64);
            let values = &mut network.parameters_mut()[segment.range];
            let mut normal = |values: &mut [T], deviation: f64| {
                for pair in values.chunks_mut(2) {
                    let drawn = stream.normal_pair();
                    pair.iter_mut().zip(drawn).for_each(|(value, x)| *value = T::from_f64(deviation * x));
                }
            };
            match (self, segment.shape.as_slice()) {
                (Self::Normal { deviation }, _) => normal(values, deviation),
                (Self::He, [_, inputs]) => normal(values, (2.0 / *inputs as f64).sqrt()),
                (Self::Glorot, [outputs, inputs]) => {
                    let bound = (6.0 / (inputs + outputs) as f64).sqrt();
                    values.fill_with(|| T::from_f64(bound * (2.0 * stream.uniform() - 1.0)));
                }
                (Self::He | Self::Glorot, _) => values.fill(T::ZERO),
            }
        }
    }
}

/// Draws what layers learn that have a way of their own, whatever the rest is drawn by: an [`Embed`](crate::Embed) and a
/// [`Fork`](crate::Fork). Their streams come after those of any number of dense layers.
pub(crate) fn draw_own<T: Real>(network: &mut Network<T>, seed: u64) {
    const FIRST: u64 = 1 << 32;
    const OF_FORK: u64 = 1 << 33;
    let periodic = if let Some(Layer::Embed(embed)) = network.layers().first() { embed.periodic } else { None };
    let (frequencies, deviation) = periodic.map_or((1, 0.0), |periodic| (periodic.frequencies, periodic.deviation));
    let bound = 1.0 / (frequencies as f64).sqrt();
    let parts: Vec<_> =
        network.segments().iter().map(|segment| (segment.name.clone(), segment.range.clone())).collect();
    let of_embed = (FIRST..).zip(parts.iter().filter(|(name, _)| name.starts_with("embeds.")));
    let of_fork = (OF_FORK..).zip(parts.iter().filter(|(name, _)| name.starts_with("forks.")));
    for (counter, (name, range)) in of_embed.chain(of_fork) {
        let mut stream = Stream::new(seed, Purpose::Init, counter);
        let mut draw = || match name.as_str() {
            "forks.0.weight" => 1f64.copysign(stream.signed()),
            "embeds.0.frequencies" => deviation * stream.normal_pair()[0],
            "embeds.0.phases" => std::f64::consts::PI * stream.signed(),
            "embeds.0.weights" | "embeds.0.biases" => bound * stream.signed(),
            _ => stream.normal_pair()[0],
        };
        network.parameters_mut()[range.clone()].fill_with(|| T::from_f64(draw()));
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal { deviation } => write!(f, "normal:{deviation:?}"),
            Self::Glorot => write!(f, "glorot"),
            Self::He => write!(f, "he"),
        }
    }
}

impl FromStr for Init {
    type Err = Error;

    /// `he`, `glorot` or `normal:DEVIATION`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let error =
            || Error::value("init", "he, glorot or normal:DEVIATION with a finite DEVIATION of 0 or more", text);
        match (text, text.strip_prefix("normal:")) {
            ("he", _) => Ok(Self::He),
            ("glorot", _) => Ok(Self::Glorot),
            (_, Some(deviation)) => match deviation.parse::<f64>() {
                Ok(deviation) if deviation.is_finite() && deviation >= 0.0 => Ok(Self::Normal { deviation }),
                _ => Err(error()),
            },
            _ => Err(error()),
        }
    }
}
