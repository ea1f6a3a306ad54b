use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::error::{Error, ErrorKind};
use crate::queue::NEVER;
use crate::runtime::cell::{Cell, Ending, lock};
use crate::runtime::clock::later;
use crate::runtime::shared::Shared;
use crate::stats::Publisher;

/// How often metrics are passed on.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// The token streams of a pipeline that are alive, and whose time limits no stage looks after any more.
pub(crate) struct Watch {
    list: Mutex<List>,
    changed: Notify,
    /// Nothing more is let in: the keeper ends with the last request.
    closed: AtomicBool,
}

#[derive(Default)]
struct List {
    entries: Vec<Option<Arc<dyn Watched>>>,
    free: Vec<usize>,
    /// When to look through the list again.
    bound: u64,
}

/// A stream that somebody reads, or should.
pub(crate) trait Watched: Send + Sync {
    fn cell(&self) -> &Arc<Cell>;

    /// When the reader would have left alone for too long what it could read; [`NEVER`] while it waits for the worker.
    fn stalled_at(&self, now: u64) -> u64;

    /// How long that takes from now at least, should the reader begin to stall right now.
    fn patience(&self) -> Duration;

    /// Drops the stream after its request was ended from here.
    fn cut(&self);
}

/// Keeps a stream on the list.
pub(crate) struct Watching {
    cell: Arc<Cell>,
    number: usize,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.cell.shared.watch.remove(self.number);
    }
}

impl Watch {
    pub(crate) fn new() -> Self {
        let list = List { bound: NEVER, ..List::default() };
        Self { list: Mutex::new(list), changed: Notify::new(), closed: AtomicBool::new(false) }
    }

    /// Looks after a stream until what this returns is dropped.
    pub(crate) fn add<W: Watched + 'static>(stream: &Arc<W>, now: u64) -> Watching {
        let cell = stream.cell().clone();
        let number = cell.shared.watch.insert(stream.clone(), now);
        if cell.shared.is_killed() {
            // It came behind the drain's look through the list.
            cell.end(Ending::Cancelled);
            stream.cut();
        }
        Watching { cell, number }
    }

    fn insert(&self, stream: Arc<dyn Watched>, now: u64) -> usize {
        let bound = stream.cell().deadline.min(later(now, stream.patience()));
        let mut list = lock(&self.list);
        let earlier = bound < list.bound;
        list.bound = list.bound.min(bound);
        let number = list.free.pop().unwrap_or_else(|| {
            list.entries.push(None);
            list.entries.len() - 1
        });
        list.entries[number] = Some(stream);
        drop(list);
        if earlier {
            self.changed.notify_one();
        }
        number
    }

    fn remove(&self, number: usize) {
        let mut list = lock(&self.list);
        let removed = list.entries[number].take();
        if removed.is_some() {
            list.free.push(number);
        }
        drop(list);
        drop(removed);
    }

    /// Has the keeper end as soon as no request is left.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Has the keeper look again.
    pub(crate) fn look(&self) {
        self.changed.notify_one();
    }

    /// The streams that are alive.
    fn streams(&self) -> Vec<Arc<dyn Watched>> {
        lock(&self.list).entries.iter().flatten().cloned().collect()
    }

    fn bound(&self) -> u64 {
        lock(&self.list).bound
    }

    /// Ends every stream that has run out of time.
    fn expire(&self, now: u64) {
        if self.bound() > now {
            return;
        }
        // New streams lower it again while we look.
        lock(&self.list).bound = NEVER;
        let mut bound = NEVER;
        for stream in self.streams() {
            match overdue(&*stream, now) {
                Ok(next) => bound = bound.min(next),
                Err(ending) => {
                    stream.cell().end(ending);
                    stream.cut();
                }
            }
        }
        let mut list = lock(&self.list);
        list.bound = list.bound.min(bound);
    }

    /// Ends every stream as cancelled.
    pub(crate) fn cancel_all(&self) {
        for stream in self.streams() {
            stream.cell().end(Ending::Cancelled);
            stream.cut();
        }
    }
}

/// How a stream is to be ended, or when to look at it again.
fn overdue(stream: &dyn Watched, now: u64) -> Result<u64, Ending> {
    let cell = stream.cell();
    if cell.is_settled() {
        // Over, and still here: its reader does not poll it any more.
        return Err(Ending::Cancelled);
    }
    if cell.deadline <= now {
        let error = Error::plain(ErrorKind::Deadline, Some(cell.stage_name()));
        return Err(Ending::Failed(error));
    }
    if cell.is_detached() {
        return Ok(cell.deadline);
    }
    let stalled_at = stream.stalled_at(now);
    if stalled_at <= now {
        return Err(Ending::Stalled);
    }
    Ok(cell.deadline.min(stalled_at).min(later(now, stream.patience())))
}

/// Looks after the streams of a pipeline and passes its metrics on, until the pipeline is over.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let _last = Last(shared.clone());
    let mut publisher = Publisher::new(&shared);
    let mut publish_at = shared.clock.now();
    loop {
        let now = shared.clock.now();
        shared.watch.expire(now);
        if publish_at <= now {
            publisher.publish(&shared);
            publish_at = later(now, PUBLISH_EVERY);
        }
        // A stream that has ended may lie with a reader for as long as that likes; only requests are waited for.
        if shared.watch.closed.load(Ordering::Acquire) && shared.in_flight() == 0 {
            publisher.publish(&shared);
            return;
        }
        let next = publish_at.min(shared.watch.bound());
        if let Some(at) = shared.clock.instant(next) {
            // Either way the loop looks again.
            drop(timeout_at(at, shared.watch.changed.notified()).await);
        }
    }
}

/// Ends with the keeper: because the pipeline is over, or because its runtime stops. Then nobody looks after the streams
/// any more, and one that its caller pulls would not even notice.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        // Before the look through the list, so that a stream that comes behind it is ended too.
        self.0.killed.store(true, Ordering::SeqCst);
        self.0.watch.cancel_all();
    }
}
