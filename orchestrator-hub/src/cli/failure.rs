use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use orchestrator_config::Faults;

/// Why a command was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file cannot be used.
    File(Faults),
    /// It was asked for wrongly in another way.
    Usage(String),
    /// It went wrong.
    Failed(Box<dyn Error>),
}

impl Failure {
    /// It went wrong for this reason.
    pub(super) fn of(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Failed(error.into())
    }

    /// Says it on the standard error; returns what the process ends with.
    pub(super) fn tell(&self) -> ExitCode {
        match self {
            Self::File(faults) => eprintln!("{faults}"),
            Self::Usage(message) => eprintln!("error: {message}"),
            Self::Failed(error) => eprintln!("error: {}", chain(&**error)),
        }
        ExitCode::from(match self {
            Self::File(_) | Self::Usage(_) => 2,
            Self::Failed(_) => 1,
        })
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::File(faults)
    }
}

/// An error and what it comes from, in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |&error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Prints a text; whoever closes the standard output early has seen enough.
///
/// # Errors
///
/// Where it cannot be written for another reason.
pub(super) fn out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::of(error)),
        _ => Ok(()),
    }
}
