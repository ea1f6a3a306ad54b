//! Model servers behind one trait, and the stage that calls them.

mod attempts;
mod health;
mod inference;
mod info;
mod request;
mod shared;
mod slots;
mod timeouts;

pub use attempts::{Attempt, Attempts};
pub use health::{Health, HealthStatus, Load};
pub use inference::InferenceStage;
pub use info::WorkerInfo;
pub use request::{InferenceRequest, Prefix};
pub use slots::{Lease, Offer, Slot, SlotGroup, Slots};
pub use timeouts::Timeouts;

use async_trait::async_trait;

use crate::error::WorkerError;
use crate::token::TokenStream;

/// Anything that answers an [`InferenceRequest`] with a stream of tokens.
///
/// # What a worker owes
///
/// - The stream holds deltas and then exactly one [`TokenEvent::Finish`](crate::token::TokenEvent::Finish) with the
///   usage, or an error. A stream that just ends counts as cut ([`WorkerError::stream_cut`]).
/// - Dropping the stream, or the future of `infer`, stops the work behind it, as far as the server.
/// - It never queues. How much it takes at once it says with [`slots`](Self::slots); waiting is the pipeline's business.
/// - Errors carry the kind that tells what may be retried.
/// - If its [`info`](Self::info) says that it continues, it goes on behind the [`prefix`](InferenceRequest::prefix) of a
///   request, or refuses it. If it hands requests on to another worker, it says so only where that one does.
///
/// # What it may rely on
///
/// - With slots, there are never more streams alive than the slots hold, counted over all pipelines that share them.
/// - Without `continues` in its `info` it gets no prefix.
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
        Health::unknown()
    }
}
