use std::num::NonZeroUsize;

use metrics_exporter_prometheus::PrometheusBuilder;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use workers_pool::policy::Ordered;
use workers_pool::{BreakerConfig, Member};

use super::*;

const SLOTS: NonZeroUsize = NonZeroUsize::new(4).expect("above zero");

/// A member that refuses each call, and is left alone after the first, and one that answers.
fn fleet() -> Pool {
    let refusal = WorkerError::new(WorkerErrorKind::Transient, "out of order");
    let broken = MockWorker::new(Script::new().fail(refusal));
    let whole = MockWorker::new(Script::answering("to be")).slots(Slots::new(SLOTS));
    let pool = Pool::builder("workers").policy(Ordered::new());
    let broken = Member::new("broken", broken).breaker(BreakerConfig::new().in_a_row(1));
    pool.member(broken).member(Member::new("whole", whole)).build().expect("builds")
}

/// Renders what the facade is told of a pool.
fn rendered(pool: &Pool) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || record_pools(&[("fleet".into(), pool.clone())]));
    recorder.handle().render()
}

#[track_caller]
fn assert_figures(text: &str, figures: &[&str]) {
    for figure in figures {
        assert!(text.lines().any(|line| line == *figure), "{figure} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_scrape_has_what_each_member_has_done_and_how_it_is() {
    let pool = fleet();
    let pipeline = Pipeline::builder("asks")
        .stage(InferenceStage::new(workers_pool::Retry::new(pool.clone())))
        .stage(StreamStage::default().direct())
        .build()
        .expect("builds");
    let text = pipeline.submit(PromptRequest::new("?")).await.expect("let in").text().await.expect("answered");
    assert_eq!(text, "to be");
    pipeline.drain(std::time::Duration::from_secs(5)).await;

    let text = rendered(&pool);
    let of_broken = [
        r#"orchestrator_pool_calls_total{pool="fleet",member="broken"} 1"#,
        r#"orchestrator_pool_failures_total{pool="fleet",member="broken"} 1"#,
        r#"orchestrator_pool_breaker_opened_total{pool="fleet",member="broken"} 1"#,
        r#"orchestrator_pool_breaker_state{pool="fleet",member="broken",state="open"} 1"#,
        r#"orchestrator_pool_breaker_state{pool="fleet",member="broken",state="closed"} 0"#,
        r#"orchestrator_pool_member_state{pool="fleet",member="broken",state="serving"} 1"#,
    ];
    assert_figures(&text, &of_broken);
    let of_whole = [
        r#"orchestrator_pool_calls_total{pool="fleet",member="whole"} 1"#,
        r#"orchestrator_pool_failures_total{pool="fleet",member="whole"} 0"#,
        r#"orchestrator_pool_breaker_state{pool="fleet",member="whole",state="closed"} 1"#,
        r#"orchestrator_pool_slots{pool="fleet",member="whole"} 4"#,
        r#"orchestrator_pool_free_slots{pool="fleet",member="whole"} 4"#,
        r#"orchestrator_pool_in_flight{pool="fleet",member="whole"} 0"#,
        r#"orchestrator_pool_tokens_total{pool="fleet",member="whole",kind="completion"} 2"#,
    ];
    assert_figures(&text, &of_whole);
}

#[tokio::test]
async fn every_member_is_in_exactly_one_state() {
    let pool = fleet();
    pool.drain("whole").await.expect("a member");
    let text = rendered(&pool);
    for (metric, states) in [("member_state", MEMBER_STATES), ("breaker_state", BREAKER_STATES)] {
        for member in ["broken", "whole"] {
            let is = |state: &&&str| {
                let line = format!(r#"orchestrator_pool_{metric}{{pool="fleet",member="{member}",state="{state}"}} 1"#);
                text.lines().any(|l| l == line)
            };
            assert_eq!(states.iter().filter(is).count(), 1, "{metric} of {member} in\n{text}");
        }
    }
    assert_figures(&text, &[r#"orchestrator_pool_member_state{pool="fleet",member="whole",state="draining"} 1"#]);
}
