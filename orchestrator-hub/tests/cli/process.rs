//! The command as a process of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// How long anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where chats are asked for.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// What a process has left behind.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

fn command<A: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    command.current_dir(folder).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) async fn run(folder: &TempDir, arguments: &[&str]) -> Ended {
    let ran = timeout(PATIENCE, command(folder.path(), arguments).output()).await.expect("it ends").expect("it starts");
    Ended { status: ran.status, out: text(ran.stdout), err: text(ran.stderr) }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

/// A folder with files.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder around it")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

/// A service that runs; it is killed with this, if it was not ended.
pub(crate) struct Served {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    err: String,
    pub(crate) url: String,
}

impl Served {
    /// Starts it, with these arguments behind `serve`, and waits until it listens.
    pub(crate) async fn start(folder: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut served = Self::begin(folder, arguments, environment);
        let line = served.line("listening on ").await;
        served.url = line.split("listening on ").nth(1).expect("an address").to_owned();
        served
    }

    /// The same, without waiting for anything.
    pub(crate) fn begin(folder: &TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let listening = ["serve", "--listen", "127.0.0.1:0"];
        let mut command = command(folder.path(), listening.iter().chain(arguments));
        let mut child = command.envs(environment.iter().copied()).spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, lines, err: String::new(), url: String::new() }
    }

    /// Waits for a line of the standard error with this text.
    pub(crate) async fn line(&mut self, with: &str) -> String {
        let reading = async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                self.err.push_str(&line);
                self.err.push('\n');
                if line.contains(with) {
                    return line;
                }
            }
            panic!("no line with `{with}` among\n{}", self.err)
        };
        timeout(PATIENCE, reading).await.expect("such a line")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).expect("it runs");
        kill_process(id, signal).expect("it takes signals");
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(mut self) -> Ended {
        let (mut out, mut err) = (String::new(), String::new());
        let stdout = self.child.stdout.as_mut().expect("it is piped");
        let stderr = self.lines.get_mut();
        let reading = async { tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err)) };
        let (read_out, read_err) = timeout(PATIENCE, reading).await.expect("it ends");
        read_out.and(read_err).expect("text");
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a status");
        Ended { status, out, err: self.err + &err }
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(format!("{}{path}", self.url)).await.expect("a response")
    }

    /// Asks until it says that it takes no requests.
    pub(crate) async fn until_unready(&self) {
        while self.get("/readyz").await.status() != 503 {}
    }

    /// Asks a model, as a request to be sent.
    pub(crate) fn chat(&self, model: &str, stream: bool) -> reqwest::RequestBuilder {
        let question = json!([{"role": "user", "content": "Which battery keeps the clock?"}]);
        let body = json!({"model": model, "messages": question, "stream": stream});
        let request = reqwest::Client::new().post(format!("{}{CHAT}", self.url));
        request.header("content-type", "application/json").body(body.to_string())
    }
}

/// The JSON of a response.
pub(crate) async fn json_of(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}
