use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use prompt_orchestrator::prelude::*;

use crate::TestResult;
use crate::common::{Gate, gated};
use crate::task::session_on;

/// The one recorder of this process; the other tests' pipelines have other names.
#[tokio::test]
async fn a_gauge_is_the_sum_of_the_shards() -> TestResult {
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let gate = Gate::shut();
    let at_gate = gate.clone();
    let stage = move |_| gated(Pipeline::builder("summed"), "wait", StageConfig::new(), &at_gate).build();
    let shards: Shards<u64, u64> = Shards::of(2).build(stage)?;
    let mut inside = Vec::new();
    for shard in [0, 1, 1] {
        let options = RequestOptions::new().session(session_on(&shards, shard));
        inside.push(shards.submit_with(7, options).await?);
    }
    let line = |value| format!("orchestrator_in_flight{{pipeline=\"summed\"}} {value}\n");
    let seen = async {
        while !recorder.render().contains(&line(3)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), seen).await?;
    gate.open();
    shards.drain(Duration::from_secs(20)).await;
    assert!(recorder.render().contains(&line(0)), "{}", recorder.render());
    assert!(recorder.render().contains("orchestrator_requests_total{pipeline=\"summed\",outcome=\"answered\"} 3\n"));
    Ok(())
}
