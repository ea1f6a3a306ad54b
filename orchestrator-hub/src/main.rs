//! The command `orchestrator`: a service from a file or from none, and what goes with that.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
