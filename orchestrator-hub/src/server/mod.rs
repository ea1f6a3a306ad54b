//! What listens: connections over HTTP/1 and HTTP/2, their limits, and how they end.

mod connection;
mod listen;
mod patience;
mod response;
mod sharded;
mod socket;
mod streams;
mod traffic;
mod way;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_config::file::Limits;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use sharded::ShardedServer;

use crate::gateway::Gateway;
use listen::Shared;
use way::Way;

/// Listens, and hands what comes to a [`Gateway`].
#[derive(Debug)]
pub struct Server {
    entrances: Vec<Entrance>,
    limits: Limits,
}

/// A listener, and where what comes by it goes.
#[derive(Debug)]
struct Entrance {
    listener: TcpListener,
    way: Way,
}

impl Server {
    /// Opens the listeners; port 0 has the system choose one.
    ///
    /// # Errors
    ///
    /// Where an address cannot be listened at; which one, the message says.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn bind(addresses: &[SocketAddr], limits: Limits) -> io::Result<Self> {
        let listen = |address: &SocketAddr| Ok(Entrance { listener: listen::listen(*address)?, way: Way::Here });
        Ok(Self { entrances: addresses.iter().map(listen).collect::<io::Result<_>>()?, limits })
    }

    /// Returns where it listens.
    ///
    /// # Errors
    ///
    /// Where the system does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.entrances.iter().map(|entrance| entrance.listener.local_addr()).collect()
    }

    /// Serves until `stop` is cancelled, and then ends.
    ///
    /// Connections are still taken then, but what is asked on them is refused as unavailable. Requests that were there before
    /// are finished within the grace period; what is left of them then is cancelled, and told so. Connections close when their
    /// responses are read; for that, too, there is the grace period, and two seconds behind it. It returns when no task is
    /// left.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes all connections at once.
    pub async fn run(self, gateway: Gateway, stop: CancellationToken) {
        self.run_among(vec![gateway], stop).await;
    }

    /// Serves with the first of the gateways. Requests of its connections may run on any of them: it lets all of them end.
    async fn run_among(self, gateways: Vec<Gateway>, stop: CancellationToken) {
        let Some(gateway) = gateways.first().cloned() else { return };
        let shared = Shared::new(gateway, &self.limits);
        let _killed = shared.kill.clone().drop_guard();
        for Entrance { listener, way } in self.entrances {
            let mut shared = shared.clone();
            shared.way = way;
            shared.tasks.clone().spawn(listen::accept(listener, shared));
        }
        stop.cancelled().await;
        gateways.iter().for_each(Gateway::close);
        shared.work.close();
        let end_of_grace = Instant::now() + Duration::from(self.limits.grace);
        if timeout_at(end_of_grace, shared.work.wait()).await.is_err() {
            join_all(gateways.iter().map(Gateway::end)).await;
        }
        shared.leave.cancel();
        shared.tasks.close();
        // Everybody has been told; whoever does not read that is not waited for.
        if timeout_at(end_of_grace.max(Instant::now()) + LAST_WORDS, shared.tasks.wait()).await.is_err() {
            shared.kill.cancel();
            shared.tasks.wait().await;
        }
    }
}

/// How long the last words are waited for to be read, behind the grace period.
const LAST_WORDS: Duration = Duration::from_secs(2);
