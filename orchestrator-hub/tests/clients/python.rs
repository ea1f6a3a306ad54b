use std::path::{Path, PathBuf};
use std::process::Command;

use test_peers::{LlamaServer, TestResult};

use crate::front::{Front, KEY};

fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/clients").join(name))
}

/// What is missing to run the clients, and how to get it.
pub(crate) fn missing() -> Option<String> {
    LlamaServer::missing().or_else(|| {
        let told = script("run").arg("--where").output().ok()?;
        let python = PathBuf::from(String::from_utf8_lossy(&told.stdout).trim());
        (!python.is_file()).then(|| format!("there is no {}; to get it: dev/clients/run --get", python.display()))
    })
}

/// Runs a file of tests; what it prints is the message where one fails.
pub(crate) fn run(front: &Front, tests: &str) -> TestResult {
    let mut command = script("run");
    command
        .arg(tests)
        .env("ORCHESTRATOR_URL", front.url())
        .env("ORCHESTRATOR_KEY", KEY)
        .env("LLAMA_URL", front.llama())
        .env("EMBED_URL", front.embed());
    succeed(command)
}

/// Has schemathesis look for answers that the server's own document does not allow.
pub(crate) fn explore(front: &Front) -> TestResult {
    let mut command = script("schemathesis");
    command.arg(front.open_url());
    succeed(command)
}

fn succeed(mut command: Command) -> TestResult {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&told).into_owned().into())
}
