//! Classes that age.

use super::rig::{Item, Rig, Script, ids, plain};
use crate::queue::{NEVER, Rules, Take};
use crate::stage::ShedPolicy::Backpressure;

const AGING: Rules = Rules { aging: 10, ..plain(8) };

/// A queue of these entries: the tick at which each came, and its lane.
fn rig(entries: &[(u64, usize)]) -> Rig {
    ruled(AGING, entries)
}

fn ruled(rules: Rules, entries: &[(u64, usize)]) -> Rig {
    let mut rig = Rig::ruled(rules);
    for (id, (since, lane)) in (0..).zip(entries) {
        rig.push(&Item::pushed_at(*since, id, id, *lane, NEVER), Backpressure);
    }
    rig
}

#[test]
fn an_entry_is_overdue_after_one_step_in_the_middle_and_two_in_the_lowest_class() {
    for (lane, due) in [(1, 13), (2, 23)] {
        for (now, popped) in [(due - 1, [1, 0]), (due, [0, 1])] {
            let mut rig = rig(&[(3, lane), (4, 0)]);
            assert_eq!(rig.pop_at(now, 9), popped, "lane {lane} at {now}");
        }
    }
}

#[test]
fn the_highest_class_is_never_overdue() {
    let mut rig = rig(&[(0, 0), (5, 1)]);
    assert_eq!(rig.pop_at(100, 9), [1, 0]);
}

/// Two of each class, of which those below the highest are overdue at 22, and one that is not.
const LATE: [(u64, usize); 7] = [(0, 2), (1, 1), (2, 2), (3, 0), (4, 1), (12, 0), (13, 2)];

#[test]
fn what_is_overdue_leaves_by_age_every_second_time_and_the_others_by_class_in_between() {
    let mut rig = rig(&LATE);
    assert_eq!(rig.pop_at(22, 9), [0, 3, 1, 5, 2, 4, 6]);
}

#[test]
fn pops_of_one_entry_alternate_like_one_pop_of_all() {
    let mut rig = rig(&LATE);
    let popped: Vec<_> = (0..7).flat_map(|_| rig.pop_at(22, 1)).collect();
    assert_eq!(popped, [0, 3, 1, 5, 2, 4, 6]);
}

#[test]
fn flows_take_every_second_turn_of_a_class_that_is_overdue_as_a_whole() {
    let mut rig = rig(&[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    let mut turns = Script::new([1]);
    let (take, mut out) = (Take { now: 22, ..Take::up_to(9) }, [].into());
    rig.queue.pop(take, &mut out, None, &mut rig.effects, Some(&mut turns));
    assert_eq!(turns.served, [0, 2, 1, 4, 3, 5]);
    assert_eq!(turns.asked[..2], [vec![0, 1, 2, 3, 4, 5], vec![1, 2, 3, 4, 5]], "also where the oldest goes instead");
}

#[test]
fn what_is_overdue_and_goes_by_its_turn_does_not_count_as_having_passed_another() {
    let mut rig = rig(&[(0, 1), (1, 2)]);
    assert_eq!(rig.pop_at(30, 1), [0]);
    rig.push(&Item::pushed_at(30, 2, 2, 0, NEVER), Backpressure);
    assert_eq!(rig.pop_at(30, 9), [1, 2]);
}

#[test]
fn what_is_dropped_takes_no_turn() {
    let late_or_by_turn =
        [([(0, 2), (6, 2), (6, 0), (7, 2)], [1, 2, 3], 0), ([(6, 2), (0, 0), (6, 0), (7, 2)], [0, 2, 3], 1)];
    for (entries, popped, dropped) in late_or_by_turn {
        let mut rig = ruled(Rules { max_wait: 25, ..AGING }, &entries);
        assert_eq!(rig.pop_at(27, 9), popped);
        assert_eq!(ids(rig.effects.expired.drain(..)), [dropped]);
    }
}

#[test]
fn what_is_overdue_passes_its_own_class_when_turns_would_pick_another() {
    let mut rig = rig(&[(0, 1), (7, 1)]);
    for (now, served) in [(9, 1), (10, 0)] {
        let mut turns = Script::new([1]);
        rig.queue.pop(Take { now, ..Take::up_to(1) }, &mut [].into(), None, &mut rig.effects, Some(&mut turns));
        assert_eq!(turns.served, [served]);
        rig.push(&Item::pushed_at(8, 9, 9, 1, NEVER), Backpressure);
    }
}

#[test]
fn a_pop_of_some_lanes_leaves_what_is_overdue_in_the_others() {
    let mut rig = rig(&[(0, 2), (1, 1), (50, 0)]);
    let some = |lanes| Take { lanes, now: 60, ..Take::up_to(1) };
    assert_eq!(rig.take(some(1), None).0, [2]);
    assert!(rig.take(some(1), None).0.is_empty());
    assert_eq!(rig.take(some(2), None).0, [1]);
    assert_eq!(rig.take(some(3), None).0, [0]);
}

#[test]
fn under_a_permanent_load_of_higher_classes_the_lowest_waits_no_longer_than_its_bound() {
    // One is served per tick. There is always one of the highest class; of the lowest, three come at once now and then.
    let mut rig = Rig::ruled(AGING);
    let mut waits = Vec::new();
    for now in 0..600_u64 {
        if rig.queue.ready(1) == 0 {
            rig.push(&Item::pushed_at(now, 0, u32::MAX, 0, NEVER), Backpressure);
        }
        if now % 12 == 0 {
            (0..3).for_each(|_| drop(rig.push(&Item::pushed_at(now, 0, now as u32, 2, NEVER), Backpressure)));
        }
        let popped = rig.pop_at(now, 1)[0];
        waits.extend((popped != u32::MAX).then(|| now - u64::from(popped)));
    }
    assert_eq!(waits[..6], [20, 22, 24, 20, 22, 24]);
    assert_eq!(waits.iter().max(), Some(&24), "twice ten, behind two others that were overdue and two of the highest");
}
