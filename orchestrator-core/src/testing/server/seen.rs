use std::sync::Arc;

use tokio::time::Instant;

use crate::testing::server::Request;

/// What a [`ScriptedServer`](crate::testing::server::ScriptedServer) has seen so far.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Seen {
    /// Open connections, until the server closes them or notices that the client has.
    pub connections: Gauge,
    /// Requests from their last byte to the end of their exchange.
    pub in_flight: Gauge,
    /// All requests in order of arrival, and what became of them.
    pub exchanges: Vec<Exchange>,
}

impl Seen {
    /// Returns whether all requests have ended, each in its way.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.in_flight.now == 0
    }

    /// Returns the exchanges of a path.
    pub fn on<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Exchange> {
        self.exchanges.iter().filter(move |exchange| exchange.request.path() == path)
    }
}

/// How many there are, and were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gauge {
    /// There are now.
    pub now: usize,
    /// There were at once, at most.
    pub most: usize,
    /// There were in all.
    pub total: usize,
}

impl Gauge {
    pub(super) fn enter(&mut self) {
        self.now += 1;
        self.total += 1;
        self.most = self.most.max(self.now);
    }

    pub(super) const fn leave(&mut self) {
        self.now -= 1;
    }
}

/// One request and what became of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Exchange {
    /// What was asked.
    pub request: Arc<Request>,
    /// When its last byte was read.
    pub received: Instant,
    /// The bytes of the reply, head and framing included, that the system has taken so far.
    pub written: u64,
    /// How it ended; `None` while it lasts.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended: Option<Instant>,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// All steps of the reply were done.
    Answered,
    /// The client closed or reset the connection before that.
    ClientLeft,
}
