//! What the pipeline costs beside hand-written equivalents, as ratios measured side by side; of the post stage's filters, the
//! time that they add, and the text that they read in a second; of the decoder of event streams, how fast it is;
//! of a worker, the processor time of its calls; of a pool, the time that it adds to them.
//!
//! Every figure compares two things in interleaved rounds and prints the median of the rounds' ratios:
//! `RATIO name value goal ok|short`. Rounds in which another process used the machine are dropped. The results are also
//! written to `target/ratios.json`.
//!
//! `cargo bench --bench ratios [-- [--short] [--tolerance 0.9] [NAME..]]`: `--short` takes fewer and shorter rounds, the
//! exit code is 1 where a figure misses its goal by more than the tolerance (where a goal is not reached on every
//! machine: where the figure is worse than what it is held to), names select by prefix.

mod admission;
mod assemble;
mod baseline;
mod harness;
mod hops;
mod load;
#[cfg(feature = "pool")]
mod pool;
mod post;
mod shards;
mod sse;
mod tokens;
#[path = "../../workers-openai/tests/common/traces.rs"]
mod traces;
mod worker;

use harness::Harness;

fn main() {
    let mut harness = Harness::from_args();
    install_recorder();
    hops::run(&mut harness);
    shards::run(&mut harness);
    admission::run(&mut harness);
    load::run(&mut harness);
    tokens::run(&mut harness);
    assemble::run(&mut harness);
    post::run(&mut harness);
    sse::run(&mut harness);
    worker::run(&mut harness);
    #[cfg(feature = "pool")]
    pool::run(&mut harness);
    std::process::exit(harness.finish());
}

/// Pipelines resolve their metrics when they start, so the recorder comes first.
fn install_recorder() {
    metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .expect("no other recorder is installed in this process");
}
