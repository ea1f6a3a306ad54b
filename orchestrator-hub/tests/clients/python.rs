use std::path::{Path, PathBuf};
use std::process::Command;

use test_peers::{LlamaServer, TestResult};

use crate::front::{Front, KEY};

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dev/clients/run")
}

/// What is missing to run the clients, and how to get it.
pub(crate) fn missing() -> Option<String> {
    LlamaServer::missing().or_else(|| {
        let told = Command::new(script()).arg("--where").output().ok()?;
        let python = PathBuf::from(String::from_utf8_lossy(&told.stdout).trim());
        (!python.is_file()).then(|| format!("there is no {}; to get it: dev/clients/run --get", python.display()))
    })
}

/// Runs a file of tests; what it prints is the message where one fails.
pub(crate) fn run(front: &Front, tests: &str) -> TestResult {
    let mut command = Command::new(script());
    command
        .arg(tests)
        .env("ORCHESTRATOR_URL", front.url())
        .env("ORCHESTRATOR_KEY", KEY)
        .env("LLAMA_URL", front.llama());
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = [output.stdout, output.stderr].concat();
    Err(String::from_utf8_lossy(&told).into_owned().into())
}
