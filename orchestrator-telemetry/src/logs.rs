//! Logs: one line per event on the standard error, as text or as JSON.
//!
//! A line has the fields of the spans that it lies in. A server opens a span `http` with a field `request_id` around each
//! request, and the pipeline's spans lie below that, so the lines of a request, also those of a failed call far inside, have
//! its id. Prompts, answers and keys are in none: what is here writes only what spans and events have, and these have no text
//! of a request.
//!
//! The pipeline's spans are of level INFO: at WARN and above there are none. Then lines lie in the span around the request: the
//! server's is there at every level, and with it the id.

mod json;

use std::io::{self, IsTerminal};

use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Subscriber, subscriber};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for people, with colours where a terminal shows it and `NO_COLOR` is not set.
    Pretty,
    /// One JSON object: `timestamp`, `level`, `target`, `message`, the event's own fields, and `spans` from the outermost on.
    Json,
}

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The filter cannot be read.
    #[error("filter of logs `{filter}`: expected a level, or `target=level`, several with commas between them")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The process has a subscriber already.
    #[error("logs have a subscriber in this process already")]
    Taken(#[source] SetGlobalDefaultError),
}

/// Writes what happens in this process to the standard error from now on.
///
/// The filter is a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), or levels of single targets, which are crates and
/// their modules: `info,workers_pool=debug`. Of several that fit a target the longest counts; what none fits is left out.
///
/// # Errors
///
/// The filter cannot be read, or the process has a subscriber already.
pub fn install(format: Format, filter: &str) -> Result<(), InstallError> {
    let targets = filter.parse().map_err(|source| InstallError::Filter { filter: filter.to_owned(), source })?;
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = subscriber(format, targets, colours, io::stderr);
    subscriber::set_global_default(lines).map_err(InstallError::Taken)
}

fn subscriber<W>(format: Format, targets: Targets, colours: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        Format::Pretty => lines.with_ansi(colours).boxed(),
        // Colours would come as text into the fields.
        Format::Json => lines.with_ansi(false).fmt_fields(json::Fields).event_format(json::Line).boxed(),
    };
    // For all that listens, and not for this layer alone, which would have each span asked for it.
    registry().with(targets).with(lines)
}

#[cfg(test)]
mod tests;
