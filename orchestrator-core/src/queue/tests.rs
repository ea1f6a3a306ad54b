//! What the queue does, one behaviour at a time; `random` compares it with a plain one over random histories.

mod aging;
mod drops;
mod model;
mod random;
mod rig;
mod turns;

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::task::Waker;

use super::*;
use crate::stage::ShedPolicy;
use ShedPolicy::{Backpressure, DropOldest, RejectNew};
use rig::{Bell, Item, QUEUE, Rig, ids, plain};

#[test]
fn a_higher_class_is_popped_first_and_within_a_class_the_oldest() {
    let mut rig = Rig::new(6);
    for (id, lane) in [(0, 2), (1, 0), (2, 1), (3, 2), (4, 0), (5, 1)] {
        rig.push_new(id, lane, Backpressure);
    }
    assert_eq!(rig.pop(1, 3), [1]);
    assert_eq!(rig.pop(9, 3), [4, 2, 5, 0, 3]);
}

#[test]
fn a_pop_of_some_lanes_leaves_the_others_alone() {
    let mut rig = Rig::new(4);
    for (id, lane) in [(0, 2), (1, 1), (2, 0)] {
        rig.push_new(id, lane, Backpressure);
    }
    assert_eq!([0, 1, 2, 3, 9].map(|lanes| rig.queue.ready(lanes)), [0, 1, 2, 3, 3]);
    assert!(rig.pop(9, 0).is_empty());
    assert_eq!(rig.pop(9, 2), [2, 1]);
    assert_eq!(rig.queue.ready(2), 0);
    assert_eq!(rig.admitted(), 1);
}

#[test]
fn what_waits_moves_up_by_itself_the_highest_class_first() {
    let mut rig = Rig::new(1);
    for (id, lane) in [(0, 0), (1, 2), (2, 1), (3, 2), (4, 1)] {
        rig.push_new(id, lane, Backpressure);
    }
    for (popped, admitted) in [(0, 2), (2, 4), (4, 1), (1, 3)] {
        assert_eq!(rig.pop(1, 3), [popped]);
        assert_eq!(rig.effects.tickets, [admitted]);
    }
    assert_eq!(rig.pop(1, 3), [3]);
    assert_eq!(rig.queue.depth().admitted_ever, 5);
}

#[test]
fn a_newcomer_does_not_overtake_what_waits() {
    let (mut rig, _) = Rig::filled(1, 1);
    assert!(matches!(rig.push_new(8, 0, RejectNew), Pushed::Full(item) if item.id() == 8));
    assert!(matches!(rig.push_new(9, 1, Backpressure), Pushed::Waiting(_)));
    assert_eq!(rig.pop(1, 3), [0]);
    assert_eq!(rig.pop(1, 3), [1]);
    assert_eq!(rig.pop(1, 3), [9]);
}

#[test]
fn drop_oldest_evicts_the_oldest_of_the_lowest_class_but_nothing_above_the_newcomer() {
    let mut rig = Rig::new(3);
    for (id, lane) in [(0, 0), (1, 1), (2, 1)] {
        rig.push_new(id, lane, DropOldest);
    }
    assert!(matches!(rig.push_new(3, 2, DropOldest), Pushed::Full(_)));
    assert!(matches!(rig.push_new(4, 1, DropOldest), Pushed::Admitted));
    assert_eq!(ids(rig.effects.evicted.drain(..)), [1]);
    assert_eq!(rig.pop(9, 3), [0, 2, 4]);
}

#[test]
fn push_all_sorts_what_was_not_let_in() {
    let mut rig = Rig::new(1);
    let dead = Item::new(1, 1, NEVER);
    dead.0.dead.set(true);
    let mut items = vec![Item::new(0, 1, NEVER), dead, Item::new(2, 1, NEVER), Item::new(3, 0, NEVER)];
    rig.queue.push_all(&mut items, RejectNew, Item::id, &mut rig.effects);
    assert!(items.is_empty());
    assert_eq!(ids(rig.effects.dead.drain(..)), [1]);
    assert_eq!(ids(rig.effects.rejected.drain(..)), [2, 3]);
    rig.close();
    rig.queue.push_all(&mut vec![Item::new(4, 0, NEVER)], RejectNew, Item::id, &mut rig.effects);
    assert_eq!(ids(rig.effects.dead.drain(..)), [4]);
    assert_eq!(rig.pop(9, 3), [0]);
}

#[test]
fn a_removed_entry_makes_room_and_a_stale_key_removes_nothing() {
    let (mut rig, items) = Rig::filled(2, 2);
    assert!(rig.remove(&items[2]), "it waits");
    assert_eq!(rig.effects.tickets, [2]);
    assert!(rig.remove(&items[0]), "it is admitted");
    assert_eq!(rig.effects.tickets, [3]);
    assert!(!rig.remove(&items[0]));
    rig.push_new(9, 1, Backpressure);
    assert!(!rig.remove(&items[0]), "its key is another entry's by now");
    assert_eq!(rig.pop(9, 3), [1, 3]);
}

#[test]
fn an_entry_given_up_while_it_waits_is_not_admitted() {
    let (mut rig, items) = Rig::filled(1, 2);
    items[1].0.dead.set(true);
    assert_eq!(rig.pop(1, 3), [0]);
    assert_eq!(ids(rig.effects.dead.drain(..)), [1]);
    assert_eq!(rig.effects.tickets, [1, 2]);
    assert_eq!(items[1].0.admissions.get(), 0);
    assert_eq!(rig.queue.depth().admitted_ever, 2);
    assert_eq!(rig.pop(1, 3), [2]);
}

#[test]
fn a_ticket_is_replaced_only_while_its_entry_waits() {
    let (mut rig, items) = Rig::filled(1, 1);
    let replace = |rig: &Rig, item: &Item, ticket| rig.queue.replace_ticket(item.key(), |i| i.is(item), ticket);
    assert!(replace(&rig, &items[1], 70));
    assert!(!replace(&rig, &items[0], 71), "it is admitted");
    assert_eq!(rig.pop(1, 3), [0]);
    assert_eq!(rig.effects.tickets, [70]);
    assert!(!replace(&rig, &items[1], 72), "it was admitted meanwhile");
    assert!(!replace(&rig, &items[0], 73), "it has left");
}

#[test]
fn expiry_takes_what_is_due_and_raises_the_bound_to_what_is_left() {
    let mut rig = Rig::new(2);
    for (id, deadline) in [(0, 10), (1, 30), (2, 20), (3, NEVER)] {
        rig.push(&Item::new(id, 1, deadline), Backpressure);
    }
    let bound = |rig: &mut Rig| rig.park(Waker::noop(), true).bound;
    assert_eq!(bound(&mut rig), 10);
    rig.expire(9);
    assert_eq!((rig.admitted(), bound(&mut rig)), (2, 10));
    rig.expire(20);
    assert_eq!(ids(rig.effects.expired.drain(..)), [0]);
    assert_eq!(ids(rig.effects.expired_waiting.drain(..)), [2]);
    rig.effects.tickets.sort_unstable();
    assert_eq!(rig.effects.tickets, [2, 3]);
    assert_eq!(bound(&mut rig), 30);
    assert_eq!(rig.pop(9, 3), [1, 3]);
}

#[test]
fn a_closed_queue_hands_out_what_it_has_and_then_is_finished() {
    let (mut rig, items) = Rig::filled(1, 1);
    rig.close();
    assert!(matches!(rig.push_new(9, 0, DropOldest), Pushed::Closed(_)));
    let (bell, waker) = Bell::new();
    assert!(!rig.park(&waker, true).finished);
    assert_eq!(rig.pop(1, 3), [0]);
    assert!(rig.remove(&items[1]));
    rig.effects.wake();
    assert_eq!(bell.rings(), 1, "nobody else tells the consumer that nothing is left");
    assert!(rig.park(&waker, true).finished);
}

#[test]
fn an_entry_keeps_note_of_its_place_and_is_admitted_once() {
    let (mut rig, items) = Rig::filled(1, 1);
    assert_eq!(items.iter().map(|i| i.0.admissions.get()).collect::<Vec<_>>(), [1, 0]);
    assert_ne!(items[0].key(), items[1].key());
    rig.pop(1, 3);
    assert_eq!(items[1].0.admissions.get(), 1);
    assert!(items.iter().all(|i| i.0.place.get().is_some_and(|(queue, _)| queue == QUEUE)));
}

#[test]
fn take_all_leaves_nothing_and_wakes_the_consumer() {
    let (mut rig, _) = Rig::filled(2, 1);
    let (bell, waker) = Bell::new();
    rig.park(&waker, false);
    rig.queue.take_all(&mut rig.effects);
    rig.effects.wake();
    assert_eq!(bell.rings(), 1);
    assert_eq!(rig.effects.dead.len(), 3);
    assert_eq!(rig.effects.tickets, [2]);
    assert!(rig.pop(9, 3).is_empty());
}

#[test]
fn closing_and_emptying_at_once_still_wakes_the_consumer() {
    for empty in [Queue::take_waiting, Queue::take_all] {
        let mut rig = Rig::new(1);
        let (bell, waker) = Bell::new();
        rig.park(&waker, true);
        rig.close();
        empty(&rig.queue, &mut rig.effects);
        rig.effects.wake();
        assert_eq!(bell.rings(), 1);
    }
}

#[test]
fn a_hungry_consumer_hears_of_entries_any_other_only_of_an_earlier_deadline() {
    for (hungry, deadline, rings) in [(true, NEVER, 1), (false, NEVER, 0), (false, 50, 0), (false, 49, 1)] {
        let mut rig = Rig::new(4);
        rig.push(&Item::new(0, 1, 50), Backpressure);
        let (bell, waker) = Bell::new();
        assert_eq!(rig.park(&waker, hungry).bound, 50);
        rig.push(&Item::new(1, 1, deadline), Backpressure);
        rig.effects.wake();
        assert_eq!(bell.rings(), rings, "hungry: {hungry}, deadline: {deadline}");
    }
}

#[test]
fn a_hungry_consumer_hears_of_what_moves_up_after_a_removal() {
    let mut rig = Rig::new(1);
    let low = Item::new(0, 2, NEVER);
    rig.push(&low, Backpressure);
    rig.push_new(1, 0, Backpressure);
    let (bell, waker) = Bell::new();
    assert_eq!(rig.take(Take { lanes: 2, ..Take::up_to(1) }, Some((&waker, true))).1.count, 0);
    assert!(rig.remove(&low));
    rig.effects.wake();
    assert_eq!(bell.rings(), 1);
    assert_eq!(rig.pop(1, 2), [1]);
}

#[test]
fn the_slab_is_no_larger_than_the_most_that_was_ever_inside() {
    let (mut rig, items) = Rig::filled(2, 3);
    for round in 0..100 {
        rig.pop(1, 3);
        rig.push_new(100 + round, 0, DropOldest);
        rig.remove(&items[4]);
        rig.push_new(200 + round, 2, Backpressure);
    }
    assert_eq!(rig.queue.lock().slab.keys(), 5);
}

#[test]
fn all_that_a_queue_keeps_beside_its_entries_lies_in_two_lines() {
    assert_eq!(size_of::<Queue<Item, u32>>(), 2 * align_of::<Queue<Item, u32>>());
}

/// A ticket that notes, when it is dropped, whether the queue's lock is free.
struct Probe(Weak<Queue<Item, Self>>, Rc<Cell<u32>>);

impl Drop for Probe {
    fn drop(&mut self) {
        if self.0.upgrade().is_some_and(|queue| queue.inner.try_lock().is_ok()) {
            self.1.set(self.1.get() + 1);
        }
    }
}

#[test]
fn no_ticket_is_dropped_under_the_lock() {
    let queue = Rc::new(Queue::new(QUEUE, plain(1)));
    let dropped = Rc::new(Cell::new(0));
    let probe = || Probe(Rc::downgrade(&queue), dropped.clone());
    let mut wake = None;
    let items = [0, 1].map(|id| Item::new(id, 1, NEVER));
    for item in &items {
        queue.push(item.clone(), Backpressure, |_| probe(), &mut wake);
    }
    assert!(queue.replace_ticket(items[1].key(), |i| i.is(&items[1]), probe()));
    assert_eq!(dropped.get(), 1, "the one that was replaced");
    assert!(!queue.replace_ticket(items[0].key(), |i| i.is(&items[0]), probe()));
    assert_eq!(dropped.get(), 2, "the one that came too late");
}
