use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::error::WorkerError;
use crate::runtime::permit::Permit;
use crate::token::{TokenEvent, TokenStream};
use crate::worker::Slot;

/// What the task of a stream drops last: its place in the stage, and its slots.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) permit: Option<Permit>,
    pub(super) slots: Vec<Slot>,
    /// What a stream keeps of which this is one part.
    pub(super) around: Option<Keeps>,
}

pub(super) type Keeps = Arc<Mutex<Kept>>;

/// A stream that is read by a task of its own.
pub(super) struct Spawned {
    receiver: mpsc::Receiver<Result<TokenEvent, WorkerError>>,
    task: Option<AbortOnDropHandle<()>>,
}

/// What the task does: one value, so that the work is dropped before what it had, also by a task that was never polled.
struct Work {
    stream: TokenStream,
    _keeps: Keeps,
}

impl Work {
    async fn run(mut self, sender: mpsc::Sender<Result<TokenEvent, WorkerError>>) {
        while let Some(event) = self.stream.next().await {
            if sender.send(event).await.is_err() {
                return;
            }
        }
    }
}

impl Spawned {
    pub(super) fn new(stream: TokenStream, ahead: usize, keeps: Keeps) -> Self {
        let (sender, receiver) = mpsc::channel(ahead.max(1));
        let task = tokio::spawn(Work { stream, _keeps: keeps }.run(sender));
        Self { receiver, task: Some(AbortOnDropHandle::new(task)) }
    }
}

impl Stream for Spawned {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = std::task::ready!(self.receiver.poll_recv(cx)) {
            return Poll::Ready(Some(event));
        }
        let Some(task) = self.task.as_mut() else {
            return Poll::Ready(None);
        };
        let ended = std::task::ready!(Pin::new(task).poll(cx));
        self.task = None;
        if let Err(panicked) = ended.map_err(tokio::task::JoinError::try_into_panic) {
            // The reader's side names the stage and turns it into an error.
            std::panic::resume_unwind(panicked.unwrap_or_else(|_| Box::new("the task was aborted")));
        }
        Poll::Ready(None)
    }
}
