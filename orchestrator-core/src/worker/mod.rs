//! Model servers behind one trait, and the stage that calls them.

mod inference;
mod request;
mod slots;

pub use inference::InferenceStage;
pub use request::InferenceRequest;
pub use slots::{Slot, Slots};

use async_trait::async_trait;

use crate::error::WorkerError;
use crate::token::TokenStream;

/// What a worker is, without asking its server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// Name of the worker, for logs and reports.
    pub name: String,
    /// The model that answers, where it is known.
    pub model: Option<String>,
}

impl WorkerInfo {
    /// Names a worker.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), model: None }
    }

    /// Names the model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

/// How a worker's server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Health {
    /// Nobody knows: the worker has no way to ask.
    #[default]
    Unknown,
    /// It takes requests.
    Ready,
    /// It does not take requests now: it starts, or it is gone.
    Unavailable,
}

/// Anything that answers an [`InferenceRequest`] with a stream of tokens.
///
/// # What a worker owes
///
/// - The stream holds deltas and then exactly one [`TokenEvent::Finish`](crate::token::TokenEvent::Finish) with the
///   usage, or an error. A stream that just ends counts as cut ([`WorkerError::stream_cut`]).
/// - Dropping the stream, or the future of `infer`, stops the work behind it, as far as the server.
/// - It never queues. How much it takes at once it says with [`slots`](Self::slots); waiting is the pipeline's business.
/// - Errors carry the kind that tells what may be retried.
///
/// # What it may rely on
///
/// - With slots, there are never more streams alive than the slots hold, counted over all pipelines that share them.
/// - A panic fails one request and is reported; the worker is called again.
///
/// # Examples
///
/// Right: the stream does the work, so it ends with its reader.
///
/// ```
/// use orchestrator_core::prelude::*;
///
/// struct Echo;
///
/// #[async_trait]
/// impl ModelWorker for Echo {
///     async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
///         Ok(TokenStream::generate(async move |mut out| {
///             out.text(request.question()).await;
///             out.finish(FinishReason::Stop, Usage::default()).await;
///             Ok(())
///         }))
///     }
/// }
/// ```
///
/// Wrong: a detached task that feeds a channel. When the caller leaves, nobody tells the task, and the server goes on
/// generating for nobody. Use [`TokenStream::spawn`] where a task is needed.
#[async_trait]
pub trait ModelWorker: Send + Sync + 'static {
    /// Starts an answer.
    ///
    /// # Errors
    ///
    /// Fails where the server cannot be reached or does not accept the request. What fails later is an item of the
    /// stream.
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError>;

    /// Says what the worker is; does no I/O.
    fn info(&self) -> WorkerInfo {
        WorkerInfo::default()
    }

    /// Returns the permits of the server behind it; `None` where only the stage's concurrency limits it.
    ///
    /// Every clone of a worker, and every worker of the same server, must return a clone of the same [`Slots`].
    fn slots(&self) -> Option<Slots> {
        None
    }

    /// Asks how the server is; may do I/O, and answers within a few seconds.
    async fn health(&self) -> Health {
        Health::Unknown
    }
}
