//! The command line: what is asked for, and how it ended.
//!
//! Exit codes: 0 where it was done, 1 where it failed, 2 where it was asked for wrongly, by the arguments or by the file.

mod args;
mod backends;
mod failure;
mod key;
mod load;
mod message;
mod run;
mod runtime;
mod serve;
mod signals;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use failure::Failure;

/// Does what the arguments say.
pub(crate) fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Serve(args) => serve::serve(&args),
        Command::Check { file } => check(&file),
        Command::Run(args) => run::run(&args),
        Command::Key => key::print(),
        Command::Schema => schema(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Says whether a file can be used, and otherwise all that is wrong with it.
fn check(file: &std::path::Path) -> Result<(), Failure> {
    let config = load::file(file)?;
    failure::out(&format!("{}: nothing is wrong with it\n{}", file.display(), message::Summary(&config)))
}

/// Prints what editors check a file by.
fn schema() -> Result<(), Failure> {
    failure::out(&format!("{:#}\n", orchestrator_config::schema()))
}
