use std::net::SocketAddr;
use std::sync::Arc;

use orchestrator_config::file::{self, Config, Logs, Shards};
use orchestrator_config::{Parts, Service};
use orchestrator_hub::server::{Server, ShardedServer};
use orchestrator_hub::{Gateway, Key, Keys};
use orchestrator_telemetry::Metrics;
use tokio_util::sync::CancellationToken;

use super::args::ServeArgs;
use super::failure::Failure;
use super::message::Welcome;
use super::signals::Signals;
use super::{backends, load, runtime, telemetry};

/// Serves until a signal asks the process to end.
///
/// # Errors
///
/// Where the configuration cannot be used, its addresses cannot be listened at, or a second signal does not leave requests the
/// time to finish.
pub(super) fn serve(args: &ServeArgs) -> Result<(), Failure> {
    let config = load::serving(args)?;
    let runtime = match config.shards {
        Shards::None => runtime::all_cores(),
        // Each core has a thread of its own; here is what they share.
        Shards::PerCore => runtime::one_core(),
    };
    let runtime = runtime.map_err(Failure::of)?;
    let served = runtime.block_on(until_told(config, args));
    // What still blocks, such as a look at a folder, is not worth waiting for.
    runtime.shutdown_background();
    served
}

async fn until_told(config: Config, args: &ServeArgs) -> Result<(), Failure> {
    telemetry::logs(&config.telemetry)?;
    let signals = Signals::take().map_err(Failure::of)?;
    let (stop, logs) = (CancellationToken::new(), config.telemetry.logs);
    let serving = async {
        // Where it is told to end before, nobody has asked anything yet.
        let Some(config) = stop.run_until_cancelled(complete(config, args)).await else { return Ok(()) };
        let config = config?;
        let Some(makings) = stop.run_until_cancelled(Makings::open(&config)).await else { return Ok(()) };
        match config.shards {
            Shards::None => on_all_cores(makings?, stop.clone()).await,
            Shards::PerCore => on_each_core(makings?, stop.clone()).await,
        }
    };
    tokio::select! {
        served = serving => served,
        () = signals.heed(stop.clone(), logs) => Err(Failure::of("ended before all requests were finished")),
    }
}

/// Puts what the command line says into a configuration.
async fn complete(config: Config, args: &ServeArgs) -> Result<Config, Failure> {
    let config = match args.file {
        Some(_) => config,
        None => backends::config(config, &args.backends, args.docs.as_deref()).await?,
    };
    config.check()?;
    Ok(config)
}

/// Listens when all is there: until then whoever asks finds nobody, and need not wait.
async fn on_all_cores(makings: Makings<'_>, stop: CancellationToken) -> Result<(), Failure> {
    let config = makings.config;
    let addresses: Vec<_> = config.listeners.iter().map(|listener| listener.address).collect();
    let server = Server::bind(&addresses, config.limits.clone()).map_err(Failure::of)?;
    let service = makings.service()?;
    welcome(config, &server.addresses().map_err(Failure::of)?, &service);
    server.run(makings.gateway(service), stop).await;
    Ok(())
}

async fn on_each_core(makings: Makings<'_>, stop: CancellationToken) -> Result<(), Failure> {
    let (config, cores) = (makings.config, runtime::cores());
    let server = ShardedServer::bind(&config.listeners, config.limits.clone(), cores).map_err(Failure::of)?;
    let services = (0..cores.get()).map(|_| makings.service()).collect::<Result<Vec<_>, _>>()?;
    welcome(config, server.addresses(), &services[0]);
    let gateways = services.into_iter().map(|service| makings.gateway(service)).collect();
    server.run(gateways, stop).await.map_err(Failure::of)
}

/// What gateways are made of.
struct Makings<'a> {
    config: &'a Config,
    metrics: Option<Arc<Metrics>>,
    parts: Parts,
}

impl<'a> Makings<'a> {
    async fn open(config: &'a Config) -> Result<Self, Failure> {
        let metrics = telemetry::metrics(&config.telemetry)?;
        let parts = Parts::connect(config).await.map_err(Failure::of)?;
        Ok(Self { config, metrics, parts })
    }

    fn service(&self) -> Result<Service, Failure> {
        self.parts.service().map_err(Failure::of)
    }

    fn gateway(&self, service: Service) -> Gateway {
        let figures = self.metrics.as_ref().map(|metrics| telemetry::figures(metrics, &service));
        let gateway = Gateway::new(service, keys(self.config), self.config.limits.clone(), figures);
        if self.config.telemetry.access_log { gateway.access_log() } else { gateway }
    }
}

fn welcome(config: &Config, addresses: &[SocketAddr], service: &Service) {
    let welcome = Welcome { addresses, config, service };
    match config.telemetry.logs {
        Logs::Pretty => eprint!("{welcome}"),
        Logs::Json => tracing::info!(?addresses, models = service.models.len(), "listening"),
    }
}

fn keys(config: &Config) -> Keys {
    let key = |key: &file::Key| Key {
        sha256: key.sha256.0,
        tenant: key.tenant.as_deref().map(Into::into),
        priority: key.priority.into(),
    };
    config.keys.iter().map(key).collect()
}
