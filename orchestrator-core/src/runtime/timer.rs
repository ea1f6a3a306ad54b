use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use tokio::time::{Sleep, sleep_until};

use crate::queue::NEVER;
use crate::runtime::clock::Clock;

/// One timer, set to the earliest of all time limits.
#[derive(Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    set_to: u64,
}

impl Timer {
    /// Has the task woken at `bound`. Whether that has come the task sees by its clock.
    pub(crate) fn set(&mut self, bound: u64, clock: Clock, cx: &mut Context<'_>) {
        if self.set_to == bound && self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed()) {
            // Set and polled before, by this same task.
            return;
        }
        let Some(instant) = clock.instant(bound) else { return };
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(instant);
                sleep
            }
            none => none.insert(Box::pin(sleep_until(instant))),
        };
        self.set_to = bound;
        if sleep.as_mut().poll(cx).is_ready() {
            self.set_to = NEVER;
            cx.waker().wake_by_ref();
        }
    }
}
