use orchestrator_config::file::{Config, Logs};
use orchestrator_config::{Parts, Service};
use orchestrator_hub::server::Server;
use orchestrator_hub::{Figures, Gateway, Key, Keys};
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
/// Where the configuration cannot be used, its addresses cannot be listened at, or a second signal does not leave requests the time
/// to finish.
pub(super) fn serve(args: ServeArgs) -> Result<(), Failure> {
    let config = match &args.file {
        Some(file) => load::file(file)?,
        None => load::nothing()?,
    };
    let runtime = runtime::all_cores().map_err(Failure::of)?;
    let served = runtime.block_on(async {
        let mut config = match args.file {
            Some(_) => config,
            None => backends::config(config, &args.backends, args.docs.as_deref()).await?,
        };
        load::listeners(&mut config, &args)?;
        config.check()?;
        telemetry::logs(&config.telemetry)?;
        plain(&config).await
    });
    // What still blocks, such as a look at a folder, is not worth waiting for.
    runtime.shutdown_background();
    served
}

async fn plain(config: &Config) -> Result<(), Failure> {
    let signals = Signals::take().map_err(Failure::of)?;
    let metrics = telemetry::metrics(&config.telemetry)?;
    let addresses: Vec<_> = config.listeners.iter().map(|listener| listener.address).collect();
    let server = Server::bind(&addresses, config.limits.clone()).await.map_err(Failure::of)?;
    let service = Parts::connect(config).await.map_err(Failure::of)?.service().map_err(Failure::of)?;
    welcome(config, &server.addresses().map_err(Failure::of)?, &service);
    let figures = metrics.map(|metrics| telemetry::figures(&metrics, &service));
    let gateway = gateway(config, service, figures);
    let stop = CancellationToken::new();
    tokio::select! {
        () = server.run(gateway, stop.clone()) => Ok(()),
        () = signals.heed(stop) => Err(Failure::of("ended before all requests were finished")),
    }
}

fn gateway(config: &Config, service: Service, figures: Option<Figures>) -> Gateway {
    let gateway = Gateway::new(service, keys(config), config.limits.clone(), figures);
    if config.telemetry.access_log { gateway.access_log() } else { gateway }
}

fn welcome(config: &Config, addresses: &[std::net::SocketAddr], service: &Service) {
    let welcome = Welcome { addresses, config, service };
    match config.telemetry.logs {
        Logs::Pretty => eprint!("{welcome}"),
        Logs::Json => tracing::info!(?addresses, models = service.models.len(), "listening"),
    }
}

fn keys(config: &Config) -> Keys {
    let key = |key: &orchestrator_config::file::Key| Key {
        sha256: key.sha256.0,
        tenant: key.tenant.as_deref().map(Into::into),
        priority: key.priority.into(),
    };
    config.keys.iter().map(key).collect()
}
