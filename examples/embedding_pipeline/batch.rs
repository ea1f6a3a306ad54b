//! A stage that gathers the texts of many requests into few calls of an embedder.
//!
//! Everybody in a batch awaits the same future, which waits for the batch to fill, makes the call and lays out the vectors.
//! There is no task behind it and nobody leads: whichever of them is woken drives it on. So a member that is cancelled
//! disturbs nobody, and when the last one has left, the future is dropped, and the call with it.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use prompt_orchestrator::prelude::*;
use tokio::sync::Notify;

/// One vector for each text.
pub(crate) type Vectors = Vec<Vec<f32>>;

/// Texts to be embedded together.
#[derive(Debug)]
pub(crate) struct Texts(pub(crate) Vec<String>);

impl Input for Texts {
    fn validate(&self) -> Result<(), InvalidInput> {
        if self.0.is_empty() {
            return Err(InvalidInput::new("texts", "must hold at least one text"));
        }
        Ok(())
    }
}

/// Embeds the texts of a request together with those of its neighbours.
///
/// A batch is closed when it holds as many texts as a call may, or when its first member has waited for the window. A
/// request is never divided: one that does not fit any more opens the next batch, and one that is larger than a
/// call may be makes a call by itself.
///
/// How many requests can come together is limited by the concurrency at which the stage is placed, which is the number of
/// texts in two calls unless set: one batch is gathered while another one is embedded.
pub(crate) struct BatchStage {
    embedder: Arc<dyn Embedder>,
    most: NonZeroUsize,
    window: Duration,
    /// The batch that takes members, which must not keep it alive.
    open: Mutex<Option<(Arc<Members>, WeakShared<Work>)>>,
}

/// What a batch comes to; each member takes what lies in its place.
type Outcome = Result<Arc<Mutex<Vec<Option<Vectors>>>>, Failure>;

/// What the members of a batch share.
type Work = BoxFuture<'static, Outcome>;

#[derive(Clone)]
enum Failure {
    Embedder(WorkerError),
    Panicked(Arc<str>),
}

#[derive(Default)]
struct Members {
    gathered: Mutex<Gathered>,
    closed: Notify,
}

#[derive(Default)]
struct Gathered {
    /// The texts by place; `None` of those who have left.
    texts: Vec<Option<Vec<String>>>,
    count: usize,
    closed: bool,
}

impl BatchStage {
    /// Gathers up to `most` texts for a call, for as long as `window`.
    pub(crate) fn new(embedder: Arc<dyn Embedder>, most: NonZeroUsize, window: Duration) -> Self {
        Self { embedder, most, window, open: Mutex::new(None) }
    }

    /// Joins the open batch, or opens one.
    fn join(&self, texts: Vec<String>) -> Seat {
        let mut open = lock(&self.open);
        let mut texts = Some(texts);
        let gathering = open.as_ref().and_then(|(members, work)| Some((members.clone(), work.upgrade()?)));
        if let Some((members, work)) = &gathering
            && let Some(place) = members.join(&mut texts, self.most.get())
        {
            return Seat { work: work.clone(), members: members.clone(), place };
        }
        let members = Arc::new(Members::default());
        let work = work(self.embedder.clone(), members.clone(), self.window).boxed().shared();
        let place = members.join(&mut texts, self.most.get()).expect("a batch takes its first member, however large");
        *open = work.downgrade().map(|work| (members.clone(), work));
        // Before `gathering`: should all others have left that batch meanwhile, the embedder's call is dropped with it.
        drop(open);
        Seat { work, members, place }
    }
}

impl Stage<Texts> for BatchStage {
    type Out = Vectors;
    type Error = WorkerError;

    async fn run(&self, _cx: &Context, Texts(texts): Texts) -> Result<Vectors, WorkerError> {
        let mut seat = self.join(texts);
        match (&mut seat.work).await {
            Ok(vectors) => Ok(lock(&vectors)[seat.place].take().expect("a place has one member, and it is seated")),
            Err(Failure::Embedder(error)) => Err(error),
            // Each member's own panic, as if it had called the embedder itself.
            Err(Failure::Panicked(message)) => resume_unwind(Box::new(message.to_string())),
        }
    }

    fn name(&self) -> &str {
        "embed"
    }

    /// Spawned, as an embedder may burn CPU.
    fn defaults(&self) -> StageConfig {
        StageConfig::new().spawned().concurrency(self.most.get().saturating_mul(2))
    }
}

/// What the members of a batch drive: waits until it is closed, makes the call, and lays out the vectors.
async fn work(embedder: Arc<dyn Embedder>, members: Arc<Members>, window: Duration) -> Outcome {
    // It makes no difference which of the two it is.
    drop(tokio::time::timeout(window, members.closed.notified()).await);
    let texts = members.close();
    let flat: Vec<&str> = texts.iter().flatten().flatten().map(String::as_str).collect();
    let called = AssertUnwindSafe(embedder.embed(&flat)).catch_unwind().await;
    let vectors = called.map_err(|panic| Failure::Panicked(message(&*panic)))?.map_err(Failure::Embedder)?;
    if vectors.len() != flat.len() {
        let problem = format!("{} vectors came back for {} texts", vectors.len(), flat.len());
        return Err(Failure::Embedder(WorkerError::new(WorkerErrorKind::Protocol, problem)));
    }
    let mut vectors = vectors.into_iter();
    let laid_out = texts.iter().map(|texts| texts.as_ref().map(|t| vectors.by_ref().take(t.len()).collect()));
    Ok(Arc::new(Mutex::new(laid_out.collect())))
}

impl Members {
    /// Takes the texts and returns their place; leaves them, and closes the batch, where they do not fit.
    fn join(&self, texts: &mut Option<Vec<String>>, most: usize) -> Option<usize> {
        let mut gathered = lock(&self.gathered);
        let more = texts.as_ref().map_or(0, Vec::len);
        if !gathered.closed && (gathered.count == 0 || gathered.count + more <= most) {
            gathered.count += more;
            gathered.texts.push(texts.take());
            // The others would not fit any more.
            gathered.closed = gathered.count >= most;
        } else {
            gathered.closed = true;
        }
        if gathered.closed {
            self.closed.notify_one();
        }
        texts.is_none().then(|| gathered.texts.len() - 1)
    }

    /// Takes out the texts of a member who leaves.
    fn leave(&self, place: usize) {
        let mut gathered = lock(&self.gathered);
        if let Some(texts) = gathered.texts.get_mut(place).and_then(Option::take) {
            gathered.count -= texts.len();
        }
    }

    /// Lets nobody in any more and takes the texts out.
    fn close(&self) -> Vec<Option<Vec<String>>> {
        let mut gathered = lock(&self.gathered);
        gathered.closed = true;
        std::mem::take(&mut gathered.texts)
    }
}

/// A member's place in its batch, which it leaves when this is dropped.
struct Seat {
    work: Shared<Work>,
    members: Arc<Members>,
    place: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.members.leave(self.place);
    }
}

fn message(panic: &(dyn Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
