//! The folder of a run: config.toml, metrics.jsonl, model.safetensors, and while it is under way its checkpoint.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::options::Options;

const MODEL: &str = "model.safetensors";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINT: &str = "checkpoint.safetensors";

/// An open run folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: Option<File>,
    /// Lines of the metrics.
    lines: usize,
    /// The metrics up to a checkpoint.
    kept: String,
    done: Option<Value>,
}

/// How far a run was when its state was written, beside that state.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Seconds since the run began, interruptions left out.
    pub elapsed: f64,
    /// Those of its steps.
    pub train_seconds: f64,
}

/// What is written before the checkpoint itself.
#[derive(Serialize, Deserialize)]
struct Head {
    lines: usize,
    #[serde(flatten)]
    progress: Progress,
}

impl RunFolder {
    /// Makes the folder and writes the settings: `config.toml`, from which `train --config` repeats the run.
    pub fn create(path: PathBuf, options: &Options) -> Result<Self> {
        fs::create_dir_all(&path).map_err(|error| Failure::io("make the run folder", &path, error))?;
        // What an earlier run left must not stand beside the settings of this one.
        let here = path.canonicalize().unwrap_or_else(|_| path.clone());
        let is_needed = options.from.as_deref().is_some_and(|from| from.starts_with(here));
        remove(&path.join(CHECKPOINT))?;
        if !is_needed {
            remove(&path.join(MODEL))?;
        }
        let metrics_path = path.join(METRICS);
        let metrics = File::create(&metrics_path).map_err(|error| Failure::io("write", &metrics_path, error))?;
        let folder = Self { path, metrics: Some(metrics), lines: 0, kept: String::new(), done: None };
        folder.write_config(options)?;
        Ok(folder)
    }

    /// The folder of a run that was interrupted, and its checkpoint, if there is one; nothing is changed yet.
    #[expect(clippy::type_complexity, reason = "the folder, and the state with what belongs to it")]
    pub fn resume(path: PathBuf) -> Result<(Self, Option<(Vec<u8>, Progress)>)> {
        let read = |name: &str| match fs::read(path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io("read", &path.join(name), error)),
        };
        let text = String::from_utf8_lossy(&read(METRICS)?.unwrap_or_default()).into_owned();
        let checkpoint = read(CHECKPOINT)?.map(|bytes| split(&path.join(CHECKPOINT), bytes)).transpose()?;
        let done = text.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
        let is_over = |line: &Value| line["event"] == "done" && line["interrupted"] != true;
        let done = done.filter(|line| is_over(line) && path.join(MODEL).is_file());
        let lines = checkpoint.as_ref().map_or(0, |(head, _)| head.lines);
        let kept = text.split_inclusive('\n').take(lines).collect();
        let checkpoint = checkpoint.map(|(head, bytes)| (bytes, head.progress));
        Ok((Self { path, metrics: None, lines, kept, done }, checkpoint))
    }

    /// Opens the metrics of a run that goes on: what came after its checkpoint comes again.
    pub fn go_on(&mut self) -> Result<()> {
        if self.metrics.is_none() {
            remove_parts(&self.path);
            let path = self.path.join(METRICS);
            schuss::write_atomically(&path, self.kept.as_bytes())?;
            let metrics = OpenOptions::new().append(true).open(&path);
            self.metrics = Some(metrics.map_err(|error| Failure::io("write", &path, error))?);
        }
        Ok(())
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
        Ok(schuss::write_atomically(&self.path.join("config.toml"), format!("{header}{config}").as_bytes())?)
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
        self.lines += 1;
        let Some(metrics) = &mut self.metrics else { return Ok(()) };
        writeln!(metrics, "{event}").map_err(|error| Failure::io("write", &self.path.join(METRICS), error))
    }

    /// Writes the run's state: a line of JSON, then the checkpoint.
    pub fn save_checkpoint(&self, checkpoint: &[u8], progress: Progress) -> Result<()> {
        let head = Head { lines: self.lines, progress };
        let mut bytes = serde_json::to_vec(&head).map_err(|error| Failure::Failed(format!("checkpoint: {error}")))?;
        bytes.push(b'\n');
        bytes.extend_from_slice(checkpoint);
        Ok(schuss::write_atomically(&self.path.join(CHECKPOINT), &bytes)?)
    }

    /// Removes the state of a run that is over.
    pub fn remove_checkpoint(&self) -> Result<()> {
        remove_parts(&self.path);
        remove(&self.path.join(CHECKPOINT))
    }

    /// Where the model goes.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }
}

/// The line before a checkpoint, and the checkpoint.
fn split(path: &Path, mut bytes: Vec<u8>) -> Result<(Head, Vec<u8>)> {
    let wrong = || Failure::Failed(format!("{}: expected the state of a run, found something else", path.display()));
    let end = bytes.iter().take(4096).position(|&byte| byte == b'\n').ok_or_else(wrong)?;
    let rest = bytes.split_off(end + 1);
    let head = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    Ok((head, rest))
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
