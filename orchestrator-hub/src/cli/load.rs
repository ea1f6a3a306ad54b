use std::env;
use std::net::SocketAddr;
use std::path::Path;

use orchestrator_config::file::{Config, Listener};
use orchestrator_config::{Faults, Format};

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

/// Returns what is to be served, of the file or else what is there without one, with what the environment and the command line
/// have to say to it: both may replace listeners at which the file's would not be safe.
///
/// # Errors
///
/// Tells what is wrong with that. Where the command line names an address beyond this machine, and nobody has said that it may
/// be reached without a key, that is told in its own words.
pub(super) fn serving(args: &ServeArgs) -> Result<Config, Failure> {
    let mut open = None;
    let listen = |config: &mut Config| {
        listeners(config, args);
        open = self::open(config).filter(|_| !args.listen.is_empty());
    };
    let loaded = match &args.file {
        Some(file) => Config::load_with(file, environment(), listen),
        None => Config::parse_with("no file", NO_FILE, Format::Toml, environment(), listen),
    };
    let is_all = |faults: &Faults| faults.faults().iter().all(|fault| fault.path().starts_with("listeners"));
    match (loaded, open) {
        (Err(faults), Some(address)) if is_all(&faults) => Err(Failure::Usage(format!(
            "{address} is reached by others, who need no key: name keys in a file, or say --public"
        ))),
        (loaded, _) => Ok(loaded?),
    }
}

/// Puts what the command line says of listeners in the place of what was there.
fn listeners(config: &mut Config, args: &ServeArgs) {
    if !args.listen.is_empty() {
        let placement = config.listeners.first().map(|listener| listener.placement).unwrap_or_default();
        let listener = |address: &_| Listener { placement, ..Listener::new(*address) };
        config.listeners = args.listen.iter().map(listener).collect();
    }
    for listener in &mut config.listeners {
        listener.public |= args.public;
    }
}

/// The first address that anybody may use who reaches it, though nobody has said so.
fn open(config: &Config) -> Option<SocketAddr> {
    let is_open = |listener: &&Listener| !listener.address.ip().is_loopback() && !listener.public;
    config.listeners.iter().find(is_open).filter(|_| config.keys.is_empty()).map(|listener| listener.address)
}

/// The variables of the environment that are text.
fn environment() -> impl Iterator<Item = (String, String)> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}
