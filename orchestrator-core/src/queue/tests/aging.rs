//! Classes that age.

use super::rig::{Item, Rig, Script, plain};
use crate::queue::{NEVER, Rules, Take};
use crate::stage::ShedPolicy::Backpressure;

const AGING: Rules = Rules { aging: 10, ..plain(8) };

/// A queue of these entries: the tick at which each came, and its lane.
fn rig(entries: &[(u64, usize)]) -> Rig {
    let mut rig = Rig::ruled(AGING);
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

#[test]
fn what_is_overdue_leaves_by_age_whatever_its_class_and_flow() {
    let mut rig = rig(&[(0, 2), (1, 1), (2, 2), (3, 0), (4, 1), (12, 1), (13, 2)]);
    let mut turns = Script::new([1]);
    let (take, mut out) = (Take { now: 22, ..Take::up_to(9) }, [].into());
    rig.queue.pop(take, &mut out, None, &mut rig.effects, Some(&mut turns));
    assert_eq!(turns.served, [0, 1, 2, 4, 5, 3, 6]);
    assert!(turns.asked.is_empty(), "nobody is asked about what is overdue");
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
    assert_eq!(waits[..6], [20, 21, 22, 20, 21, 22]);
    assert_eq!(waits.iter().max(), Some(&22), "twice ten, and behind two others that were overdue");
}
