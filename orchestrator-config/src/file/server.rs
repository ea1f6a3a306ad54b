use std::net::SocketAddr;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// An address at which the service listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// IP address and port. Anything but loopback needs API keys, or `public`.
    #[schemars(with = "String", extend("format" = "socket-address"))]
    pub address: SocketAddr,
    /// Listen beyond loopback without API keys: whoever reaches the address may use every model.
    #[serde(default)]
    pub public: bool,
    /// Which core a request runs on, where there is a pipeline per core.
    #[serde(default)]
    pub placement: Placement,
}

impl Listener {
    /// Listens at an address that nobody else reaches, unless it is made public.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, public: false, placement: Placement::Connection }
    }
}

/// Which core a request runs on, where there is a pipeline per core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// The one that has accepted its connection: each core accepts for itself. Sessions have no home.
    #[default]
    Connection,
    /// The home of its session; what other connections bring along is handed over to it.
    Session,
}

/// What clients may take of the server: all of them together, and each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once; more are refused.
    pub connections: NonZeroUsize,
    /// Bytes of a request's body.
    pub body: NonZeroUsize,
    /// Bytes of the bodies of all requests that are being read or begun; what goes beyond is refused. For each core, where
    /// there is a pipeline per core.
    pub bodies: NonZeroUsize,
    /// Bytes of a request's line and headers, 8,192 at least.
    #[schemars(range(min = 8192))]
    pub headers: NonZeroUsize,
    /// How long a request's headers may take to come.
    pub header_time: Time,
    /// How long a request's body may take to come.
    pub body_time: Time,
    /// How long a connection may be idle between two requests.
    pub idle_time: Time,
    /// How long a reader may leave what is ready for it unread, before its request is cancelled.
    pub reader_stall: Time,
    /// How long running requests are waited for when the service is told to end.
    pub grace: Time,
}

const fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("a limit above zero")
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: count(16_384),
            body: count(16 * 1024 * 1024),
            bodies: count(1024 * 1024 * 1024),
            headers: count(32 * 1024),
            header_time: Time::secs(10),
            body_time: Time::secs(30),
            idle_time: Time::secs(120),
            reader_stall: Time::secs(10),
            grace: Time::secs(30),
        }
    }
}
