//! Retrieval at the size of a product: a line for each figure with its goal, and an exit status that says whether all hold.

mod vector;

use std::process::ExitCode;

fn main() -> ExitCode {
    if vector::run() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
