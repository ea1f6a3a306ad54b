use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, PipeReader};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many of the last lines are kept.
const KEPT: usize = 200;

/// What a process writes: read by a thread as long as the process lives, so that it never waits for room in its pipe.
#[derive(Debug)]
pub(crate) struct Log {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    address: Option<String>,
    lines: VecDeque<String>,
    ended: bool,
}

impl Log {
    /// Reads `pipe` until all of its writers are gone.
    pub(crate) fn read(pipe: PipeReader) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = shared.clone();
        let reader = std::thread::Builder::new().name("peer log".to_owned()).spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(line) = line else { break };
                writer.push(&String::from_utf8_lossy(&line));
            }
            writer.end();
        })?;
        Ok(Self { shared, reader: Some(reader) })
    }

    /// Waits until the process has said where it listens; `None` when it ended before, or after `limit`.
    pub(crate) fn address(&self, limit: Duration) -> Option<String> {
        let waits = |state: &mut State| state.address.is_none() && !state.ended;
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), limit, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.address.clone()
    }

    /// Returns the last lines.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<String> = self.shared.lock().lines.iter().cloned().collect();
        lines.join("\n")
    }

    /// Waits until the pipe is closed: for after the end of the process.
    pub(crate) fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            // A panic of the reader was printed, and loses lines only.
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &str) {
        let mut state = self.lock();
        if state.lines.len() == KEPT {
            state.lines.pop_front();
        }
        state.lines.push_back(line.to_owned());
        // It says so once it has loaded its model.
        if let Some((_, address)) = line.split_once("listening on http://") {
            state.address = address.split_whitespace().next().map(str::to_owned);
            self.changed.notify_all();
        }
    }

    fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }
}
