use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::num::NonZeroUsize;
use std::time::Duration;

use axum::response::Response;
use futures_util::future::join_all;
use orchestrator_config::file::{Limits, Listener, Placement};
use orchestrator_core::context::Context;
use orchestrator_core::error::BuildError;
use orchestrator_core::pipeline::Pipeline;
use orchestrator_core::shards::Shards;
use orchestrator_core::stage::StageConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::listen;
use super::way::{Exchange, Way};
use super::{Entrance, Server};
use crate::gateway::Gateway;

/// A [`Server`] on every core: each core accepts connections for itself, and has a [`Gateway`] of its own.
///
/// What a listener's [`Placement`] says decides where its requests run: on the core that has accepted their connection, or on
/// the home of the session that their headers name. Connections that the system gives to a core stay there.
#[derive(Debug)]
pub struct ShardedServer {
    /// Of each core: where it accepts, by its listeners' places in the configuration.
    listeners: Vec<Vec<StdListener>>,
    placements: Vec<Placement>,
    addresses: Vec<SocketAddr>,
    limits: Limits,
}

impl ShardedServer {
    /// Opens each listener once for every core; port 0 has the system choose one for all of them.
    ///
    /// # Errors
    ///
    /// Where an address cannot be listened at, or the system cannot share one among listeners.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn bind(listeners: &[Listener], limits: Limits, cores: NonZeroUsize) -> io::Result<Self> {
        let mut addresses: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
        let mut of_cores = Vec::new();
        for _ in 0..cores.get() {
            let opened = addresses.iter().map(|address| listen::share(*address)).collect::<io::Result<Vec<_>>>()?;
            // From the second core on the ports are known.
            addresses = opened.iter().map(StdListener::local_addr).collect::<io::Result<_>>()?;
            of_cores.push(opened);
        }
        let placements = listeners.iter().map(|listener| listener.placement).collect();
        Ok(Self { listeners: of_cores, placements, addresses, limits: share(limits, cores) })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves with one of the gateways on each core until `stop` is cancelled, and ends as [`Server::run`] does.
    ///
    /// The gateways must not have been asked anything yet: the core of its first request is where a gateway's pipelines run.
    ///
    /// # Errors
    ///
    /// Where the system refuses the threads or the listeners.
    ///
    /// # Panics
    ///
    /// Panics where there is not one gateway for each core.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes all connections at once.
    pub async fn run(self, gateways: Vec<Gateway>, stop: CancellationToken) -> io::Result<()> {
        assert_eq!(gateways.len(), self.listeners.len(), "there is a gateway for each core");
        let shards = requests(gateways.clone(), &self.limits).map_err(io::Error::other)?;
        let mut listeners = self.listeners.into_iter();
        let (placements, limits) = (&self.placements, &self.limits);
        let serving = shards.spawn_on_each(|shard| {
            let ways = placements.iter().map(|placement| match placement {
                Placement::Connection => Way::Here,
                Placement::Session => Way::Home(shards.clone()),
            });
            let opened: Vec<_> = listeners.next().into_iter().flatten().zip(ways).collect();
            let gateways = around(&gateways, shard);
            serve(opened, limits.clone(), gateways, stop.clone())
        });
        let serving = serving.into_iter().map(AbortOnDropHandle::new);
        let ended = join_all(serving).await;
        shards.drain(Duration::ZERO).await;
        ended.into_iter().try_for_each(|ended| ended.map_err(io::Error::other)?)
    }
}

/// What runs the requests that are brought to a core: a pipeline on each, so that they are counted, cancelled and drained as
/// others are.
fn requests(gateways: Vec<Gateway>, limits: &Limits) -> Result<Shards<Exchange, Response>, BuildError> {
    // As many as connections may bring along; they wait in the pipelines of their models.
    let room = StageConfig::new().concurrency(limits.connections.get().saturating_mul(listen::STREAMS as usize));
    Shards::of(gateways.len()).build(move |shard| {
        let gateway = gateways[shard].clone();
        Pipeline::builder("requests")
            .then_with("gateway", room.clone(), move |_cx: Context, Exchange(request)| {
                let gateway = gateway.clone();
                async move { Ok::<_, Infallible>(gateway.call(request).await) }
            })
            .build()
    })
}

async fn serve(
    listeners: Vec<(StdListener, Way)>,
    limits: Limits,
    gateways: Vec<Gateway>,
    stop: CancellationToken,
) -> io::Result<()> {
    let entrance = |(listener, way)| Ok(Entrance { listener: TcpListener::from_std(listener)?, way });
    let entrances = listeners.into_iter().map(entrance).collect::<io::Result<_>>()?;
    Server { entrances, limits }.run_among(gateways, stop).await;
    Ok(())
}

/// All gateways, that of a core first.
fn around(gateways: &[Gateway], shard: usize) -> Vec<Gateway> {
    let (before, from) = gateways.split_at(shard);
    from.iter().chain(before).cloned().collect()
}

/// What each core may take, so that all of them together take what the limits say.
fn share(mut limits: Limits, cores: NonZeroUsize) -> Limits {
    let connections = limits.connections.get().div_ceil(cores.get());
    limits.connections = NonZeroUsize::new(connections).unwrap_or(NonZeroUsize::MIN);
    limits
}
