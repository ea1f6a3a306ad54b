use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{Peer, free_address, on_core};
use crate::BoxError;

/// What the server does beside answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settings {
    /// Metrics and logs, as the server has them unless told otherwise.
    Observed,
    /// Neither; ids of requests are made all the same.
    Unobserved,
}

/// Starts the server with a pool of the two model servers, sessions that stay where they are, and a queue that predicts.
pub(crate) fn orchestrator(
    program: &Path,
    core: usize,
    mock: [SocketAddr; 2],
    settings: Settings,
) -> Result<Peer, BoxError> {
    let (at, files) = (free_address()?, tempfile::tempdir()?);
    let config = files.path().join("bench.toml");
    fs::write(&config, configuration(at, mock, settings))?;
    let mut command = on_core(core, program);
    command.arg("serve").arg(&config);
    Peer::start(command, at, files)
}

fn configuration(at: SocketAddr, [a, b]: [SocketAddr; 2], settings: Settings) -> String {
    let (metrics, level) = match settings {
        Settings::Observed => (true, "info,orchestrator_core=warn"),
        Settings::Unobserved => (false, "off"),
    };
    format!(
        "[[listeners]]
address = \"{at}\"

[telemetry]
logs = \"json\"
level = \"{level}\"
metrics = {metrics}

[workers.a]
kind = \"openai\"
url = \"http://{a}/v1\"
slots = 256

[workers.b]
kind = \"openai\"
url = \"http://{b}/v1\"
slots = 256

[pools.fleet]
members = [\"a\", \"b\"]
policy = \"session-affinity\"

[pipelines.chat]
stages = [{{ stage = \"infer\", worker = \"fleet\", queue = {{ shed = \"predictive\" }} }}]

[[models]]
name = \"*\"
pipeline = \"chat\"
"
    )
}
