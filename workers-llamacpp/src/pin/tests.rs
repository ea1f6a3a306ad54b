use std::collections::HashMap;

use proptest::prelude::*;

use super::table::{Ending, Place, Table};
use super::{Pins, Session};

const PROMPT: &[u8] = b"what is said";

const fn whole(cached: u64) -> Ending {
    Ending::Whole { cached: Some(cached) }
}

fn session(name: usize) -> Session {
    Session { tenant: None, name: name.to_string().into() }
}

/// A request of a session that ends at once, with so many tokens that the server had.
fn turn(table: &mut Table, name: usize, cached: u64) -> Option<usize> {
    let place = table.place(Some(&session(name)), PROMPT);
    let slot = place.slot();
    table.leave(&place, whole(cached));
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
    let slot = |tenant| pins.place(Some(&of(tenant)), PROMPT).slot();
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
    let one = table.place(Some(&session(1)), PROMPT);
    let two = table.place(Some(&session(1)), PROMPT);
    assert_ne!(one.slot(), two.slot());
    table.leave(&two, whole(3));
    let home = one.slot();
    table.leave(&one, whole(3));
    assert_eq!(turn(&mut table, 1, 3), home);
    assert_eq!(table.owners().iter().flatten().count(), 1, "the guest owns nothing");
}

#[test]
fn requests_without_a_session_stay_out_of_the_slots_of_sessions() {
    let mut table = Table::new(3);
    let home = turn(&mut table, 1, 0);
    let other = table.place(None, PROMPT);
    assert_ne!(other.slot(), home);
    let last = other.slot();
    table.leave(&other, whole(0));
    assert_eq!(table.place(None, PROMPT).slot(), last, "the slot that was used last may hold the same beginning");
}

#[test]
fn nobody_is_placed_beside_a_request_whose_place_is_not_known() {
    let mut table = Table::new(2);
    let unknown = table.unplaced();
    let beside = table.place(Some(&session(1)), PROMPT);
    assert_eq!(beside.slot(), None);
    table.leave(&unknown, Ending::Abandoned);
    assert_eq!(table.place(None, PROMPT).slot(), None, "one of them is still there");
    table.leave(&beside, whole(0));
}

#[test]
fn more_requests_than_slots_are_left_to_the_server() {
    let mut table = Table::new(2);
    let places = [0, 1, 2].map(|name| table.place(Some(&session(name)), PROMPT));
    assert_eq!(places[2].slot(), None);
    for place in &places {
        table.leave(place, whole(0));
    }
    assert!(table.place(Some(&session(0)), PROMPT).slot().is_some());
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
        let place = table.place(Some(&session(1)), PROMPT);
        assert!(place.slot().is_some());
        table.leave(&place, Ending::Abandoned);
    }
}

#[test]
fn workers_of_one_server_share_its_places() {
    let one = Pins::of_server("http://pins", 2);
    let other = Pins::of_server("http://pins", 2);
    let (first, second) = (one.place(None, PROMPT), other.place(None, PROMPT));
    assert_ne!(first.slot(), second.slot());
    assert_eq!(one.place(None, PROMPT).slot(), None);
    drop(first);
    second.finish(Some(1));
    assert!(other.place(None, PROMPT).slot().is_some());
}

#[test]
fn a_lease_of_an_earlier_table_frees_nothing_of_the_next() {
    let pins = Pins::of_server("http://resized", 1);
    let earlier = pins.place(None, PROMPT);
    pins.resize(2);
    let (first, second) = (pins.place(None, PROMPT), pins.place(None, PROMPT));
    assert!(first.slot().is_some() && second.slot().is_some());
    drop(earlier);
    assert_eq!(pins.place(None, PROMPT).slot(), None, "both are still taken");
}

/// Has one request come for each that goes, for a long time, and returns how many have no place in the end.
fn saturate(table: &mut Table, unknown: Place) -> usize {
    let mut here = vec![unknown];
    while here.len() < 3 {
        here.push(table.place(None, PROMPT));
    }
    for _ in 0..100 {
        // Who came first leaves, and somebody else comes at once.
        let first = here.remove(0);
        table.leave(&first, whole(0));
        here.push(table.place(None, PROMPT));
    }
    here.iter().filter(|place| place.slot().is_none()).count()
}

#[test]
fn places_are_found_again_under_saturation() {
    let mut table = Table::new(3);
    let unknown = table.unplaced();
    assert_eq!(saturate(&mut table, unknown), 0, "it came first");

    let mut table = Table::new(3);
    let mut here: Vec<_> = (0..3).map(|_| table.place(None, PROMPT)).collect();
    let unknown = table.unplaced();
    table.leave(&here.remove(0), whole(0));
    table.leave(&here.remove(0), whole(0));
    let next = table.place(None, PROMPT);
    assert!(next.slot().is_some(), "it waited for the first slot that was free, and is there");
    for place in here {
        table.leave(&place, whole(0));
    }
    table.leave(&next, whole(0));
    assert_eq!(saturate(&mut table, unknown), 0, "it came last");
}

#[test]
fn a_slot_that_the_caller_names_is_a_known_place() {
    let mut table = Table::new(2);
    let named = table.named(1, None, PROMPT);
    assert_eq!((named.slot(), table.place(None, PROMPT).slot()), (Some(1), Some(0)));
    let mut table = Table::new(2);
    assert_eq!(table.named(2, None, PROMPT).slot(), None, "the server takes it for none");
    assert_eq!(table.place(None, PROMPT).slot(), None);
}

#[test]
fn a_slot_that_was_abandoned_is_taken_last_until_it_has_answered() {
    let mut table = Table::new(3);
    let abandoned = table.place(None, PROMPT);
    table.leave(&abandoned, Ending::Abandoned);
    let others = [table.place(None, PROMPT), table.place(Some(&session(1)), PROMPT)];
    assert!(others.iter().all(|other| other.slot() != abandoned.slot()));
    let last = table.place(None, PROMPT);
    assert_eq!(last.slot(), abandoned.slot());
    table.leave(&last, whole(0));
    assert_eq!(table.place(None, PROMPT).slot(), last.slot(), "it was used last");
}

#[test]
fn a_session_whose_prompts_do_not_go_on_misses_nothing() {
    let mut table = Table::new(1);
    for number in 0..20 {
        let place = table.place(Some(&session(1)), format!("{number} is another matter").as_bytes());
        assert!(place.slot().is_some(), "{number}");
        table.leave(&place, whole(0));
    }
}

#[test]
fn what_did_not_pay_is_tried_again_and_holds_where_it_pays() {
    let mut table = Table::new(1);
    while turn(&mut table, 1, 0).is_some() {}
    let mut tried = 0;
    for _ in 0..320 {
        tried += usize::from(turn(&mut table, 1, 0).is_some());
    }
    // What is found out takes a turn that leaves something and one that looks for it.
    assert!((10..=20).contains(&tried), "{tried}");
    let placed = (0..300).filter(|_| turn(&mut table, 1, 7).is_some()).count();
    assert!(placed > 260, "{placed}");
}

/// What may happen to a table.
#[derive(Debug, Clone)]
enum Step {
    Place(Option<usize>),
    /// With what the server chooses by.
    Unplaced(prop::sample::Index),
    Named(usize, Option<usize>),
    /// Which of those that are there, and what it had in the cache.
    Leave(prop::sample::Index, Option<u64>),
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::option::weighted(0.8, 0..6_usize).prop_map(Step::Place),
        1 => any::<prop::sample::Index>().prop_map(Step::Unplaced),
        1 => (0..5_usize, prop::option::of(0..6_usize)).prop_map(|(slot, name)| Step::Named(slot, name)),
        6 => (any::<prop::sample::Index>(), prop::option::of(1..9_u64)).prop_map(|(which, had)| Step::Leave(which, had)),
        1 => (1..5_usize).prop_map(Step::Resize),
    ]
}

/// A request that is there, and what the server knows it by.
struct Here {
    place: Place,
    number: usize,
}

/// What the table must agree with, kept in the plainest way; and what the server does meanwhile.
#[derive(Default)]
struct Model {
    slots: usize,
    /// The requests that are there, since the last change of size; with those from before in `stale`.
    here: Vec<Here>,
    stale: Vec<Place>,
    /// Who was the last in each slot: a session at home there, or nobody that counts.
    last: HashMap<usize, Option<usize>>,
    /// Who is worked on in each slot, and who waits, with the slot that they wait for.
    working: HashMap<usize, usize>,
    waiting: Vec<(usize, Option<usize>)>,
    numbers: usize,
}

impl Model {
    fn is_busy(&self, slot: usize) -> bool {
        self.here.iter().any(|here| here.place.slot() == Some(slot))
    }

    fn home(&self, name: usize) -> Option<usize> {
        self.last.iter().find(|(_, last)| **last == Some(name)).map(|(slot, _)| *slot)
    }

    fn owner(&self, slot: usize) -> Option<usize> {
        self.last.get(&slot).copied().flatten()
    }

    /// A request that the table has found a place for, or left to the server.
    fn placed(&mut self, name: Option<usize>, place: Place, clouded: &[usize]) {
        let idle: Vec<usize> = (0..self.slots).filter(|slot| !self.is_busy(*slot)).collect();
        let certain: Vec<usize> = idle.iter().copied().filter(|slot| !clouded.contains(slot)).collect();
        match place.slot() {
            None => assert!(certain.is_empty(), "there was a place"),
            Some(slot) if clouded.contains(&slot) => assert!(certain.is_empty() && idle.contains(&slot)),
            Some(slot) => {
                assert!(certain.contains(&slot), "{slot} is taken");
                assert!(!self.working.contains_key(&slot), "{slot} is taken by one whose place is not known");
                self.assert_best(name, slot, &certain);
            }
        }
        self.came(name, place, 0);
    }

    fn assert_best(&self, name: Option<usize>, slot: usize, certain: &[usize]) {
        let home = name.and_then(|name| self.home(name)).filter(|home| certain.contains(home));
        match home {
            Some(home) => assert_eq!(slot, home, "it has a home, which is free"),
            None if certain.iter().any(|slot| self.owner(*slot).is_none()) => {
                assert_eq!(self.owner(slot), None, "{slot} belongs to a session");
            }
            None => {}
        }
    }

    /// A request comes to the server, which takes one of the idle slots where none is named.
    fn came(&mut self, name: Option<usize>, place: Place, choice: usize) {
        self.numbers += 1;
        let number = self.numbers;
        if let Some(slot) = place.slot() {
            let home = name.and_then(|name| self.home(name));
            self.last.insert(slot, name.filter(|_| home.is_none_or(|home| home == slot)));
        }
        let idle: Vec<usize> = (0..self.slots).filter(|slot| !self.working.contains_key(slot)).collect();
        let wanted = place.slot().or_else(|| idle.get(choice % idle.len().max(1)).copied());
        match wanted.filter(|slot| idle.contains(slot)) {
            Some(slot) => drop(self.working.insert(slot, number)),
            None => self.waiting.push((number, place.slot())),
        }
        self.here.push(Here { place, number });
    }

    /// A request leaves the server, and whoever has waited for its slot gets that. Returns whether it was worked on.
    fn left(&mut self, number: usize) -> bool {
        let slot = self.working.iter().find(|(_, working)| **working == number).map(|(slot, _)| *slot);
        let Some(slot) = slot else {
            self.waiting.retain(|(waiting, _)| *waiting != number);
            return false;
        };
        self.working.remove(&slot);
        if let Some(next) = self.waiting.iter().position(|(_, wanted)| wanted.is_none_or(|wanted| wanted == slot)) {
            self.working.insert(slot, self.waiting.remove(next).0);
        }
        true
    }

    fn leaves(&mut self, table: &mut Table, which: prop::sample::Index, had: Option<u64>) {
        let (here, stale) = (self.here.len(), self.stale.len());
        if here + stale == 0 {
            return;
        }
        let which = which.index(here + stale);
        let (place, worked) = match which.checked_sub(here) {
            None => {
                let Here { place, number } = self.here.remove(which);
                (place, self.left(number))
            }
            Some(which) => (self.stale.remove(which), true),
        };
        // Who was not worked on has no whole answer.
        table.leave(&place, had.filter(|_| worked).map_or(Ending::Abandoned, whole));
    }

    fn resized(&mut self, slots: usize) {
        if slots != self.slots {
            let before = std::mem::replace(self, Self { slots, ..Self::default() });
            self.stale = before.here.into_iter().map(|here| here.place).chain(before.stale).collect();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn the_table_agrees_with_the_plainest_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut table = Table::new(3);
        let mut model = Model { slots: 3, ..Model::default() };
        for step in steps {
            match step {
                Step::Place(name) => {
                    let clouded: Vec<_> = (0..model.slots).filter(|slot| table.is_clouded(*slot)).collect();
                    let place = table.place(name.map(session).as_ref(), PROMPT);
                    model.placed(name, place, &clouded);
                }
                Step::Unplaced(choice) => model.came(None, table.unplaced(), choice.index(60)),
                Step::Named(slot, name) => {
                    let place = table.named(slot, name.map(session).as_ref(), PROMPT);
                    model.came(name, place, 0);
                }
                Step::Leave(which, had) => model.leaves(&mut table, which, had),
                Step::Resize(slots) => {
                    table.resize(slots);
                    model.resized(slots);
                }
            }
            let owners: Vec<_> = table.owners();
            prop_assert_eq!(owners.len(), model.slots);
            let modelled: Vec<_> = (0..model.slots).map(|slot| model.owner(slot).map(session)).collect();
            prop_assert_eq!(owners, modelled);
        }
    }
}
