//! What listens: connections over HTTP/1 and HTTP/2, their limits, and how they end.

mod connection;
mod listen;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use orchestrator_config::file::Limits;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;

/// Listens, and hands what comes to a [`Gateway`].
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    limits: Limits,
}

impl Server {
    /// Opens the listeners; port 0 has the system choose one.
    ///
    /// # Errors
    ///
    /// Where an address cannot be listened at; which one, the message says.
    pub async fn bind(addresses: &[SocketAddr], limits: Limits) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for address in addresses {
            let listener = TcpListener::bind(address).await;
            listeners.push(
                listener
                    .map_err(|error| io::Error::new(error.kind(), format!("cannot listen at {address}: {error}")))?,
            );
        }
        Ok(Self { listeners, limits })
    }

    /// Returns where it listens.
    ///
    /// # Errors
    ///
    /// Where the system does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    /// Serves until `stop` is cancelled, and then ends: nothing new is taken, what runs is finished within the grace period, and
    /// what is left then is cancelled and told so.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes all connections at once.
    pub async fn run(self, gateway: Gateway, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let kill = CancellationToken::new();
        let _killed = kill.clone().drop_guard();
        let shared = listen::Shared::new(gateway.clone(), &self.limits, stop.clone(), kill.clone());
        for listener in self.listeners {
            connections.spawn(listen::accept(listener, shared.clone(), connections.clone()));
        }
        stop.cancelled().await;
        gateway.close();
        connections.close();
        let grace: Duration = self.limits.grace.into();
        if timeout(grace, connections.wait()).await.is_err() {
            gateway.end().await;
            // Everybody has been told; whoever does not read that is not waited for.
            if timeout(LAST_WORDS, connections.wait()).await.is_err() {
                kill.cancel();
                connections.wait().await;
            }
        }
    }
}

/// How long the last words are waited for to be read.
const LAST_WORDS: Duration = Duration::from_secs(2);
