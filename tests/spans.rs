//! One span per request, one per stage below it, and no prompt in any of them.
//!
//! One test per file that reads spans: the subscriber is the whole process's, because stages run in tasks of their own.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tracing::Span;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

#[derive(Debug, Default, Clone)]
struct Seen {
    name: &'static str,
    parent: Option<u64>,
    fields: BTreeMap<String, String>,
    closed: bool,
}

/// Keeps every span, also those that have closed; ids are not those of the registry, which are used again.
#[derive(Default, Clone)]
struct Collector(Arc<Mutex<Vec<Seen>>>);

struct Number(u64);

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Collector {
    fn spans(&self) -> Vec<Seen> {
        self.0.lock().expect("not poisoned").clone()
    }

    fn edit(&self, number: u64, edit: impl FnOnce(&mut Seen)) {
        edit(&mut self.0.lock().expect("not poisoned")[number as usize]);
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collector {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: LayerContext<'_, S>) {
        let span = cx.span(id).expect("new");
        let parent = span.parent().and_then(|p| p.extensions().get::<Number>().map(|n| n.0));
        let mut seen = Seen { name: span.name(), parent, ..Seen::default() };
        attributes.record(&mut Fields(&mut seen.fields));
        let mut spans = self.0.lock().expect("not poisoned");
        span.extensions_mut().insert(Number(spans.len() as u64));
        spans.push(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: LayerContext<'_, S>) {
        let number = number(&cx, id);
        self.edit(number, |seen| values.record(&mut Fields(&mut seen.fields)));
    }

    fn on_close(&self, id: Id, cx: LayerContext<'_, S>) {
        let number = number(&cx, &id);
        self.edit(number, |seen| seen.closed = true);
    }
}

fn number<S: tracing::Subscriber + for<'a> LookupSpan<'a>>(cx: &LayerContext<'_, S>, id: &Id) -> u64 {
    let span = cx.span(id).expect("open");
    let extensions = span.extensions();
    extensions.get::<Number>().expect("numbered when it was new").0
}

/// Answers with the name of the span that each of its polls runs in.
struct Curious;

#[async_trait]
impl ModelWorker for Curious {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        Ok(TokenStream::generate(async move |mut out| {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                out.text(Span::current().metadata().map_or("nowhere", |m| m.name())).await;
                out.text(" ").await;
            }
            out.finish(FinishReason::Stop, Usage::default()).await;
            Ok(())
        }))
    }
}

const SECRET: &str = "nobody may log this question";
const ANSWER: &str = "nor this answer";

#[tokio::test]
async fn a_request_is_a_span_with_its_stages_below() {
    let collector = Collector::default();
    tracing::subscriber::set_global_default(Registry::default().with(collector.clone())).expect("the first one");
    let worker = MockWorker::with(|request| match request.question().contains("fail") {
        true => Script::new().fail(WorkerError::new(WorkerErrorKind::Overloaded, SECRET)),
        false => Script::answering(ANSWER),
    });
    let pipeline =
        Pipeline::builder("assistant")
            .then_with("rag", StageConfig::new().spawned(), |_cx, prompt: PromptRequest| async move {
                tokio::task::yield_now().await;
                Ok::<_, BoxError>(prompt)
            })
            .then("assemble", |cx, prompt: PromptRequest| async move {
                Ok::<_, BoxError>(InferenceRequest::new(prompt, cx))
            })
            .then("moderate", |_cx, request: InferenceRequest| async move { Ok::<_, BoxError>(request) })
            .stage(InferenceStage::new(worker))
            .then_with("post", StageConfig::new().inline(), |_cx, stream: TokenStream| async move {
                Ok::<_, BoxError>(stream)
            })
            .stage(StreamStage::default())
            .build()
            .expect("builds");

    let prompt = PromptRequest::new(SECRET).session("s").tenant("t").metadata("note", SECRET);
    let mut answer = pipeline.submit(prompt).await.expect("let in");
    assert_eq!(answer.text().await.expect("answered"), ANSWER);
    let mut answer = pipeline.submit(PromptRequest::new(format!("fail: {SECRET}"))).await.expect("let in");
    assert!(answer.text().await.is_err());
    drop(pipeline.submit(PromptRequest::new(SECRET)).await.expect("let in"));
    drop(answer);
    pipeline.drain(Duration::from_secs(5)).await;

    let spans = collector.spans();
    let requests: Vec<_> = (0..).zip(&spans).filter(|(_, span)| span.name == "request").collect();
    assert_eq!(requests.len(), 3);
    let field = |span: &Seen, name: &str| span.fields.get(name).cloned();
    let (answered, failed, cancelled) = (requests[0], requests[1], requests[2]);
    for (request, outcome) in [(answered, "answered"), (failed, "failed"), (cancelled, "cancelled")] {
        assert_eq!(field(request.1, "outcome").as_deref(), Some(outcome));
        assert_eq!(field(request.1, "pipeline").as_deref(), Some("assistant"));
        assert_eq!(request.1.parent, None);
    }
    let told = |name| field(answered.1, name);
    assert_eq!(told("session").as_deref(), Some("s"));
    assert_eq!(told("tenant").as_deref(), Some("t"));
    assert_eq!(told("error"), None);
    assert_eq!(told("gen_ai.usage.input_tokens").as_deref(), Some("1"));
    assert_eq!(told("gen_ai.usage.output_tokens").as_deref(), Some("3"));
    assert_eq!(told("gen_ai.response.finish_reasons").as_deref(), Some("stop"));
    assert_eq!(field(failed.1, "error").as_deref(), Some("Worker(Overloaded)"));

    let below = |request: u64| spans.iter().filter(move |s| s.parent == Some(request)).map(|s| s.name);
    // A stage that has no name of its own in the code is a `stage` with its name as a field.
    assert_eq!(below(answered.0).collect::<Vec<_>>(), ["rag", "assemble", "stage", "infer", "post", "stream"]);
    assert_eq!(below(failed.0).collect::<Vec<_>>(), ["rag", "assemble", "stage", "infer"]);
    let named: Vec<_> = spans.iter().filter(|s| s.name == "stage").map(|s| field(s, "name")).collect();
    assert!(named.iter().all(|name| name.as_deref() == Some("moderate")), "{named:?}");
    assert!(spans.iter().all(|s| s.name == "request" || s.parent.is_some()), "a stage without its request");
    assert!(spans.iter().all(|s| s.closed), "still open: {:?}", spans.iter().find(|s| !s.closed));

    // A stage's span is entered as long as its stream flows, and what a worker logs there lies below it.
    for stage in [StreamStage::default(), StreamStage::default().direct()] {
        let pipeline = Pipeline::builder("curious").stage(InferenceStage::new(Curious)).stage(stage).build();
        let mut answer = pipeline.expect("builds").submit(PromptRequest::new(SECRET)).await.expect("let in");
        assert_eq!(answer.text().await.expect("answered"), "infer infer infer ");
    }

    let everything = format!("{spans:?}");
    assert!(!everything.contains(SECRET) && !everything.contains(ANSWER), "a prompt or an answer was recorded");
}
