//! Tenants that take turns.

use super::rig::{Item, Rig, Script, ids};
use crate::queue::{Effects, NEVER, Take};
use crate::stage::ShedPolicy::{Backpressure, DropOldest};

/// A queue of as many entries, numbered from 0, of these flows, in the middle lane.
fn rig(flows: &[u32]) -> (Rig, Vec<Item>) {
    let mut rig = Rig::new(flows.len());
    let items: Vec<_> = (0..).zip(flows).map(|(id, flow)| Item::pushed_at(0, *flow, id, 1, NEVER)).collect();
    items.iter().for_each(|item| drop(rig.push(item, Backpressure)));
    (rig, items)
}

fn push(rig: &mut Rig, id: u32, flow: u32, lane: usize) {
    rig.push(&Item::pushed_at(0, flow, id, lane, NEVER), Backpressure);
}

#[test]
fn flows_leave_by_turns_and_each_in_order_of_arrival() {
    let (mut rig, _) = rig(&[5, 5, 9, 5, 9, 2]);
    let mut turns = Script::new([1, 0, 2, 0, 1]);
    assert_eq!(rig.pop_in_turns(9, &mut turns), [2, 0, 5, 1, 4, 3]);
    assert_eq!(turns.asked, [vec![5, 9, 2], vec![5, 9, 2], vec![5, 9, 2], vec![5, 9], vec![5, 9]]);
    assert_eq!(turns.served, [2, 0, 5, 1, 4, 3]);
}

#[test]
fn nobody_is_asked_where_one_flow_is_alone_in_its_lane() {
    let mut rig = Rig::new(4);
    for (id, flow, lane) in [(0, 1, 1), (1, 2, 0), (2, 1, 1), (3, 3, 2)] {
        push(&mut rig, id, flow, lane);
    }
    let mut turns = Script::new([0]);
    assert_eq!(rig.pop_in_turns(9, &mut turns), [1, 0, 2, 3]);
    assert!(turns.asked.is_empty());
    assert_eq!(turns.served, [1, 0, 2, 3]);
}

#[test]
fn turns_are_taken_within_a_class_only() {
    let mut rig = Rig::new(5);
    for (id, flow, lane) in [(0, 1, 1), (1, 2, 1), (2, 3, 0), (3, 4, 0), (4, 5, 2)] {
        push(&mut rig, id, flow, lane);
    }
    let mut turns = Script::new([1]);
    assert_eq!(rig.pop_in_turns(9, &mut turns), [3, 2, 1, 0, 4]);
    assert_eq!(turns.asked, [[3, 4], [1, 2]]);
}

#[test]
fn without_turns_entries_leave_in_order_of_arrival_and_turns_go_on_afterwards() {
    let (mut rig, _) = rig(&[1, 2, 2, 1, 3, 2]);
    let mut turns = Script::new([1]);
    assert_eq!(rig.pop(1, 3), [0]);
    assert_eq!(rig.pop_in_turns(1, &mut turns), [3]);
    assert_eq!(rig.pop(1, 3), [1]);
    push(&mut rig, 6, 1, 1);
    assert_eq!(rig.pop_in_turns(9, &mut turns), [4, 6, 2, 5]);
    assert_eq!(turns.asked, [vec![2, 1, 3], vec![2, 3, 1], vec![2, 1]]);
}

#[test]
fn a_flow_that_had_left_comes_last() {
    let (mut rig, _) = rig(&[1, 2, 3]);
    let mut turns = Script::new([0, 2]);
    assert_eq!(rig.pop_in_turns(1, &mut turns), [0]);
    push(&mut rig, 3, 1, 1);
    assert_eq!(rig.pop_in_turns(1, &mut turns), [3]);
    assert_eq!(turns.asked, [[1, 2, 3], [2, 3, 1]]);
}

#[test]
fn a_removal_anywhere_in_a_flow_leaves_the_others_in_order() {
    for removed in 0..6 {
        let (mut rig, items) = rig(&[1, 2, 1, 2, 1, 3]);
        let mut turns = Script::new([0]);
        rig.queue.pop(Take::up_to(0), &mut [].into(), None, &mut Effects::new(), Some(&mut turns));
        assert!(rig.remove(&items[removed]));
        let expected: Vec<_> = [0, 2, 4, 1, 3, 5].into_iter().filter(|id| *id != removed as u32).collect();
        assert_eq!(rig.pop_in_turns(9, &mut turns), expected, "without {removed}");
    }
}

#[test]
fn what_moves_up_and_what_is_evicted_is_known_by_its_flow() {
    let mut rig = Rig::new(2);
    let mut turns = Script::new([1]);
    rig.pop_in_turns(1, &mut turns);
    for (id, flow) in [(0, 1), (1, 2), (2, 3)] {
        push(&mut rig, id, flow, 1);
    }
    assert_eq!(rig.pop_in_turns(1, &mut turns), [1]);
    assert_eq!(rig.pop_in_turns(1, &mut turns), [2]);
    push(&mut rig, 3, 4, 1);
    rig.push(&Item::pushed_at(0, 5, 4, 1, NEVER), DropOldest);
    assert_eq!(ids(rig.effects.evicted.drain(..)), [0]);
    assert_eq!(rig.pop_in_turns(2, &mut turns), [4, 3]);
    assert_eq!(turns.asked, [[1, 2], [1, 3], [4, 5]]);
}

#[test]
fn flows_that_have_left_are_forgotten() {
    let (mut rig, _) = rig(&[1, 2, 2]);
    let mut turns = Script::new([0]);
    for flow in 3..1_000 {
        assert_eq!(rig.pop_in_turns(1, &mut turns).len(), 1);
        push(&mut rig, flow, flow, 1);
    }
    assert!(turns.asked.iter().all(|flows| flows.len() <= 3));
    assert_eq!(rig.queue.lock().slab.keys(), 3);
}
