//! The settings of a run, each defined once: flags, help, `config.toml` and `docs/settings.md` come from this struct.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Command, FromArgMatches};
use schuss::{Activation, Evaluate, Optimizer};
use schuss_data::nearest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::failure::{Failure, Result};
use crate::values::{
    Hidden, augment, checkpoint, class_weights, count, count_from_0, duration, image_size, init, loss, names,
    not_negative, pace, positive, scale, schedule, share, thread_count, types, valid, written,
};

/// Every setting of a run; what is not set is chosen to fit the data. In `config.toml` each has the name of its flag.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Options {
    /// digits, mnist, fashion-mnist, a table (CSV, Parquet, Arrow), what `data pack` wrote, an NPZ file, a folder of IDX files,
    /// or a folder with a folder of pictures a class
    #[arg(value_name = "DATA")]
    pub data: Option<String>,

    /// The column of a table that is predicted [default: the last one]
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub target: Option<String>,

    /// A table like DATA to test on [default: 20 % of the rows, always the same]
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub test: Option<String>,

    /// What columns of a table are, where that does not follow from their values: COLUMN=number|category|time,...
    #[arg(long, value_name = "COLUMN=TYPE,...", value_parser = types, help_heading = "Data")]
    pub types: Option<String>,

    /// Columns of a table that are not learnt from
    #[arg(long, value_name = "COLUMN,...", help_heading = "Data")]
    pub ignore: Option<String>,

    /// The column of a table that says what each row counts
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub weight: Option<String>,

    /// The column of a table whose groups are held out whole, so that no group is learnt from and tested on
    #[arg(long, value_name = "COLUMN", conflicts_with = "split_by_time", help_heading = "Data")]
    pub group: Option<String>,

    /// The column of a table by which the last rows are held out, so that nothing is learnt from the future
    #[arg(long, value_name = "COLUMN", help_heading = "Data")]
    pub split_by_time: Option<String>,

    /// What stands between the fields of a CSV file: a character, or tab [default: what fits]
    #[arg(long, value_name = "CHARACTER", help_heading = "Data")]
    pub delimiter: Option<String>,

    /// What else stands for a missing value in a CSV file, beside nothing, NA, null, ? and the like
    #[arg(long, value_name = "TEXT,...", help_heading = "Data")]
    pub missing: Option<String>,

    /// Where named data sets are looked for [default: $SCHUSS_DATA, ./data, the repository's data, the cache]
    #[arg(long, value_name = "FOLDER", help_heading = "Data")]
    pub data_dir: Option<PathBuf>,

    /// What integer or decimal targets are: overrules what the file suggests
    #[arg(long, value_parser = names(["classification", "multi-label", "regression"]), help_heading = "Data")]
    pub task: Option<String>,

    /// Validation data to choose by: a share of the training rows, or a file like DATA [default: the data's own, or 0]
    #[arg(long, value_name = "SHARE|FILE", allow_hyphen_values = true, value_parser = valid, help_heading = "Data")]
    pub valid: Option<String>,

    /// Scaling of the features: none, standard (mean 0, deviation 1), or a number to divide by; of tables also robust
    /// (median 0, interquartile range 1, clipped smoothly) and quantile (made normal)
    #[arg(long, value_name = "none|standard|robust|quantile|X", allow_hyphen_values = true, value_parser = scale, help_heading = "Data")]
    pub scale: Option<String>,

    /// Change the pictures of every step at random: shift:PIXELS, rotate:DEGREES, scale:SHARE, shear:DEGREES,
    /// elastic:ALPHA:SIGMA, separated by commas [default: none]
    #[arg(long, value_name = "none|CHANGES", value_parser = augment, help_heading = "Data")]
    pub augment: Option<String>,

    /// Height and width of the pictures of a folder [default: those that most of them have]
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = image_size, help_heading = "Data")]
    pub image_size: Option<String>,

    /// Leave out pictures that cannot be decoded, and say which
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Data")]
    pub skip_bad: Option<bool>,

    /// Take the examples in their stored order
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Data")]
    pub no_shuffle: Option<bool>,

    /// The network for a table: td (RealMLP with all it has), small (its simpler form, for a quick look), plain (dense layers
    /// as for other data) [default: td]
    #[arg(long, value_parser = names(["td", "small", "plain"]), help_heading = "Network")]
    pub preset: Option<String>,

    /// Train so many networks and predict the mean; those of a table are each chosen by a part of the training rows of their
    /// own, which they do not learn from, unless there is a validation part [default: 4 for a table without --ensemble, else 1]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Network")]
    pub bag: Option<usize>,

    /// Make the network so many that share all layers but the last, each seeing its input by learnt signs of its own (TabM):
    /// their mean is predicted [default: 1, or that of --from]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Network")]
    pub ensemble: Option<usize>,

    /// Sizes of the hidden layers, or `none` for a linear model
    #[arg(long, value_name = "N,N,...|none", allow_hyphen_values = true, help_heading = "Network")]
    pub hidden: Option<Hidden>,

    /// Activation of the hidden layers
    #[arg(long, value_parser = names(Activation::ALL.map(Activation::name)), help_heading = "Network")]
    pub activation: Option<String>,

    /// Activation of the last layer
    #[arg(long = "final", value_parser = names(Activation::ALL.map(Activation::name)), help_heading = "Network")]
    #[serde(rename = "final")]
    pub last: Option<String>,

    /// Smoothing of the softmax towards uniform; 0 turns it off [default: 1e-8]
    #[arg(long, value_name = "E", allow_hyphen_values = true, value_parser = share, help_heading = "Network")]
    pub softmax_epsilon: Option<f64>,

    /// What normalises hidden layers before their activation [default: none]
    #[arg(long, value_parser = names(["none", "layer", "batch"]), help_heading = "Network")]
    pub norm: Option<String>,

    /// Share of a hidden layer's outputs that a step drops [default: 0; with --preset td 0.15, and 0.05 where numbers are
    /// predicted]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, value_parser = share, help_heading = "Network")]
    pub dropout: Option<f64>,

    /// Share of the inputs that a step drops [default: 0]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, value_parser = share, help_heading = "Network")]
    pub input_dropout: Option<f64>,

    /// Hidden layers with as many outputs as inputs add their input to their output
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Network")]
    pub residual: Option<bool>,

    /// Initial parameters: he, glorot, or normal:DEVIATION (weights and biases)
    #[arg(long, value_name = "INIT", value_parser = init, help_heading = "Network")]
    pub init: Option<String>,

    /// Start from the parameters of this model file
    #[arg(long, value_name = "MODEL", conflicts_with = "init", help_heading = "Network")]
    pub from: Option<PathBuf>,

    /// Leave the first N layers of --from as they are
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Network")]
    pub freeze: Option<usize>,

    /// Give the model of --from a new last layer, for other classes or outputs
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Network")]
    pub new_head: Option<bool>,

    /// What training makes small: cross-entropy, mse, binary-cross-entropy, mae, huber[:DELTA], quantile[:LEVEL,...],
    /// poisson; DELTA is in the unit of the scaled targets, which are standardised unless --scale none
    #[arg(long, value_name = "LOSS", value_parser = loss, help_heading = "Loss")]
    pub loss: Option<String>,

    /// Share of the target that is spread over all classes [default: 0]
    #[arg(long, value_name = "E", allow_hyphen_values = true, value_parser = share, help_heading = "Loss")]
    pub label_smoothing: Option<f64>,

    /// Mix every example of a step with another, as much as Beta(A, A) says; A up to 4 [default: 0]
    #[arg(long, value_name = "A", allow_hyphen_values = true, value_parser = not_negative, help_heading = "Loss")]
    pub mixup: Option<f64>,

    /// What the examples of each class count: none, balanced (classes count the same), or a number for each class
    #[arg(long, value_name = "none|balanced|W,W,...", allow_hyphen_values = true, value_parser = class_weights,
          help_heading = "Loss")]
    pub class_weights: Option<String>,

    /// Penalty: adds 2·X·θ to the gradient of every weight and bias [default: 0]
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = not_negative, help_heading = "Loss")]
    pub l2: Option<f64>,

    /// How the gradient changes the parameters
    #[arg(long, value_parser = names(Optimizer::ALL.map(Optimizer::name)), help_heading = "Optimiser")]
    pub optimizer: Option<String>,

    /// Learning rate
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = positive, help_heading = "Optimiser")]
    pub lr: Option<f64>,

    /// How the learning rate changes over the run: constant, cosine, one-cycle, coslog4, step:EVERY:FACTOR (steps),
    /// flat-cosine:SHARE, plateau:PATIENCE:FACTOR (epochs)
    #[arg(long, value_name = "SCHEDULE", value_parser = schedule, help_heading = "Optimiser")]
    pub schedule: Option<String>,

    /// Steps over which the learning rate grows to its value [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count_from_0, help_heading = "Optimiser")]
    pub warm_up: Option<usize>,

    /// Decoupled weight decay, of weights alone [default: 0.01 for adamw and muon, else 0]
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = not_negative, help_heading = "Optimiser")]
    pub weight_decay: Option<f64>,

    /// Momentum, of sgd, rmsprop, muon
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = share, help_heading = "Optimiser")]
    pub momentum: Option<f64>,

    /// Nesterov's momentum, of sgd, muon
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Optimiser")]
    pub nesterov: Option<bool>,

    /// Decay of the mean square of the gradient, of rmsprop
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = share, help_heading = "Optimiser")]
    pub decay: Option<f64>,

    /// Divide by the deviation of the gradient in place of its size, of rmsprop
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Optimiser")]
    pub centered: Option<bool>,

    /// Iterations that make a step orthogonal, of muon
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Optimiser")]
    pub newton_schulz_steps: Option<usize>,

    /// Decay of the mean gradient, of adam and its like
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = share, help_heading = "Optimiser")]
    pub beta1: Option<f64>,

    /// Decay of the mean square of the gradient, of adam and its like
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = share, help_heading = "Optimiser")]
    pub beta2: Option<f64>,

    /// What keeps quotients finite, of adam and its like
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = positive, help_heading = "Optimiser")]
    pub epsilon: Option<f64>,

    /// Pairs that lbfgs remembers
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Optimiser")]
    pub history: Option<usize>,

    /// Shorten gradients whose norm is larger
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = positive, conflicts_with = "clip_value",
          help_heading = "Optimiser")]
    pub clip_norm: Option<f64>,

    /// Cut off the elements of gradients that are larger
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = positive, help_heading = "Optimiser")]
    pub clip_value: Option<f64>,

    /// Evaluate and keep an average of the parameters that forgets this little at a step, such as 0.999
    #[arg(long, value_name = "X", allow_hyphen_values = true, value_parser = share, help_heading = "Optimiser")]
    pub average: Option<f64>,

    /// Rows of a step
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Optimiser")]
    pub batch_size: Option<usize>,

    /// Take the rows of a step in N parts, one after the other, to need less memory [default: 1]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Optimiser")]
    pub accumulate: Option<usize>,

    /// Passes over the training data
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Run")]
    pub epochs: Option<usize>,

    /// End after this many steps
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = count, help_heading = "Run")]
    pub steps: Option<usize>,

    /// End the command after so long, from its start, the learning rate being done with its schedule then: 30s, 5m, 2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = duration,
          conflicts_with_all = ["steps", "epochs"], help_heading = "Run")]
    pub time: Option<String>,

    /// How far a run with --time was at which steps: with it and --steps, the run repeats itself
    #[arg(long, value_name = "STEP:SHARE,...", value_parser = pace, hide = true, help_heading = "Run")]
    pub pace: Option<String>,

    /// When the metrics over all rows are computed: each-epoch, before training and after every epoch; every-N of them and
    /// the last; at-end, once after the last step, of the test rows alone if there are any [default: each-epoch; of a table
    /// every-N]
    #[arg(long, value_name = "WHEN", value_parser = written::<Evaluate>, help_heading = "Run")]
    pub evaluate: Option<String>,

    /// Measure the test rows once, of the model that is kept, and not before
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Run")]
    pub test_at_end: Option<bool>,

    /// Which parameters to keep: the last ones, or those of the epoch with the best validation metric, or the least
    /// validation loss [default: least-loss of a table, best with --patience, else last]
    #[arg(long, value_parser = names(["last", "best", "least-loss"]), help_heading = "Run")]
    pub keep: Option<String>,

    /// Divide a classifier's logits by the temperature that makes its validation loss least [default: of a table]
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Run")]
    pub calibrate: Option<bool>,

    /// End after more than so many epochs without a better validation metric
    #[arg(long, value_name = "EPOCHS", allow_hyphen_values = true, value_parser = count_from_0, help_heading = "Run")]
    pub patience: Option<usize>,

    /// End where the schedule rests (coslog4: after 7/15 of the epochs) unless the validation loss has become less by this
    /// share since the rest before (after 1/5; there, end if it is 0 already); 0: never [default: 0.01 with --preset td or
    /// small where nothing else is said of length, schedule and what to keep, but for poisson and for runs of less than 400
    /// steps; else 0]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true, value_parser = share, help_heading = "Run")]
    pub least_gain: Option<f64>,

    /// When a number stops being finite: stop with the last good model, go back to it with half the learning rate
    /// (rollback), or go on as NumPy does [default: stop]
    #[arg(long, value_parser = names(["stop", "rollback", "go-on"]), help_heading = "Run")]
    pub on_divergence: Option<String>,

    /// Write the run's state every so many steps, or so often: 500, 30s; `none` for never [default: 60s]
    #[arg(long, value_name = "STEPS|TIME|none", value_parser = checkpoint, help_heading = "Run")]
    pub checkpoint: Option<String>,

    /// Number type of the computation and of the model; bf16: an f32 model whose products of training are bfloat16
    #[arg(long, value_parser = names(["f32", "f64", "bf16"]), help_heading = "Run")]
    pub precision: Option<String>,

    /// Threads at most; small loops take fewer; never changes a result [default: all cores]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = thread_count, help_heading = "Run")]
    pub threads: Option<usize>,

    /// Seed of the initial parameters, the order of the examples, and everything else that is random [default: 0]
    #[arg(long, value_name = "N", allow_hyphen_values = true, help_heading = "Run")]
    pub seed: Option<u64>,
}

impl Options {
    /// The settings as a table, by name, those that are set.
    fn table(&self) -> Map<String, Value> {
        let Ok(Value::Object(table)) = serde_json::to_value(self) else { return Map::new() };
        table.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// The settings that are set as `config.toml` has them, in the order of the help.
    pub fn to_toml(&self) -> String {
        let mut table = self.table();
        let command = Self::augment_args(Command::new("config.toml"));
        let names = command.get_arguments().map(|argument| argument.get_long().unwrap_or("data"));
        let line = |name: &str, value: Value| match value {
            // Whole numbers of TOML end at 2^63.
            Value::Number(number) if number.as_u64().is_some_and(|n| n > i64::MAX as u64) => {
                format!("{name} = \"{number}\"\n")
            }
            Value::Number(number) => format!("{name} = {number}\n"),
            Value::Bool(flag) => format!("{name} = {flag}\n"),
            Value::String(text) => format!("{name} = {}\n", toml::Value::String(text)),
            other => format!("{name} = {other}\n"),
        };
        names.filter_map(|name| Some(line(name, table.remove(name)?))).collect()
    }

    /// The settings that are set, in the order of the help, each as text.
    pub fn in_words(&self) -> Vec<(String, String)> {
        let mut table = self.table();
        let command = Self::augment_args(Command::new("settings"));
        let names: Vec<_> =
            command.get_arguments().map(|argument| argument.get_long().unwrap_or("data").to_string()).collect();
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), String::from);
        names.into_iter().filter_map(|name| Some((name.clone(), text(table.remove(&name)?)))).collect()
    }

    /// The names of the settings that are set.
    pub fn names(&self) -> Vec<String> {
        self.table().into_iter().map(|(name, _)| name).collect()
    }

    /// These options, with those of `other` where there is none here.
    pub fn or(self, other: Self) -> Self {
        let mut table = other.table();
        table.extend(self.table());
        serde_json::from_value(Value::Object(table)).expect("settings that were settings before")
    }

    /// These flags, with the settings of `config` where there is none: a flag also overrules what contradicts it there.
    pub fn or_config(self, config: Self) -> Self {
        let config = Self {
            from: config.from.filter(|_| self.init.is_none()),
            init: config.init.filter(|_| self.from.is_none()),
            group: config.group.filter(|_| self.split_by_time.is_none()),
            split_by_time: config.split_by_time.filter(|_| self.group.is_none()),
            clip_norm: config.clip_norm.filter(|_| self.clip_value.is_none()),
            clip_value: config.clip_value.filter(|_| self.clip_norm.is_none()),
            time: config.time.filter(|_| self.steps.is_none() && self.epochs.is_none()),
            steps: config.steps.filter(|_| self.time.is_none()),
            epochs: config.epochs.filter(|_| self.time.is_none()),
            pace: config.pace.filter(|_| self.time.is_none() && self.epochs.is_none()),
            // It was chosen for that schedule and that length.
            least_gain: config.least_gain.filter(|_| {
                let has_length = self.time.is_some() || self.epochs.is_some() || self.steps.is_some();
                self.schedule.is_none() && self.loss.is_none() && !has_length
            }),
            ..config
        };
        self.or(config)
    }

    /// Reads a `config.toml`: every key is a flag, and its value is read as that flag's.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::io("read", path, error))?;
        // A problem begins with the key that it is of.
        let wrong = |problem: String| {
            let key = problem.split(':').next().unwrap_or_default();
            let is_of_key = |line: &str| line.split('=').next().is_some_and(|name| name.trim() == key);
            let line = text.lines().position(is_of_key).map_or(String::new(), |at| format!("line {}: ", at + 1));
            Failure::Usage(format!("{}: {line}{problem}", path.display()))
        };
        let table: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string().trim_end().into()))?;
        let mut pairs = Vec::new();
        for (key, value) in table {
            let value = match value {
                toml::Value::String(text) => text,
                number @ (toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_)) => {
                    number.to_string()
                }
                other => return Err(wrong(format!("{key}: expected text, a number or true or false, got {other}"))),
            };
            pairs.push((key, value));
        }
        Self::of_pairs(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))).map_err(wrong)
    }

    /// The settings of these names, each value read as that of its flag. What is wrong with one begins with its name.
    pub fn of_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> std::result::Result<Self, String> {
        let command =
            Self::augment_args(Command::new("config.toml")).no_binary_name(true).color(clap::ColorChoice::Never);
        let known: Vec<&str> = command.get_arguments().map(|argument| argument.get_long().unwrap_or("data")).collect();
        let mut flags = Vec::<OsString>::new();
        for (key, value) in pairs {
            if !known.contains(&key) {
                let hint = nearest(key, known.iter().copied())
                    .map_or(String::new(), |name| format!("; did you mean `{name}`?"));
                return Err(format!("unknown key `{key}`{hint}"));
            }
            // After --, so that it is no flag whatever it is.
            match key {
                "data" => flags.extend(["--".into(), value.into()]),
                _ => flags.insert(0, format!("--{key}={value}").into()),
            }
        }
        let options = command.try_get_matches_from(flags).and_then(|matches| Self::from_arg_matches(&matches));
        options.map_err(|error| explain(&error))
    }

    /// The optimiser's constants that are set, by name; a flag is 0 or 1.
    pub fn constants(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let flag = |is_set: bool| f64::from(u8::from(is_set));
        let constants = [
            ("momentum", self.momentum),
            ("nesterov", self.nesterov.map(flag)),
            ("decay", self.decay),
            ("centered", self.centered.map(flag)),
            ("newton-schulz-steps", self.newton_schulz_steps.map(|steps| steps as f64)),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
            ("epsilon", self.epsilon),
            ("history", self.history.map(|history| history as f64)),
        ];
        constants.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    /// Sets the constants of the optimiser that are not set.
    pub fn fill_constants(&mut self, constants: &[(&'static str, f64)]) {
        for &(name, value) in constants {
            match name {
                "momentum" => drop(self.momentum.get_or_insert(value)),
                "nesterov" => drop(self.nesterov.get_or_insert(value != 0.0)),
                "decay" => drop(self.decay.get_or_insert(value)),
                "centered" => drop(self.centered.get_or_insert(value != 0.0)),
                "newton-schulz-steps" => drop(self.newton_schulz_steps.get_or_insert(value as usize)),
                "beta1" => drop(self.beta1.get_or_insert(value)),
                "beta2" => drop(self.beta2.get_or_insert(value)),
                "epsilon" => drop(self.epsilon.get_or_insert(value)),
                "history" => drop(self.history.get_or_insert(value as usize)),
                // Schedule-free's warm-up is every optimiser's.
                _ => {}
            }
        }
    }

    /// Whether a run ends that gains too little.
    pub fn needs_gain(&self) -> bool {
        self.least_gain.is_some_and(|gain| gain > 0.0)
    }

    /// Whether something is chosen by validation data.
    pub fn chooses_by_validation(&self) -> bool {
        let is_plateau = self.schedule.as_deref().is_some_and(|schedule| schedule.starts_with("plateau"));
        let keeps = self.keep.as_deref().is_some_and(|keep| keep != "last");
        self.patience.is_some() || self.needs_gain() || keeps || is_plateau || self.calibrate == Some(true)
    }

    /// Fails where two settings contradict each other, whatever the data.
    pub fn check(&self) -> Result<()> {
        let optimizer = self.optimizer.as_deref().unwrap_or("adam");
        let has =
            |name: &str| Optimizer::from_name(optimizer).is_ok_and(|o| o.constants().iter().any(|(n, _)| *n == name));
        // A flag that is off asks for nothing.
        let asks = |(name, value): &(&str, f64)| *value != 0.0 || !matches!(*name, "nesterov" | "centered");
        if let Some((name, _)) = self.constants().find(|constant| asks(constant) && !has(constant.0)) {
            let owners: Vec<_> =
                Optimizer::ALL.into_iter().filter(|o| o.constants().iter().any(|(n, _)| *n == name)).collect();
            let owners: Vec<_> = owners.into_iter().map(Optimizer::name).collect();
            return contradiction(
                &format!("--{name}"),
                &format!("--optimizer {optimizer}"),
                &format!("{optimizer} has none; {} have", owners.join(", ")),
            );
        }
        let is_linear = self.hidden.as_ref().is_some_and(|hidden| hidden.0.is_empty());
        let of_hidden = [
            ("--dropout", self.dropout.is_some_and(|rate| rate > 0.0)),
            ("--norm", self.norm.as_deref().is_some_and(|norm| norm != "none")),
        ];
        if let (true, Some((what, _))) = (is_linear, of_hidden.into_iter().find(|(_, is_set)| *is_set)) {
            return contradiction(what, "--hidden none", "it stands behind hidden layers");
        }
        if let (Some(true), Some(hidden)) = (self.residual, &self.hidden)
            && !hidden.0.windows(2).any(|sizes| sizes[0] == sizes[1])
        {
            let reason = "it needs a hidden layer of the size of the one before it";
            return contradiction("--residual", &format!("--hidden {hidden}"), reason);
        }
        let has_no_valid = self.valid.as_deref() == Some("0");
        let chooses = [
            ("--patience", self.patience.is_some()),
            ("--least-gain", self.needs_gain()),
            ("--keep best", self.keep.as_deref() == Some("best")),
            ("--keep least-loss", self.keep.as_deref() == Some("least-loss")),
            ("--calibrate", self.calibrate == Some(true)),
            ("--schedule plateau", self.schedule.as_deref().is_some_and(|schedule| schedule.starts_with("plateau"))),
        ];
        if let (true, Some((what, _))) = (has_no_valid, chooses.into_iter().find(|(_, is_set)| *is_set)) {
            return contradiction(what, "--valid 0", "it chooses by validation data");
        }
        if self.patience.is_some() && self.keep.as_deref() == Some("last") {
            return contradiction(
                "--patience",
                "--keep last",
                "what ends a run for want of something better keeps the best",
            );
        }
        let needs_from = [("--freeze", self.freeze.is_some()), ("--new-head", self.new_head == Some(true))];
        if let (None, Some((what, _))) = (&self.from, needs_from.into_iter().find(|(_, is_set)| *is_set)) {
            return Err(Failure::Usage(format!("{what} needs --from MODEL: there are no layers to keep otherwise")));
        }
        if self.time.is_some() && self.schedule.as_deref().is_some_and(|schedule| schedule.starts_with("step:")) {
            return contradiction("--time", "--schedule step", "how many steps fit into that time is not known before");
        }
        if self.needs_gain() && (self.time.is_some() || self.pace.is_some()) {
            return contradiction("--least-gain", "--time", "a run with a deadline takes all of its time");
        }
        if self.bag.is_some_and(|members| members > 1) && (self.time.is_some() || self.pace.is_some()) {
            return contradiction("--bag", "--time", "one network has all the time");
        }
        if self.pace.is_some() && self.steps.is_none() {
            return Err(Failure::Usage("--pace needs --steps: it repeats a run of that many".into()));
        }
        if optimizer == "schedule-free" && self.average.is_some() {
            return contradiction("--average", "--optimizer schedule-free", "it has an average of its own");
        }
        if optimizer == "lbfgs" {
            let random = [
                ("--dropout", self.dropout.is_some_and(|rate| rate > 0.0)),
                ("--input-dropout", self.input_dropout.is_some_and(|rate| rate > 0.0)),
                ("--mixup", self.mixup.is_some_and(|alpha| alpha > 0.0)),
                ("--augment", self.augment.as_deref().is_some_and(|augment| augment != "none")),
                ("--accumulate", self.accumulate.is_some_and(|parts| parts > 1)),
            ];
            if let Some((what, _)) = random.into_iter().find(|(_, is_set)| *is_set) {
                return contradiction(
                    what,
                    "--optimizer lbfgs",
                    "it takes the gradient of all the data, the same at every step",
                );
            }
        }
        Ok(())
    }
}

fn contradiction(one: &str, other: &str, reason: &str) -> Result<()> {
    Err(Failure::Usage(format!("{one} and {other} contradict each other: {reason}; leave one of them out")))
}

/// What the parser has against a value of a config, in the words of a config.
fn explain(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let key = context(ContextKind::InvalidArg)
        .map(|argument| argument.trim_start_matches("--").split([' ', '=']).next().unwrap_or_default().to_string());
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").split("\n\nFor more").next().unwrap_or_default().trim_end();
    match (key, context(ContextKind::InvalidValue), text.split_once("': ")) {
        (Some(key), Some(_), Some((_, problem))) => format!("{key}: {problem}"),
        (Some(key), Some(value), None) => {
            let allowed: Vec<String> = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(allowed)) => allowed.clone(),
                _ => Vec::new(),
            };
            let names: Vec<&str> = allowed.iter().map(String::as_str).collect();
            let hint =
                nearest(&value, names.iter().copied()).map_or(String::new(), |name| format!("; did you mean {name}?"));
            format!("{key}: expected one of {}, got {value}{hint}", names.join(", "))
        }
        _ => text.replace("--", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `docs/settings.md` says, from the same definitions as the help.
    fn document() -> String {
        let mut text = "# Settings\n\nEvery setting of `schuss train` and `schuss notebook`, as a flag (`--lr 0.01`) and as a key of \
                        `config.toml` (`lr = 0.01`). What is not set is chosen to fit the data, and said. Made from the \
                        definitions of the flags; a test compares.\n"
            .to_string();
        let command = Options::augment_args(Command::new("train"));
        let headings = ["Data", "Network", "Loss", "Optimiser", "Run"];
        for heading in headings {
            text += &format!("\n## {heading}\n| setting | value | |\n|---|---|---|\n");
            for argument in command.get_arguments() {
                let (Some(name), Some(of)) = (argument.get_long(), argument.get_help_heading()) else { continue };
                if of != heading || argument.is_hide_set() {
                    continue;
                }
                let allowed: Vec<_> =
                    argument.get_possible_values().iter().map(|value| value.get_name().to_string()).collect();
                let value = match argument.get_value_names() {
                    _ if !allowed.is_empty() => allowed.join(", "),
                    Some(names) => names.iter().map(|name| name.to_string()).collect(),
                    None => String::new(),
                };
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
                text += &format!("| `{name}` | {} | {} |\n", cell(&value), cell(&help));
            }
        }
        text
    }

    /// With `UPDATE_DOCS=1` the test writes the page in place of comparing it.
    #[test]
    fn the_page_of_settings_is_what_the_flags_say() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, document()).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == document(),
            "docs/settings.md is out of date: UPDATE_DOCS=1 cargo test -p schuss-cli settings"
        );
    }

    /// What a config says is what its flags say, for every setting.
    #[test]
    fn a_config_is_its_flags() {
        let flags = [
            "digits",
            "--target=y",
            "--test=test.csv",
            "--types=zip=category,day=time",
            "--ignore=a,b",
            "--weight=w",
            "--group=g",
            "--delimiter=tab",
            "--missing=none,-99",
            "--valid=0.25",
            "--scale=-2.5",
            "--augment=shift:2,rotate:10",
            "--image-size=20x30",
            "--skip-bad",
            "--no-shuffle",
            "--preset=small",
            "--bag=3",
            "--ensemble=8",
            "--hidden=7,8",
            "--activation=selu",
            "--final=identity",
            "--softmax-epsilon=0",
            "--norm=layer",
            "--dropout=0.125",
            "--input-dropout=0.1",
            "--residual",
            "--init=normal:0.1",
            "--loss=quantile:0.1,0.9",
            "--label-smoothing=0.05",
            "--mixup=0.3",
            "--class-weights=1,2.5",
            "--l2=1e-9",
            "--optimizer=sgd",
            "--lr=1e-3",
            "--schedule=step:30:0.5",
            "--warm-up=7",
            "--weight-decay=0.1",
            "--momentum=0.9",
            "--nesterov=false",
            "--clip-norm=3",
            "--average=0.999",
            "--batch-size=10",
            "--accumulate=2",
            "--epochs=3",
            "--steps=5",
            "--evaluate=at-end",
            "--test-at-end",
            "--keep=best",
            "--patience=4",
            "--least-gain=0.02",
            "--on-divergence=rollback",
            "--checkpoint=30s",
            "--precision=f64",
            "--threads=3",
            "--seed=18446744073709551615",
        ];
        let command = Options::augment_args(Command::new("train")).no_binary_name(true);
        let options = Options::from_arg_matches(&command.try_get_matches_from(flags).unwrap()).unwrap();
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("config.toml");
        for odd in [None, Some("a \"quoted\" name\\with = signs"), Some("-7"), Some("--lr")] {
            let options = Options { data: odd.map(String::from).or(options.data.clone()), ..options.clone() };
            std::fs::write(&path, options.to_toml()).unwrap();
            assert_eq!(Options::read(&path).unwrap(), options, "{}", options.to_toml());
        }
    }
}
