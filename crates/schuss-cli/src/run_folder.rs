//! The folder of a run: config.toml, metrics.jsonl, model.safetensors.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::options::Options;

/// An open run folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
}

impl RunFolder {
    /// Makes the folder and writes the settings: `config.toml`, from which `train --config` repeats the run.
    pub fn create(path: PathBuf, options: &Options) -> Result<Self> {
        fs::create_dir_all(&path).map_err(|error| Failure::io("make the run folder", &path, error))?;
        // A model of an earlier run must not stand beside the settings of this one.
        let old_model = path.join("model.safetensors");
        let here = path.canonicalize().unwrap_or_else(|_| path.clone());
        if !options.from.as_deref().is_some_and(|from| from.starts_with(here))
            && let Err(error) = fs::remove_file(&old_model)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(Failure::io("remove the old model", &old_model, error));
        }
        let config = toml::to_string(options).map_err(|error| Failure::Failed(format!("config.toml: {error}")))?;
        let header = "# Every setting of this run; `schuss train --config` with this file repeats it.\n";
        schuss::write_atomically(&path.join("config.toml"), format!("{header}{config}").as_bytes())?;
        let metrics_path = path.join("metrics.jsonl");
        let metrics = File::create(&metrics_path).map_err(|error| Failure::io("write", &metrics_path, error))?;
        Ok(Self { path, metrics })
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
        let path = self.path.join("metrics.jsonl");
        writeln!(self.metrics, "{event}").map_err(|error| Failure::io("write", &path, error))
    }

    /// Where the model goes.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }
}
