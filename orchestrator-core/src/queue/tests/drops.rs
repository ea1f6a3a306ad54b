//! What is dropped on its way out: what has expired, and what came too late.

use std::collections::VecDeque;

use super::rig::{Bell, Item, Rig, ids, plain};
use crate::queue::{CoDelTicks, NEVER, Rules, Take};
use crate::stage::ShedPolicy::{Backpressure, DropOldest};

const LONGEST: Rules = Rules { max_wait: 10, ..plain(8) };
const CODEL: Rules = Rules { codel: Some(CoDelTicks { target: 5, interval: 20 }), ..plain(8) };

fn push(rig: &mut Rig, id: u32, since: u64) -> Item {
    let item = Item::pushed_at(since, 0, id, 1, NEVER);
    rig.push(&item, Backpressure);
    item
}

fn at(now: u64, limit: usize) -> Take {
    Take { now, ..Take::up_to(limit) }
}

#[test]
fn an_admitted_entry_expires_at_the_nearer_of_its_deadline_and_the_longest_wait() {
    let mut rig = Rig::ruled(LONGEST);
    for (id, deadline) in [(0, NEVER), (1, 14), (2, 12)] {
        rig.push(&Item::pushed_at(3, 0, id, 1, deadline), Backpressure);
    }
    let (_, waker) = Bell::new();
    for (now, expired, bound) in [(11, vec![], 12), (12, vec![2], 13), (13, vec![0, 1], NEVER)] {
        rig.expire(now);
        assert_eq!(ids(rig.effects.expired.drain(..)), expired);
        assert_eq!(rig.park(&waker, true).bound, bound);
    }
}

#[test]
fn a_parked_consumer_hears_of_a_longest_wait_that_ends_before_its_bound() {
    let mut rig = Rig::ruled(LONGEST);
    let (bell, waker) = Bell::new();
    rig.push(&Item::pushed_at(0, 0, 0, 1, 9), Backpressure);
    assert_eq!(rig.park(&waker, false).bound, 9);
    push(&mut rig, 1, 0);
    rig.effects.wake();
    assert_eq!(bell.rings(), 0);
    rig.expire(9);
    assert_eq!(rig.park(&waker, false).bound, 10);
}

#[test]
fn the_longest_wait_means_nothing_to_what_waits_for_room_until_it_moves_up() {
    let mut rig = Rig::ruled(Rules { depth: 1, ..LONGEST });
    let first = push(&mut rig, 0, 4);
    push(&mut rig, 1, 0);
    push(&mut rig, 2, 5);
    rig.expire(13);
    assert_eq!((rig.effects.expired.len(), rig.admitted()), (0, 1));
    let (bell, waker) = Bell::new();
    assert_eq!(rig.park(&waker, false).bound, 14);
    assert!(rig.remove(&first));
    rig.effects.wake();
    assert_eq!(bell.rings(), 1, "the one that moved up has waited since 0");
    assert_eq!(rig.park(&waker, false).bound, 10);
    rig.expire(13);
    assert_eq!(ids(rig.effects.expired.drain(..)), [1]);
    assert_eq!(rig.effects.tickets, [2]);
    assert_eq!(rig.park(&waker, false).bound, 15);
}

#[test]
fn what_moves_up_too_late_is_admitted_and_expired_at_once() {
    let mut rig = Rig::ruled(Rules { depth: 1, ..LONGEST });
    let items = [(0, 9), (1, 0), (2, 1), (3, 9)].map(|(id, since)| push(&mut rig, id, since));
    rig.expire(19);
    assert_eq!(ids(rig.effects.expired.drain(..)), [0, 1, 2, 3]);
    assert_eq!(rig.effects.tickets, [1, 2, 3]);
    assert!(items.iter().all(|item| item.0.admissions.get() == 1));
    assert_eq!(rig.queue.depth().admitted_ever, 4);
}

#[test]
fn a_pop_hands_out_nothing_that_has_expired_and_does_not_count_it() {
    let mut rig = Rig::ruled(LONGEST);
    for (id, since, deadline) in [(0, 5, 20), (1, 5, 12), (2, 5, 13), (3, 2, NEVER), (4, 5, NEVER), (5, 5, NEVER)] {
        rig.push(&Item::pushed_at(since, 0, id, 1, deadline), Backpressure);
    }
    assert_eq!(rig.pop_at(12, 2), [0, 2]);
    assert_eq!(ids(rig.effects.expired.drain(..)), [1]);
    assert_eq!(rig.pop_at(12, 1), [4]);
    assert_eq!(ids(rig.effects.expired.drain(..)), [3]);
    assert_eq!(rig.admitted(), 1);
}

#[test]
fn a_deadline_that_passed_before_an_entry_moved_up_is_one_of_the_door() {
    let mut rig = Rig::new(1);
    for (id, deadline) in [(0, NEVER), (1, 7), (2, 8)] {
        rig.push(&Item::new(id, 1, deadline), Backpressure);
    }
    assert_eq!(rig.pop_at(7, 1), [0]);
    assert_eq!(ids(rig.effects.expired_waiting.drain(..)), [1]);
    assert_eq!(rig.effects.tickets, [1, 2]);
    assert_eq!((rig.admitted(), rig.queue.depth().admitted_ever), (1, 2));
}

#[test]
fn a_standing_queue_is_cut_down_to_what_has_not_waited_for_long() {
    let mut rig = Rig::ruled(CODEL);
    for (id, since) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 20), (5, 20)] {
        push(&mut rig, id, since);
    }
    assert_eq!(rig.pop_at(6, 1), [0]);
    assert_eq!(rig.pop_at(25, 1), [1]);
    assert_eq!(rig.effects.late.len(), 0);
    assert!(rig.pop_at(26, 1).is_empty());
    assert!(!rig.effects.is_quiet());
    assert_eq!(ids(rig.effects.late.drain(..)), [2, 3, 4, 5], "also the last one");
    // An empty queue: it begins anew.
    push(&mut rig, 6, 20);
    assert_eq!(rig.pop_at(27, 1), [6]);
}

#[test]
fn drops_end_with_the_first_entry_that_has_not_waited_for_long() {
    let mut rig = Rig::ruled(CODEL);
    for (id, since) in [(0, 0), (1, 1), (2, 21), (3, 2), (4, 26)] {
        push(&mut rig, id, since);
    }
    assert_eq!(rig.pop_at(6, 1), [0]);
    assert_eq!(rig.pop_at(26, 2), [2, 3]);
    assert_eq!(ids(rig.effects.late.drain(..)), [1]);
    assert_eq!(rig.admitted(), 1);
}

#[test]
fn a_queue_that_was_emptied_by_removal_stands_no_longer() {
    let mut rig = Rig::ruled(CODEL);
    push(&mut rig, 0, 0);
    let removed = push(&mut rig, 1, 0);
    assert_eq!(rig.pop_at(6, 1), [0]);
    assert!(rig.remove(&removed));
    push(&mut rig, 2, 6);
    assert_eq!(rig.pop_at(30, 1), [2]);
}

#[test]
fn a_pop_that_only_drops_goes_on_with_what_moves_up() {
    let mut rig = Rig::ruled(Rules { depth: 2, ..LONGEST });
    for (id, since) in [(0, 0), (1, 0), (2, 0), (3, 5), (4, 5)] {
        push(&mut rig, id, since);
    }
    let (bell, waker) = Bell::new();
    let (popped, result) = rig.take(at(10, 8), Some((&waker, true)));
    assert_eq!((popped, result.count), (vec![3, 4], 2));
    assert_eq!(ids(rig.effects.expired.drain(..)), [0, 1, 2]);
    push(&mut rig, 5, 10);
    rig.effects.wake();
    assert_eq!(bell.rings(), 0, "a consumer that was given something is awake");
}

#[test]
fn a_pop_that_drops_all_there_is_keeps_the_waker() {
    let mut rig = Rig::ruled(LONGEST);
    push(&mut rig, 0, 0);
    let (bell, waker) = Bell::new();
    let (_, result) = rig.take(at(10, 8), Some((&waker, true)));
    assert_eq!((result.count, result.too_little, result.finished), (0, false, false));
    push(&mut rig, 1, 10);
    rig.effects.wake();
    assert_eq!(bell.rings(), 1);
}

#[test]
fn a_closed_queue_is_finished_by_a_pop_that_drops_the_last_entry() {
    let mut rig = Rig::ruled(LONGEST);
    push(&mut rig, 0, 0);
    rig.close();
    assert!(rig.take(at(10, 8), None).1.finished);
}

#[test]
fn too_little_is_said_of_what_moved_up_too() {
    let mut rig = Rig::ruled(Rules { depth: 2, ..LONGEST });
    for (id, since) in [(0, 0), (1, 0), (2, 5)] {
        push(&mut rig, id, since);
    }
    let (bell, waker) = Bell::new();
    let mut out = VecDeque::new();
    let take = Take { least: 2, ..at(10, 8) };
    let popped = rig.queue.pop(take, &mut out, Some((&waker, true)), &mut rig.effects, None);
    assert_eq!((popped.count, popped.too_little), (0, true));
    assert_eq!((rig.effects.expired.len(), rig.admitted()), (2, 1));
    push(&mut rig, 3, 10);
    rig.effects.wake();
    assert_eq!(bell.rings(), 0, "no waker is kept");
}

#[test]
fn a_queue_whose_only_entry_makes_room_for_another_was_not_empty() {
    let mut rig = Rig::ruled(Rules { depth: 1, ..CODEL });
    push(&mut rig, 0, 0);
    push(&mut rig, 1, 0);
    assert_eq!(rig.pop_at(6, 1), [0]);
    rig.push(&Item::pushed_at(6, 0, 2, 1, NEVER), DropOldest);
    assert_eq!(ids(rig.effects.evicted.drain(..)), [1]);
    assert!(rig.pop_at(26, 1).is_empty());
}
