use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;

use crate::error::WorkerError;
use crate::runtime::cell::lock;
use crate::token::TokenEvent;

/// The writing end inside [`TokenStream::generate`](crate::token::TokenStream::generate) and
/// [`TokenStream::spawn`](crate::token::TokenStream::spawn).
///
/// Every method waits until the reader has taken the event. It may be moved to another task or thread, as long as the
/// work waits for that.
///
/// # Cancel safety
///
/// An event whose future is dropped is either handed on or was not started to be: none is overwritten by the next one.
#[derive(Debug)]
pub struct Emitter {
    slot: Arc<Mutex<Slot>>,
}

impl Emitter {
    /// Hands on any event.
    pub async fn emit(&mut self, event: TokenEvent) {
        let mut event = Some(event);
        std::future::poll_fn(|cx| {
            let mut slot = lock(&self.slot);
            let mut reader = None;
            if slot.event.is_none() {
                match event.take() {
                    // It has been taken.
                    None => return Poll::Ready(()),
                    stored => {
                        slot.event = stored;
                        reader = slot.reader.take();
                    }
                }
            }
            slot.emitter = Some(cx.waker().clone());
            drop(slot);
            // The reader polls the work itself, unless that is elsewhere.
            if let Some(reader) = reader.filter(|r| !r.will_wake(cx.waker())) {
                reader.wake();
            }
            Poll::Pending
        })
        .await;
    }

    /// Hands on a piece of text.
    pub async fn text(&mut self, text: impl Into<compact_str::CompactString>) {
        self.emit(TokenEvent::text_delta(text)).await;
    }

    /// Hands on the terminal event.
    pub async fn finish(&mut self, reason: crate::token::FinishReason, usage: crate::token::Usage) {
        self.emit(TokenEvent::finish(reason, usage)).await;
    }
}

#[derive(Debug, Default)]
struct Slot {
    event: Option<TokenEvent>,
    /// Who waits in `emit`: not always the reader's own waker, `work` may poll it inside a `select!` of its own.
    emitter: Option<Waker>,
    /// Who waits for an event.
    reader: Option<Waker>,
}

/// A stream that runs `work` whenever it is polled.
pub(super) struct Generate<Fut> {
    work: Option<Pin<Box<Fut>>>,
    /// How the work ended, while its last event is on its way.
    failed: Option<WorkerError>,
    slot: Arc<Mutex<Slot>>,
}

impl<Fut> Generate<Fut> {
    pub(super) fn new(work: impl FnOnce(Emitter) -> Fut) -> Self {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let work = work(Emitter { slot: slot.clone() });
        Self { work: Some(Box::pin(work)), failed: None, slot }
    }
}

impl<Fut> Stream for Generate<Fut>
where
    Fut: Future<Output = Result<(), WorkerError>>,
{
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(work) = this.work.as_mut() else {
            return Poll::Ready(this.failed.take().map(Err));
        };
        let emitter = {
            let mut slot = lock(&this.slot);
            slot.reader = Some(cx.waker().clone());
            slot.emitter.take()
        };
        if let Some(emitter) = emitter.filter(|w| !w.will_wake(cx.waker())) {
            emitter.wake();
        }
        let done = work.as_mut().poll(cx);
        let event = lock(&this.slot).event.take();
        if let Poll::Ready(result) = done {
            this.work = None;
            this.failed = result.err();
        }
        match event {
            Some(event) => Poll::Ready(Some(Ok(event))),
            None if this.work.is_none() => Poll::Ready(this.failed.take().map(Err)),
            None => Poll::Pending,
        }
    }
}
