//! What an index of 100,000 passages costs: time to build it, memory, space on disk, and time for a question.
//!
//! Prints `FIGURE name value unit goal ok|short` for each figure; most have no goal and are there to be stated.
//!
//! `cargo bench --bench retrieval [-- [NAME..]]`: names select by prefix, the exit code is 1 where a figure misses its
//! goal.

mod corpus;
mod figures;
mod words;

use figures::Figures;

fn main() {
    let mut figures = Figures::from_args();
    words::run(&mut figures);
    std::process::exit(figures.finish());
}
