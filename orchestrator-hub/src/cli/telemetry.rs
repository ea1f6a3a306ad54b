use std::sync::Arc;

use orchestrator_config::Service;
use orchestrator_config::file::{Logs, Telemetry};
use orchestrator_hub::Figures;
use orchestrator_telemetry::{Metrics, logs, record_pools, record_retries};

use super::failure::{Failure, chain};

/// Has logs written from now on, as a configuration says.
///
/// # Errors
///
/// Where the levels cannot be read.
pub(super) fn logs(telemetry: &Telemetry) -> Result<(), Failure> {
    let format = match telemetry.logs {
        Logs::Pretty => logs::Format::Pretty,
        Logs::Json => logs::Format::Json,
    };
    logs::install(format, &telemetry.level).map_err(|error| Failure::Usage(chain(&error)))
}

/// Has metrics counted from now on, where a configuration wants them.
///
/// # Errors
///
/// Where the process has a recorder already.
pub(super) fn metrics(telemetry: &Telemetry) -> Result<Option<Arc<Metrics>>, Failure> {
    let installed = telemetry.metrics.then(Metrics::install).transpose().map_err(Failure::of)?;
    Ok(installed.map(Arc::new))
}

/// Makes what renders the metrics of a service.
pub(super) fn figures(metrics: &Arc<Metrics>, service: &Service) -> Figures {
    let (metrics, pools, retries) = (metrics.clone(), service.pools.clone(), service.retries.clone());
    Arc::new(move || {
        record_pools(&pools);
        record_retries(&retries);
        metrics.render()
    })
}
