//! What the values of settings may be, and how they are read.

use std::fmt;
use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use schuss::{Augment, Init, Loss, Pace, Schedule};
use schuss_data::nearest;
use serde::{Deserialize, Serialize};

type Parsed<T> = std::result::Result<T, String>;

pub fn names<const N: usize>(names: [&'static str; N]) -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(names)
}

fn number(text: &str, expected: &str, fits: impl Fn(f64) -> bool) -> Parsed<f64> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() && fits(x) => Ok(x),
        _ => Err(format!("expected {expected}, got {text}")),
    }
}

/// A finite number above 0.
pub fn positive(text: &str) -> Parsed<f64> {
    number(text, "a finite number above 0", |x| x > 0.0)
}

pub fn not_negative(text: &str) -> Parsed<f64> {
    number(text, "a finite number of 0 or more", |x| x >= 0.0)
}

pub fn share(text: &str) -> Parsed<f64> {
    number(text, "a number of 0 or more and below 1", |x| (0.0..1.0).contains(&x))
}

/// A number of threads. More than the machine has are allowed, more than it could ever want are a slip.
pub fn thread_count(text: &str) -> Parsed<usize> {
    match text.parse::<usize>() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err(format!("expected a whole number from 1 to 1024, got {text}")),
    }
}

fn whole(text: &str, least: usize) -> Parsed<usize> {
    match text.parse::<usize>() {
        Ok(n) if n >= least && n <= u32::MAX as usize => Ok(n),
        _ => {
            let got = if text.is_empty() { "nothing" } else { text };
            Err(format!("expected a whole number from {least} to {}, got {got}", u32::MAX))
        }
    }
}

pub fn count(text: &str) -> Parsed<usize> {
    whole(text, 1)
}

pub fn count_from_0(text: &str) -> Parsed<usize> {
    whole(text, 0)
}

/// Text that `T` can read, as `T` writes it.
pub fn written<T: FromStr<Err = schuss::Error> + fmt::Display>(text: &str) -> Parsed<String> {
    text.parse::<T>().map(|value| value.to_string()).map_err(|error| error.to_string())
}

pub fn augment(text: &str) -> Parsed<String> {
    if text == "none" { Ok(text.into()) } else { written::<Augment>(text) }
}

pub fn init(text: &str) -> Parsed<String> {
    written::<Init>(text)
}

pub fn schedule(text: &str) -> Parsed<String> {
    written::<Schedule>(text)
}

pub fn pace(text: &str) -> Parsed<String> {
    written::<Pace>(text)
}

pub fn loss(text: &str) -> Parsed<String> {
    written::<Loss>(text).map_err(|error| {
        let name = text.split(':').next().unwrap_or_default();
        let hint = nearest(name, Loss::ALL.map(Loss::name)).filter(|near| *near != name);
        hint.map_or(error.clone(), |hint| format!("{error}; did you mean {hint}?"))
    })
}

pub fn scale(text: &str) -> Parsed<String> {
    let expected = "none, standard, robust, quantile, or a number other than 0 to divide by";
    match text {
        "none" | "standard" | "robust" | "quantile" => Ok(text.into()),
        _ => number(text, expected, |x| x != 0.0).map(|_| text.into()),
    }
}

/// What stands between commas.
pub fn list(text: &str) -> Vec<String> {
    text.split(',').map(|part| part.trim().to_string()).filter(|part| !part.is_empty()).collect()
}

pub fn types(text: &str) -> Parsed<String> {
    crate::tables::types(text).map(|_| text.into())
}

/// A share, or anything that may be the path of a file.
pub fn valid(text: &str) -> Parsed<String> {
    match text.parse::<f64>() {
        Err(_) if !text.is_empty() => Ok(text.into()),
        _ => share(text).map(|share| share.to_string()),
    }
}

pub fn class_weights(text: &str) -> Parsed<String> {
    if !matches!(text, "none" | "balanced") {
        text.split(',').try_for_each(|weight| not_negative(weight.trim()).map(drop))?;
    }
    Ok(text.into())
}

pub fn image_size(text: &str) -> Parsed<String> {
    let [height, width] = picture_size(text)?;
    Ok(format!("{height}x{width}"))
}

/// Height and width.
pub fn picture_size(text: &str) -> Parsed<[usize; 2]> {
    let side = |side: &str| side.parse().ok().filter(|side| (1..=4096).contains(side));
    let sides = text.split_once('x').and_then(|(height, width)| Some([side(height)?, side(width)?]));
    sides.ok_or_else(|| format!("expected HEIGHTxWIDTH, each from 1 to 4096, got {text}"))
}

pub fn duration(text: &str) -> Parsed<String> {
    seconds(text).map(|_| text.into())
}

/// A time in seconds: `30s`, `500ms`, `5m`, `2h`, or a number of seconds.
pub fn seconds(text: &str) -> Parsed<f64> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("", 1.0)];
    let parse = |(unit, seconds): (&str, f64)| Some(text.strip_suffix(unit)?.trim().parse::<f64>().ok()? * seconds);
    let seconds = units.into_iter().find_map(parse).filter(|seconds| *seconds > 0.0 && *seconds < 1e9);
    seconds.ok_or_else(|| format!("expected a time above 0 such as 30s, 5m or 2h, got {text}"))
}

pub fn checkpoint(text: &str) -> Parsed<String> {
    text.parse::<Checkpoints>().map(|_| text.into())
}

/// When a run's state is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Checkpoints {
    Never,
    Steps(u64),
    Seconds(f64),
}

impl FromStr for Checkpoints {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        match text.parse::<u64>() {
            _ if text == "none" => Ok(Self::Never),
            Ok(steps) if steps > 0 => Ok(Self::Steps(steps)),
            Ok(_) => Err("expected 1 step or more, a time such as 30s, or none, got 0".into()),
            Err(_) => seconds(text).map(Self::Seconds).map_err(|error| format!("{error}, a number of steps, or none")),
        }
    }
}

/// Sizes of the hidden layers; none for a linear model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hidden(pub Vec<usize>);

impl FromStr for Hidden {
    type Err = String;

    fn from_str(text: &str) -> Parsed<Self> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let sizes = text.split(',').map(|size| count(size.trim())).collect::<std::result::Result<_, _>>();
        sizes.map(Self).map_err(|error| format!("{error} (sizes are like 500,200,100, or none)"))
    }
}

impl TryFrom<String> for Hidden {
    type Error = String;

    fn try_from(text: String) -> Parsed<Self> {
        text.parse()
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("none"),
            sizes => f.write_str(&sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(",")),
        }
    }
}

impl From<Hidden> for String {
    fn from(hidden: Hidden) -> String {
        hidden.to_string()
    }
}
