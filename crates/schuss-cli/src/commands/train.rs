//! `schuss train`: data and options to a trained model in a run folder.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Args;
use schuss::metrics::Bootstrap;
use schuss::{Conformal, Control, Error, Evaluate, Measured, Model, Parts, Real, Run, Settings, Summary};
use schuss_data::{Data, Examples, OpenOptions};
use schuss_kernels::Burst;
use serde_json::json;

use super::{open_data, threads, with_precision};
use crate::clock::Clock;
use crate::events;
use crate::failure::{Failure, Result};
use crate::folds::Folds;
use crate::options::Options;
use crate::packs;
use crate::plan::Plan;
use crate::progress;
use crate::report::{Findings, Subject, findings, judged, page};
use crate::reporter::Reporter;
use crate::run_folder::{Progress, RunFolder, model_in};
use crate::runs::{Ended, at_once, drive, shared_out, side_by_side, under_way};
use crate::tables;
use crate::watcher::Watcher;

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    pub options: Options,
    #[command(flatten)]
    pub run: RunArguments,
}

/// What concerns a run but does not change its result.
#[derive(Args, Debug, Default)]
pub struct RunArguments {
    /// Folder of the run [default: runs/<date>-<data>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Settings from a file, such as a run folder's config.toml; flags win
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,

    /// Go on with the run of this folder, which was interrupted; it has its settings
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "config"])]
    pub resume: Option<PathBuf>,

    /// Write no report.html
    #[arg(long)]
    pub no_report: bool,

    /// Show the report in the browser at the end
    #[arg(long, conflicts_with = "no_report")]
    pub open: bool,

    /// Write TensorBoard's event files there, too: scalars, histograms, settings
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,

    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

pub fn run(Arguments { options, run }: Arguments) -> Result<()> {
    train(options, Options::default(), run)
}

/// A run by the flags, else the config, else the preset, else what fits the data.
pub fn train(flags: Options, preset: Options, run: RunArguments) -> Result<()> {
    let options = match &run.resume {
        Some(folder) => {
            let threads = flags.threads;
            if let Some(name) = flags.names().iter().find(|name| *name != "threads") {
                let folder = folder.display();
                return Err(Failure::Usage(format!(
                    "--{name} and --resume contradict each other: the run of {folder} has its settings; leave --{name} out"
                )));
            }
            let config = Options::read(&folder.join("config.toml"))?;
            Options { threads: threads.or(config.threads), ..config }
        }
        None => {
            let config = run.config.as_deref().map(Options::read).transpose()?.unwrap_or_default();
            flags.or_config(config).or(preset)
        }
    };
    let (plan, data) = prepare(options)?;
    with_precision!(plan.precision(), run_plan(&plan, &data, run))
}

/// The data that options ask for, and everything chosen that they leave open.
pub fn prepare(options: Options) -> Result<(Plan, Data)> {
    let Opened { options, asked, reasons, data } = open(options, None)?;
    Ok((Plan::new(options, asked, reasons, &data)?, data))
}

/// Data, and the options that they were opened by.
pub struct Opened {
    /// With what was chosen as the data were read.
    pub options: Options,
    /// The names of those that were asked for.
    pub asked: Vec<String>,
    /// Of what was chosen.
    pub reasons: Vec<String>,
    pub data: Data,
}

/// The data that options ask for; with folds, or one validation part, for a search to compare by.
pub fn open(options: Options, folds: Option<Folds>) -> Result<Opened> {
    options.check()?;
    let missing = || Failure::Usage("DATA is missing: digits, mnist, fashion-mnist, or the path of a file".into());
    let name = options.data.clone().ok_or_else(missing)?;
    let mut options = options;
    let (asked, mut reasons) = (options.names(), Vec::new());
    let data = if packs::is_name_of_pack(&name) {
        packs::open(&name, &mut options, &mut reasons)?
    } else if tables::is_name_of_table(&name) {
        tables::open(&name, &mut options, &mut reasons, folds)?
    } else {
        tables::check_no_table(&options, &name)?;
        let open = open_options(&options)?;
        let data = open_data(&name, &open)?.with_test_split();
        match folds.filter(|_| options.valid.is_none()) {
            Some(folds) => folds.of(data),
            None => with_valid(data, &options, &open)?,
        }
    };
    note_pictures(&data);
    Ok(Opened { options: absolute(options, &name), asked, reasons, data })
}

pub fn open_options(options: &Options) -> Result<OpenOptions> {
    let image_size = options.image_size.as_deref().map(crate::values::picture_size).transpose();
    Ok(OpenOptions {
        data_dir: options.data_dir.clone(),
        task: super::data_task(options.task.as_deref()),
        image_size: image_size.map_err(Failure::Usage)?.map(|[height, width]| (height, width)),
        skip_bad: options.skip_bad == Some(true),
        ..OpenOptions::default()
    })
}

/// Says which files of a folder of pictures were left out.
pub fn note_pictures(data: &Data) {
    let Some(pictures) = &data.pictures else { return };
    for (path, reason) in pictures.skipped.iter().take(20) {
        eprintln!("note: left out {}: {reason}", path.display());
    }
    if pictures.skipped.len() > 20 {
        eprintln!("note: left out {} more", pictures.skipped.len() - 20);
    }
    if !pictures.ignored.is_empty() {
        let first = pictures.ignored[0].display();
        eprintln!("note: {} files are no pictures, {first} the first of them", pictures.ignored.len());
    }
}

/// Of the training rows, where validation data are needed and there are none.
pub const USUAL: f64 = 0.1;

/// The data with the validation part that is asked for; with the usual share where something is chosen by it.
pub fn with_valid(data: Data, options: &Options, open: &OpenOptions) -> Result<Data> {
    match (options.valid.as_deref(), data.valid.is_some()) {
        (Some(text), _) => match text.parse::<f64>() {
            Ok(0.0) => Ok(Data { valid: None, ..data }),
            Ok(share) if (0.0..1.0).contains(&share) => Ok(Data { valid: None, ..data }.with_valid_split(share)),
            Ok(_) => Err(Failure::Usage(format!("--valid: expected a share of 0 or more and below 1, got {text}"))),
            Err(_) => {
                let other = super::by_name(open_data(text, open)?, data.class_names.as_deref().unwrap_or_default())?;
                let [columns, got] = [&data, &other].map(|data| data.train.features.view().columns());
                if got != columns {
                    let problem =
                        format!("--valid {text}: expected {columns} features as {} has, got {got}", data.name);
                    return Err(Failure::Failed(problem));
                }
                Ok(Data { valid: Some(other.train), valid_is_split: false, ..data })
            }
        },
        (None, false) if options.chooses_by_validation() => Ok(data.with_valid_split(USUAL)),
        (None, _) => Ok(data),
    }
}

/// The options with whole paths, so that a config repeats the run from any folder.
fn absolute(options: Options, name: &str) -> Options {
    let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let text = |path: &str| whole(path.into()).display().to_string();
    let is_share = |valid: &str| valid.parse::<f64>().is_ok() || schuss_data::NAMES.contains(&valid);
    Options {
        data: if schuss_data::NAMES.contains(&name) { options.data } else { Some(text(name)) },
        test: options.test.map(|test| text(&test)),
        valid: options.valid.map(|valid| if is_share(&valid) { valid } else { text(&valid) }),
        // A run folder stands for its model.
        from: options.from.map(|path| whole(model_in(&path))),
        data_dir: options.data_dir.map(whole),
        ..options
    }
}

/// Set by Ctrl-C.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Set when no step is left to make: then Ctrl-C ends the program.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Takes Ctrl-C for a wish to end well. Where it cannot be had, it ends the program as it always does.
pub fn listen() {
    let _ = ctrlc::set_handler(|| {
        if IS_INTERRUPTED.swap(true, Ordering::Relaxed) || IS_OVER.load(Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("note: ending after this step, to go on with --resume; once more ends at once");
    });
}

/// Whether there was such a wish.
pub fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Relaxed)
}

/// The data as the core takes them.
pub fn parts(data: &Data) -> Result<Parts<'_>> {
    let [valid, test] = [&data.valid, &data.test].map(|part| part.as_ref().map(Examples::dataset).transpose());
    Ok(Parts { train: data.train.dataset()?, valid: valid?, test: test? })
}

fn run_plan<T: Real + Burst>(plan: &Plan, data: &Data, arguments: RunArguments) -> Result<()> {
    let threads = threads(plan.options.threads)?;
    let parts = parts(data)?;
    let model = plan.model::<T>(parts.train, &threads)?;
    let settings = plan.settings(parts.train)?;

    if let Some(path) = &arguments.out {
        RunFolder::check_free(path)?;
    }
    let mut before = Progress::default();
    let (resumed, mut checkpoints) = match &arguments.resume {
        None => (None, None),
        Some(path) => {
            let (folder, state) = RunFolder::resume(path.clone())?;
            if let Some(done) = folder.done() {
                eprintln!("note: the run of {} was over already", folder.path().display());
                folder.end()?;
                events::say_done(&done, arguments.json);
                // One that was ended while it wrote its report has none.
                if !arguments.no_report && !folder.has_report() {
                    let model = schuss::ModelFile::read(&folder.model())?.model::<T>();
                    let (_, path) = write_report(&folder, plan, data, &model, None, &threads)?;
                    eprintln!("note: its report is {}", path.display());
                }
                return Ok(());
            }
            let (checkpoints, progress) = state.unzip();
            before = progress.unwrap_or_default();
            (Some(folder), checkpoints)
        }
    };
    let mut trained = Vec::new();
    let mut recorded = Vec::new();
    if let Some(folder) = &resumed {
        trained = folder.members::<T>(before.member)?;
        recorded = RunFolder::metrics_of(folder.path())?;
    }
    let members = plan.members();
    let steps_of = |rows| settings.total_steps(rows);
    let total_steps = match members {
        1 => steps_of(parts.train.total_rows()),
        _ => (0..members)
            .map(|member| steps_of(parts.train.total_rows() - data.folds.get(member).map_or(0, Vec::len)))
            .sum(),
    };
    let mut reporter = Reporter::new(arguments.json, data, plan, &model, &threads, total_steps);
    reporter.go_on(before.train_seconds, &recorded);
    let is_each = settings.evaluation != Evaluate::AtEnd;
    let time_of_report = |most: f64| {
        let is_left_out = arguments.no_report || likely_time_of_report(&model, data, &threads) > most;
        (!is_left_out).then(|| time_of_report(plan, data, &model, &threads)).transpose()
    };
    let time_of_evaluation = || time_of_evaluation(&model, parts, is_each, &threads);
    let clock = Clock::new(plan, before.elapsed, time_of_evaluation, time_of_report)?;
    if !clock.has_time_for_report && !arguments.no_report {
        eprintln!("note: no report, which would take too much of the time; without --time there is one");
    }
    listen();
    let path = || arguments.out.clone().unwrap_or_else(|| RunFolder::default_path(&data.name));
    let folder = resumed.unwrap_or_else(|| RunFolder::new(path()));
    let mut watcher = Watcher::new(plan, (reporter, clock, folder), &arguments, before);
    let mut last = None;
    while trained.len() < members && !watcher.is_stopped {
        let first = trained.len();
        let count =
            checkpoints.as_ref().map_or_else(|| under_way(data, threads.count()), Vec::len).min(members - first);
        let workers = count.min(threads.count());
        let threads_of = shared_out(&threads, workers, count)?;
        let plans: Vec<_> = (first..first + count).map(|member| plan.member(member)).collect();
        let folds: Vec<_> = (first..first + count).map(|member| fold(data, member)).collect();
        let new_model = |(member, plan): (usize, &Plan)| {
            if member == 0 { Ok(model.clone()) } else { plan.model::<T>(parts.train, &threads) }
        };
        let mut models: Vec<_> = (first..).zip(&plans).map(new_model).collect::<Result<_>>()?;
        let mut states = checkpoints.take().into_iter().flatten();
        let mut runs = Vec::with_capacity(count);
        for (((model, plan), fold), threads) in models.iter_mut().zip(&plans).zip(&folds).zip(&threads_of) {
            let parts = member_parts(data, plan, fold)?;
            let settings = plan.settings(parts.train)?;
            runs.push(match states.next() {
                None => Run::new(model, parts, &settings, threads).map_err(Failure::usage)?,
                Some(bytes) => Run::resume(model, parts, &settings, threads, &bytes)?,
            });
        }
        // What does not fit, or cannot be opened, has left everything as it is.
        watcher.begin(&runs)?;
        let finished = drive(workers, runs, &mut watcher).and_then(|runs| {
            let results = side_by_side(workers, runs, Run::finish).into_iter().enumerate();
            results.map(|(place, result)| result.map_err(|error| Ended::Run(place, error))).collect()
        });
        let summaries: Vec<Summary> = match finished {
            Ok(summaries) => summaries,
            Err(Ended::Run(place, error @ Error::Diverged { .. })) => {
                watcher.reporter.bar.finish_and_clear();
                let model_path = watcher.folder.model();
                models[place].save(&model_path)?;
                if !arguments.no_report {
                    let problem = Some(format!("The run did not come to its end: {error}."));
                    write_report(&watcher.folder, &plans[place], data, &models[place], problem, &threads)?;
                }
                let network = match members {
                    1 => String::new(),
                    _ => format!("network {} of {members}: ", first + place + 1),
                };
                return Err(Failure::Failed(format!("{network}{error}; they are kept in {}", model_path.display())));
            }
            Err(Ended::Run(_, error)) => return Err(error.into()),
            Err(Ended::Watch(failure)) => return Err(failure),
        };
        for (summary, model) in summaries.into_iter().zip(models) {
            watcher.steps += summary.steps;
            watcher.ended_early += usize::from(summary.stopped && !watcher.is_stopped);
            last = Some(summary);
            if members > 1 && !watcher.is_stopped {
                watcher.folder.save_member(trained.len(), &model)?;
            }
            trained.push(model);
        }
        watcher.trained = trained.len();
    }
    // All members may have been trained before an interruption.
    watcher.open()?;
    let Watcher { reporter, clock, mut folder, histogram_seconds, steps, ended_early, is_stopped, .. } = watcher;
    reporter.bar.finish_and_clear();
    let model = model_of(data, trained, &threads)?;
    let none = || Summary { steps, stopped: false, kept_epoch: -1, measured: Measured::default(), pace: None };
    let mut summary = last.unwrap_or_else(none);
    if members > 1 {
        let measure = |part: Option<schuss::Dataset>| part.map(|part| model.evaluate(part, &threads)).transpose();
        let measured = Measured { train: None, valid: measure(parts.valid)?, test: measure(parts.test)? };
        summary = Summary { steps, measured, ..summary };
    }
    let model_path = folder.model();
    model.save(&model_path)?;
    let mut done = json!({
        "event": "done",
        "model": model_path.display().to_string(),
        "train_seconds": events::number(reporter.train_seconds),
        "steps": summary.steps,
        "weights_sha256": model.weights_sha256(),
    });
    events::insert(&mut done, summary.measured);
    let (speed, text) = reporter.speed();
    done["speed"] = speed;
    if !arguments.no_report {
        done["histogram_seconds"] = events::number(histogram_seconds);
    }
    if members == 1 && (reporter.has_diverged || settings.keep.chooses()) {
        done["kept_epoch"] = summary.kept_epoch.into();
    }
    if is_stopped {
        done["interrupted"] = true.into();
    }
    if ended_early > 0 {
        done["ended_early"] = ended_early.into();
    }
    folder.record(&done)?;
    if !is_stopped {
        folder.end()?;
        if let (true, Some(pace)) = (plan.options.time.is_some(), &summary.pace) {
            folder.write_config(&plan.repeatable(summary.steps, pace))?;
        }
    }
    if arguments.no_report || !clock.has_time_for_report {
        reporter.done(&done, &summary, &text, None);
        return Ok(());
    }
    IS_OVER.store(true, Ordering::Relaxed);
    let begin = Instant::now();
    let (findings, path) = write_report(&folder, plan, data, &model, None, &threads)?;
    done["report_seconds"] = events::number(begin.elapsed().as_secs_f64());
    reporter.done(&done, &summary, &text, Some((&findings, &path)));
    if arguments.open {
        show(&path);
    }
    Ok(())
}

/// What a member of an ensemble learns from and what it is chosen by, where that is a fold of its own.
pub type Fold = Option<(Examples, Examples)>;

/// The fold of a member.
pub fn fold(data: &Data, member: usize) -> Fold {
    data.without_fold(member).zip(data.fold(member))
}

/// What a member of an ensemble has of the data; a network alone has all.
pub fn member_parts<'f>(data: &'f Data, plan: &Plan, fold: &'f Fold) -> Result<Parts<'f>> {
    let all = parts(data)?;
    // What they are good for on the test rows, they show together; one stands for all in the curves.
    let is_shown = plan.members() == 1 || plan.options.evaluate != Some(Evaluate::AtEnd.to_string());
    let test = all.test.filter(|_| is_shown);
    Ok(match fold {
        Some((train, valid)) => Parts { train: train.dataset()?, valid: Some(valid.dataset()?), test },
        None => Parts { test, ..all },
    })
}

/// What a run by this plan leaves, without a word of it: one network, or an ensemble.
pub fn train_in_silence<T: Real>(plan: &Plan, data: &Data, threads: &schuss::Threads) -> Result<Model<T>> {
    let all = parts(data)?.train;
    let workers = at_once(data, threads.count()).min(plan.members());
    let member = |(member, threads): (usize, schuss::Threads)| -> Result<_> {
        let plan = plan.member(member);
        let fold = fold(data, member);
        let parts = Parts { test: None, ..member_parts(data, &plan, &fold)? };
        let mut model = plan.model::<T>(all, &threads)?;
        let settings = Settings { evaluation: Evaluate::AtEnd, ..plan.settings(parts.train)? };
        schuss::train(&mut model, parts, &settings, &threads, |_| Control::Continue)?;
        Ok(model)
    };
    let members = (0..).zip(shared_out(threads, workers, plan.members())?).collect();
    let trained = side_by_side(workers, members, member);
    Ok(Model::ensemble(trained.into_iter().collect::<Result<_>>()?)?)
}

/// The members of an ensemble, or a network alone, as one model that knows how far they are off on what they did not learn
/// from: each on its fold, or all together on the validation rows that they have in common.
fn model_of<T: Real>(data: &Data, members: Vec<Model<T>>, threads: &schuss::Threads) -> Result<Model<T>> {
    let has_conformal = members.iter().all(Model::has_conformal);
    let folds = members.iter().enumerate().filter_map(|(member, model)| Some((model, data.fold(member)?)));
    let of_fold = |(model, fold): (&Model<T>, Examples)| Ok(model.conformal_scores(fold.dataset()?, threads)?);
    let mut scores = match has_conformal {
        true => folds.map(of_fold).collect::<Result<Vec<_>>>()?.concat(),
        false => Vec::new(),
    };
    let model = Model::ensemble(members)?;
    if let (true, Some(valid)) = (has_conformal, &data.valid) {
        scores = model.conformal_scores(valid.dataset()?, threads)?;
    }
    let are_finite = scores.iter().all(|score| score.is_finite());
    let conformal = (!scores.is_empty() && are_finite).then(|| Conformal::new(scores)).transpose()?;
    Ok(Model { conformal, ..model })
}

/// Measures the model of a run and writes its report.
fn write_report<'a, T: Real>(
    folder: &RunFolder,
    plan: &Plan,
    data: &'a Data,
    model: &Model<T>,
    problem: Option<String>,
    threads: &schuss::Threads,
) -> Result<(Findings<'a>, PathBuf)> {
    let name = folder.path().display().to_string();
    let [lines, details] = [RunFolder::metrics_of(folder.path())?, RunFolder::details_of(folder.path())?];
    let (lines, details) = (&lines, &details);
    let subject = Subject { name: &name, options: &plan.options, data, model, lines, details, problem, threads };
    let waiting = progress::waiting("making the report");
    let findings = findings(&subject)?;
    waiting.finish_and_clear();
    let path = folder.write_report(&page(&findings, data))?;
    Ok((findings, path))
}

/// Shows a page in the browser, if there is one.
pub fn show(path: &Path) {
    if open::that_detached(path).is_err() {
        eprintln!("note: found no browser to open it in; the page is {}", path.display());
    }
}

/// Seconds that the last metrics will take; those of the training data are among them where nothing else is measured, or
/// everything.
fn time_of_evaluation<T: Real>(model: &Model<T>, parts: Parts, is_each: bool, threads: &schuss::Threads) -> f64 {
    let start = Instant::now();
    let mut measured: Vec<_> = [parts.valid, parts.test].into_iter().flatten().collect();
    if is_each || measured.is_empty() {
        measured.push(parts.train);
    }
    measured.into_iter().for_each(|part| drop(std::hint::black_box(model.evaluate(part, threads))));
    start.elapsed().as_secs_f64()
}

/// Seconds that the report may take, by its largest part: intervals from rows that are drawn again and again.
fn likely_time_of_report<T: Real>(model: &Model<T>, data: &Data, threads: &schuss::Threads) -> f64 {
    /// Of a row, a replicate, a value.
    const SECONDS: f64 = 4e-9;
    let [rows, outputs] = [judged(data).1.targets.view().rows(), model.network.outputs()];
    let replicates = Bootstrap::quick(rows, outputs).replicates;
    0.05 + SECONDS * (rows * (outputs + 10)) as f64 * replicates as f64 / threads.count() as f64
}

/// Seconds that the report takes, of the model before training.
fn time_of_report<T: Real>(plan: &Plan, data: &Data, model: &Model<T>, threads: &schuss::Threads) -> Result<f64> {
    let start = Instant::now();
    let (lines, details) = (&[], &[]);
    let subject = Subject { name: "", options: &plan.options, data, model, lines, details, problem: None, threads };
    drop(std::hint::black_box(page(&findings(&subject)?, data)));
    Ok(start.elapsed().as_secs_f64())
}
