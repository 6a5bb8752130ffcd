//! The settings of a run: one struct for the parser, the help and `config.toml`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use schuss::{Activation, Augment, Init, Loss, Optimizer, Schedule};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// The number types of a run.
const PRECISION: [&str; 3] = ["f32", "f64", "bf16"];
/// When the metrics are computed.
const EVALUATE: [&str; 2] = ["each-epoch", "at-end"];
/// What a loss that is not finite may do to a run.
const ON_DIVERGENCE: [&str; 2] = ["stop", "go-on"];

/// Every setting of a run; what is not set is chosen to fit the data. In `config.toml` each has the name of its flag.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// digits, mnist, fashion-mnist, an NPZ file, or a folder of IDX files
    #[arg(value_name = "DATA")]
    pub data: Option<String>,

    /// Where named data sets are looked for [default: $SCHUSS_DATA, ./data, the repository's data, the cache]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,

    /// What integer or decimal targets are: overrules what the file suggests
    #[arg(long, value_parser = ["classification", "regression"])]
    pub task: Option<String>,

    /// Sizes of the hidden layers, or `none` for a linear model
    #[arg(long, value_name = "N,N,...|none", allow_hyphen_values = true)]
    pub hidden: Option<Hidden>,

    /// Activation of the hidden layers
    #[arg(long, value_parser = names(Activation::ALL.map(Activation::name)))]
    pub activation: Option<String>,

    /// Activation of the last layer
    #[arg(long = "final", value_parser = names(Activation::ALL.map(Activation::name)))]
    #[serde(rename = "final")]
    pub last: Option<String>,

    /// Smoothing of the softmax towards uniform; 0 turns it off [default: 1e-8]
    #[arg(long, value_name = "E", allow_hyphen_values = true, value_parser = share)]
    pub softmax_epsilon: Option<f64>,

    /// What training makes small
    #[arg(long, value_parser = names(Loss::ALL.map(Loss::name)))]
    pub loss: Option<String>,

    /// How the gradient changes the parameters
    #[arg(long, value_parser = names(Optimizer::ALL.map(Optimizer::name)))]
    pub optimizer: Option<String>,

    /// Learning rate
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = positive)]
    pub lr: Option<f64>,

    /// How the learning rate changes over the run
    #[arg(long, value_parser = names(Schedule::ALL.map(Schedule::name)))]
    pub schedule: Option<String>,

    /// Rows of a step
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count)]
    pub batch_size: Option<usize>,

    /// Passes over the training data
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count)]
    pub epochs: Option<usize>,

    /// End after this many steps
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count)]
    pub steps: Option<usize>,

    /// Penalty: adds 2·X·θ to the gradient of every weight and bias [default: 0]
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = not_negative)]
    pub l2: Option<f64>,

    /// When the loss stops being finite: stop with the last good model, or go on as NumPy does [default: stop]
    #[arg(long, value_parser = ON_DIVERGENCE)]
    pub on_divergence: Option<String>,

    /// Initial parameters: he, glorot, or normal:DEVIATION (weights and biases)
    #[arg(long, value_name = "INIT", value_parser = init)]
    pub init: Option<String>,

    /// Start from the parameters of this model file
    #[arg(long, value_name = "MODEL", conflicts_with = "init")]
    pub from: Option<PathBuf>,

    /// Take the examples in their stored order
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub no_shuffle: Option<bool>,

    /// Change the pictures of every step at random: shift:PIXELS moves each up to so far [default: none]
    #[arg(long, value_name = "none|shift:PIXELS", value_parser = augment)]
    pub augment: Option<String>,

    /// When the metrics over all rows are computed: before training and after every epoch; or once after the last step,
    /// of the test rows alone if there are any [default: each-epoch]
    #[arg(long, value_parser = EVALUATE)]
    pub evaluate: Option<String>,

    /// Scaling of the features: none, standard (mean 0, deviation 1), or a number to divide by
    #[arg(long, value_name = "none|standard|X", allow_hyphen_values = true, value_parser = scale)]
    pub scale: Option<String>,

    /// Number type of the computation and of the model; bf16: an f32 model whose products of training are bfloat16
    #[arg(long, value_parser = PRECISION)]
    pub precision: Option<String>,

    /// Threads; never changes a result [default: all cores]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = thread_count)]
    pub threads: Option<usize>,

    /// Seed of the initial parameters, the order of the examples, and the changes of pictures [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub seed: Option<u64>,
}

impl Options {
    /// These options, with those of `other` where there is none here.
    pub fn or(self, other: Self) -> Self {
        macro_rules! merge {
            ($($field:ident),*) => { Self { $($field: self.$field.or(other.$field)),* } };
        }
        merge!(
            data,
            data_dir,
            task,
            hidden,
            activation,
            last,
            softmax_epsilon,
            loss,
            optimizer,
            lr,
            schedule,
            batch_size,
            epochs,
            steps,
            l2,
            on_divergence,
            init,
            from,
            no_shuffle,
            augment,
            evaluate,
            scale,
            precision,
            threads,
            seed
        )
    }

    /// These flags, with the settings of `config` where there is none: a flag also overrules what contradicts it there.
    pub fn or_config(self, config: Self) -> Self {
        let config = Self {
            from: config.from.filter(|_| self.init.is_none()),
            init: config.init.filter(|_| self.from.is_none()),
            ..config
        };
        self.or(config)
    }

    /// Reads a `config.toml`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::io("read", path, error))?;
        let options: Self = toml::from_str(&text).map_err(|error| Failure::Usage(explain(path, &error.to_string())))?;
        options.check().map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
        Ok(options)
    }

    /// What the parser checks of flags, for values that came from a file.
    fn check(&self) -> std::result::Result<(), String> {
        let numbers: [(&str, Option<f64>, Parse<f64>); 3] = [
            ("softmax-epsilon", self.softmax_epsilon, share),
            ("lr", self.lr, positive),
            ("l2", self.l2, not_negative),
        ];
        for (name, value, parse) in numbers {
            value.map_or(Ok(0.0), |value| parse(&value.to_string())).map_err(|error| format!("{name}: {error}"))?;
        }
        let counts = [("batch-size", self.batch_size), ("epochs", self.epochs), ("steps", self.steps)];
        for (name, value) in counts {
            value.map_or(Ok(0), |value| count(&value.to_string())).map_err(|error| format!("{name}: {error}"))?;
        }
        self.threads.map_or(Ok(0), |n| thread_count(&n.to_string())).map_err(|error| format!("threads: {error}"))?;
        let words: [(&str, &Option<String>, &[&str]); 9] = [
            ("task", &self.task, &["classification", "regression"]),
            ("activation", &self.activation, &Activation::ALL.map(Activation::name)),
            ("final", &self.last, &Activation::ALL.map(Activation::name)),
            ("loss", &self.loss, &Loss::ALL.map(Loss::name)),
            ("optimizer", &self.optimizer, &Optimizer::ALL.map(Optimizer::name)),
            ("schedule", &self.schedule, &Schedule::ALL.map(Schedule::name)),
            ("precision", &self.precision, &PRECISION),
            ("evaluate", &self.evaluate, &EVALUATE),
            ("on-divergence", &self.on_divergence, &ON_DIVERGENCE),
        ];
        for (name, value, allowed) in words {
            if let Some(value) = value
                && !allowed.contains(&value.as_str())
            {
                let expected = allowed.join(", ");
                let hint = nearest(value, allowed).map_or(String::new(), |name| format!("; did you mean {name}?"));
                return Err(format!("{name}: expected one of {expected}, got {value}{hint}"));
            }
        }
        self.init.as_deref().map_or(Ok(String::new()), init)?;
        self.augment.as_deref().map_or(Ok(String::new()), augment)?;
        self.scale.as_deref().map_or(Ok(String::new()), scale).map_err(|error| format!("scale: {error}"))?;
        Ok(())
    }
}

/// The parser's message about a config, with the nearest key where one is unknown.
fn explain(path: &Path, error: &str) -> String {
    let Some((_, rest)) = error.split_once("unknown field `") else {
        return format!("{}: {}", path.display(), error.trim_end());
    };
    let unknown = rest.split('`').next().unwrap_or_default();
    let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
    let hint = nearest(unknown, &known).map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    format!("{}: unknown key `{unknown}`{hint}", path.display())
}

/// The name that is most like `word`, if one is like it.
pub fn nearest<'a>(word: &str, names: &[&'a str]) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(word, name);
    let best = names.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.7).then_some(best)
}

type Parse<T> = fn(&str) -> std::result::Result<T, String>;

fn names<const N: usize>(names: [&'static str; N]) -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(names)
}

fn number(text: &str, expected: &str, fits: impl Fn(f64) -> bool) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x.is_finite() && fits(x) => Ok(x),
        _ => Err(format!("expected {expected}, got {text}")),
    }
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    number(text, "a finite number above 0", |x| x > 0.0)
}

fn not_negative(text: &str) -> std::result::Result<f64, String> {
    number(text, "a finite number of 0 or more", |x| x >= 0.0)
}

fn share(text: &str) -> std::result::Result<f64, String> {
    number(text, "a number of 0 or more and below 1", |x| (0.0..1.0).contains(&x))
}

/// A number of threads. More than the machine has are allowed, more than it could ever want are a slip.
pub fn thread_count(text: &str) -> std::result::Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err(format!("expected a whole number from 1 to 1024, got {text}")),
    }
}

fn count(text: &str) -> std::result::Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n > 0 && n <= u32::MAX as usize => Ok(n),
        _ => {
            let got = if text.is_empty() { "nothing" } else { text };
            Err(format!("expected a whole number from 1 to {}, got {got}", u32::MAX))
        }
    }
}

fn augment(text: &str) -> std::result::Result<String, String> {
    if text == "none" {
        return Ok(text.into());
    }
    text.parse::<Augment>().map(|augment| augment.to_string()).map_err(|error| error.to_string())
}

fn init(text: &str) -> std::result::Result<String, String> {
    text.parse::<Init>().map(|init| init.to_string()).map_err(|error| error.to_string())
}

fn scale(text: &str) -> std::result::Result<String, String> {
    match text {
        "none" | "standard" => Ok(text.into()),
        _ => number(text, "none, standard, or a number other than 0 to divide by", |x| x != 0.0).map(|_| text.into()),
    }
}

/// Sizes of the hidden layers; none for a linear model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hidden(pub Vec<usize>);

impl FromStr for Hidden {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let sizes = text.split(',').map(|size| count(size.trim())).collect::<std::result::Result<_, _>>();
        sizes.map(Self).map_err(|error| format!("{error} (sizes are like 500,200,100, or none)"))
    }
}

impl TryFrom<String> for Hidden {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
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
