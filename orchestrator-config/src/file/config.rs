use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Key, Limits, Listener, Model, Pipeline, Pool, RateLimit, Telemetry, Tenant, Worker};

/// A whole configuration: what there is to serve, to whom, and within which limits.
///
/// # Examples
///
/// ```
/// use orchestrator_config::file::{Config, Extractive, Worker};
///
/// let mut config = Config::default();
/// config.workers.insert("quotes".to_owned(), Worker::Extractive(Extractive::default()));
/// config.check()?;
/// # Ok::<_, orchestrator_config::Faults>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether every core has pipelines of its own.
    pub shards: Shards,
    /// The addresses at which the service listens.
    pub listeners: Vec<Listener>,
    /// What one client may take of the server.
    pub limits: Limits,
    /// What the service tells of itself.
    pub telemetry: Telemetry,
    /// The model servers, by the names by which the rest of the file calls them.
    pub workers: BTreeMap<String, Worker>,
    /// Workers that answer as one. No pool has the name of a worker.
    pub pools: BTreeMap<String, Pool>,
    /// What requests run through.
    pub pipelines: BTreeMap<String, Pipeline>,
    /// What clients may ask for. Without any, each pipeline is a model of its own name; without pipelines each pool is, and
    /// without pools each worker.
    pub models: Vec<Model>,
    /// Who may ask. Without any, everybody who reaches a listener.
    pub keys: Vec<Key>,
    /// What tenants are entitled to, by the names that keys give them.
    pub tenants: BTreeMap<String, Tenant>,
    /// What a tenant without a section of its own may ask for.
    pub tenant_defaults: RateLimit,
}

impl Default for Config {
    /// One listener at 127.0.0.1:8080, and nothing to serve yet.
    fn default() -> Self {
        Self {
            shards: Shards::default(),
            listeners: vec![Listener::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))],
            limits: Limits::default(),
            telemetry: Telemetry::default(),
            workers: BTreeMap::new(),
            pools: BTreeMap::new(),
            pipelines: BTreeMap::new(),
            models: Vec::new(),
            keys: Vec::new(),
            tenants: BTreeMap::new(),
            tenant_defaults: RateLimit::default(),
        }
    }
}

/// Whether every core has pipelines of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shards {
    /// One set of pipelines, on all cores.
    #[default]
    None,
    /// A set of pipelines on each core, each pinned to its own.
    PerCore,
}
