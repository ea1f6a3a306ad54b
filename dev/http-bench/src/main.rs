//! What the server of prompt-orchestrator costs, beside nginx in the same run.
//!
//! Two cores: the server under test has one to itself; a model server that answers from prepared bytes, and the clients, share
//! the other. So figures say what the server can do as long as its core is the one that is busy, which is shown.
//!
//! `mock` is the model server, `load` the clients, `peers` start what stands between them, `measure` says what is measured, and
//! `table` what is expected.

mod load;
mod measure;
mod mock;
mod peers;
mod table;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers as a model server does, on two ports, which it prints; until it is killed.
    Mock,
    /// Measures the server and nginx in turns, and prints a table.
    Measure(Options),
}

#[derive(Debug, Args)]
struct Options {
    /// The server's program.
    #[arg(long)]
    server: PathBuf,
    /// How often all is measured; the medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Shorter and fewer rounds, for a first look.
    #[arg(long)]
    short: bool,
    /// The factor by which a goal may be missed, from 1: with 2, half of what is the least, and twice what is the most, will
    /// do.
    #[arg(long, default_value_t = 1.0)]
    within: f64,
    /// What is to be measured; unless given all, and then each goal must have been.
    #[arg(long)]
    only: Vec<measure::Part>,
    /// The core of the server under test; everything else runs on the next one.
    #[arg(long, default_value_t = 0)]
    core: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, BoxError> {
    match Cli::parse().command {
        Command::Mock => Err(mock::serve().await?.into()),
        Command::Measure(options) => {
            let figures = measure::all(&options).await?;
            table::print(&figures);
            let met = figures.meet_goals(options.within, options.only.is_empty());
            Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
