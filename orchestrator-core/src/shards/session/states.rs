use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::runtime::permit::discard;
use crate::shards::SessionKey;
use crate::shards::session::store::{Session, Store};
use crate::shards::session::{InUse, Inside, SessionState};

/// The session state of a shard, which never leaves the shard's thread.
///
/// Nothing is borrowed while code of users runs: not while a closure has its state, and not while a state is dropped.
pub(crate) struct States {
    store: RefCell<Store>,
    inside: Arc<Inside>,
    /// Told when the first session keeps something.
    begun: Notify,
}

/// A state out of the store; dropped with a panic, it is forgotten.
struct Lent<'a, T: 'static> {
    states: &'a States,
    key: &'a SessionKey,
    /// `None` until there is one, and when it has been given back.
    state: Option<Box<T>>,
    done: bool,
}

impl States {
    pub(in crate::shards) fn new(limits: SessionState, inside: Arc<Inside>) -> Self {
        Self { store: RefCell::new(Store::new(limits)), inside, begun: Notify::new() }
    }

    /// Lends the session's state of type `T` to `with`, a new one where there is none.
    pub(crate) fn lend<T, R>(&self, key: &SessionKey, with: impl FnOnce(&mut T) -> R) -> Result<R, InUse>
    where
        T: Default + 'static,
    {
        let now = Instant::now();
        let was_empty = self.store.borrow().is_empty();
        let kept = self.store.borrow_mut().lend(key, TypeId::of::<T>(), now)?;
        let mut lent = Lent { states: self, key, state: kept.map(downcast), done: false };
        if was_empty {
            self.begun.notify_one();
        }
        self.drop_each(|store, inside| store.excess(now, inside));
        let result = with(lent.state.get_or_insert_default());
        lent.done = true;
        Ok(result)
    }

    /// Forgets sessions in time, for as long as it is polled. Sets no timer while no session keeps anything.
    pub(in crate::shards) async fn sweep(&self) {
        loop {
            let now = Instant::now();
            self.drop_each(|store, inside| store.expired(now, inside));
            let due = self.store.borrow().due();
            match due {
                Some(due) => sleep_until(due).await,
                None => self.begun.notified().await,
            }
        }
    }

    /// Forgets everything.
    pub(in crate::shards) fn clear(&self) {
        self.drop_each(|store, _| store.take_any());
    }

    /// Drops one session after the other that `take` takes out of the store.
    fn drop_each(&self, mut take: impl FnMut(&mut Store, &Inside) -> Option<Session>) {
        loop {
            let taken = take(&mut self.store.borrow_mut(), &self.inside);
            match taken {
                Some(session) => discard(session),
                None => return,
            }
        }
    }
}

fn downcast<T: 'static>(state: Box<dyn Any>) -> Box<T> {
    state.downcast().expect("a state is kept under its type")
}

impl<T: 'static> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        let of = TypeId::of::<T>();
        match self.state.take() {
            Some(state) if self.done => self.states.store.borrow_mut().give_back(self.key, of, state),
            spoilt => {
                self.states.store.borrow_mut().forget(self.key, of);
                discard(spoilt);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::request::RequestOptions;

    const DAY: Duration = Duration::from_secs(86_400);

    /// Sweeps for a day; tells how often something happened in it.
    async fn wakes_in_a_day(states: &States) -> usize {
        let mut polls: usize = 0;
        let mut sweep = pin!(states.sweep());
        let counted = poll_fn(|cx| {
            polls += 1;
            sweep.as_mut().poll(cx)
        });
        timeout(DAY, counted).await.expect_err("a sweep does not end");
        // Without the first poll, and the one at the end of the day.
        polls - 2
    }

    #[tokio::test(start_paused = true)]
    async fn a_sweep_sets_a_timer_only_while_something_is_kept() {
        let states = States::new(SessionState::new(), Arc::default());
        assert_eq!(wakes_in_a_day(&states).await, 0);
        let key = SessionKey::of(&RequestOptions::new().session("anna")).expect("it has one");
        states.lend(&key, |number: &mut u64| *number += 1).expect("nobody else has it");
        // Told that there is something now; then at its end; and then no more.
        assert_eq!(wakes_in_a_day(&states).await, 1);
        assert!(states.store.borrow().is_empty());
        assert_eq!(wakes_in_a_day(&states).await, 0);
    }
}
