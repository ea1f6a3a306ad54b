use std::collections::HashMap;

use proptest::prelude::*;

use super::table::{Place, Table};
use super::{Pins, Session};

fn session(name: usize) -> Session {
    Session { tenant: None, name: name.to_string().into() }
}

/// A request of a session that ends at once, with so many tokens that the server had.
fn turn(table: &mut Table, name: usize, cached: u64) -> Option<usize> {
    let place = table.place(Some(&session(name)));
    let slot = place.slot();
    table.leave(&place, Some(cached));
    slot
}

#[test]
fn a_session_comes_back_to_its_slot() {
    let mut table = Table::new(3);
    let homes = [0, 1, 2].map(|name| turn(&mut table, name, 0));
    assert_eq!([0, 1, 2].map(|name| turn(&mut table, name, 9)), homes);
    assert_eq!(homes, [Some(0), Some(1), Some(2)]);
}

#[test]
fn sessions_of_two_tenants_are_two_whatever_their_names() {
    let pins = Pins::of_server("two tenants", 2);
    let of = |tenant: &str| Session { tenant: Some(tenant.into()), name: "1".into() };
    let slot = |tenant| pins.place(Some(&of(tenant))).slot();
    assert_ne!(slot("a"), slot("b"));
    assert_eq!(slot("a"), slot("a"));
}

#[test]
fn one_more_session_takes_the_slot_of_the_one_that_was_away_for_longest() {
    let mut table = Table::new(2);
    let (first, second) = (turn(&mut table, 1, 0), turn(&mut table, 2, 0));
    assert_eq!(turn(&mut table, 1, 5), first);
    assert_eq!(turn(&mut table, 3, 0), second, "session 2 was away for longer");
    assert_eq!(turn(&mut table, 1, 5), first);
}

#[test]
fn a_session_with_two_requests_has_the_second_one_elsewhere_and_keeps_its_slot() {
    let mut table = Table::new(3);
    let one = table.place(Some(&session(1)));
    let two = table.place(Some(&session(1)));
    assert_ne!(one.slot(), two.slot());
    table.leave(&two, Some(3));
    let home = one.slot();
    table.leave(&one, Some(3));
    assert_eq!(turn(&mut table, 1, 3), home);
    assert_eq!(table.owners().iter().flatten().count(), 1, "the guest owns nothing");
}

#[test]
fn requests_without_a_session_stay_out_of_the_slots_of_sessions() {
    let mut table = Table::new(3);
    let home = turn(&mut table, 1, 0);
    let other = table.place(None);
    assert_ne!(other.slot(), home);
    let last = other.slot();
    table.leave(&other, Some(0));
    assert_eq!(table.place(None).slot(), last, "the slot that was used last may hold the same beginning");
}

#[test]
fn nobody_is_placed_beside_a_request_whose_place_is_not_known() {
    let mut table = Table::new(2);
    let unknown = table.unplaced();
    let beside = table.place(Some(&session(1)));
    assert_eq!(beside.slot(), None);
    table.leave(&unknown, None);
    assert_eq!(table.place(None).slot(), None, "one of them is still there");
    table.leave(&beside, Some(0));
}

#[test]
fn more_requests_than_slots_are_left_to_the_server() {
    let mut table = Table::new(2);
    let places = [0, 1, 2].map(|name| table.place(Some(&session(name))));
    assert_eq!(places[2].slot(), None);
    for place in &places {
        table.leave(place, Some(0));
    }
    assert!(table.place(Some(&session(0))).slot().is_some());
}

#[test]
fn a_server_where_sessions_find_nothing_chooses_by_itself() {
    let mut table = Table::new(2);
    let mut turns = 0;
    // The first turn of a session does not count: it cannot find anything.
    while turn(&mut table, 1, 0).is_some() {
        turns += 1;
        assert!(turns < 100);
    }
    assert_eq!(turns, 1 + 2 + 1);
    table.resize(3);
    assert!(turn(&mut table, 1, 0).is_some(), "another server may be another matter");
}

#[test]
fn a_restart_of_the_server_is_no_reason_to_give_up() {
    let mut table = Table::new(4);
    for name in 0..4 {
        turn(&mut table, name, 0);
    }
    for round in 0..100 {
        // In between the server has been started again.
        let cached = if round % 10 == 0 { 0 } else { 7 };
        for name in 0..4 {
            assert!(turn(&mut table, name, cached).is_some(), "round {round}");
        }
    }
}

#[test]
fn an_answer_that_was_not_whole_says_nothing_of_the_cache() {
    let mut table = Table::new(1);
    for _ in 0..20 {
        let place = table.place(Some(&session(1)));
        assert!(place.slot().is_some());
        table.leave(&place, None);
    }
}

#[test]
fn workers_of_one_server_share_its_places() {
    let one = Pins::of_server("http://pins", 2);
    let other = Pins::of_server("http://pins", 2);
    let (first, second) = (one.place(None), other.place(None));
    assert_ne!(first.slot(), second.slot());
    assert_eq!(one.place(None).slot(), None);
    drop(first);
    second.finish(Some(1));
    assert!(other.place(None).slot().is_some());
}

#[test]
fn a_lease_of_an_earlier_table_frees_nothing_of_the_next() {
    let pins = Pins::of_server("http://resized", 1);
    let earlier = pins.place(None);
    pins.resize(2);
    let (first, second) = (pins.place(None), pins.place(None));
    assert!(first.slot().is_some() && second.slot().is_some());
    drop(earlier);
    assert_eq!(pins.place(None).slot(), None, "both are still taken");
}

/// What may happen to a table.
#[derive(Debug, Clone)]
enum Step {
    Place(Option<usize>),
    Unplaced,
    /// Which of those that are there, and what it had in the cache.
    Leave(prop::sample::Index, Option<u64>),
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::option::weighted(0.8, 0..6_usize).prop_map(Step::Place),
        1 => Just(Step::Unplaced),
        6 => (any::<prop::sample::Index>(), prop::option::of(1..9_u64)).prop_map(|(which, had)| Step::Leave(which, had)),
        1 => (1..5_usize).prop_map(Step::Resize),
    ]
}

/// What the table must agree with, kept in the plainest way.
#[derive(Default)]
struct Model {
    slots: usize,
    /// The requests that are there, since the last change of size; with those from before in `stale`.
    here: Vec<Place>,
    stale: Vec<Place>,
    /// Who was the last in each slot: a session at home there, or nobody that counts.
    last: HashMap<usize, Option<usize>>,
}

impl Model {
    fn is_busy(&self, slot: usize) -> bool {
        self.here.iter().any(|place| place.slot() == Some(slot))
    }

    fn home(&self, name: usize) -> Option<usize> {
        self.last.iter().find(|(_, last)| **last == Some(name)).map(|(slot, _)| *slot)
    }

    fn placed(&mut self, name: Option<usize>, place: Place) {
        let unplaced = self.here.iter().any(|place| place.slot().is_none());
        let idle: Vec<usize> = (0..self.slots).filter(|slot| !self.is_busy(*slot)).collect();
        let Some(slot) = place.slot() else {
            assert!(unplaced || idle.is_empty(), "there was a place");
            self.here.push(place);
            return;
        };
        assert!(!unplaced && idle.contains(&slot), "{slot} is taken, or may be");
        let home = name.and_then(|name| self.home(name));
        let free_home = home.filter(|home| idle.contains(home));
        let unowned = idle.iter().any(|slot| self.last.get(slot).copied().flatten().is_none());
        match free_home {
            Some(home) => assert_eq!(slot, home, "it has a home, which is free"),
            None if unowned => assert_eq!(self.last.get(&slot).copied().flatten(), None, "{slot} belongs to a session"),
            None => {}
        }
        let stays = name.filter(|_| home.is_none_or(|home| home == slot));
        self.last.insert(slot, stays);
        self.here.push(place);
    }
}

proptest! {
    #[test]
    fn the_table_agrees_with_the_plainest_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut table = Table::new(3);
        let mut model = Model { slots: 3, ..Model::default() };
        for step in steps {
            match step {
                Step::Place(name) => {
                    let place = table.place(name.map(session).as_ref());
                    model.placed(name, place);
                }
                Step::Unplaced => model.here.push(table.unplaced()),
                Step::Leave(which, had) => {
                    let (here, stale) = (model.here.len(), model.stale.len());
                    if here + stale == 0 {
                        continue;
                    }
                    let which = which.index(here + stale);
                    let place = if which < here { model.here.remove(which) } else { model.stale.remove(which - here) };
                    table.leave(&place, had);
                }
                Step::Resize(slots) => {
                    table.resize(slots);
                    if slots != model.slots {
                        let before = std::mem::take(&mut model);
                        model.slots = slots;
                        model.stale = before.here.into_iter().chain(before.stale).collect();
                    }
                }
            }
            let owners: Vec<_> = table.owners();
            prop_assert_eq!(owners.len(), model.slots);
            let modelled: Vec<_> = (0..model.slots).map(|slot| model.last.get(&slot).copied().flatten().map(session)).collect();
            prop_assert_eq!(owners, modelled);
        }
    }
}
