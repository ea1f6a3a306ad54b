//! What indexes of 100,000 passages cost: time to build them, memory, space on disk, and time for a question; and how
//! much of what is nearest the index over vectors finds.
//!
//! Prints `FIGURE name value unit goal ok|short` for each figure; most have no goal and are there to be stated.
//!
//! `cargo bench --bench retrieval [-- [NAME..]]`: names select by prefix, the exit code is 1 where a figure misses its
//! goal.

mod corpus;
mod figures;
mod vector;
mod words;

use figures::Figures;

fn main() {
    let mut figures = Figures::from_args();
    words::run(&mut figures);
    vector::run(&mut figures);
    std::process::exit(figures.finish());
}
