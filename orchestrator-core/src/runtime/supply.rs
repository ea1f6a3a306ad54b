use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::worker::{Slot, Slots};

/// Slots taken from the server before the requests for them leave the queue.
pub(crate) struct SlotSupply {
    slots: Slots,
    /// As many as there are popped requests that have not started.
    pub(crate) ready: Vec<Slot>,
    /// A place in the line for the next slot, while something is queued and none is free.
    next: Option<Pin<Box<dyn Future<Output = Slot> + Send>>>,
}

impl SlotSupply {
    pub(crate) fn new(slots: Slots) -> Self {
        Self { slots, ready: Vec::new(), next: None }
    }

    /// Brings the number of slots at hand to `wanted` as far as they are free, and returns it.
    pub(crate) fn supply(&mut self, wanted: usize, cx: &mut Context<'_>) -> usize {
        self.ready.truncate(wanted);
        if wanted == 0 {
            self.next = None;
        }
        while self.ready.len() < wanted {
            let next = self.next.get_or_insert_with(|| {
                let slots = self.slots.clone();
                Box::pin(async move { slots.acquire().await })
            });
            let Poll::Ready(slot) = next.as_mut().poll(cx) else { break };
            self.next = None;
            self.ready.push(slot);
        }
        self.ready.len()
    }
}
