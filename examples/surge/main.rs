//! What each shed policy, tower's load shedding and an unbounded queue make of too many requests, measured open loop.
//!
//! ```sh
//! cargo run --release --example surge -- [--workload NAME]... [--loads 0.5,2,10] [--seconds 15] [--scale 0.1] [--seed 0]
//!     [--out DIR] [--json FILE]
//! ```
//!
//! Prints tables; writes them and the plots, as SVG, to a folder, and all figures as JSON to a file. `docs/surge.md` says what
//! is measured and how, and shows the figures.

mod arrivals;
mod contender;
mod figures;
mod plot;
mod run;
mod table;
mod workload;

use std::error::Error;
use std::path::PathBuf;

use arrivals::Sizes;
use contender::Contender;
use figures::Figures;
use run::Run;
use tokio::task::JoinSet;
use workload::{MODEST, Workload};

/// As many times what the slots can serve.
const LOADS: [f64; 9] = [0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0];
/// How many requests per second go side by side: a small part of what the machine can do, so that nobody disturbs anybody.
const SIDE_BY_SIDE: f64 = 40_000.0;

/// What the command line asks for.
struct Arguments {
    workloads: Vec<String>,
    loads: Vec<f64>,
    seconds: f64,
    scale: f64,
    seed: u64,
    out: Option<PathBuf>,
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read()?;
    let mut figures = Vec::new();
    for workloads in arguments.evaluation() {
        figures.extend(measure(&workloads).await?);
    }
    let asked = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let tables = format!("# Figures of `surge {asked}`\n\n{}", table::tables(&figures));
    print!("{tables}");
    if let Some(folder) = &arguments.out {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("tables.md"), tables)?;
        plot::draw(folder, &figures)?;
    }
    if let Some(file) = &arguments.json {
        std::fs::write(file, serde_json::to_string(&figures)?)?;
    }
    Ok(())
}

impl Arguments {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut this = Self {
            workloads: Vec::new(),
            loads: LOADS.to_vec(),
            seconds: 15.0,
            scale: 0.1,
            seed: 0,
            out: None,
            json: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--workload" => this.workloads.push(value),
                "--loads" => this.loads = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
                "--seconds" => this.seconds = value.parse()?,
                "--scale" => this.scale = value.parse()?,
                "--seed" => this.seed = value.parse()?,
                "--out" => this.out = Some(value.into()),
                "--json" => this.json = Some(value.into()),
                _ => return Err(format!("unknown argument {name}").into()),
            }
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if ![this.seconds, this.scale].iter().chain(&this.loads).all(|&value| positive(value)) {
            return Err("seconds, scale and loads must be above zero".into());
        }
        Ok(this)
    }

    /// What is measured, in groups that belong together.
    fn evaluation(&self) -> Vec<Vec<Workload>> {
        let seconds = self.seconds / self.scale;
        let spread = Sizes::Spread { mean: 1.0 };
        let steady = |sizes, bursts| -> Vec<_> {
            self.loads.iter().map(|&load| Workload::steady(sizes, bursts, load, seconds).scaled(self.scale)).collect()
        };
        let mut groups = vec![
            steady(spread, false),
            steady(spread, true),
            steady(Sizes::Two, false),
            steady(Sizes::Two, true),
            vec![Workload::classes(10.0, seconds).scaled(self.scale)],
            [MODEST, 10.0].map(|flood| Workload::tenants(flood, seconds).scaled(self.scale)).into(),
            vec![Workload::step(1.4, 8.0)],
            vec![Workload::step(10.0, 2.0)],
        ];
        let wanted = |name: &str| self.workloads.is_empty() || self.workloads.iter().any(|asked| asked == name);
        groups.retain(|group| group.iter().any(|workload| wanted(&workload.name)));
        let seeded = |group: Vec<Workload>| group.into_iter().map(|workload| workload.seeded(self.seed)).collect();
        groups.into_iter().map(seeded).collect()
    }
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
