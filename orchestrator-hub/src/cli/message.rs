use std::fmt;
use std::net::SocketAddr;

use orchestrator_config::file::{Config, Logs};
use orchestrator_config::{Model, ModelName, Service};

/// Tells something on the standard error, as a line of the log where programs read that.
pub(super) fn say(logs: Logs, text: &str) {
    match logs {
        Logs::Pretty => eprintln!("{text}"),
        Logs::Json => tracing::info!("{text}"),
    }
}

/// Tells of something that may not be meant so, in the same way.
pub(super) fn warn(logs: Logs, text: &str) {
    match logs {
        Logs::Pretty => eprintln!("warning: {text}"),
        Logs::Json => tracing::warn!("{text}"),
    }
}

/// How much there is in a configuration.
pub(super) struct Summary<'a>(pub(super) &'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("listeners", self.0.listeners.len()),
            ("workers", self.0.workers.len()),
            ("pools", self.0.pools.len()),
            ("pipelines", self.0.pipelines.len()),
            ("models", self.0.models.len()),
            ("keys", self.0.keys.len()),
        ];
        counts.iter().try_for_each(|(name, count)| writeln!(f, "  {name:<10} {count}"))
    }
}

/// What a service says of itself when it is there.
pub(super) struct Welcome<'a> {
    pub(super) addresses: &'a [SocketAddr],
    pub(super) config: &'a Config,
    pub(super) service: &'a Service,
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "orchestrator {}", env!("CARGO_PKG_VERSION"))?;
        for address in self.addresses {
            writeln!(f, "  listening on http://{address}")?;
        }
        for model in self.service.models.iter() {
            writeln!(f, "  model {}: {}", name(model), way(model))?;
        }
        match self.config.keys.len() {
            0 => writeln!(f, "  no API keys: whoever reaches it may ask"),
            keys => writeln!(f, "  API keys: {keys}"),
        }
    }
}

/// A model's name as it stands in a file.
pub(super) fn name(model: &Model) -> String {
    match &model.name {
        ModelName::Exact(name) => name.to_string(),
        ModelName::Pattern { start, end } => format!("{start}*{end}"),
    }
}

/// What a request to a model runs through.
fn way(model: &Model) -> String {
    let chat = model.chat.as_ref().map(|pipeline| {
        let stats = pipeline.stats();
        let stages: Vec<_> = stats.stages.iter().map(|stage| stage.name.as_str()).collect();
        format!("{} ({})", pipeline.name(), stages.join(", "))
    });
    let embeddings = model.embeddings.as_ref().map(|pipeline| format!("embeddings of {}", pipeline.name()));
    chat.into_iter().chain(embeddings).collect::<Vec<_>>().join("; ")
}
