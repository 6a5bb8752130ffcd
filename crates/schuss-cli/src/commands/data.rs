//! `schuss data`: getting data sets.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use crate::events::say;
use crate::failure::Result;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Download a data set into the cache; its SHA-256 decides whether it is the right one
    Fetch(Fetch),
}

#[derive(Args, Debug)]
pub struct Fetch {
    /// mnist or fashion-mnist
    name: String,
    /// Download from here in place of the public mirrors
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// The folder that gets a folder NAME with the files [default: the user's cache]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

pub fn run(Command::Fetch(fetch): Command) -> Result<()> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{msg}  {bar:30} {bytes} of {total_bytes}") {
        bar.set_style(style);
    }
    let on_progress = &mut |progress: schuss_data::Progress| {
        bar.set_message(progress.file.to_owned());
        bar.set_length(progress.total.unwrap_or(progress.bytes));
        bar.set_position(progress.bytes);
    };
    let folder = schuss_data::fetch(&fetch.name, fetch.mirror.as_deref(), fetch.data_dir.as_deref(), on_progress);
    bar.finish_and_clear();
    say!("{}: {}", fetch.name, folder?.display());
    Ok(())
}
