//! The debt of a reader under every interleaving that loom finds: no wake of a stream gets lost.

use std::sync::Arc;
use std::task::{Poll, Waker};

use ::loom::future::block_on;
use ::loom::model::Builder;
use ::loom::sync::Mutex;
use ::loom::sync::atomic::AtomicU64;
use ::loom::sync::atomic::Ordering::Relaxed;
use ::loom::thread;

use super::debt::Debt;
use crate::queue::NEVER;

/// A reader, and a stream that says how far its worker has come, in an order that nothing else keeps.
struct Line {
    debt: Debt,
    reader: Mutex<Option<Waker>>,
    said: AtomicU64,
}

impl Line {
    fn new() -> Arc<Self> {
        Arc::new(Self { debt: Debt::since(0), reader: Mutex::new(None), said: AtomicU64::new(0) })
    }

    fn say(&self, count: u64) {
        self.said.store(count, Relaxed);
        self.debt.arise(|| count);
        let reader = self.reader.lock().expect("no panic").take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Reads until the worker has come so far, as [`DirectReader`](super::DirectReader) does: without a debt it does not poll.
    fn read(&self, last: u64) {
        let mut seen = 0;
        let mut waits = false;
        block_on(std::future::poll_fn(|cx| {
            loop {
                if !(waits && self.debt.is_none()) {
                    self.debt.settle();
                    let said = self.said.load(Relaxed);
                    waits = said == seen;
                    if !waits {
                        seen = said;
                        if seen == last {
                            return Poll::Ready(());
                        }
                        self.debt.renew(seen);
                        continue;
                    }
                }
                *self.reader.lock().expect("no panic") = Some(cx.waker().clone());
                if !self.debt.is_none() {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }));
    }
}

/// Checks `body` under every interleaving with up to three preemptions.
fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(body);
}

#[test]
fn a_reader_sleeps_through_no_wake() {
    model(|| {
        let line = Line::new();
        let worker = thread::spawn({
            let line = line.clone();
            move || {
                line.say(1);
                line.say(2);
            }
        });
        line.read(2);
        worker.join().expect("loom reports a panic before");
        // Who looks for readers that stall finds every debt, and none that the reader does not see.
        let owed = line.debt.look(9) != NEVER;
        assert_eq!(owed, !line.debt.is_none());
    });
}
