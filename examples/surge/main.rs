//! What each shed policy, tower's load shedding and an unbounded queue make of too many requests, measured open loop.
//!
//! ```sh
//! cargo run --release --example surge -- [--workload NAME]... [--loads 0.5,2,10] [--seconds 15] [--scale 0.1] [--seed 0]
//!     [--out DIR] [--json FILE] [--at-least PERCENT]
//! ```
//!
//! Prints tables; writes them and the plots, as SVG, to a folder, and all figures as JSON to a file. `docs/surge.md` says what
//! is measured and how, and shows the figures. Loads, seconds and scale are those of the steady workloads: steps have their
//! own.
//!
//! Ends with exit code 2 where the arguments make no sense, and with 1, after writing everything, where requests were sent so
//! late that the figures say nothing, or the default policy's goodput is below what `--at-least` asks for in any run.

mod arguments;
mod arrivals;
mod contender;
mod figures;
mod plot;
mod run;
mod table;
mod verdict;
mod workload;

use std::error::Error;
use std::process::ExitCode;

use arguments::Arguments;
use contender::{Contender, DEFAULT};
use figures::Figures;
use run::Run;
use tokio::task::JoinSet;
use workload::Workload;

/// How many requests per second go side by side: a small part of what the machine can do, so that nobody disturbs anybody.
const SIDE_BY_SIDE: f64 = 40_000.0;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(2));
        }
    };
    let mut figures = Vec::new();
    for workloads in arguments.evaluation() {
        figures.extend(measure(&workloads).await?);
    }
    write(&arguments, &figures)?;
    let complaints = verdict::complaints(&figures, DEFAULT, arguments.at_least);
    complaints.iter().for_each(|complaint| eprintln!("{complaint}"));
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write(arguments: &Arguments, figures: &[Figures]) -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let tables = format!("# Figures of `surge {asked}`\n\n{}", table::tables(figures));
    print!("{tables}");
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("tables.md"), tables)?;
        plot::draw(folder, figures)?;
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string(figures)?)?;
    }
    Ok(())
}

/// Runs every contender on every workload. They share the machine, and thus whatever happens on it meanwhile.
async fn measure(workloads: &[Workload]) -> Result<Vec<Figures>, Box<dyn Error>> {
    let mut figures = Vec::new();
    let mut running = JoinSet::new();
    let mut rate = 0.0;
    for workload in workloads {
        for contender in Contender::all(workload) {
            if rate + peak(workload) > SIDE_BY_SIDE {
                figures.extend(std::mem::take(&mut running).join_all().await);
                rate = 0.0;
            }
            rate += peak(workload);
            let (door, workload) = (contender.open(workload)?, workload.clone());
            let number = figures.len() + running.len();
            eprintln!("{} at {} x: {}", workload.name, workload.load, contender.name);
            running.spawn(async move {
                let run = Run::of(&workload, &door).await;
                (number, Figures::of(&workload, contender.name, &run))
            });
        }
    }
    figures.extend(running.join_all().await);
    figures.sort_by_key(|&(number, _)| number);
    Ok(figures.into_iter().map(|(_, figures)| figures).collect())
}

/// The most requests of a workload that come in a second on the clock.
fn peak(workload: &Workload) -> f64 {
    workload.load * workload.slots as f64 / workload.mean / workload.scale
}
