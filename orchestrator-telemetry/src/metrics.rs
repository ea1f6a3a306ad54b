use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Upper bounds of the histograms' buckets, in seconds: from the gap between two tokens to a long answer.
const BUCKETS: [f64; 18] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

/// How often the recorder sorts into buckets what has come since; until then it keeps each value.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics of this process, as Prometheus reads them.
///
/// All that writes to the `metrics` facade ends up here. What keeps figures of its own passes them on once a second
/// (pipelines), or when it is asked to ([pools](crate::record_pools)). The task that looks after the recorder ends when this is
/// dropped; the recorder itself stays until the process ends.
#[derive(Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
    _upkeep: JoinSet<()>,
}

/// The process has a recorder already.
#[derive(Debug, thiserror::Error)]
#[error("metrics have a recorder in this process already")]
pub struct InstallError(#[source] BuildError);

impl Metrics {
    /// Makes itself the recorder of this process. Pipelines resolve their metrics at their first submission, so it comes before
    /// that.
    ///
    /// # Errors
    ///
    /// There is a recorder already.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn install() -> Result<Self, InstallError> {
        let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(InstallError)?;
        let handle = builder.install_recorder().map_err(InstallError)?;
        let mut tasks = JoinSet::new();
        let recorder = handle.clone();
        tasks.spawn(upkeep(move || recorder.run_upkeep()));
        Ok(Self { handle, _upkeep: tasks })
    }

    /// Writes down all metrics in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }
}

async fn upkeep(look_after: impl Fn()) {
    let mut ticks = interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        look_after();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::runtime::Handle;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_recorder_is_looked_after_every_few_seconds() {
        let count = Cell::new(0);
        let ended = timeout(3 * UPKEEP + Duration::from_secs(1), upkeep(|| count.set(count.get() + 1))).await;
        assert!(ended.is_err(), "it goes on");
        assert_eq!(count.get(), 4);
    }

    /// One test: the recorder is one per process.
    #[tokio::test]
    async fn an_installed_recorder_sorts_into_buckets_and_leaves_no_task() {
        let metrics = Metrics::install().expect("the first recorder");
        assert!(Metrics::install().is_err(), "there is one");
        ::metrics::histogram!("seconds").record(0.003);
        let text = metrics.render();
        assert!(
            text.contains("seconds_bucket{le=\"0.0025\"} 0") && text.contains("seconds_bucket{le=\"0.005\"} 1"),
            "{text}"
        );
        drop(metrics);
        while Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
