//! The command `schuss`: flags to settings to the library; messages and exit codes live here.
#![forbid(unsafe_code)]

mod baselines;
mod board;
mod clock;
mod commands;
mod curve;
mod events;
mod failure;
mod folds;
mod importance;
mod meter;
mod options;
mod packs;
mod plan;
mod progress;
mod recipe;
mod report;
mod reporter;
mod run_folder;
mod runs;
mod tables;
mod tune;
mod values;
mod watcher;

use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Instant;

use clap::Parser;

/// When the program started.
fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

fn main() -> ExitCode {
    start();
    let command = commands::Cli::parse();
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
