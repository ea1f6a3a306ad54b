use std::num::NonZeroUsize;

use super::Slots;

fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("not zero")
}

#[test]
fn workers_of_one_server_share_its_slots() {
    let one = Slots::of_server("http://one", count(2));
    let other = Slots::of_server("http://one", count(2));
    let elsewhere = Slots::of_server("http://elsewhere", count(2));
    assert!(Slots::known("http://nowhere").is_none());
    assert_eq!(Slots::known("http://one").expect("known").total(), 2);
    let slot = one.try_acquire().expect("free");
    assert_eq!((other.free(), elsewhere.free()), (1, 2));
    drop((slot, one, other));
    assert_eq!(Slots::of_server("http://one", count(5)).free(), 5);
}

#[test]
fn what_the_server_says_last_holds_for_all_of_its_workers() {
    let one = Slots::of_server("http://resized", count(4));
    let taken: Vec<_> = (0..3).map(|_| one.try_acquire().expect("free")).collect();
    let other = Slots::of_server("http://resized", count(2));
    assert_eq!((one.total(), one.free()), (2, 0));
    let mut taken = taken.into_iter();
    drop(taken.next());
    assert_eq!(one.free(), 0, "two are still taken");
    drop(taken.next());
    assert_eq!(other.free(), 1);
    drop(taken);
    assert_eq!(other.free(), 2);
}

#[test]
fn a_users_number_never_raises_what_the_server_said() {
    let told = Slots::of_server("http://capped", count(2));
    assert_eq!(Slots::at_most("http://capped", count(8)).total(), 2);
    assert_eq!(Slots::at_most("http://capped", count(1)).total(), 1);
    told.resize(count(4));
    assert_eq!(told.total(), 1, "the user's number still holds");
    drop(told);
    assert_eq!(Slots::at_most("http://capped", count(3)).free(), 3);
    let most = Slots::at_most("http://huge", count(4));
    most.resize(count(Slots::MOST));
    assert_eq!((most.total(), most.free()), (4, 4));
}

#[test]
fn slots_that_come_back_before_those_that_are_owed_have_gone_are_not_too_many() {
    let slots = Slots::new(count(3));
    let taken: Vec<_> = (0..3).map(|_| slots.try_acquire().expect("free")).collect();
    slots.resize(count(1));
    slots.resize(count(4));
    assert_eq!((slots.total(), slots.free()), (4, 1));
    drop(taken);
    assert_eq!(slots.free(), 4);
}

#[test]
fn no_slot_is_lost_or_made_while_their_number_changes() {
    let slots = Slots::new(count(4));
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                for _ in 0..2_000 {
                    let taken: Vec<_> = (0..3).filter_map(|_| slots.try_acquire()).collect();
                    std::thread::yield_now();
                    drop(taken);
                }
            });
        }
        for round in 0..2_000 {
            slots.resize(count(1 + round % 7));
        }
    });
    slots.resize(count(3));
    assert_eq!((slots.total(), slots.free()), (3, 3));
}
