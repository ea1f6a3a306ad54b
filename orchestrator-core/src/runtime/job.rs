use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use crate::context::Context;
use crate::queue::{Entry, Key};
use crate::runtime::cell::Cell;
use crate::runtime::permit::{Place, Unit};

/// The one owner of a request inside the pipeline: dropping it ends the request.
#[derive(Debug)]
pub(crate) struct Guard(Context);

impl Guard {
    pub(crate) const fn new(cx: Context) -> Self {
        Self(cx)
    }

    pub(crate) const fn context(&self) -> &Context {
        &self.0
    }

    pub(crate) fn cell(&self) -> &Arc<Cell> {
        self.0.cell()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.0.cell().is_settled() && !self.0.cell().is_delivered() {
            self.0.cell().end(self.0.cell().given_up());
        }
        self.0.cell().unbook();
        // A run that was dropped with its segment has not given its unit back, and the caller may keep the cell.
        drop(self.0.cell().end_run());
    }
}

/// A payload in a box that it can be taken out of and put back into, so that stages of the same type reuse it.
pub(crate) type Parcel<T> = Box<Option<T>>;

/// Makes the box of one payload the box of the next one, a new one where the types differ.
pub(crate) fn reuse<T: 'static, U: 'static>(parcel: Parcel<T>) -> Parcel<U> {
    let mut parcel = Some(parcel);
    (&mut parcel as &mut dyn Any).downcast_mut::<Option<Parcel<U>>>().and_then(Option::take).unwrap_or_default()
}

/// A request as it lies in a queue: two words.
#[derive(Debug)]
pub(crate) struct Job<T> {
    pub(crate) guard: Guard,
    pub(crate) parcel: Parcel<T>,
}

impl<T> Entry for Job<T> {
    fn lane(&self) -> usize {
        usize::from(self.guard.cell().lane)
    }

    fn deadline(&self) -> u64 {
        self.guard.cell().deadline
    }

    fn since(&self) -> u64 {
        self.guard.cell().since.load(Ordering::Relaxed)
    }

    fn flow(&self) -> u32 {
        self.guard.cell().flow()
    }

    fn is_dead(&self) -> bool {
        self.guard.cell().is_settled()
    }

    fn placed(&self, queue: u32, key: Key) {
        self.guard.cell().place.store(u64::from(queue) << 32 | u64::from(key), Ordering::Release);
    }

    fn admitted(&self) {
        self.guard.cell().mark_admitted();
    }
}

/// Who waits for an entry to be admitted, or what it keeps until then.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A caller at the door.
    Caller(Waker),
    /// An output that keeps its place in the stage before; dropping it gives the place back.
    Place { _place: Place },
    /// The same for an output whose place has other holders too.
    Unit { _unit: Arc<Unit> },
}

impl Waiter {
    /// Wakes the caller, or gives the place back.
    pub(crate) fn release(self) {
        if let Self::Caller(waker) = self {
            waker.wake();
        }
    }
}
