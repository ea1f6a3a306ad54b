//! Whether the key of a worker turns up where it should not: in errors, and in the spans and events of `tracing`.
//!
//! The `Debug` form of the worker is not looked at, as a `dyn ModelWorker` has none, and records of the `log` crate are not
//! heard, as their logger is one for the whole process.

use std::error::Error;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::error::WorkerError;
use crate::testing::conformance::Verdict;
use crate::testing::conformance::bench::Bench;
use crate::testing::conformance::report::Judged;
use crate::testing::server::{Reply, Seen};
use crate::worker::Timeouts;

/// A key that occurs nowhere else.
const KEY: &str = "sk-conformance-5f0c2b7e91d84a63";

/// The key of a suite's workers, and where it was found that should not hold it.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    heard: Arc<Heard>,
    in_errors: Mutex<Vec<String>>,
    sent: AtomicBool,
}

/// Places in spans and events that held the key.
#[derive(Debug, Default)]
struct Heard {
    places: Mutex<Vec<String>>,
    spans: AtomicU64,
}

impl Secrets {
    /// Listens to the spans and events of this thread, until the guard is dropped.
    pub(super) fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        let secrets = Self::default();
        let guard = tracing::subscriber::set_default(Listener(secrets.heard.clone()));
        (secrets, guard)
    }

    pub(super) const fn key(&self) -> &'static str {
        KEY
    }

    /// Looks for the key in everything that an error and those behind it say.
    pub(super) fn look_at(&self, error: &(dyn Error + 'static)) {
        let mut said = Vec::new();
        let mut next = Some(error);
        while let Some(error) = next {
            said.extend([error.to_string(), format!("{error:?}"), format!("{error:#?}")]);
            said.extend(error.downcast_ref().and_then(WorkerError::body).map(str::to_owned));
            next = error.source();
        }
        let leaks = said.into_iter().filter(|text| text.contains(KEY));
        self.in_errors.lock().unwrap_or_else(PoisonError::into_inner).extend(leaks);
    }

    /// Looks whether the key was sent at all.
    pub(super) fn look_at_requests(&self, seen: &Seen) {
        let sent = |exchange: &crate::testing::server::Exchange| {
            let request = &exchange.request;
            request.query().contains(KEY) || request.headers().any(|(_, value)| value.contains(KEY))
        };
        if seen.exchanges.iter().any(sent) {
            self.sent.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn errors(&self) -> Judged {
        self.judge(&self.in_errors)
    }

    pub(super) fn traces(&self) -> Judged {
        self.judge(&self.heard.places)
    }

    fn judge(&self, leaks: &Mutex<Vec<String>>) -> Judged {
        match leaks.lock().unwrap_or_else(PoisonError::into_inner).first() {
            Some(leak) => Err(Verdict::failed(format!("the key stands in {leak:?}"))),
            None if !self.sent.load(Ordering::Relaxed) => Err(Verdict::left_out("it never sent its key")),
            None => Ok(()),
        }
    }
}

/// Makes the server quote the key in everything that may end in an error; what is found is in the verdicts at the end.
pub(super) async fn provoke(bench: &Bench) {
    let quoted =
        format!("{{\"error\":{{\"message\":\"bad key {KEY}\",\"type\":\"authentication_error\",\"code\":401}}}}");
    let nonsense = String::from_utf8_lossy(&bench.dialect.nonsense).replacen(':', &format!(": {KEY} "), 1);
    let replies = [
        Reply::json(401, &quoted),
        Reply::json(500, KEY),
        bench.dialect.begin().chunk(nonsense).last_chunk(),
        Reply::raw().bytes(format!("{KEY}\r\n\r\n")).close(),
    ];
    for reply in replies {
        let judged = bench.rig(Timeouts::default(), move || reply.clone(), async |rig| rig.ask().await.map(drop)).await;
        // How it ends is the business of other checks.
        drop(judged);
    }
}

/// Hears all spans and events, whatever their level.
struct Listener(Arc<Heard>);

impl Subscriber for Listener {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        attributes.record(&mut Reader { heard: &self.0, of: attributes.metadata().name() });
        Id::from_u64(self.0.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        values.record(&mut Reader { heard: &self.0, of: "a span" });
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Reader { heard: &self.0, of: event.metadata().target() });
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Reader<'a> {
    heard: &'a Heard,
    of: &'static str,
}

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format!("{value:?}");
        if value.contains(KEY) {
            let place = format!("{}, field {field}: {value}", self.of);
            self.heard.places.lock().unwrap_or_else(PoisonError::into_inner).push(place);
        }
    }
}
