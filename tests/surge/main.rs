//! What the default policy promises under overload, measured with the example's own lab on the paused clock; and that the
//! lab can tell: policies that collapse do collapse here, and a formula of old comes out.
//!
//! Seeds are fixed and the clock moves only when nothing else is to be done, so every figure is the same in every run.

#[path = "../../examples/surge/arguments.rs"]
mod arguments;
#[path = "../../examples/surge/arrivals.rs"]
mod arrivals;
#[path = "../../examples/surge/contender.rs"]
mod contender;
#[path = "../../examples/surge/figures.rs"]
mod figures;
#[path = "../../examples/surge/run.rs"]
mod run;
#[path = "../../examples/surge/verdict.rs"]
mod verdict;
#[path = "../../examples/surge/workload.rs"]
mod workload;

mod aging;
mod bursts;
mod classes;
mod command;
mod goodput;
mod lab;
mod steps;
mod tenants;

use arrivals::Sizes;
use contender::{Contender, DEFAULT};
use figures::Figures;
use run::Run;
use workload::Workload;

/// Sizes that nobody knows beforehand, a second on average.
const SPREAD: Sizes = Sizes::Spread { mean: 1.0 };

/// Measures the default policy.
async fn measured(workload: &Workload) -> Figures {
    measured_of(DEFAULT, workload).await
}

async fn measured_of(contender: &str, workload: &Workload) -> Figures {
    let all = Contender::all(workload);
    let contender = all.iter().find(|one| one.name == contender).expect("there is one of that name");
    let door = contender.open(workload).expect("the plan is sound");
    let figures = Figures::of(workload, contender.name, &Run::of(workload, &door).await);
    println!(
        "{} at {} x, {}: goodput {:.3} ({:.3} of requests), wait p50 {:.3} p99 {:.3}, turned away {:.3}, of those let in {:.3} ({:?}, {:?}), {:?}",
        figures.workload,
        figures.load,
        figures.contender,
        figures.share,
        figures.share_of_requests,
        figures.wait_p50,
        figures.wait_p99,
        figures.turned_away,
        figures.dropped_of_admitted,
        figures.refused,
        figures.dropped,
        figures.recovery,
    );
    figures
}
