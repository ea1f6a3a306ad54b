//! Where a subscriber wants no spans of the pipeline's, what is told inside of it lies in the span around the request.
//!
//! One test per file that reads spans: the subscriber is the whole process's, because stages run in tasks of their own.

use std::sync::{Arc, Mutex};

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tracing::{Event, Instrument, Level};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The names of the spans in which each event lies.
#[derive(Default, Clone)]
struct Places(Arc<Mutex<Vec<Vec<&'static str>>>>);

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Places {
    fn on_event(&self, event: &Event<'_>, cx: LayerContext<'_, S>) {
        let spans = cx.event_scope(event).into_iter().flatten().map(|span| span.name());
        self.0.lock().expect("not poisoned").push(spans.collect());
    }
}

#[tokio::test]
async fn an_event_of_a_worker_lies_in_the_callers_span() {
    let places = Places::default();
    let wanted = Targets::new().with_default(Level::WARN);
    let subscriber = tracing_subscriber::registry().with(wanted).with(places.clone());
    tracing::subscriber::set_global_default(subscriber).expect("the only one");
    let worker = MockWorker::with(|_| {
        tracing::warn!("asked");
        Script::answering("x")
    });
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(worker))
        .stage(StreamStage::default())
        .build()
        .expect("a pipeline");
    let asking = async { pipeline.submit(PromptRequest::new("?")).await.expect("let in").text().await };
    asking.instrument(tracing::error_span!("http")).await.expect("an answer");
    assert_eq!(*places.0.lock().expect("not poisoned"), [["http"]]);
}
