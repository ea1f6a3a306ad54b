use std::env;
use std::path::Path;

use orchestrator_config::Format;
use orchestrator_config::file::{Config, Listener};

use super::args::ServeArgs;
use super::failure::Failure;

/// Reads a file, with what the environment has to say to it.
///
/// # Errors
///
/// Tells all that is wrong with it.
pub(super) fn file(file: &Path) -> Result<Config, Failure> {
    Ok(Config::load(file, environment())?)
}

/// What is there without a file: a worker that needs no server, by the name of [`QUOTES`].
const NO_FILE: &str = "[workers.extractive]\nkind = 'extractive'\n";

/// The worker of a configuration without a file, and the model that it is.
pub(super) const QUOTES: &str = "extractive";

/// Returns what is there without a file, with what the environment has to say to it.
///
/// # Errors
///
/// Tells what is wrong with that.
pub(super) fn nothing() -> Result<Config, Failure> {
    Ok(Config::parse("no file", NO_FILE, Format::Toml, environment())?)
}

/// Puts what the command line says of listeners in the place of what was there.
///
/// # Errors
///
/// Where one is beyond this machine, and nobody has said that it may be reached without a key.
pub(super) fn listeners(config: &mut Config, args: &ServeArgs) -> Result<(), Failure> {
    if !args.listen.is_empty() {
        let placement = config.listeners.first().map(|listener| listener.placement).unwrap_or_default();
        let listener = |address: &_| Listener { placement, ..Listener::new(*address) };
        config.listeners = args.listen.iter().map(listener).collect();
    }
    for listener in &mut config.listeners {
        listener.public |= args.public;
    }
    let is_open = |listener: &&Listener| !listener.address.ip().is_loopback() && !listener.public;
    match config.listeners.iter().find(is_open).filter(|_| config.keys.is_empty()) {
        Some(Listener { address, .. }) => Err(Failure::Usage(format!(
            "{address} is reached by others, who need no key: name keys in a file, or say --public"
        ))),
        None => Ok(()),
    }
}

/// The variables of the environment that are text.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
