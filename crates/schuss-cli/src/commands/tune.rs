//! `schuss tune`: the settings that suit the data best, of those that were tried.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use schuss::metrics::Measure;
use schuss::{Evaluation, Real};
use schuss_data::Data;
use serde_json::{Value, json};

use super::train::{Opened, RunArguments, fold, is_interrupted, listen, member_parts, open, show, train};
use super::{threads, with_precision};
use crate::events;
use crate::events::{number, say};
use crate::failure::{Failure, Result};
use crate::folds::Folds;
use crate::options::Options;
use crate::plan::Plan;
use crate::report::{counted, plain, quoted};
use crate::run_folder::RunFolder;
use crate::tune::Trainings;
use crate::tune::halving::{Rung, Search, promoted, ranked};
use crate::tune::page::{Subject, page};
use crate::tune::record::{Folder, MOST_TRIALS, Outcome, Paired, Setup};
use crate::tune::space::{Drawn, Space};

/// Trials are compared by validation rows alone; the test rows are looked at once, at the end, with the best trial's settings
/// trained on all training rows.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    search: SearchArguments,
    #[command(flatten)]
    run: TuneArguments,
}

#[derive(Args, Debug)]
struct SearchArguments {
    /// Settings that are tried; trial 0 has what `train` would have [default: 20]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = trial_count, conflicts_with = "resume",
          help_heading = "Search")]
    trials: Option<usize>,
    /// Parts of the training rows, each of which a training leaves out and is judged by; 1: a fifth of them once [default: 5,
    /// from 20,000 rows on 1]
    #[arg(long, value_name = "K", allow_hyphen_values = true, value_parser = fold_count, conflicts_with = "resume",
          help_heading = "Search")]
    folds: Option<usize>,
    /// How trials are chosen [default: halving]
    #[arg(long, value_enum, conflicts_with = "resume", help_heading = "Search")]
    search: Option<Search>,
    /// What the settings may be: lines such as lr = { low = 1e-4, high = 0.1, log = true } or activation = ["relu", "mish"]
    /// [default: what suits the data; it is said]
    #[arg(long, value_name = "FILE.toml", conflicts_with = "resume", help_heading = "Search")]
    space: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct TuneArguments {
    /// Folder of the search [default: runs/<date>-<data>-tune]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the search of this folder, which was interrupted; it has its settings
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    resume: Option<PathBuf>,
    /// Show the page in the browser at the end
    #[arg(long)]
    open: bool,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

fn trial_count(text: &str) -> std::result::Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=MOST_TRIALS).contains(count));
    count.ok_or_else(|| format!("expected a whole number from 1 to {MOST_TRIALS}, got {text}"))
}

fn fold_count(text: &str) -> std::result::Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=100).contains(count));
    count.ok_or_else(|| format!("expected a whole number from 1 to 100, got {text}"))
}

pub fn run(Arguments { options, search, run }: Arguments) -> Result<()> {
    let time = options.time.as_deref().map(crate::values::seconds).transpose().map_err(Failure::Usage)?;
    let options = Options { time: None, ..options };
    let (prepared, outcomes) = match &run.resume {
        Some(folder) => {
            if let Some(name) = options.names().iter().find(|name| *name != "threads") {
                let folder = folder.display();
                return Err(Failure::Usage(format!(
                    "--{name} and --resume contradict each other: the search of {folder} has its settings; leave --{name} out"
                )));
            }
            let (setup, outcomes) = Folder::resume(folder.clone())?;
            (Prepared::again(setup, options.threads)?, outcomes)
        }
        None => (Prepared::new(options, &search)?, Vec::new()),
    };
    listen();
    with_precision!(prepared.plan.precision(), search_with(prepared, outcomes, time, run))
}

/// A search before its first training.
struct Prepared {
    setup: Setup,
    data: Data,
    /// Of trial 0.
    plan: Plan,
    threads: Option<usize>,
}

impl Prepared {
    fn new(options: Options, search: &SearchArguments) -> Result<Self> {
        for (flag, is_set, reason) in [
            ("steps", options.steps.is_some(), "trials are compared after a number of epochs"),
            ("pace", options.pace.is_some(), "trials are compared after a number of epochs"),
            ("valid 0", options.valid.as_deref() == Some("0"), "trials are compared by validation rows"),
        ] {
            if is_set {
                return Err(Failure::Usage(format!("--{flag} and tune contradict each other: {reason}; leave it out")));
            }
        }
        if let (Some(folds), Some(valid)) = (search.folds.filter(|folds| *folds > 1), &options.valid) {
            return Err(Failure::Usage(format!(
                "--folds {folds} and --valid {valid} contradict each other: folds are validation rows in turn; leave one of them \
                 out"
            )));
        }
        let space = match &search.space {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| Failure::io("read", path, error))?;
                let wrong = |problem: String| Failure::Usage(format!("{}: {problem}", path.display()));
                Some(Space::parse(&text).map_err(wrong)?)
            }
            None => None,
        };
        let asked = options.names();
        if let Some(name) = options.data.as_deref().filter(|name| crate::packs::is_name_of_pack(name)) {
            return Err(Failure::Usage(format!(
                "{name}: packed data have no folds to search settings by; search on a table of some of the rows, and train the \
                 packed ones with what was found"
            )));
        }
        if let (Some(space), Some(path)) = (&space, &search.space)
            && let Some((name, _)) = space.parameters().find(|(name, _)| asked.iter().any(|asked| asked == name))
        {
            return Err(Failure::Usage(format!(
                "--{name} and {name} of {} contradict each other: it is given or searched; leave one of them out",
                path.display()
            )));
        }
        let threads = options.threads;
        let seed = Some(options.seed.unwrap_or(0));
        let Opened { options, asked, reasons, data } = open(options, Some(Folds { asked: search.folds }))?;
        let folds = data.folds.len().max(1);
        if let Some(wanted) = search.folds.filter(|wanted| *wanted != folds) {
            let reason = match (&options.split_by_time, &data.valid) {
                (Some(_), _) => {
                    "nothing is to learn from the future, so that there is one part, the last by time".into()
                }
                (None, Some(_)) => "the data have a validation part of their own".into(),
                (None, None) => format!("the {} make {folds}", counted(rows_of(&data), "training row")),
            };
            return Err(Failure::Usage(format!("--folds {wanted}: {reason}; leave it out, or ask for fewer")));
        }
        if data.folds.is_empty() && data.valid.is_none() {
            let rows = counted(rows_of(&data), "training row");
            return Err(Failure::Failed(format!("{}: {rows} are too few to compare trials by", data.name)));
        }
        let is_table = data.schema.is_some();
        if let (true, true) =
            (is_table, space.as_ref().is_some_and(|space| space.parameters().any(|(n, _)| n == "scale")))
        {
            return Err(Failure::Usage(
                "scale: the columns of a table are scaled once, for all trials; leave it out of the space, and search once with \
                 each --scale"
                    .into(),
            ));
        }
        // The training at the end may have many networks; a trial is one for each fold.
        let plan = Plan::new(Options { seed, ..options.clone() }, asked.clone(), reasons, &data)?;
        let space = space.unwrap_or_else(|| Space::usual(&plan, &asked));
        if space.parameters().next().is_none() {
            return Err(Failure::Usage(
                "every setting that is searched is given; leave some out, or take --space".into(),
            ));
        }
        let options = Options { seed, epochs: plan.options.epochs, threads: None, ..options };
        let (trials, kind) = (search.trials.unwrap_or(20), search.search.unwrap_or(Search::Halving));
        Ok(Self { setup: Setup { trials, folds, search: kind, options, space }, data, plan, threads })
    }

    /// A search that was begun before.
    fn again(setup: Setup, threads: Option<usize>) -> Result<Self> {
        let Opened { options, asked, reasons, data } =
            open(setup.options.clone(), Some(Folds { asked: Some(setup.folds) }))?;
        let plan = Plan::new(options, asked, reasons, &data)?;
        Ok(Self { setup, data, plan, threads })
    }
}

fn rows_of(data: &Data) -> usize {
    data.train.targets.view().rows()
}

fn search_with<T: Real + schuss_kernels::Burst>(
    prepared: Prepared,
    mut outcomes: Vec<(Outcome, f64)>,
    time: Option<f64>,
    run: TuneArguments,
) -> Result<()> {
    let Prepared { setup, data, plan, threads: count } = &prepared;
    let epochs = plan.options.epochs.unwrap_or(1);
    let steps = rows_of(data).div_ceil(plan.options.batch_size.unwrap_or(1));
    let rungs = setup.search.rungs(setup.trials, epochs, steps);
    let measure = measure_of::<T>(data, plan)?;
    let mut folder = match &run.resume {
        Some(path) => Folder::go_on(path.clone(), &outcomes)?,
        None => {
            let path = run.out.clone();
            let path = path.unwrap_or_else(|| RunFolder::default_path(&format!("{}-tune", data.name)));
            Folder::create(path, setup)?
        }
    };
    let threads = threads(*count)?.count();
    // In seconds since the program began.
    let end = AtomicU64::new(time.unwrap_or(f64::INFINITY).to_bits());
    let is_late = || crate::start().elapsed().as_secs_f64() > f64::from_bits(end.load(Ordering::Relaxed));
    let trainings = Trainings { setup, data, threads, is_over: &|| is_interrupted() || is_late() };
    let teller = Teller { setup, data, plan, rungs: &rungs, measure: &measure, is_json: run.json };
    teller.start(&trainings);
    let mut is_whole = true;
    for (place, &rung) in rungs.iter().enumerate() {
        let trials = match place {
            0 => (0..setup.trials).collect(),
            _ => promoted(&values_at(&outcomes, place - 1), measure.higher_is_better, rung.trials),
        };
        let done: Vec<_> = at(&outcomes, place).map(|outcome| outcome.trial).collect();
        let is_of_search = |outcome: &Outcome| {
            outcome.epochs == rung.epochs && outcome.settings == setup.space.draw(seed_of(setup), outcome.trial)
        };
        if !trials.starts_with(&done) || !at(&outcomes, place).all(is_of_search) {
            let path = folder.path().join("results.jsonl");
            return Err(Failure::Failed(format!(
                "{}: rung {place} has not the trials of this search; the file was changed, or comes from another version",
                path.display()
            )));
        }
        is_whole = trainings.train::<T>(place, rung, &trials[done.len()..], |outcome, seconds| {
            folder.record(&outcome, seconds)?;
            teller.outcome(&outcome, seconds);
            outcomes.push((outcome, seconds));
            if let (Some(time), Some((best, _))) = (time, ranking(&outcomes, &rungs, &measure).first().copied()) {
                let rest = seconds_of_training(plan, setup, &outcomes, best, epochs);
                end.store((time - rest).to_bits(), Ordering::Relaxed);
            }
            Ok(())
        })?;
        if !is_whole {
            break;
        }
    }
    if is_interrupted() {
        let folder = folder.path().display();
        eprintln!("note: the search was interrupted; schuss tune --resume {folder} goes on with it");
        return Ok(());
    }
    let ranking = ranking(&outcomes, &rungs, &measure);
    let Some(&(best, rung)) = ranking.first() else {
        return Err(Failure::Failed(format!(
            "the time ended before the first trial did; --resume {} --time goes on with more of it",
            folder.path().display()
        )));
    };
    let order: Vec<usize> = ranking.iter().map(|(trial, _)| *trial).collect();
    let find = |trial: usize| at(&outcomes, rung).find(|outcome| outcome.trial == trial);
    let chosen = Chosen { best: find(best), default: find(0), is_whole };
    let Some(outcome) = chosen.best.filter(|outcome| outcome.mean.is_some()) else {
        let problem = at(&outcomes, rung).find_map(|outcome| outcome.problem.clone());
        let problem = problem.unwrap_or_else(|| "their measure is not finite".into());
        return Err(Failure::Failed(format!("no trial has a value: {problem}")));
    };
    let page_path = folder.write_page(&page(Subject {
        setup,
        rungs: &rungs,
        measure: &measure,
        outcomes: &outcomes,
        order: &order,
        default: &default_of(setup, plan),
        summary: teller.summary(&outcomes, &chosen),
        title: format!("{}: {} trials, {} {}", data.name, setup.trials, measure.name, teller.value(outcome)),
        command: format!("schuss train --config {}", quoted(&folder.best().join("config.toml").display().to_string())),
    }))?;
    teller.end(&outcomes, &ranking, &chosen, &page_path);
    let result = train_best(&prepared, &outcome.settings, &folder, run.json);
    if run.open {
        show(&page_path);
    }
    result
}

fn seed_of(setup: &Setup) -> u64 {
    setup.options.seed.unwrap_or(0)
}

/// What comes of trials at a rung, in their order.
fn at(outcomes: &[(Outcome, f64)], rung: usize) -> impl Iterator<Item = &Outcome> {
    outcomes.iter().map(|(outcome, _)| outcome).filter(move |outcome| outcome.rung == rung)
}

fn values_at(outcomes: &[(Outcome, f64)], rung: usize) -> Vec<(usize, Option<f64>)> {
    at(outcomes, rung).map(|outcome| (outcome.trial, outcome.mean)).collect()
}

/// The trials, each with the rung by which it is judged, the best first: those that came to the last rung of which all trials
/// are there, then the others of the rung before, and so on.
fn ranking(outcomes: &[(Outcome, f64)], rungs: &[Rung], measure: &Measure) -> Vec<(usize, usize)> {
    let is_whole = |rung: usize| match rung {
        0 => true,
        _ => {
            let promoted = promoted(&values_at(outcomes, rung - 1), measure.higher_is_better, rungs[rung].trials);
            at(outcomes, rung).count() == promoted.len()
        }
    };
    let last = (0..rungs.len()).take_while(|&rung| is_whole(rung)).last().unwrap_or(0);
    let mut order: Vec<(usize, usize)> = Vec::new();
    for rung in (0..=last).rev() {
        for trial in ranked(&values_at(outcomes, rung), measure.higher_is_better) {
            if !order.iter().any(|(there, _)| *there == trial) {
                order.push((trial, rung));
            }
        }
    }
    order
}

/// How long the training at the end may take, by what trainings of the best trial took: on more threads less.
fn seconds_of_training(plan: &Plan, setup: &Setup, outcomes: &[(Outcome, f64)], best: usize, epochs: usize) -> f64 {
    /// For evaluation and report.
    const REST: f64 = 1.5;
    let of_best = outcomes.iter().filter(|(outcome, seconds)| outcome.trial == best && seconds.is_finite());
    let of_epoch = of_best.map(|(outcome, seconds)| seconds / (outcome.epochs * outcome.folds.len()) as f64);
    let share = if setup.folds > 1 { 1.0 - 1.0 / setup.folds as f64 } else { 1.0 - Folds::SHARE };
    REST + of_epoch.fold(0.0, f64::max) / share * (epochs * plan.members()) as f64
}

/// What trial 0 has of the settings that are searched.
fn default_of(setup: &Setup, plan: &Plan) -> Drawn {
    let is_searched = |name: &str| setup.space.parameters().any(|(searched, _)| searched == name);
    plan.options.in_words().into_iter().filter(|(name, _)| is_searched(name)).collect()
}

/// The measure by which models of this plan are judged, of one that has learned nothing.
fn measure_of<T: Real>(data: &Data, plan: &Plan) -> Result<Measure> {
    let fold = fold(data, 0);
    let parts = member_parts(data, plan, &fold)?;
    let model = plan.model::<T>(data.train.dataset()?, &schuss::Threads::ONE)?;
    plan.settings(parts.train)?;
    let rows = parts.valid.unwrap_or(parts.train);
    Ok(Evaluation::new(&model, rows, &schuss::Threads::ONE)?.main_value())
}

/// Trains the best trial's settings on all training rows; the test rows are looked at once, at the end.
fn train_best(prepared: &Prepared, settings: &Drawn, folder: &Folder, is_json: bool) -> Result<()> {
    let Prepared { setup, data, threads, .. } = prepared;
    let pairs = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let drawn = Options::of_pairs(pairs).map_err(Failure::Usage)?;
    let options = Options { test_at_end: data.test.as_ref().map(|_| true), ..drawn.or(setup.options.clone()) };
    let out = folder.best();
    // One that was begun goes on, if it is this one.
    let is_this = |config: Options| Options { threads: None, ..options.clone() }.or(config.clone()) == config;
    let is_begun = out.join("config.toml").is_file() && is_this(RunFolder::config_of(&out)?);
    if is_begun {
        let arguments = RunArguments { resume: Some(out), json: is_json, ..RunArguments::default() };
        return train(Options { threads: *threads, ..Options::default() }, Options::default(), arguments);
    }
    RunFolder::give_up(&out)?;
    let arguments = RunArguments { out: Some(out), json: is_json, ..RunArguments::default() };
    train(Options { threads: *threads, ..options }, Options::default(), arguments)
}

/// The trial that is taken, and that of the usual settings, at the same rung.
struct Chosen<'a> {
    best: Option<&'a Outcome>,
    default: Option<&'a Outcome>,
    /// Whether the search came to its end.
    is_whole: bool,
}

impl Chosen<'_> {
    fn paired(&self) -> Option<Paired> {
        Paired::new(self.best?, self.default?)
    }

    fn is_default(&self) -> bool {
        self.best.is_some_and(|best| best.trial == 0)
    }
}

/// Says what a search does.
struct Teller<'a> {
    setup: &'a Setup,
    data: &'a Data,
    plan: &'a Plan,
    rungs: &'a [Rung],
    measure: &'a Measure,
    is_json: bool,
}

impl Teller<'_> {
    fn start(&self, trainings: &Trainings) {
        let Self { setup, data, rungs, .. } = self;
        let [at_once, threads_each] = trainings.at_once(rungs[0].trials * setup.folds);
        if self.is_json {
            let rungs: Vec<_> =
                rungs.iter().map(|rung| json!({ "trials": rung.trials, "epochs": rung.epochs })).collect();
            let space: serde_json::Map<String, Value> =
                setup.space.parameters().map(|(name, range)| (name.into(), range.to_string().into())).collect();
            return events::print(&json!({
                "event": "search", "data": data.name, "rows": rows_of(data), "folds": setup.folds,
                "search": setup.search.name(), "rungs": rungs, "space": space, "measure": self.measure.key,
                "seed": seed_of(setup), "at_once": at_once, "threads_each": threads_each,
            }));
        }
        let by = match setup.folds {
            1 => "one validation part".into(),
            folds => format!("{folds} folds"),
        };
        let rows = counted(rows_of(data), "training row");
        say!(
            "{}: {rows}, trials are compared by {} on {by}; test rows are not looked at",
            data.name,
            self.measure.name
        );
        setup.space.parameters().for_each(|(name, range)| say!("  {name:<16} {range}"));
        let rungs: Vec<String> = rungs
            .iter()
            .map(|rung| format!("{} of {}", counted(rung.trials, "trial"), counted(rung.epochs, "epoch")))
            .collect();
        match setup.search {
            Search::Random => say!("random search: {}, the first with the usual settings", rungs.join("")),
            Search::Halving => {
                say!("successive halving: {}; trial 0, the usual settings, is always among them", rungs.join(", "));
            }
        }
        say!("{} at once, {} each", counted(at_once, "training"), counted(threads_each, "thread"));
    }

    fn outcome(&self, outcome: &Outcome, seconds: f64) {
        if self.is_json {
            let mut line = json!(outcome);
            line["event"] = "trial".into();
            line["seconds"] = number(seconds);
            return events::print(&line);
        }
        let Outcome { rung, trial, epochs, problem, .. } = outcome;
        let rung = if self.rungs.len() > 1 { format!("rung {}, ", rung + 1) } else { String::new() };
        let problem = problem.as_ref().map_or(String::new(), |problem| format!("  {problem}"));
        let epochs = counted(*epochs, "epoch");
        say!(
            "{rung}trial {trial:>3}, {epochs}: {} {}  {seconds:.2} s{problem}",
            self.measure.name,
            self.value(outcome)
        );
    }

    /// The mean of a trial, and its standard error.
    fn value(&self, outcome: &Outcome) -> String {
        let Some(mean) = outcome.mean else { return "none".into() };
        let mean = plain(mean, self.measure);
        match outcome.error {
            None => mean,
            Some(error) if self.measure.is_share => format!("{mean} ± {:.2}", 100.0 * error),
            Some(error) => format!("{mean} ± {}", plain(error, self.measure)),
        }
    }

    /// The settings of a trial.
    fn settings(&self, settings: &Drawn) -> String {
        let settings: Vec<String> = settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if settings.is_empty() { "the usual settings".into() } else { settings.join(", ") }
    }

    /// What was searched, what is best, and whether that is more than noise.
    fn summary(&self, outcomes: &[(Outcome, f64)], chosen: &Chosen) -> Vec<String> {
        let Self { setup, data, measure, rungs, .. } = self;
        let seconds: f64 = outcomes.iter().map(|(_, seconds)| seconds).filter(|seconds| seconds.is_finite()).sum();
        let by = match setup.folds {
            1 => "on one validation part of the training rows".into(),
            folds => format!("on {folds} folds of the training rows"),
        };
        let mut sentences = vec![format!(
            "{} of settings for {} were compared by {} {by}: {} that took {seconds:.1} s together. The test rows had no part in it.",
            counted(setup.trials, "trial"),
            data.name,
            measure.name,
            counted(outcomes.iter().map(|(outcome, _)| outcome.folds.len()).sum(), "training"),
        )];
        if !chosen.is_whole {
            sentences.push("The time ended before the search did; what was finished counts.".into());
        }
        let Some(best) = chosen.best else { return sentences };
        let epochs = match best.epochs {
            epochs if rungs.last().is_some_and(|last| last.epochs == epochs) => String::new(),
            epochs => format!(" after {}", counted(epochs, "epoch")),
        };
        sentences.push(format!(
            "The best is trial {}{epochs}, {} {}: {}.",
            best.trial,
            measure.name,
            self.value(best),
            self.settings(&best.settings)
        ));
        sentences.push(match (chosen.is_default(), chosen.paired(), chosen.default) {
            (true, ..) => "Nothing that was tried is better than the usual settings.".into(),
            (false, Some(paired), Some(default)) => {
                let amount = |x: f64| match measure.is_share {
                    true => format!("{:+.2}", 100.0 * x),
                    false => format!("{x:+.4}"),
                };
                let Paired { mean, low, high } = paired;
                let points = if measure.is_share { " points" } else { "" };
                let verdict = if paired.is_noise() { "that is inside the noise" } else { "that is more than noise" };
                format!(
                    "The usual settings have {}: a difference of {}{points} (95 %: {} to {}, fold by fold), {verdict}. The best of \
                     many looks a little better than it is.",
                    self.value(default),
                    amount(mean),
                    amount(low),
                    amount(high)
                )
            }
            (false, _, Some(default)) => format!(
                "The usual settings have {}; whether the difference is more than noise, one validation part does not tell (--folds \
                 5 does).",
                self.value(default)
            ),
            (false, _, None) => String::new(),
        });
        sentences.retain(|sentence| !sentence.is_empty());
        sentences
    }

    fn end(&self, outcomes: &[(Outcome, f64)], ranking: &[(usize, usize)], chosen: &Chosen, page: &std::path::Path) {
        if self.is_json {
            let Some(best) = chosen.best else { return };
            let difference = chosen.paired().filter(|_| !chosen.is_default()).map(|paired| {
                let Paired { mean, low, high } = paired;
                json!({ "mean": number(mean), "low": number(low), "high": number(high), "is_noise": paired.is_noise() })
            });
            return events::print(&json!({
                "event": "chosen", "trial": best.trial, "settings": best.settings, "measure": self.measure.key,
                "mean": best.mean, "error": best.error, "difference": difference, "is_whole": chosen.is_whole,
                "page": page.display().to_string(),
            }));
        }
        const MOST: usize = 10;
        say!("{:>5}  {:>6}  {:<22}  {:>9}  settings", "trial", "epochs", self.measure.name, "seconds");
        for (trial, rung) in ranking.iter().take(MOST) {
            let found = outcomes.iter().find(|(outcome, _)| (outcome.trial, outcome.rung) == (*trial, *rung));
            let Some((outcome, seconds)) = found else { continue };
            let settings = match trial {
                0 => format!("the usual: {}", self.settings(&default_of(self.setup, self.plan))),
                _ => self.settings(&outcome.settings),
            };
            say!("{trial:>5}  {:>6}  {:<22}  {seconds:>9.2}  {settings}", outcome.epochs, self.value(outcome));
        }
        if ranking.len() > MOST {
            say!("{:>5}  and {} more", "", ranking.len() - MOST);
        }
        self.summary(outcomes, chosen).iter().skip(1).for_each(|sentence| say!("{sentence}"));
        say!("page: {}", page.display());
        say!("training with these settings, as `train` does:");
    }
}
