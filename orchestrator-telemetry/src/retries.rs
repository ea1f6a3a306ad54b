use std::sync::Arc;

use metrics::Unit::Count;
use metrics::{counter, describe_counter};
use workers_pool::RetryMeter;

/// Passes what retries have done on to the `metrics` facade, each with the name of the pipeline that it stands in.
///
/// They are only read, as [pools](crate::record_pools) are, before metrics are [rendered](crate::Metrics::render).
pub fn record_retries(retries: &[(Arc<str>, RetryMeter)]) {
    describe_counter!("orchestrator_retries_total", Count, "attempts beyond the first one of a request");
    describe_counter!("orchestrator_retries_out_of_budget_total", Count, "attempts that the budget did not allow");
    for (pipeline, meter) in retries {
        let stats = meter.stats();
        counter!("orchestrator_retries_total", "pipeline" => pipeline.to_string()).absolute(stats.retries);
        counter!("orchestrator_retries_out_of_budget_total", "pipeline" => pipeline.to_string())
            .absolute(stats.out_of_budget);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use metrics_exporter_prometheus::PrometheusBuilder;
    use orchestrator_core::error::{WorkerError, WorkerErrorKind};
    use orchestrator_core::prelude::*;
    use orchestrator_core::testing::{MockWorker, Script};
    use workers_pool::Retry;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scrape_has_attempts_beyond_the_first() {
        let refusal = WorkerError::new(WorkerErrorKind::Transient, "out of order");
        let is_first = AtomicBool::new(true);
        let retry = Retry::new(MockWorker::with(move |_| match is_first.swap(false, Ordering::SeqCst) {
            true => Script::new().fail(refusal.clone()),
            false => Script::answering("to be"),
        }));
        let retries = [("asks".into(), retry.meter())];
        let pipeline = Pipeline::builder("asks")
            .stage(InferenceStage::new(retry))
            .stage(StreamStage::default().direct())
            .build()
            .expect("builds");
        let text = pipeline.submit(PromptRequest::new("?")).await.expect("let in").text().await.expect("answered");
        assert_eq!(text, "to be");

        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || record_retries(&retries));
        let text = recorder.handle().render();
        for figure in [
            "orchestrator_retries_total{pipeline=\"asks\"} 1",
            "orchestrator_retries_out_of_budget_total{pipeline=\"asks\"} 0",
        ] {
            assert!(text.lines().any(|line| line == figure), "{figure} is not in\n{text}");
        }
    }
}
