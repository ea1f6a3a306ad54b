use std::io;
use std::num::NonZeroUsize;
use std::sync::Mutex;

use orchestrator_core::error::{ErrorKind, RefuseReason};
use orchestrator_core::worker::Slots;
use tracing_subscriber::fmt::format::FmtSpan;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_pipeline_refuses_while_it_is_open_and_says_when_to_come_back() {
    let slots = Slots::new(NonZeroUsize::MIN);
    let worker = scripted([vec![failing(); 5], vec![Script::answering("back")]].concat()).slots(slots);
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(Breaker::new(worker.clone())))
        .stage(StreamStage::default())
        .build()
        .expect("builds");
    for _ in 0..5 {
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("is let in");
        answer.text().await.expect_err("fails");
    }
    let refused = pipeline.submit(PromptRequest::new("?")).await.expect_err("is refused");
    assert_eq!(refused.kind(), ErrorKind::Refused(RefuseReason::Unavailable));
    let pause = refused.retry_after().expect("says when");
    assert!(pause > Duration::ZERO && pause < seconds(2), "{pause:?}");
    assert_eq!(worker.stats().calls, 5);
    tokio::time::sleep(seconds(1)).await;
    let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("is let in");
    assert_eq!(answer.text().await.expect("answers"), "back");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn its_state_is_in_events_and_in_the_span_of_the_probe() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_span_events(FmtSpan::CLOSE).with_ansi(false);
    let _listening = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    let worker = scripted([vec![failing(); 5], vec![Script::answering("back")]].concat());
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(Breaker::new(worker)))
        .stage(StreamStage::default())
        .build()
        .expect("builds");
    for call in 0..6 {
        tokio::time::sleep(seconds(1)).await;
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("is let in");
        assert_eq!(answer.text().await.is_ok(), call == 5, "call {call}");
    }
    let log = String::from_utf8(log.0.lock().expect("not poisoned").clone()).expect("text");
    let lines = |with: &[&str]| log.lines().filter(|line| with.iter().all(|with| line.contains(with))).count();
    assert_eq!(lines(&["WARN", "a worker is left alone", r#"worker="mock" state="open""#]), 1, "{log}");
    assert_eq!(lines(&["INFO", "a worker is asked again", r#"worker="mock" state="half-open""#]), 1, "{log}");
    assert_eq!(lines(&["INFO", "a worker is asked again", r#"worker="mock" state="closed""#]), 1, "{log}");
    assert_eq!(lines(&[r#"infer{breaker="half-open"}: "#, "spans: close"]), 1, "{log}");
    assert_eq!(lines(&["infer", "spans: close"]), 6, "{log}");
}
