use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Reply, ScriptedServer};
use serde_json::Value;
use stages_post::PostStage;
use stages_rag::{AssembleStage, Bm25Index, RagStage};
use tracing::subscriber::with_default;
use workers_openai::OpenAi;
use workers_pool::{FailOver, Member, Pool, Retry};

use super::*;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8(self.lock().clone()).expect("text")
    }
}

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever holds it is the only one with a subscriber. Which levels anybody wants is known once for all threads, and a
/// subscriber that comes or goes meanwhile has others miss events.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn logging(format: Format, filter: &str, colours: bool) -> (Written, impl Subscriber + Send + Sync) {
    let written = Written::default();
    let writer = written.clone();
    (written, subscriber(format, filter.parse().expect("a filter"), colours, move || writer.clone()))
}

fn logged(format: Format, filter: &str, colours: bool) -> String {
    let _alone = alone();
    let (written, lines) = logging(format, filter, colours);
    with_default(lines, || {
        let _http = tracing::info_span!("http", request_id = "r-1").entered();
        let _infer = tracing::info_span!("infer").entered();
        tracing::info!(target: "workers_pool::attempt", worker = "mac", "a call failed");
        tracing::debug!(target: "orchestrator_core", "a detail");
    });
    written.text()
}

#[test]
fn a_line_of_json_has_its_fields_and_the_id_of_the_request() {
    let text = logged(Format::Json, "info", false);
    let line: Value = serde_json::from_str(&text).expect("one object");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "workers_pool::attempt");
    assert_eq!(line["message"], "a call failed");
    assert_eq!(line["worker"], "mac");
    assert!(line["timestamp"].is_string());
    assert_eq!(line["spans"][0]["name"], "http");
    assert_eq!(line["spans"][0]["request_id"], "r-1");
    assert_eq!(line["spans"][1]["name"], "infer");
}

#[test]
fn a_line_of_json_can_be_read_whatever_its_fields_hold() {
    let _alone = alone();
    let (written, lines) = logging(Format::Json, "info", false);
    let odd = "a \"quoted\\ line\nand \u{1b}[31mé";
    with_default(lines, || {
        let span = tracing::info_span!("http", odd, later = tracing::field::Empty);
        span.record("later", odd);
        let _http = span.entered();
        tracing::info!(odd, debugged = ?odd, least = i64::MIN, most = u64::MAX, is = true, half = 0.5, no = f64::NAN, "{odd}");
    });
    let text = written.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: Value = serde_json::from_str(&text).expect("one object");
    assert_eq!((&line["odd"], &line["message"]), (&odd.into(), &odd.into()));
    assert_eq!(line["debugged"], format!("{odd:?}"));
    assert_eq!((line["least"].as_i64(), line["most"].as_u64()), (Some(i64::MIN), Some(u64::MAX)));
    assert_eq!(
        (line["is"].as_bool(), line["half"].as_f64(), line["no"].as_str()),
        (Some(true), Some(0.5), Some("NaN"))
    );
    assert_eq!((&line["spans"][0]["odd"], &line["spans"][0]["later"]), (&odd.into(), &odd.into()));
}

#[test]
fn an_event_that_has_nothing_to_say_is_a_line_all_the_same() {
    let _alone = alone();
    let (written, lines) = logging(Format::Json, "info", false);
    with_default(lines, || tracing::info!(only = None::<u64>));
    let line: Value = serde_json::from_str(&written.text()).expect("one object");
    assert_eq!((&line["level"], line.get("only")), (&"INFO".into(), None));
}

#[test]
fn a_line_of_text_has_the_id_and_colours_only_where_they_are_shown() {
    let plain = logged(Format::Pretty, "info", false);
    assert!(
        plain.contains("INFO http{request_id=\"r-1\"}:infer: workers_pool::attempt: a call failed worker=\"mac\""),
        "{plain}"
    );
    assert_eq!(plain.lines().count(), 1, "{plain}");
    assert!(!plain.contains('\x1b'));
    assert!(logged(Format::Pretty, "info", true).contains('\x1b'));
}

#[test]
fn the_longest_target_of_a_filter_counts() {
    let both = logged(Format::Pretty, "info,orchestrator_core=debug", false);
    assert!(both.contains("a call failed") && both.contains("a detail"), "{both}");
    let one = logged(Format::Pretty, "debug,workers_pool=error", false);
    assert!(!one.contains("a call failed") && one.contains("a detail"), "{one}");
    assert_eq!(logged(Format::Pretty, "off", false), "");
}

#[test]
fn a_filter_that_cannot_be_read_is_named() {
    let error = install(Format::Json, "info,core=loud").expect_err("no such level");
    assert!(error.to_string().contains("`info,core=loud`"), "{error}");
}

const PROMPT: &str = "canary-of-the-prompt";
const PASSAGE: &str = "canary-of-the-passage";
const ANSWER: &str = "canary-of-the-answer";
const KEY: &str = "canary-of-the-key";

/// Refuses one call with the prompt in its words, and answers the others.
async fn server() -> ScriptedServer {
    let refused = std::sync::atomic::AtomicBool::new(false);
    let frame = format!(r#"data: {{"choices":[{{"index":0,"delta":{{"content":"{ANSWER} "}}}}]}}"#);
    let last = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let body = format!("{frame}\n\n{last}\n\ndata: [DONE]\n\n");
    ScriptedServer::start(move |request| {
        if request.path().ends_with("/models") {
            return Reply::json(200, r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#);
        }
        if !refused.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Reply::json(503, format!(r#"{{"error":{{"message":"busy with {PROMPT} for {KEY}"}}}}"#));
        }
        Reply::full(200, &[("content-type", "text/event-stream")], &body)
    })
    .await
    .expect("a server")
}

async fn answer(server: &ScriptedServer) -> String {
    let worker = OpenAi::builder().base_url(server.base_url()).key(KEY).model("m").build().expect("a worker");
    let pool = Pool::builder("fleet").member(Member::new("only", worker)).build().expect("a pool");
    let passage = Passage::new(format!("{PROMPT} is answered by {PASSAGE}"), Source::new("note.md"), 0.0);
    let index = Bm25Index::from_passages([passage]).expect("an index");
    let pipeline = Pipeline::builder("assistant")
        .stage(RagStage::new(index))
        .stage(AssembleStage::default())
        .stage(InferenceStage::new(FailOver::new(Retry::new(pool))))
        .stage(PostStage::new().trim())
        .stage(StreamStage::default().direct())
        .build()
        .expect("builds");
    let request = PromptRequest::new(PROMPT).session("s-1");
    let text = pipeline.submit(request).await.expect("let in").text().await.expect("answered");
    pipeline.drain(std::time::Duration::from_secs(5)).await;
    text
}

/// On one thread, so that the subscriber of the test hears the tasks of the pipeline, too.
#[test]
fn neither_prompt_nor_answer_nor_key_is_logged_even_at_the_finest_level() {
    let _alone = alone();
    let (written, lines) = logging(Format::Json, "trace", false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let server = with_default(lines, || {
        runtime.block_on(async {
            let server = server().await;
            let http = tracing::info_span!("http", request_id = "r-1");
            assert_eq!(tracing::Instrument::instrument(answer(&server), http).await, ANSWER);
            server
        })
    });

    let text = written.text();
    let failed = text.lines().find(|line| line.contains("a call failed")).expect("the refusal is logged");
    assert!(failed.contains(r#""request_id":"r-1""#), "{failed}");
    let seen = server.seen();
    let asked: Vec<_> = seen.on("/v1/chat/completions").map(|exchange| exchange.request.json().to_string()).collect();
    assert_eq!(asked.len(), 2, "refused once, then answered");
    assert!(asked.iter().all(|body| body.contains(PROMPT) && body.contains(PASSAGE)), "{asked:?}");
    for canary in [PROMPT, PASSAGE, ANSWER, KEY] {
        let line = text.lines().find(|line| line.contains(canary));
        assert_eq!(line, None, "{canary} was logged");
    }
}
