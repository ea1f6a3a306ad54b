//! The tables of metrics in `docs/observability.md` say what pipelines and pools publish: every name, type, label, value and
//! unit.
//!
//! One test per file: the recorder is one per process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use prompt_orchestrator::pool::{Member, Pool, Retry};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

const GUIDE: &str = include_str!("../docs/observability.md");

/// Notes what is registered and described, and counts nothing.
#[derive(Clone, Default)]
struct Catalogue(Arc<Mutex<BTreeMap<String, Metric>>>);

#[derive(Debug, Default, Clone, PartialEq)]
struct Metric {
    kind: &'static str,
    unit: String,
    description: String,
    /// Each label with its values, in the order in which they come.
    labels: Vec<(String, Vec<String>)>,
}

impl Catalogue {
    fn describe(&self, name: &KeyName, unit: Option<Unit>, description: &SharedString) {
        let mut metrics = self.0.lock().expect("not poisoned");
        let metric = metrics.entry(name.as_str().to_owned()).or_default();
        metric.unit = unit.map(|unit| unit.as_str().to_owned()).unwrap_or_default();
        metric.description = description.to_string();
    }

    fn register(&self, kind: &'static str, key: &Key) {
        let mut metrics = self.0.lock().expect("not poisoned");
        let metric = metrics.entry(key.name().to_owned()).or_default();
        metric.kind = kind;
        for label in key.labels() {
            let place = metric.labels.iter().position(|(name, _)| name == label.key()).unwrap_or_else(|| {
                metric.labels.push((label.key().to_owned(), Vec::new()));
                metric.labels.len() - 1
            });
            let values = &mut metric.labels[place].1;
            if !values.iter().any(|value| value == label.value()) {
                values.push(label.value().to_owned());
            }
        }
    }
}

impl Recorder for Catalogue {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.describe(&name, unit, &description);
    }

    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        self.register("counter", key);
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        self.register("gauge", key);
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        self.register("histogram", key);
        Histogram::noop()
    }
}

impl Metric {
    /// The labels as the table has them: those that every metric has left out, and the values of those that a user names.
    fn labels(&self) -> String {
        let labels = self.labels.iter().filter(|(name, _)| !["pipeline", "pool", "member"].contains(&&**name));
        let labels = labels.map(|(name, values)| match &**name {
            "stage" => "`stage`".to_owned(),
            _ => format!("`{name}`: {}", values.join(", ")),
        });
        labels.collect::<Vec<_>>().join("; ")
    }
}

/// The rows of the guide's tables by name: type, further labels, unit and meaning.
fn listed() -> BTreeMap<&'static str, [&'static str; 4]> {
    let mut listed = BTreeMap::new();
    for row in GUIDE.lines().filter(|line| line.starts_with("| `orchestrator_")) {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, unit, meaning] = cells[..] else { panic!("a row of another shape: {row}") };
        let known = listed.insert(name.trim_matches('`'), [kind, labels, unit, meaning]);
        assert!(known.is_none(), "listed twice: {row}");
    }
    listed
}

#[tokio::test]
async fn the_guide_lists_what_is_published() {
    let catalogue = Catalogue::default();
    metrics::set_global_recorder(catalogue.clone()).map_err(drop).expect("the first recorder");
    let worker = Member::new("only", MockWorker::new(Script::answering("a")));
    let pool = Pool::builder("listed").member(worker).build().expect("builds");
    let retry = Retry::new(pool.clone());
    let retries = retry.meter();
    let pipeline = Pipeline::builder("listed")
        .stage(InferenceStage::new(retry))
        .stage(StreamStage::default())
        .build()
        .expect("builds");
    let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
    assert_eq!(answer.text().await.expect("answered"), "a");
    pipeline.drain(Duration::from_secs(5)).await;
    orchestrator_telemetry::record_pools(&[("listed".into(), pool)]);
    orchestrator_telemetry::record_retries(&[("listed".into(), retries)]);

    let mut listed = listed();
    // What the server publishes of its connections is held against the guide where the server is.
    listed.retain(|name, _| !name.starts_with("orchestrator_http_"));
    let published = catalogue.0.lock().expect("not poisoned").clone();
    assert_eq!(listed.keys().collect::<Vec<_>>(), published.keys().collect::<Vec<_>>());
    for (name, metric) in &published {
        let of = if name.starts_with("orchestrator_pool_") { "pool" } else { "pipeline" };
        assert!(metric.labels.iter().any(|(label, values)| label == of && values == &["listed"]), "{name}");
        let [kind, labels, unit, meaning] = listed[&**name];
        assert_eq!((kind, labels, unit), (metric.kind, &*metric.labels(), &*metric.unit), "{name}");
        assert!(meaning.starts_with(&metric.description), "{name} is described as {}", metric.description);
    }
}
