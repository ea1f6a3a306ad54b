//! What a breaker tells `tracing`; in a process in which every test listens, as what is listened to is decided for all threads
//! together.

use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::worker::Slots;
use tracing_subscriber::fmt::format::FmtSpan;
use workers_pool::{Breaker, BreakerState};

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

/// Has the breaker probe its worker as soon as it says that it has opened.
#[derive(Clone, Default)]
struct Hastens(Arc<OnceLock<Arc<Breaker<MockWorker>>>>);

impl io::Write for Hastens {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(breaker) = self.0.get() {
            breaker.probe_now();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn slots_are_those_of_the_last_state_where_it_changes_while_it_is_made_known() {
    let hastens = Hastens::default();
    let writer = hastens.clone();
    let _listening =
        tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || writer.clone()).finish());
    let slots = Slots::new(NonZeroUsize::new(2).expect("not zero"));
    let error = WorkerError::new(WorkerErrorKind::Transient, "not now");
    let breaker = Arc::new(Breaker::new(MockWorker::new(Script::new().fail(error)).slots(slots)));
    hastens.0.set(breaker.clone()).expect("set once");
    for _ in 0..5 {
        let request = InferenceRequest::new("?".into(), Context::standalone(RequestOptions::new()));
        breaker.infer(request).await.expect_err("fails");
    }
    assert_eq!(breaker.state(), BreakerState::Open { probe_at: tokio::time::Instant::now() });
    assert_eq!(breaker.slots().expect("has slots").free(), 1, "whoever has it may probe");
}
