use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::log::Log;
use crate::{Peer, find};

/// How long a server may take to load its model; it takes a tenth of a second.
const START: Duration = Duration::from_secs(60);

/// Becomes the server, beside a watcher that kills it when its input ends without a line: that is when our process does,
/// however it ends. The number of the process is that of the server.
const WATCHED: &str = r#"
exec 3<&0
(read -r _ <&3 || kill -9 $$) >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
"#;

/// Which model of random weights a server loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Model {
    /// Some thousand tokens a second: for what is said on the wire.
    #[default]
    Tiny,
    /// Some hundred tokens a second: for what happens while it still generates.
    Slow,
}

impl Model {
    const fn kind(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Slow => "slow",
        }
    }
}

/// A genuine llama-server on a loopback port of its own; killed and reaped when dropped, and killed when the process ends in
/// which that cannot happen any more.
///
/// It loads one of the models of `dev/tiny-model` under the name `tiny` or `slow`, computes on one thread, and serves
/// `/metrics` and `/slots` too. Whatever else it shall do is said with [`arg`](Builder::arg).
///
/// ```no_run
/// use test_peers::{LlamaServer, Model};
///
/// let server = LlamaServer::builder().model(Model::Slow).parallel(4).start()?;
/// println!("{}", server.base_url());
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LlamaServer {
    process: Child,
    /// `None` once nobody watches, as the number of the process may become another one's.
    watcher: Option<ChildStdin>,
    log: Log,
    address: String,
}

impl LlamaServer {
    /// Describes a server: model `tiny`, two slots of 2,048 tokens each.
    pub fn builder() -> Builder {
        Builder { model: Model::Tiny, parallel: 2, context: 4096, port: 0, arguments: Vec::new() }
    }

    /// Returns what is missing to start one, and the command that brings it; `None` where nothing is.
    #[must_use]
    pub fn missing() -> Option<String> {
        let needed = [find::server(), find::model(Model::Tiny.kind()), find::model(Model::Slow.kind())];
        let missing = needed.into_iter().find_map(Result::err)?;
        Some(format!("{missing}; to get it: {}", find::BRING))
    }

    /// Returns the address as `http://127.0.0.1:PORT`, without a path.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the address as `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or_default()
    }

    /// Kills it (SIGKILL) and waits until it is gone; its port is free then.
    ///
    /// # Errors
    ///
    /// Fails where the process cannot be waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        self.dismiss();
        self.process.kill()?;
        self.process.wait()?;
        self.log.join();
        Ok(())
    }

    /// Asks it to end (SIGTERM); it does not wait for it. With a stream open it takes half a minute.
    ///
    /// # Errors
    ///
    /// Fails where it has ended already.
    pub fn terminate(&mut self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Stops it (SIGSTOP): connections stay open, the system goes on taking new ones, and nobody answers.
    ///
    /// # Errors
    ///
    /// Fails where it has ended already.
    pub fn freeze(&mut self) -> io::Result<()> {
        self.signal(Signal::STOP)?;
        // Its threads stop one after the other: wait for the last. An end is left to be waited for by `kill`.
        let pid = WaitId::Pid(Pid::from_child(&self.process));
        waitid(pid, WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        Ok(())
    }

    /// Lets it go on after [`freeze`](Self::freeze) (SIGCONT).
    ///
    /// # Errors
    ///
    /// Fails where it has ended already.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // While it has not been waited for, nobody else can have its number.
        if let Some(status) = self.process.try_wait()? {
            self.dismiss();
            return Err(io::Error::other(format!("llama-server has ended: {status}")));
        }
        Ok(kill_process(Pid::from_child(&self.process), signal)?)
    }

    /// Ends the watcher without a kill.
    fn dismiss(&mut self) {
        if let Some(mut watcher) = self.watcher.take() {
            // One that has gone needs no line.
            let _ = watcher.write_all(b"\n");
        }
    }

    /// Fails unless `/health` says 200.
    fn check_health(&self) -> io::Result<()> {
        let mut connection = TcpStream::connect(&self.address)?;
        connection.set_read_timeout(Some(START))?;
        write!(connection, "GET /health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        if status == "200" { Ok(()) } else { Err(io::Error::other(format!("/health says {answer:?}"))) }
    }
}

impl Peer for LlamaServer {
    fn log(&self) -> String {
        self.log.tail()
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        // Nobody is left to tell, and a process that cannot be waited for is gone.
        let _ = self.kill();
    }
}

/// What kind of server is to be started; see [`LlamaServer::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    model: Model,
    parallel: usize,
    context: usize,
    port: u16,
    arguments: Vec<String>,
}

impl Builder {
    /// Sets the model.
    pub const fn model(mut self, model: Model) -> Self {
        self.model = model;
        self
    }

    /// Sets how many requests it takes at once.
    pub const fn parallel(mut self, slots: usize) -> Self {
        self.parallel = slots;
        self
    }

    /// Sets the tokens of context that all slots share in equal parts.
    pub const fn context(mut self, tokens: usize) -> Self {
        self.context = tokens;
        self
    }

    /// Has it listen on this port, such as that of a server that was killed, and not on one that the system chooses.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Makes it serve embeddings, one vector for a text.
    pub fn embeddings(self) -> Self {
        self.arg("--embeddings").arg("--pooling").arg("mean")
    }

    /// Makes it ask for a key, everywhere but at `/health`.
    pub fn api_key(self, key: impl Into<String>) -> Self {
        self.arg("--api-key").arg(key)
    }

    /// Adds an argument of the command line, as it is.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts it and waits until `/health` says 200, about a tenth of a second; blocks the thread.
    ///
    /// # Errors
    ///
    /// Fails where something is [missing](LlamaServer::missing), and with the last lines of its log where it ends or does not
    /// answer within a minute.
    pub fn start(&self) -> io::Result<LlamaServer> {
        let binary = find::server().map_err(io::Error::other)?;
        let model = find::model(self.model.kind()).map_err(io::Error::other)?;
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new("sh");
        command.args(["-c", WATCHED, "sh"]).arg(binary).args(self.arguments(model)).args(&self.arguments);
        let log = Log::read(reader)?;
        let mut process = command.stdin(Stdio::piped()).stdout(writer.try_clone()?).stderr(writer).spawn()?;
        // The command holds writing ends of the pipe, which would never be closed.
        drop(command);
        let watcher = process.stdin.take();
        let mut server = LlamaServer { process, watcher, log, address: String::new() };
        let Some(address) = server.log.address(START) else {
            return Err(io::Error::other(format!("llama-server did not start:\n{}", server.log())));
        };
        server.address = address;
        server.check_health()?;
        Ok(server)
    }

    fn arguments(&self, model: PathBuf) -> Vec<std::ffi::OsString> {
        let (parallel, context) = (self.parallel.to_string(), self.context.to_string());
        let port = self.port.to_string();
        let fixed =
            ["--offline", "--metrics", "--slots", "-t", "1", "-tb", "1", "--host", "127.0.0.1", "--port", &port];
        let mut arguments: Vec<std::ffi::OsString> = fixed.into_iter().map(Into::into).collect();
        arguments.extend(["--alias", self.model.kind(), "--parallel", &parallel, "-c", &context, "-m"].map(Into::into));
        arguments.push(model.into());
        arguments
    }
}
