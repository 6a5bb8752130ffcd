//! What came of trials, how it is kept, and which differences are more than noise.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::halving::Search;
use super::space::{Drawn, Space, text_of};
use crate::failure::{Failure, Result};
use crate::options::Options;

/// A search, with nothing left to choose: what its folder keeps of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    pub trials: usize,
    pub folds: usize,
    pub search: Search,
    /// What all trials have.
    pub options: Options,
    pub space: Space,
}

/// What came of a trial at a rung.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Counted from 0.
    pub rung: usize,
    pub trial: usize,
    pub epochs: usize,
    /// Those that were drawn.
    pub settings: Drawn,
    /// The main measure on the rows of each fold, which that training did not learn from; nothing where it did not come to its
    /// end, or is not finite.
    pub folds: Vec<Option<f64>>,
    /// Of the folds; nothing where one has no value.
    pub mean: Option<f64>,
    /// The standard error of the mean, the deviation of the folds by the root of their number; nothing of a single one.
    pub error: Option<f64>,
    /// Why there is no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Outcome {
    pub fn new(rung: usize, trial: usize, epochs: usize, settings: Drawn, folds: Vec<Option<f64>>) -> Self {
        let values: Option<Vec<f64>> = folds.iter().copied().collect();
        let [mean, error] = values.map_or([None; 2], |values| {
            let mean = mean(&values);
            [Some(mean), (values.len() > 1).then(|| deviation(&values) / (values.len() as f64).sqrt())]
        });
        Self { rung, trial, epochs, settings, folds, mean, error, problem: None }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation, by n - 1.
fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// How much more of the measure one trial has than another, fold by fold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paired {
    pub mean: f64,
    /// At 95 % confidence.
    pub low: f64,
    pub high: f64,
}

impl Paired {
    /// `a` less `b`; nothing where either has no value, or there is a single fold. The interval is that of the corrected
    /// resampled t-test (Nadeau and Bengio 2003, Machine Learning 52): as the trainings of the folds share most of their rows,
    /// the variance of the mean is (1/k + 1/(k - 1)) times that of a fold, in place of 1/k.
    pub fn new(a: &Outcome, b: &Outcome) -> Option<Self> {
        let differences = a.folds.iter().zip(&b.folds).map(|(a, b)| Some((*a)? - (*b)?));
        let differences: Vec<f64> = differences.collect::<Option<_>>()?;
        let folds = differences.len();
        if folds < 2 {
            return None;
        }
        let mean = mean(&differences);
        let share = 1.0 / folds as f64 + 1.0 / (folds - 1) as f64;
        let half = student(folds - 1) * deviation(&differences) * share.sqrt();
        Some(Self { mean, low: mean - half, high: mean + half })
    }

    pub fn is_noise(self) -> bool {
        self.low <= 0.0 && self.high >= 0.0
    }
}

/// The 97.5 % quantile of Student's t with so many degrees of freedom: to four digits up to 9, then by the expansion of Cornish
/// and Fisher, which is as good.
fn student(freedom: usize) -> f64 {
    const FEW: [f64; 9] = [12.706, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622];
    match FEW.get(freedom.wrapping_sub(1)) {
        Some(quantile) => *quantile,
        None => {
            let (z, n) = (1.959_964_f64, freedom as f64);
            let [z3, z5, z7] = [3, 5, 7].map(|power| z.powi(power));
            let terms = [
                (z3 + z) / 4.0,
                (5.0 * z5 + 16.0 * z3 + 3.0 * z) / 96.0,
                (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / 384.0,
            ];
            z + terms.into_iter().rev().fold(0.0, |sum, term| (sum + term) / n)
        }
    }
}

/// The folder of a search: tune.toml, results.jsonl, seconds.jsonl, tune.html, and the run `best`.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    results: File,
    seconds: File,
}

const SETUP: &str = "tune.toml";
const RESULTS: &str = "results.jsonl";
/// Apart from the results, which are the same whenever and wherever they are made.
const SECONDS: &str = "seconds.jsonl";

impl Folder {
    /// Makes the folder of a search.
    pub fn create(path: PathBuf, setup: &Setup) -> Result<Self> {
        if path.join(RESULTS).exists() {
            return Err(Failure::Usage(format!(
                "--out {0}: there is a search there; --resume {0} goes on with it, or take another folder",
                path.display()
            )));
        }
        fs::create_dir_all(&path).map_err(|error| Failure::io("make the folder", &path, error))?;
        let Setup { trials, folds, search, options, space } = setup;
        let text = format!(
            "# A search of settings; `schuss tune --resume` with its folder goes on with it.\n\
             trials = {trials}\nfolds = {folds}\nsearch = \"{}\"\n\n[settings]\n{}\n[space]\n{space}",
            search.name(),
            options.to_toml()
        );
        schuss::write_atomically(&path.join(SETUP), text.as_bytes())?;
        Self::open(path, &[], &[])
    }

    /// The search of a folder, and what came of it so far, with the seconds that each took.
    pub fn resume(path: PathBuf) -> Result<(Setup, Vec<(Outcome, f64)>)> {
        let setup = Setup::read(&path.join(SETUP))?;
        let outcomes: Vec<Outcome> = lines(&path.join(RESULTS))?;
        let seconds: Vec<Value> = lines(&path.join(SECONDS))?;
        let of_outcome = |(place, outcome): (usize, Outcome)| {
            let seconds = seconds.get(place).and_then(|line| line["seconds"].as_f64());
            (outcome, seconds.unwrap_or(f64::NAN))
        };
        Ok((setup, outcomes.into_iter().enumerate().map(of_outcome).collect()))
    }

    /// Opens the files to write after these outcomes.
    pub fn go_on(path: PathBuf, outcomes: &[(Outcome, f64)]) -> Result<Self> {
        let results: Vec<Value> = outcomes.iter().map(|(outcome, _)| json!(outcome)).collect();
        let seconds: Vec<Value> = outcomes.iter().map(|(outcome, seconds)| seconds_line(outcome, *seconds)).collect();
        Self::open(path, &results, &seconds)
    }

    fn open(path: PathBuf, results: &[Value], seconds: &[Value]) -> Result<Self> {
        let file = |name: &str, lines: &[Value]| -> Result<File> {
            let file = path.join(name);
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            schuss::write_atomically(&file, text.as_bytes())?;
            OpenOptions::new().append(true).open(&file).map_err(|error| Failure::io("write", &file, error))
        };
        let [results, seconds] = [file(RESULTS, results)?, file(SECONDS, seconds)?];
        Ok(Self { path, results, seconds })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the best setting is trained.
    pub fn best(&self) -> PathBuf {
        self.path.join("best")
    }

    /// Appends what came of a trial.
    pub fn record(&mut self, outcome: &Outcome, seconds: f64) -> Result<()> {
        // The seconds first: a result that has none is none.
        for (file, name, line) in
            [(&mut self.seconds, SECONDS, seconds_line(outcome, seconds)), (&mut self.results, RESULTS, json!(outcome))]
        {
            let written = file.write_all(format!("{line}\n").as_bytes());
            written.map_err(|error| Failure::io("write", &self.path.join(name), error))?;
        }
        Ok(())
    }

    /// Writes the page; where it is.
    pub fn write_page(&self, html: &str) -> Result<PathBuf> {
        let path = self.path.join("tune.html");
        schuss::write_atomically(&path, html.as_bytes())?;
        Ok(path)
    }
}

fn seconds_line(outcome: &Outcome, seconds: f64) -> Value {
    json!({ "rung": outcome.rung, "trial": outcome.trial, "seconds": crate::events::number(seconds) })
}

/// The lines of a log up to one that was cut short; none where there is no file.
fn lines<L: for<'l> Deserialize<'l>>(path: &Path) -> Result<Vec<L>> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::io("read", path, error)),
    };
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    Ok(whole.map_while(|line| serde_json::from_str(line).ok()).collect())
}

impl Setup {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| Failure::io("read", path, error))?;
        Self::parse(&text).map_err(|problem| Failure::Failed(format!("{}: {problem}", path.display())))
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_string())?;
        let missing = |key: &str| format!("expected what a search has, found no `{key}`");
        let part = |key: &str| table.get(key).and_then(toml::Value::as_table).ok_or_else(|| missing(key));
        let count = |key: &str| {
            let count = table.get(key).and_then(toml::Value::as_integer).and_then(|count| usize::try_from(count).ok());
            count.filter(|count| (1..=MOST_TRIALS).contains(count)).ok_or_else(|| missing(key))
        };
        let search = table.get("search").and_then(toml::Value::as_str).ok_or_else(|| missing("search"))?;
        let search = [Search::Random, Search::Halving].into_iter().find(|known| known.name() == search);
        let pairs: Option<Vec<(String, String)>> =
            part("settings")?.iter().map(|(name, value)| Some((name.clone(), text_of(value)?))).collect();
        let pairs = pairs.ok_or("settings: expected text, numbers, true or false")?;
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Ok(Self {
            trials: count("trials")?,
            folds: count("folds")?,
            search: search.ok_or("search: expected random or halving")?,
            options: Options::of_pairs(pairs)?,
            space: Space::of_table(part("space")?.clone())?,
        })
    }
}

/// Trials, and folds, that a search has at most.
pub const MOST_TRIALS: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(folds: &[f64]) -> Outcome {
        Outcome::new(0, 0, 1, Drawn::new(), folds.iter().map(|x| x.is_finite().then_some(*x)).collect())
    }

    #[test]
    fn means_have_their_standard_error() {
        let found = outcome(&[1.0, 2.0, 3.0, 6.0]);
        assert_eq!(found.mean, Some(3.0));
        // Deviation √(14/3), by √4.
        assert!((found.error.unwrap() - (14.0f64 / 3.0).sqrt() / 2.0).abs() < 1e-15);
        assert_eq!((outcome(&[2.0]).mean, outcome(&[2.0]).error), (Some(2.0), None));
        assert_eq!((outcome(&[2.0, f64::NAN]).mean, outcome(&[2.0, f64::NAN]).error), (None, None));
    }

    #[test]
    fn differences_are_held_against_the_noise_of_the_folds() {
        let [a, b] = [[5.0, 6.0, 7.0, 8.0, 9.0], [4.0, 5.5, 5.5, 7.0, 8.0]].map(|folds| outcome(&folds));
        let paired = Paired::new(&a, &b).unwrap();
        // 1, 1/2, 3/2, 1, 1: mean 1, deviation √(1/8); t of four degrees of freedom.
        let half = 2.7764 * (0.125f64 * (0.2 + 0.25)).sqrt();
        assert!((paired.mean - 1.0).abs() < 1e-15 && (paired.high - 1.0 - half).abs() < 1e-12, "{paired:?}");
        assert!(!paired.is_noise());
        let c = outcome(&[6.0, 5.0, 7.5, 7.0, 9.5]);
        assert!(Paired::new(&a, &c).unwrap().is_noise());
        assert_eq!(Paired::new(&outcome(&[1.0]), &outcome(&[2.0])), None);
        assert_eq!(Paired::new(&a, &outcome(&[1.0, 2.0, 3.0, 4.0, f64::NAN])), None);
    }

    #[test]
    fn quantiles_of_student_are_those_of_tables() {
        for (freedom, expected) in [(1, 12.706), (4, 2.7764), (9, 2.2622), (10, 2.2281), (20, 2.0860), (60, 2.0003)] {
            assert!((student(freedom) - expected).abs() < 4e-4, "{freedom}: {}", student(freedom));
        }
    }

    #[test]
    fn a_search_is_read_as_it_was_written() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("search");
        let setup = Setup {
            trials: 20,
            folds: 5,
            search: Search::Halving,
            options: Options { data: Some("a \"b\".csv".into()), seed: Some(u64::MAX), ..Options::default() },
            space: Space::parse("lr = { low = 1e-4, high = 1.0, log = true }\nhidden = [\"8\", \"none\"]").unwrap(),
        };
        let mut made = Folder::create(path.clone(), &setup).unwrap();
        let outcomes = [(outcome(&[0.1, 0.2]), 1.5), (outcome(&[f64::NAN]), 2.0)];
        outcomes.iter().for_each(|(outcome, seconds)| made.record(outcome, *seconds).unwrap());
        assert_eq!(Folder::resume(path.clone()).unwrap(), (setup.clone(), outcomes.to_vec()));
        let message = Folder::create(path.clone(), &setup).unwrap_err().to_string();
        assert!(message.contains("there is a search there; --resume"), "{message}");
        // Cut short within a line, and without its end.
        let text = fs::read(path.join(RESULTS)).unwrap();
        for cut in [1, 10, text.len() / 2] {
            fs::write(path.join(RESULTS), &text[..text.len() - cut]).unwrap();
            let (_, found) = Folder::resume(path.clone()).unwrap();
            assert!(found == outcomes[..1] || found.is_empty(), "{found:?}");
        }
        Folder::go_on(path.clone(), &outcomes).unwrap();
        assert_eq!(fs::read(path.join(RESULTS)).unwrap(), text);
        for damaged in
            ["", "trials = 0", "trials = 3\nfolds = 2\nsearch = \"best\"\n[settings]\n[space]\n", "=", "trials = 9e9"]
        {
            fs::write(path.join(SETUP), damaged).unwrap();
            assert!(matches!(Folder::resume(path.clone()), Err(Failure::Failed(_))), "{damaged}");
        }
    }
}
