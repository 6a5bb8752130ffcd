//! The settings that a search draws from, and what a trial draws.

use std::collections::BTreeMap;
use std::fmt;

use schuss_data::nearest;
use toml::Value;

use crate::options::Options;
use crate::plan::Plan;

/// What a space may hold: settings of the network and of its training, all of which cost the same to compare.
const TUNABLE: [&str; 31] = [
    "scale",
    "augment",
    "hidden",
    "activation",
    "softmax-epsilon",
    "norm",
    "dropout",
    "input-dropout",
    "residual",
    "init",
    "label-smoothing",
    "mixup",
    "class-weights",
    "l2",
    "optimizer",
    "lr",
    "schedule",
    "warm-up",
    "weight-decay",
    "momentum",
    "nesterov",
    "decay",
    "centered",
    "newton-schulz-steps",
    "beta1",
    "beta2",
    "epsilon",
    "clip-norm",
    "clip-value",
    "average",
    "batch-size",
];

/// Some settings, by name, as their flags have them.
pub type Drawn = BTreeMap<String, String>;

/// The settings that are searched, each with what it may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    /// By name.
    parameters: BTreeMap<String, Range>,
}

/// What a setting may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// One of these, all equally likely.
    Choices(Vec<String>),
    /// A number from `low` to `high`, uniform, or uniform in its logarithm; whole where both ends are written so.
    Numbers { low: f64, high: f64, is_log: bool, is_whole: bool },
}

type Parsed<T> = Result<T, String>;

impl Space {
    /// A space as a file has it: a line for each setting, `activation = ["relu", "mish"]`, or
    /// `lr = { low = 1e-4, high = 0.1, log = true }`. What is wrong with it, otherwise.
    pub fn parse(text: &str) -> Parsed<Self> {
        Self::of_table(toml::from_str(text).map_err(|error| error.to_string().trim_end().to_string())?)
    }

    /// [`Space::parse`] of what is in such a file.
    pub fn of_table(table: toml::Table) -> Parsed<Self> {
        let read = |(name, value): (String, Value)| {
            if !TUNABLE.contains(&name.as_str()) {
                let near = nearest(&name, TUNABLE);
                let hint = near.map_or_else(|| format!("one of {}", TUNABLE.join(", ")), |near| format!("`{near}`?"));
                let way = if near.is_some() { "did you mean" } else { "expected" };
                return Err(format!("`{name}` is no setting that can be searched; {way} {hint}"));
            }
            let range = Range::read(&value).and_then(|range| range.check(&name).map(|()| range));
            Ok((name.clone(), range.map_err(|problem| format!("{name}: {problem}"))?))
        };
        let parameters: BTreeMap<_, _> = table.into_iter().map(read).collect::<Parsed<_>>()?;
        if parameters.is_empty() {
            return Err("expected a setting or more, such as lr = { low = 1e-4, high = 0.1, log = true }".into());
        }
        Ok(Self { parameters })
    }

    /// What is searched where nothing else is said: around what `plan` has, of the settings that `asked` leaves open.
    pub fn usual(plan: &Plan, asked: &[String]) -> Self {
        let options = &plan.options;
        let is_asked = |name: &str| asked.iter().any(|asked| asked == name);
        let preset = options.preset.as_deref().filter(|_| plan.is_table());
        let is_linear = options.hidden.as_ref().is_some_and(|hidden| hidden.0.is_empty());
        let is_new = options.from.is_none();
        let rate = options.lr.unwrap_or(0.001);
        let batch_size = options.batch_size.unwrap_or(32);
        let log = |low: f64, high: f64| Range::Numbers { low, high, is_log: true, is_whole: false };
        let linear = |low: f64, high: f64| Range::Numbers { low, high, is_log: false, is_whole: false };
        let choices = |choices: &[&str]| Range::Choices(choices.iter().map(|choice| choice.to_string()).collect());
        let (hidden, activations) = match preset {
            Some("plain") | None => {
                (["64", "128,64", "256,128", "512,256", "256,256,256"], ["relu", "selu", "gelu", "mish"])
            }
            Some(_) => (["64,64", "128,128", "256,256", "256,256,256", "512,512"], ["selu", "mish", "relu", "gelu"]),
        };
        let sizes = [batch_size.div_ceil(2), batch_size, 2 * batch_size].map(|size| size.to_string());
        let all = [
            ("lr", true, log(round(rate / 8.0), round(rate * 4.0))),
            ("weight-decay", true, log(1e-5, 0.1)),
            ("batch-size", options.optimizer.as_deref() != Some("lbfgs"), Range::Choices(sizes.to_vec())),
            ("hidden", is_new && !is_linear, choices(&hidden)),
            ("activation", is_new && !is_linear, choices(&activations)),
            ("dropout", is_new && !is_linear && preset != Some("small"), linear(0.0, 0.4)),
            ("label-smoothing", plan.is_classifier(), linear(0.0, 0.1)),
        ];
        let all = all.into_iter().filter(|(name, fits, _)| *fits && !is_asked(name));
        Self { parameters: all.map(|(name, _, range)| (name.into(), range)).collect() }
    }

    /// The settings, with what each may be.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &Range)> {
        self.parameters.iter().map(|(name, range)| (name.as_str(), range))
    }

    /// What a trial has: a function of the seed, the trial and the name of each setting. Trial 0 has nothing: it is the run
    /// without a search.
    pub fn draw(&self, seed: u64, trial: usize) -> Drawn {
        if trial == 0 {
            return Drawn::new();
        }
        self.parameters().map(|(name, range)| (name.to_string(), range.at(uniform(seed, trial, name)))).collect()
    }
}

impl fmt::Display for Space {
    /// As [`Space::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parameters().try_for_each(|(name, range)| writeln!(f, "{name} = {range}"))
    }
}

impl Range {
    fn read(value: &Value) -> Parsed<Self> {
        match value {
            Value::Array(choices) => {
                let choices = choices.iter().map(|choice| text_of(choice).ok_or(choice));
                let choices = choices.collect::<Result<Vec<String>, _>>();
                Ok(Self::Choices(choices.map_err(|got| format!("expected text or numbers to choose from, got {got}"))?))
            }
            Value::Table(table) => {
                const KEYS: [&str; 3] = ["low", "high", "log"];
                if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
                    let hint = nearest(key, KEYS).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
                    return Err(format!("unknown key `{key}`{hint}; expected low, high and log"));
                }
                let end = |key: &str| match table.get(key) {
                    Some(Value::Integer(whole)) => Ok((*whole as f64, true)),
                    Some(Value::Float(number)) if number.is_finite() => Ok((*number, false)),
                    Some(got) => Err(format!("{key}: expected a finite number, got {got}")),
                    None => Err(format!("expected low and high, and log = true or false, without {key}")),
                };
                let is_log = match table.get("log") {
                    None => false,
                    Some(Value::Boolean(is_log)) => *is_log,
                    Some(got) => return Err(format!("log: expected true or false, got {got}")),
                };
                let [(low, is_low_whole), (high, is_high_whole)] = [end("low")?, end("high")?];
                Ok(Self::Numbers { low, high, is_log, is_whole: is_low_whole && is_high_whole })
            }
            got => Err(format!("expected [choices], or {{ low = X, high = X, log = true|false }}, got {got}")),
        }
    }

    /// Fails where nothing, or not everything, in this range can be such a setting.
    fn check(&self, name: &str) -> Parsed<()> {
        let can_be = |value: &str| {
            let problem = Options::of_pairs([(name, value)]).err();
            problem.map_or(Ok(()), |problem| Err(problem.trim_start_matches(name).trim_start_matches(": ").to_string()))
        };
        match self {
            Self::Choices(choices) => {
                if choices.len() < 2 {
                    return Err(format!("expected two choices or more, got {}", choices.len()));
                }
                if let Some(twice) = (1..choices.len()).find(|&i| choices[..i].contains(&choices[i])) {
                    return Err(format!("{} is there twice", choices[twice]));
                }
                choices.iter().try_for_each(|choice| can_be(choice))
            }
            Self::Numbers { low, high, is_log, .. } => {
                if low >= high {
                    return Err(format!("an empty range: expected low below high, got {low} and {high}"));
                }
                if *is_log && *low <= 0.0 {
                    return Err(format!("log = true: expected low above 0, of which there is a logarithm, got {low}"));
                }
                [0.0, 1.0 - f64::EPSILON, 0.5].into_iter().try_for_each(|share| can_be(&self.at(share)))
            }
        }
    }

    /// The value that so much of the range lies below, 0 ≤ `share` < 1; of numbers in four digits.
    fn at(&self, share: f64) -> String {
        match self {
            Self::Choices(choices) => choices[(share * choices.len() as f64) as usize].clone(),
            &Self::Numbers { low, high, is_log, is_whole } => {
                // Every whole number has a part of its own.
                let top = if is_whole { high + 1.0 } else { high };
                let x = match is_log {
                    true => (low.ln() + share * (top.ln() - low.ln())).exp(),
                    false => low + share * (top - low),
                };
                let x = if is_whole { x.floor() } else { round(x) };
                x.clamp(low, high).to_string()
            }
        }
    }

    /// The place of a value: the choice, counted from 0, or the number itself.
    pub fn place(&self, value: &str) -> Option<f64> {
        match self {
            Self::Choices(choices) => choices.iter().position(|choice| choice == value).map(|place| place as f64),
            Self::Numbers { .. } => value.parse().ok(),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choices(choices) => {
                let choices: Vec<String> =
                    choices.iter().map(|choice| Value::String(choice.clone()).to_string()).collect();
                write!(f, "[{}]", choices.join(", "))
            }
            &Self::Numbers { low, high, is_log, is_whole: true } => {
                write!(f, "{{ low = {low}, high = {high}, log = {is_log} }}")
            }
            Self::Numbers { low, high, is_log, .. } => {
                write!(f, "{{ low = {low:?}, high = {high:?}, log = {is_log} }}")
            }
        }
    }
}

/// A value of TOML as a flag has it.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A number in four digits.
fn round(x: f64) -> f64 {
    format!("{x:.3e}").parse().unwrap_or(x)
}

/// Uniform in [0, 1), a function of these three.
fn uniform(seed: u64, trial: usize, name: &str) -> f64 {
    let of_name = name.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    let bits = mix(mix(mix(seed) ^ trial as u64) ^ of_name);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// SplitMix64 (Steele, Lea and Flood 2014, OOPSLA): a step, and its bits mixed.
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
lr = { low = 1e-4, high = 0.1, log = true }
warm-up = { low = 1, high = 4 }
dropout = { low = 0.0, high = 0.5, log = false }
hidden = ["64", "128,64", "none"]
batch-size = [32, 64]
"#;

    #[test]
    fn what_is_drawn_is_a_function_of_seed_and_trial_and_in_range() {
        let space = Space::parse(FILE).unwrap();
        assert_eq!(Space::parse(&space.to_string()).unwrap(), space);
        assert_eq!(space.draw(3, 0), Drawn::new());
        let mut seen = BTreeMap::<String, usize>::new();
        let [mut below, mut all] = [0, 0];
        for trial in 1..1001 {
            let drawn = space.draw(3, trial);
            assert_eq!(drawn, space.draw(3, trial));
            assert_ne!(drawn["lr"], space.draw(4, trial)["lr"]);
            let number = |name: &str| drawn[name].parse::<f64>().unwrap();
            assert!((1e-4..=0.1).contains(&number("lr")) && (0.0..=0.5).contains(&number("dropout")), "{drawn:?}");
            below += usize::from(number("lr") < 10f64.powf(-2.5));
            all += 1;
            for name in ["hidden", "batch-size", "warm-up"] {
                *seen.entry(format!("{name}={}", drawn[name])).or_default() += 1;
            }
            // Parsers of flags take what is drawn.
            Options::of_pairs(drawn.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
        }
        // Half of the range is below its geometric mean, within four standard deviations.
        assert!((below as f64 - 500.0).abs() < 64.0, "{below} of {all}");
        let counts = [("hidden=none", 333.0), ("hidden=128,64", 333.0), ("batch-size=32", 500.0), ("warm-up=4", 250.0)];
        for (name, expected) in counts {
            assert!((seen[name] as f64 - expected).abs() < 64.0, "{name}: {seen:?}");
        }
        assert_eq!(seen.len(), 3 + 2 + 4);
    }

    /// A setting that is left out changes nothing for the others.
    #[test]
    fn settings_are_drawn_apart() {
        let [whole, part] =
            [FILE, "lr = { low = 1e-4, high = 0.1, log = true }"].map(|text| Space::parse(text).unwrap());
        assert!((1..50).all(|trial| whole.draw(0, trial)["lr"] == part.draw(0, trial)["lr"]));
    }

    #[track_caller]
    fn check_error(text: &str, expected: &[&str]) {
        let problem = Space::parse(text).unwrap_err();
        expected.iter().for_each(|part| assert!(problem.contains(part), "{part:?} is not in {problem:?}"));
    }

    #[test]
    fn what_is_wrong_with_a_space_is_said() {
        for (text, expected) in [
            ("", &["expected a setting or more"][..]),
            ("lr = [", &["line 1"]),
            ("learning-rat = [0.1, 0.2]", &["`learning-rat` is no setting that can be searched"]),
            ("dropuot = [0.1, 0.2]", &["`dropuot`", "did you mean `dropout`?"]),
            ("epochs = [10, 20]", &["`epochs` is no setting that can be searched"]),
            ("lr = 0.1", &["lr: expected [choices], or { low = X", "got 0.1"]),
            ("lr = [0.1]", &["lr: expected two choices or more, got 1"]),
            ("lr = []", &["got 0"]),
            ("hidden = [\"64\", \"64\"]", &["hidden: 64 is there twice"]),
            ("lr = [0.1, -1]", &["lr: ", "expected a finite number above 0, got -1"]),
            ("activation = [\"relu\", \"rleu\"]", &["activation: ", "did you mean relu?"]),
            ("lr = { low = 0.1, high = 0.1 }", &["lr: an empty range: expected low below high, got 0.1 and 0.1"]),
            ("lr = { low = 0.2, high = 0.1 }", &["an empty range"]),
            ("l2 = { low = 0.0, high = 0.1, log = true }", &["l2: log = true: expected low above 0", "got 0"]),
            ("l2 = { low = -1.0, high = 0.1, log = true }", &["expected low above 0", "got -1"]),
            ("lr = { low = -1.0, high = 0.1 }", &["lr: ", "expected a finite number above 0"]),
            ("dropout = { low = 0.5, high = 1.5 }", &["dropout: ", "below 1, got 1.5"]),
            ("lr = { low = 0.1, hihg = 0.2 }", &["lr: unknown key `hihg`; did you mean `high`?"]),
            ("lr = { low = 0.1 }", &["lr: expected low and high", "without high"]),
            ("lr = { low = 0.1, high = inf }", &["high: expected a finite number, got inf"]),
            ("lr = { low = 0.1, high = 0.2, log = 1 }", &["log: expected true or false, got 1"]),
            ("batch-size = { low = 1.5, high = 9.5 }", &["batch-size: ", "expected a whole number"]),
        ] {
            check_error(text, expected);
        }
    }
}
