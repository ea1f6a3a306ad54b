//! What stands between the clients and the model server, each a process of its own that ends with the bench.

mod nginx;
mod orchestrator;
mod process;

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use self::process::Process;
use crate::BoxError;

pub(crate) use self::nginx::nginx;
pub(crate) use self::orchestrator::{Settings, orchestrator};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs, and where it listens.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) at: SocketAddr,
    pub(crate) process: Process,
    /// Where its files are, which go with it.
    _files: tempfile::TempDir,
}

impl Peer {
    /// Starts a program that listens at an address, and waits until it does.
    fn start(command: Command, at: SocketAddr, files: tempfile::TempDir) -> Result<Self, BoxError> {
        let mut process = Process::start(command)?;
        let begun = Instant::now();
        while TcpStream::connect(at).is_err() {
            if process.has_ended()? || begun.elapsed() > PATIENCE {
                return Err(format!("{process:?} does not listen at {at}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { at, process, _files: files })
    }
}

/// The model server, on the core of the clients.
#[derive(Debug)]
pub(crate) struct Mock {
    pub(crate) at: [SocketAddr; 2],
    _process: Process,
}

impl Mock {
    /// Starts it, and reads from its first line where it listens.
    pub(crate) fn start() -> Result<Self, BoxError> {
        let mut command = bound(&std::env::current_exe()?);
        command.arg("mock").stdout(Stdio::piped());
        let mut process = Process::start(command)?;
        let mut line = String::new();
        BufReader::new(process.stdout()?).read_line(&mut line)?;
        let (a, b) = line.trim().split_once(' ').ok_or("the mock does not say where it listens")?;
        Ok(Self { at: [a.parse()?, b.parse()?], _process: process })
    }
}

/// A program that is ended with this one, also where this one is killed.
fn bound(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(program);
    command
}

/// A program that is ended with this one, and has a core to itself.
fn on_core(core: usize, program: &Path) -> Command {
    let mut command = bound(Path::new("taskset"));
    command.args(["--cpu-list", &core.to_string()]).arg(program);
    command
}

/// An address that was free a moment ago.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
