//! What a breaker tells `tracing`; alone in its process, as what is listened to there is decided for all threads together.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use tracing_subscriber::fmt::format::FmtSpan;
use workers_pool::Breaker;

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
    let calls = AtomicUsize::new(0);
    let worker = MockWorker::with(move |_| match calls.fetch_add(1, Ordering::SeqCst) {
        0..5 => Script::new().fail(WorkerError::new(WorkerErrorKind::Transient, "not now")),
        _ => Script::answering("back"),
    });
    let pipeline = Pipeline::builder("test")
        .stage(InferenceStage::new(Breaker::new(worker)))
        .stage(StreamStage::default())
        .build()
        .expect("builds");
    for call in 0..6 {
        tokio::time::sleep(Duration::from_secs(1)).await;
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
