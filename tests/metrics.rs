//! Every metric of a pipeline reaches a recorder that was installed before the first submission.
//!
//! One test per file: the recorder is one per process.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

/// Metrics as they are rendered: name and labels to value.
type Rendered = BTreeMap<String, f64>;

#[tokio::test]
async fn a_recorder_sees_what_stats_say() {
    let recorder = PrometheusBuilder::new().install_recorder().expect("the first recorder");
    let worker = MockWorker::with(|request| match &*request.question() {
        "fail" => Script::new().fail(WorkerError::new(WorkerErrorKind::Overloaded, "503")),
        "panic" => Script::new().streaming().text("a").panic("expected"),
        "hang" => Script::new().hang(),
        _ => Script::answering("to be or not"),
    });
    let pipeline = Pipeline::builder("told")
        .stage_with(
            InferenceStage::new(worker),
            StageConfig::new().concurrency(1).depth(2).shed(ShedPolicy::DropOldest),
        )
        .stage(StreamStage::default())
        .build()
        .expect("builds");

    // As many of each as of nothing else, so that no label can stand for another.
    for _ in 0..4 {
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
        assert_eq!(answer.text().await.expect("answered"), "to be or not");
    }
    for question in ["fail", "panic"] {
        let mut answer = pipeline.submit(PromptRequest::new(question)).await.expect("let in");
        assert!(answer.text().await.is_err());
    }
    for _ in 0..5 {
        assert!(pipeline.submit(PromptRequest::new("")).await.is_err());
    }
    for _ in 0..2 {
        assert!(pipeline.submit(PromptRequest::new("late").within(Duration::ZERO)).await.is_err());
    }
    // One that occupies the worker, two that fill the queue, one that takes the place of the first of them.
    let hangs = pipeline.submit(PromptRequest::new("hang")).await.expect("let in");
    while pipeline.stats().stages[0].depth > 0 {
        tokio::task::yield_now().await;
    }
    let mut evicted = pipeline.submit(PromptRequest::new("first")).await.expect("let in");
    let second = pipeline.submit(PromptRequest::new("second")).await.expect("let in");
    let third = pipeline.submit(PromptRequest::new("third")).await.expect("let in");
    let told = tokio::time::timeout(Duration::from_secs(10), evicted.text()).await.expect("told at once");
    assert!(told.expect_err("evicted").is_shed());
    let low = PromptRequest::new("low").priority(prompt_orchestrator::request::Priority::Low);
    assert!(pipeline.submit(low).await.expect_err("the queue is full of its betters").is_refused());

    // Passed on once a second.
    let rendered =
        until(|| parse(&recorder.render()), |seen| seen.get("orchestrator_in_flight{pipeline=\"told\"}") == Some(&3.0))
            .await;
    assert_eq!(rendered["orchestrator_queue_depth{pipeline=\"told\",stage=\"infer\"}"], 2.0);

    drop((hangs, second, third));
    pipeline.drain(Duration::from_secs(5)).await;
    assert!(pipeline.submit(PromptRequest::new("too late")).await.is_err());
    // The last word of the pipeline comes with the end of its last task; what is refused afterwards only `stats` know.
    let rendered = parse(&recorder.render());
    let expected = [
        ("orchestrator_requests_total", "outcome=\"answered\"", 4),
        ("orchestrator_requests_total", "outcome=\"failed\"", 2),
        ("orchestrator_requests_total", "outcome=\"shed\"", 1),
        ("orchestrator_requests_total", "outcome=\"cancelled\"", 3),
        ("orchestrator_requests_total", "outcome=\"withdrawn\"", 0),
        ("orchestrator_requests_total", "outcome=\"refused\"", 8),
        ("orchestrator_refused_total", "reason=\"invalid\"", 5),
        ("orchestrator_refused_total", "reason=\"queue_full\"", 1),
        ("orchestrator_refused_total", "reason=\"deadline\"", 2),
        ("orchestrator_refused_total", "reason=\"draining\"", 0),
        ("orchestrator_tokens_total", "kind=\"prompt\"", 4),
        ("orchestrator_tokens_total", "kind=\"cached\"", 0),
        ("orchestrator_tokens_total", "kind=\"completion\"", 16),
        ("orchestrator_shed_total", "stage=\"infer\",reason=\"queue_full\"", 0),
        ("orchestrator_shed_total", "stage=\"infer\",reason=\"evicted\"", 1),
        ("orchestrator_shed_total", "stage=\"infer\",reason=\"deadline\"", 0),
        ("orchestrator_shed_total", "stage=\"stream\",reason=\"queue_full\"", 0),
        ("orchestrator_shed_total", "stage=\"stream\",reason=\"evicted\"", 0),
        ("orchestrator_shed_total", "stage=\"stream\",reason=\"deadline\"", 0),
        ("orchestrator_panics_total", "", 1),
        ("orchestrator_in_flight", "", 0),
        ("orchestrator_queue_depth", "stage=\"infer\"", 0),
        ("orchestrator_queue_depth", "stage=\"stream\"", 0),
        // The answered ones, and of the tokens those of the panicked stream too.
        ("orchestrator_request_seconds_count", "", 4),
        ("orchestrator_time_to_first_token_seconds_count", "", 5),
        ("orchestrator_inter_token_seconds_count", "", 12),
        ("orchestrator_stage_wait_seconds_count", "stage=\"infer\"", 7),
        ("orchestrator_stage_run_seconds_count", "stage=\"infer\"", 6),
        ("orchestrator_stage_run_seconds_count", "stage=\"stream\"", 5),
    ];
    for (name, labels, value) in expected {
        let separator = if labels.is_empty() { "" } else { "," };
        let key = format!("{name}{{pipeline=\"told\"{separator}{labels}}}");
        assert_eq!(rendered.get(&key), Some(&f64::from(value)), "{key} in {rendered:#?}");
    }
    // And nothing else of ours, but sums and quantiles of the histograms above.
    let known = |key: &str| expected.iter().any(|(name, ..)| key.starts_with(name.trim_end_matches("_count")));
    assert_eq!(rendered.keys().filter(|key| !known(key)).collect::<Vec<_>>(), Vec::<&String>::new());

    let stats = pipeline.stats();
    assert_eq!((stats.answered, stats.failed, stats.shed, stats.cancelled, stats.withdrawn), (4, 2, 1, 3, 0));
    assert_eq!((stats.submitted, stats.refused, stats.panics), (19, 9, 1));
    assert_eq!((stats.usage.prompt_tokens, stats.usage.completion_tokens), (4, 16));
    assert_eq!((stats.total.count, stats.first_token.count, stats.between_tokens.count), (4, 5, 12));
    assert_eq!((stats.stages[0].wait.count, stats.stages[0].run.count, stats.stages[1].run.count), (7, 6, 5));
}

/// Reads the text format; the order of labels is that in which they were given.
fn parse(text: &str) -> Rendered {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (key, value) = line.rsplit_once(' ').expect("a key and a value");
            (key.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

async fn until<T>(mut look: impl FnMut() -> T, is_it: impl Fn(&T) -> bool) -> T {
    let wait = async {
        loop {
            let seen = look();
            if is_it(&seen) {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("never seen")
}
