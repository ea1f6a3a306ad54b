//! The queue under every interleaving that loom finds with three preemptions.
//!
//! `RUSTFLAGS="--cfg core_loom" cargo test -p orchestrator-core --lib --release queue::loom`
//!
//! A lost wake-up shows as a deadlock: loom fails a model whose threads all sleep.

mod rig;

use std::collections::VecDeque;

use ::loom::sync::atomic::Ordering::{Acquire, Release};
use ::loom::thread;

use super::{Entry, Key, NEVER, Queue, Take};
use crate::stage::ShedPolicy::{self, Backpressure, DropOldest, RejectNew};
use rig::{Item, Line, Ticket, block_on, join, model, spawn, take_out};

#[test]
fn every_pushed_entry_is_popped() {
    model(|| {
        let line = Line::new(0, 2);
        let items = [0, 1].map(Item::new);
        let producers = [0, 1].map(|i| spawn(&line, &items[i], |line, item| line.push(item, RejectNew)));
        for _ in 0..2 {
            line.next().expect("it is not closed").let_go();
        }
        assert!(producers.into_iter().all(join));
        assert!(items.iter().all(|item| item.history() == [1, 1, 0]));
    });
}

#[test]
fn a_consumer_that_leaves_too_little_comes_back_unasked() {
    model(|| {
        let line = Line::new(0, 2);
        let items = [0, 1].map(Item::new);
        let producers = [0, 1].map(|i| spawn(&line, &items[i], |line, item| line.push(item, RejectNew)));
        let mut popped = VecDeque::new();
        while popped.len() < 2 {
            block_on(|waker| {
                let two = Take { least: 2, ..Take::up_to(2) };
                let mut pop =
                    |take| line.with(|q, effects| q.pop(take, &mut popped, Some((waker, true)), effects, None));
                // Left alone, it keeps no waker; whoever is told so does not sleep.
                let all = pop(two);
                let some = if all.too_little { pop(Take::up_to(1)) } else { all };
                (some.count > 0).then_some(())
            });
        }
        popped.iter().for_each(Item::let_go);
        assert!(producers.into_iter().all(join));
        assert!(items.iter().all(|item| item.history() == [1, 1, 0]));
    });
}

#[test]
fn a_close_leaves_no_entry_behind_and_no_consumer_asleep() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1].map(Item::new);
        let producers = [0, 1].map(|i| spawn(&line, &items[i], |line, item| line.push(item, Backpressure)));
        let closer = spawn(&line, &items[0], |line, _| line.close());
        while let Some(item) = line.next() {
            item.let_go();
        }
        for producer in producers {
            join(producer);
        }
        join(closer);
        assert!(items.iter().all(|item| item.history()[1] == 1));
    });
}

#[test]
fn a_shut_door_wakes_the_consumer_and_refuses_what_waits() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1].map(Item::new);
        items.iter().for_each(|item| assert!(line.push(item, Backpressure)));
        let closer = spawn(&line, &items[0], |line, _| {
            line.with(|queue, effects| {
                queue.close(effects);
                queue.take_waiting(effects);
            });
        });
        while let Some(item) = line.next() {
            item.let_go();
        }
        join(closer);
        assert_eq!(items[0].history(), [1, 1, 0]);
        assert_eq!(items[1].history()[1..], [1, 1]);
    });
}

#[test]
fn the_removal_of_the_last_entry_finishes_a_closed_queue() {
    model(|| {
        let line = Line::new(0, 1);
        let item = Item::new(0);
        line.push(&item, Backpressure);
        line.close();
        let canceller = spawn(&line, &item, Line::remove);
        // A consumer without room: it pops nothing, and is not hungry.
        block_on(|waker| {
            let pop = |queue: &Queue<_, _>, effects: &mut _| {
                queue.pop(Take::up_to(0), &mut VecDeque::new(), Some((waker, false)), effects, None)
            };
            line.with(pop).finished.then_some(())
        });
        assert!(join(canceller));
    });
}

#[test]
fn a_sated_consumer_hears_of_an_earlier_deadline() {
    model(|| {
        let line = Line::new(0, 1);
        line.push(&Item::due(0, 9), Backpressure);
        let producer = spawn(&line, &Item::due(1, 5), |line, item| line.push(item, Backpressure));
        block_on(|waker| {
            let pop = |queue: &Queue<_, _>, effects: &mut _| {
                queue.pop(Take::up_to(0), &mut VecDeque::new(), Some((waker, false)), effects, None)
            };
            (line.with(pop).bound == 5).then_some(())
        });
        assert!(join(producer));
    });
}

fn shed(full: ShedPolicy) {
    model(move || {
        let line = Line::new(0, 1);
        let items = [0, 1, 2].map(Item::new);
        line.push(&items[0], full);
        let producers = [1, 2].map(|i| {
            let (line, item) = (line.clone(), items[i].clone());
            thread::spawn(move || line.push(&item, full))
        });
        if let (Some(item), _) = line.pop(None) {
            item.let_go();
        }
        assert!(line.0.depth().admitted <= 1);
        for producer in producers {
            join(producer);
        }
        assert!(line.0.depth().admitted <= 1);
        line.drain();
        assert!(items.iter().all(|item| item.history()[1] == 1));
    });
}

#[test]
fn two_who_drop_the_oldest_never_overfill_the_queue() {
    shed(DropOldest);
}

#[test]
fn two_who_are_rejected_never_overfill_the_queue() {
    shed(RejectNew);
}

/// Cancels an entry on its way through two queues, of which the second may be full, and may be popped from.
fn cancel(second_is_full: bool, second_is_popped: bool) {
    model(move || {
        let lines = [Line::new(0, 1), Line::new(1, 1)];
        let [item, other] = [0, 1].map(Item::new);
        lines[0].push(&item, Backpressure);
        if second_is_full {
            lines[1].push(&other, Backpressure);
        }
        let [first, second] = lines.clone();
        let stage = thread::spawn(move || match first.pop(None).0 {
            Some(item) if item.is_dead() => item.let_go(),
            Some(item) => drop(second.push(&item, Backpressure)),
            None => {}
        });
        let last = second_is_popped.then(|| spawn(&lines[1], &other, |line, _| line.drain()));
        item.0.dead.store(true, Release);
        take_out(&lines, &item);
        join(stage);
        last.map(join);
        let left: Vec<_> = lines.iter().flat_map(|line| line.drain()).collect();
        assert!(!left.contains(&0), "it stayed inside");
        assert_eq!(item.history()[1], 1);
        assert_eq!(other.history()[1], usize::from(second_is_full));
    });
}

#[test]
fn a_cancelled_entry_does_not_stay_in_the_next_queue() {
    cancel(false, false);
}

#[test]
fn a_cancelled_entry_does_not_stay_waiting_for_the_next_queue() {
    cancel(true, false);
}

#[test]
fn a_cancelled_entry_leaves_once_while_both_queues_move() {
    cancel(true, true);
}

#[test]
fn whoever_waits_is_admitted_once_and_gets_the_ticket_back_once() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1, 2, 3].map(Item::new);
        items[..2].iter().for_each(|item| assert!(line.push(item, Backpressure)));
        let producers = [2, 3].map(|i| spawn(&line, &items[i], |line, item| line.push(item, Backpressure)));
        for _ in 0..4 {
            line.next().expect("it is not closed").let_go();
            assert!(line.0.depth().admitted <= 1);
        }
        assert!(producers.into_iter().all(join));
        assert_eq!(line.0.depth().admitted_ever, 4);
        assert_eq!(items[0].history(), [1, 1, 0]);
        assert_eq!(items[1].history(), [1, 1, 1]);
        assert!(items[2..].iter().all(|item| item.history()[..2] == [1, 1] && item.history()[2] <= 1));
    });
}

#[test]
fn one_who_withdraws_while_being_admitted_holds_nobody_up() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1, 2].map(Item::new);
        items.iter().for_each(|item| assert!(line.push(item, Backpressure)));
        let leaver = spawn(&line, &items[1], |line, item| {
            item.0.dead.store(true, Release);
            line.remove(item)
        });
        while line.next().inspect(Item::let_go).is_some_and(|item| item.0.id != 2) {}
        join(leaver);
        let [first, left, last] = items.map(|item| item.history());
        assert_eq!((first, &left[1..], last), ([1, 1, 0], &[1, 1][..], [1, 1, 1]));
        assert_eq!(line.0.depth().admitted_ever as usize, 2 + left[0]);
        assert!(line.0.lock().slab.is_empty());
    });
}

/// Waits at the door as `Admission` does, while `rival` makes room or shuts it; tells whether it was let in.
fn wait_at_the_door(rival: fn(&Line, &Item)) -> bool {
    let line = Line::new(0, 1);
    let [first, item] = [0, 1].map(Item::new);
    line.push(&first, Backpressure);
    line.push(&item, Backpressure);
    let key = item.0.place.load(Acquire) as Key;
    let rival = spawn(&line, &first, rival);
    let admitted = block_on(|waker| {
        let ticket = Ticket(item.clone(), waker.clone());
        let waits = line.0.replace_ticket(key, |found| found.is(&item), ticket);
        (!waits).then(|| item.0.admitted.load(Acquire))
    });
    join(rival);
    assert_eq!(item.history()[2], 1);
    admitted
}

#[test]
fn a_caller_at_the_door_hears_of_the_admission() {
    model(|| assert!(wait_at_the_door(|line, _| drop(line.pop(None)))));
    model(|| assert!(wait_at_the_door(|line, first| assert!(line.remove(first)))));
}

#[test]
fn a_caller_at_the_door_hears_of_the_refusal() {
    model(|| assert!(!wait_at_the_door(|line, _| line.with(Queue::take_waiting))));
}

#[test]
fn nothing_is_left_waiting_in_a_queue_that_was_emptied() {
    model(|| {
        let line = Line::new(0, 1);
        let items = [0, 1].map(Item::new);
        line.push(&items[0], Backpressure);
        let producer = spawn(&line, &items[1], |line, item| line.push(item, Backpressure));
        line.with(Queue::take_all);
        join(producer);
        line.drain();
        assert!(items.iter().all(|item| item.history()[1] == 1));
    });
}

#[test]
fn each_of_two_flows_is_served_once_while_both_arrive() {
    model(|| {
        let line = Line::new(0, 2);
        let items = [0, 1, 2].map(|id| Item::of(id as u32 % 2, id, NEVER));
        line.push(&items[0], Backpressure);
        let producers = [1, 2].map(|i| spawn(&line, &items[i], |line, item| line.push(item, Backpressure)));
        let served = [0; 3].map(|_| {
            let item = line.next_in_turn();
            item.let_go();
            item.0.id
        });
        assert!(producers.into_iter().all(join));
        let place = |id| served.iter().position(|served| *served == id);
        assert!(place(0) < place(2), "one flow leaves in order of arrival");
        assert!(items.iter().all(|item| item.history()[..2] == [1, 1]));
        assert!(line.0.lock().slab.is_empty());
    });
}

#[test]
fn a_removal_and_a_fair_pop_never_take_the_same_entry() {
    model(|| {
        let line = Line::new(0, 2);
        let items = [(7, 0), (8, 1), (7, 2)].map(|(flow, id)| Item::of(flow, id, NEVER));
        items.iter().for_each(|item| assert!(line.push(item, Backpressure)));
        let canceller = spawn(&line, &items[1], |line, item| {
            item.0.dead.store(true, Release);
            line.remove(item)
        });
        let served = [0; 2].map(|_| line.next_in_turn()).map(|item| {
            item.let_go();
            item.0.id
        });
        let removed = join(canceller);
        assert_eq!(served.contains(&1), !removed);
        if removed {
            assert_eq!(served, [0, 2]);
        } else {
            line.next_in_turn().let_go();
        }
        assert!(items.iter().all(|item| item.history()[1] == 1));
        assert!(line.0.lock().slab.is_empty());
    });
}
