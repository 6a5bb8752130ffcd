//! The command `schuss`: flags to settings to the library; messages and exit codes live here.
#![forbid(unsafe_code)]

mod commands;
mod events;
mod failure;
mod meter;
mod options;
mod plan;
mod progress;
mod run_folder;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = commands::Cli::parse();
    match commands::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
