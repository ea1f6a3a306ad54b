use std::fs;
use std::io;
use std::process::{Child, ChildStdout, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::BoxError;

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

/// What a process holds in memory, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// At most so far.
    pub(crate) peak: u64,
}

impl Process {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    pub(super) fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    pub(super) fn stdout(&mut self) -> Result<ChildStdout, BoxError> {
        self.0.stdout.take().ok_or_else(|| "the standard output is taken".into())
    }

    /// Returns the processor time that it and its children have used so far.
    pub(crate) fn busy(&self) -> Result<Duration, BoxError> {
        let ids = self.family()?;
        ids.iter().map(|id| busy(*id)).sum()
    }

    /// Returns what it, without children, holds in memory.
    pub(crate) fn memory(&self) -> Result<Memory, BoxError> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let of = |name: &str| -> Result<u64, BoxError> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in its status")?;
            Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
        };
        Ok(Memory { resident: of("VmRSS:")?, peak: of("VmHWM:")? })
    }

    /// Its id and those of its children; of all its threads where it is one of many.
    fn family(&self) -> Result<Vec<u32>, BoxError> {
        let id = self.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let children = children.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>()?;
        Ok([vec![id], children].concat())
    }
}

/// The processor time of all threads of a process, those that have ended among them.
fn busy(id: u32) -> Result<Duration, BoxError> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The program's name is in parentheses, and may hold anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in its stat")?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (times.next().ok_or("no user time")??, times.next().ok_or("no system time")??);
    let ticks = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64((user + system) as f64 / ticks as f64))
}

impl Drop for Process {
    fn drop(&mut self) {
        // nginx ends its worker with itself when it is asked to end, and not when it is killed.
        if let Some(id) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}
