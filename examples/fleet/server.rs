//! A llama-server that this process owns.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// The tokens of context, for the one request that a server takes at once.
const CONTEXT: &str = "2048";

/// How long a server may take to listen; it does so before it loads its model.
const START: Duration = Duration::from_secs(30);

/// Killed with this value, and with the process that owns it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    address: SocketAddr,
    arguments: Vec<String>,
    binary: PathBuf,
    process: Child,
    up: Arc<AtomicBool>,
}

impl Server {
    /// Starts one on a port of the system's choice, and waits until it listens.
    pub(crate) async fn start(name: &'static str, binary: &Path, model: &Path) -> Result<Self, Box<dyn Error>> {
        // Free again when this returns, and the server's a moment later.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let port = address.port().to_string();
        let model = model.to_str().ok_or("the model's path is no text")?;
        let arguments = [
            "--model",
            model,
            "--alias",
            "fleet",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--offline",
            "--ctx-size",
            CONTEXT,
            "--threads",
            "1",
            "--threads-batch",
            "1",
            // Each token for itself, and its attention in one order: what a model says is a matter of roundings where two
            // tokens are almost equally likely, and these depend on what is computed together.
            "--parallel",
            "1",
            "--ubatch-size",
            "1",
            "--flash-attn",
            "off",
        ];
        let arguments: Vec<_> = arguments.into_iter().map(str::to_owned).collect();
        let process = spawn(binary, &arguments)?;
        let mut server =
            Self { name, address, arguments, binary: binary.to_owned(), process, up: Arc::new(AtomicBool::new(true)) };
        server.listens().await?;
        Ok(server)
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether it runs; stays right while it is killed and started again.
    pub(crate) fn up(&self) -> Arc<AtomicBool> {
        self.up.clone()
    }

    /// Kills it, in the middle of whatever it says.
    pub(crate) async fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        self.up.store(false, Ordering::Relaxed);
        Ok(self.process.kill().await?)
    }

    /// Starts it again where it was.
    pub(crate) async fn restart(&mut self) -> Result<(), Box<dyn Error>> {
        self.process = spawn(&self.binary, &self.arguments)?;
        self.listens().await?;
        self.up.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn listens(&mut self) -> Result<(), Box<dyn Error>> {
        let started = Instant::now();
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("{} has ended: {status}", self.binary.display()).into());
            }
            if started.elapsed() > START {
                return Err(format!("{} does not listen", self.binary.display()).into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

fn spawn(binary: &Path, arguments: &[String]) -> Result<Child, Box<dyn Error>> {
    let mut command = Command::new(binary);
    // In a group of its own, so that Ctrl-C in the terminal ends this program, which then ends the server.
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().map_err(|error| format!("failed to start {}: {error}", binary.display()).into())
}
