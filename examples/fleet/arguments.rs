//! What the command line asks for.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str =
    "usage: fleet --server BINARY --model FILE [--seconds 30] [--requests 4] [--kill-every SECONDS|off]";

/// A server needs a moment to come back, and another to be taken back.
const LEAST_BETWEEN_KILLS: f64 = 2.0;

#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    /// The binary of llama-server.
    pub(crate) server: PathBuf,
    /// The model that both servers load.
    pub(crate) model: PathBuf,
    /// How long requests are made.
    pub(crate) time: Duration,
    /// How many of them are in flight.
    pub(crate) requests: usize,
    /// How much time is between two kills; `None` for none.
    pub(crate) kill_every: Option<Duration>,
}

impl Arguments {
    /// Reads names and their values.
    ///
    /// # Errors
    ///
    /// Where one has no value, none of that name is known, or the binary or the model is not named.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let (mut server, mut model) = (None, None);
        let (mut time, mut requests, mut kill_every) = (seconds("30")?, 4, Some(seconds("4")?));
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--server" => server = Some(PathBuf::from(value)),
                "--model" => model = Some(PathBuf::from(value)),
                "--seconds" => time = seconds(&value)?,
                "--requests" => requests = value.parse::<NonZeroUsize>()?.get(),
                "--kill-every" if value == "off" => kill_every = None,
                "--kill-every" => kill_every = Some(seconds(&value)?),
                _ => return Err(format!("unknown argument {name}").into()),
            }
        }
        if kill_every.is_some_and(|every| every.as_secs_f64() < LEAST_BETWEEN_KILLS) {
            return Err(format!("--kill-every must be at least {LEAST_BETWEEN_KILLS}").into());
        }
        let (server, model) = server.zip(model).ok_or("--server and --model are needed")?;
        Ok(Self { server, model, time, requests, kill_every })
    }
}

fn seconds(value: &str) -> Result<Duration, Box<dyn Error>> {
    let time = Duration::try_from_secs_f64(value.parse()?)?;
    if time.is_zero() { Err("a time must be above zero".into()) } else { Ok(time) }
}
