//! The folder of a run: config.toml, metrics.jsonl, details.jsonl, model.safetensors, report.html, and while it is under
//! way its checkpoint.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use schuss::{Model, ModelFile, Real};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::options::Options;
use crate::report::counted;

const MODEL: &str = "model.safetensors";
const METRICS: &str = "metrics.jsonl";
const DETAILS: &str = "details.jsonl";
const CONFIG: &str = "config.toml";
const REPORT: &str = "report.html";
const CHECKPOINT: &str = "checkpoint.safetensors";

/// An open run folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Epochs and the end.
    metrics: Log,
    /// What the report shows beside them: how the run began, and histograms of its weights and gradients.
    details: Log,
    done: Option<Value>,
    /// Whether it was there before.
    is_resumed: bool,
}

/// A file of JSON, a line at a time.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Option<File>,
    /// Lines written.
    lines: usize,
    /// What there was up to a checkpoint.
    kept: String,
}

impl Log {
    /// A file to come.
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, lines: 0, kept: String::new() }
    }

    /// The file with its first `lines`; nothing is changed yet.
    fn resume(path: PathBuf, lines: usize) -> Result<Self> {
        let kept: String = read_text(&path)?.split_inclusive('\n').take(lines).collect();
        Ok(Self { path, file: None, lines: kept.lines().count(), kept })
    }

    /// Opens the file: what came after the checkpoint comes again.
    fn open(&mut self) -> Result<()> {
        schuss::write_atomically(&self.path, self.kept.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&self.path);
        self.file = Some(file.map_err(|error| Failure::io("write", &self.path, error))?);
        Ok(())
    }

    fn record(&mut self, event: &Value) -> Result<()> {
        self.lines += 1;
        let Some(file) = &mut self.file else { return Ok(()) };
        writeln!(file, "{event}").map_err(|error| Failure::io("write", &self.path, error))
    }
}

/// How far a run was when its state was written, beside that state.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Seconds since the run began, interruptions left out.
    pub elapsed: f64,
    /// Those of its steps.
    pub train_seconds: f64,
    /// Members of an ensemble that were trained before those that are under way.
    #[serde(default)]
    pub member: usize,
    /// Their steps.
    #[serde(default)]
    pub steps: u64,
    /// How many of them ended before their last epoch.
    #[serde(default)]
    pub ended_early: usize,
}

/// What is written before the checkpoint itself.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Of the metrics, and of the details.
    lines: usize,
    #[serde(default)]
    details: usize,
    /// Bytes of the checkpoints that follow, one of each run that is under way; of one alone none are said.
    #[serde(default)]
    lengths: Vec<usize>,
    #[serde(flatten)]
    progress: Progress,
}

/// The model file that a path stands for: a run folder stands for its model.
pub fn model_in(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.into() }
}

impl RunFolder {
    /// Fails where the folder holds the state of a run that is not over, which would be lost.
    pub fn check_free(path: &Path) -> Result<()> {
        match path.join(CHECKPOINT).exists() {
            true => Err(Failure::Usage(format!(
                "--out {0}: a run there is not over; --resume {0} goes on with it, remove {CHECKPOINT} to give it up, or take \
                 another folder",
                path.display()
            ))),
            false => Ok(()),
        }
    }

    /// Forgets the state of a run that is not over, if there is one.
    pub fn give_up(path: &Path) -> Result<()> {
        remove(&path.join(CHECKPOINT))
    }

    /// The folder of a new run; nothing is changed yet.
    pub fn new(path: PathBuf) -> Self {
        let [metrics, details] = [METRICS, DETAILS].map(|name| Log::new(path.join(name)));
        Self { path, metrics, details, done: None, is_resumed: false }
    }

    /// The folder of a run that was interrupted, and its checkpoints, if there are any; nothing is changed yet.
    #[expect(clippy::type_complexity, reason = "the folder, and the state with what belongs to it")]
    pub fn resume(path: PathBuf) -> Result<(Self, Option<(Vec<Vec<u8>>, Progress)>)> {
        let state = path.join(CHECKPOINT);
        let checkpoint = match fs::read(&state) {
            Ok(bytes) => Some(split(&state, bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::io("read", &state, error)),
        };
        let is_over = |line: &Value| line["event"] == "done" && line["interrupted"] != true;
        let lines = json_lines(&read_text(&path.join(METRICS))?);
        let done = lines.into_iter().flatten().next_back().filter(|line| is_over(line) && path.join(MODEL).is_file());
        let [lines, details] = checkpoint.as_ref().map_or([0, 0], |(head, _)| [head.lines, head.details]);
        let [metrics, details] =
            [(METRICS, lines), (DETAILS, details)].map(|(name, n)| Log::resume(path.join(name), n));
        let checkpoint = checkpoint.map(|(head, bytes)| (bytes, head.progress));
        Ok((Self { path, metrics: metrics?, details: details?, done, is_resumed: true }, checkpoint))
    }

    /// Opens the files of a run that goes on; of a new one, makes the folder and writes the settings: `config.toml`, from which
    /// `train --config` repeats the run.
    pub fn open(&mut self, options: &Options) -> Result<()> {
        if self.is_resumed {
            remove_parts(&self.path);
        } else {
            let path = &self.path;
            fs::create_dir_all(path).map_err(|error| Failure::io("make the run folder", path, error))?;
            // What an earlier run left must not stand beside the settings of this one.
            let here = path.canonicalize().unwrap_or_else(|_| path.clone());
            let is_needed = options.from.as_deref().is_some_and(|from| from.starts_with(here));
            remove(&path.join(CHECKPOINT))?;
            if !is_needed {
                remove(&path.join(MODEL))?;
            }
            remove(&path.join(REPORT))?;
            remove_members(path)?;
            self.write_config(options)?;
        }
        self.metrics.open()?;
        self.details.open()
    }

    /// Whether it was opened.
    pub fn is_open(&self) -> bool {
        self.metrics.file.is_some()
    }

    /// Whether it was there before: that of a run that goes on.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// The settings of the run of this folder.
    pub fn config_of(path: &Path) -> Result<Options> {
        Options::read(&path.join(CONFIG))
    }

    /// The lines of its metrics.
    pub fn metrics_of(path: &Path) -> Result<Vec<Value>> {
        lines_of(&path.join(METRICS))
    }

    /// The lines of its details.
    pub fn details_of(path: &Path) -> Result<Vec<Value>> {
        lines_of(&path.join(DETAILS))
    }

    /// The epoch of which nothing is recorded yet.
    pub fn next_epoch(&self) -> Result<i64> {
        let lines = [Self::metrics_of(&self.path)?, Self::details_of(&self.path)?].concat();
        // Of several networks, the first stands for all.
        let of_first = lines.iter().filter(|line| line["member"].as_u64().unwrap_or(0) == 0);
        Ok(of_first.filter_map(|line| line["epoch"].as_i64()).max().map_or(-1, |epoch| epoch + 1))
    }

    /// The last event of a run that is over.
    pub fn done(&self) -> Option<Value> {
        self.done.clone()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the settings.
    pub fn write_config(&self, options: &Options) -> Result<()> {
        let config = options.to_toml();
        let header = "# Every setting of this run; `schuss train --config` with this file repeats it.\n";
        Ok(schuss::write_atomically(&self.path.join(CONFIG), format!("{header}{config}").as_bytes())?)
    }

    /// `runs/<date>-<data>`, with a number behind it if there is one already.
    pub fn default_path(data: &str) -> PathBuf {
        let date = jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S");
        let base = format!("runs/{date}-{data}");
        let numbered = (2..).map(|i| format!("{base}-{i}"));
        let free = std::iter::once(base.clone()).chain(numbered).find(|path| !Path::new(path).exists());
        free.unwrap_or(base).into()
    }

    /// Appends an event.
    pub fn record(&mut self, event: &Value) -> Result<()> {
        self.metrics.record(event)
    }

    /// Appends what the report shows beside the events.
    pub fn record_detail(&mut self, detail: &Value) -> Result<()> {
        self.details.record(detail)
    }

    /// Whether nothing was recorded yet.
    pub fn is_new(&self) -> bool {
        self.details.lines == 0
    }

    /// Whether the report is there.
    pub fn has_report(&self) -> bool {
        self.path.join(REPORT).is_file()
    }

    /// Writes the report; where it is.
    pub fn write_report(&self, html: &str) -> Result<PathBuf> {
        let path = self.path.join(REPORT);
        schuss::write_atomically(&path, html.as_bytes())?;
        Ok(path)
    }

    /// Writes the run's state: a line of JSON, then the checkpoints of what is under way.
    pub fn save_checkpoint(&self, checkpoints: &[Vec<u8>], progress: Progress) -> Result<()> {
        let lengths = checkpoints.iter().map(Vec::len).collect();
        let head = Head { lines: self.metrics.lines, details: self.details.lines, lengths, progress };
        let head = serde_json::to_string(&head).map_err(|error| Failure::Failed(format!("checkpoint: {error}")))?;
        let path = self.path.join(CHECKPOINT);
        schuss::write_atomically_with(&path, |file| {
            let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(|error| Failure::io("write", &path, error));
            write(format!("{head}\n").as_bytes())?;
            checkpoints.iter().try_for_each(|checkpoint| write(checkpoint))
        })
    }

    /// Keeps a member of an ensemble until all are trained.
    pub fn save_member<T: Real>(&self, member: usize, model: &Model<T>) -> Result<()> {
        Ok(model.save(&member_in(&self.path, member))?)
    }

    /// The first `count` members of an ensemble.
    pub fn members<T: Real>(&self, count: usize) -> Result<Vec<Model<T>>> {
        (0..count).map(|member| Ok(ModelFile::read(&member_in(&self.path, member))?.model())).collect()
    }

    /// Removes the state of a run that is over, and puts its metrics in order: network by network, which were trained side by
    /// side and told of their epochs in turn.
    pub fn end(&self) -> Result<()> {
        remove_parts(&self.path);
        remove_members(&self.path)?;
        remove(&self.path.join(CHECKPOINT))?;
        let path = self.path.join(METRICS);
        let text = read_text(&path)?;
        let member =
            |line: &Value| if line["event"] == "done" { u64::MAX } else { line["member"].as_u64().unwrap_or(0) };
        let members = json_lines(&text).into_iter().map(|line| line.as_ref().map_or(0, member));
        let mut lines: Vec<_> = members.zip(text.lines()).collect();
        if lines.is_sorted_by_key(|(member, _)| *member) {
            return Ok(());
        }
        lines.sort_by_key(|(member, _)| *member);
        let text: String = lines.into_iter().flat_map(|(_, line)| [line, "\n"]).collect();
        Ok(schuss::write_atomically(&path, text.as_bytes())?)
    }

    /// Where the model goes.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }
}

/// Where a member of an ensemble is until all are trained.
fn member_in(folder: &Path, member: usize) -> PathBuf {
    folder.join(format!("member-{member}.safetensors"))
}

fn remove_members(folder: &Path) -> Result<()> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_member = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix("member-")?.strip_suffix(".safetensors"));
        number.is_some_and(|number| number.parse::<usize>().is_ok())
    };
    files.filter(is_member).try_for_each(|path| remove(&path))
}

/// The line before the checkpoints, and these.
fn split(path: &Path, mut bytes: Vec<u8>) -> Result<(Head, Vec<Vec<u8>>)> {
    let wrong = || Failure::Failed(format!("{}: expected the state of a run, found something else", path.display()));
    let end = bytes.iter().take(4096).position(|&byte| byte == b'\n').ok_or_else(wrong)?;
    let mut rest = bytes.split_off(end + 1);
    let head: Head = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    let mut checkpoints = Vec::new();
    for &length in &head.lengths {
        let next = (length <= rest.len()).then(|| rest.split_off(length)).ok_or_else(wrong)?;
        checkpoints.push(std::mem::replace(&mut rest, next));
    }
    if head.lengths.is_empty() {
        checkpoints.push(rest);
    } else if !rest.is_empty() {
        return Err(wrong());
    }
    Ok((head, checkpoints))
}

/// The text of a file, empty where there is none.
fn read_text(path: &Path) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Failure::io("read", path, error)),
    }
}

/// The objects of a log; says which lines are none, as if cut short or overwritten.
fn lines_of(path: &Path) -> Result<Vec<Value>> {
    let lines = json_lines(&read_text(path)?);
    let damaged: Vec<String> =
        (1..).zip(&lines).filter(|(_, line)| line.is_none()).map(|(i, _)| i.to_string()).collect();
    if !damaged.is_empty() {
        let (what, first) =
            (counted(damaged.len(), "line"), damaged.iter().take(5).cloned().collect::<Vec<_>>().join(", "));
        eprintln!("note: {}: left out {what} that can't be read: {first}", path.display());
    }
    Ok(lines.into_iter().flatten().collect())
}

fn json_lines(text: &str) -> Vec<Option<Value>> {
    text.lines().map(|line| serde_json::from_str(line).ok().filter(Value::is_object)).collect()
}

/// Removes what a run that was killed while it wrote has left; that this is possible does not matter.
fn remove_parts(folder: &Path) {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_part = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "part");
    files.filter(is_part).for_each(|path| drop(fs::remove_file(path)));
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::io("remove", path, error)),
        _ => Ok(()),
    }
}
