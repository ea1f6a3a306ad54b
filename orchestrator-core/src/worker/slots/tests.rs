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

mod groups {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::count;
    use crate::worker::{Lease, Offer, SlotGroup, Slots};

    fn servers() -> [Slots; 2] {
        [Slots::new(count(1)), Slots::new(count(2))]
    }

    fn group(members: &[Slots]) -> SlotGroup {
        let group = SlotGroup::new();
        group.offer(members.iter().cloned().map(Offer::new));
        group
    }

    #[test]
    fn a_slot_of_a_group_is_one_of_a_member_until_it_is_dropped() {
        let [one, two] = servers();
        let group = group(&[one.clone(), two.clone()]);
        let taken: Vec<_> = (0..3).map(|_| group.slots().try_acquire().expect("three are free")).collect();
        assert_eq!((one.free(), two.free(), group.slots().free()), (0, 0, 0));
        assert!(group.slots().try_acquire().is_none());
        drop(taken);
        assert_eq!((one.free(), two.free(), group.slots().free()), (1, 2, 3));
    }

    #[test]
    fn what_others_take_of_a_member_is_not_offered() {
        let [one, two] = servers();
        let group = group(&[one.clone(), two.clone()]);
        let _of_another_pipeline = (one.try_acquire(), two.try_acquire());
        let slot = group.slots().try_acquire().expect("one is left");
        assert!(Lease::of(&slot).take().expect("a member's").is_of(&two));
    }

    #[test]
    fn a_lease_is_taken_once_and_its_clone_is_empty() {
        let [one, _] = servers();
        let slots = group(std::slice::from_ref(&one)).slots();
        let slot = slots.try_acquire().expect("free");
        let mut lease = Lease::of(&slot);
        assert!(lease.clone().take().is_none() && Lease::of(&slot).take().is_none());
        drop(slot);
        assert_eq!(one.free(), 0, "the lease has it");
        drop(lease.take());
        assert_eq!(one.free(), 1);
        assert!(
            Lease::of(&one.try_acquire().expect("free")).take().is_none(),
            "a server's own slot has nothing behind it"
        );
    }

    #[tokio::test]
    async fn whoever_waits_gets_the_first_slot_that_is_free_anywhere() {
        let [one, two] = servers();
        let slots = group(&[one.clone(), two.clone()]).slots();
        let of_one = one.acquire().await;
        let of_two = (two.acquire().await, two.acquire().await);
        let mut waiting = std::pin::pin!(slots.acquire());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(of_one);
        let slot = waiting.await;
        assert_eq!((one.free(), two.free()), (0, 0));
        drop((slot, of_two));
        assert_eq!((one.free(), two.free()), (1, 2));
    }

    #[tokio::test]
    async fn a_waiter_that_leaves_takes_nothing_with_it() {
        let [one, two] = servers();
        let slots = group(&[one.clone(), two.clone()]).slots();
        let all: Vec<_> = (0..3).map(|_| slots.try_acquire().expect("free")).collect();
        for _ in 0..10 {
            let mut waiting = Box::pin(slots.acquire());
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        let waiting = Box::pin(slots.acquire());
        drop(all);
        drop(waiting);
        assert_eq!((one.free(), two.free()), (1, 2));
    }

    #[tokio::test]
    async fn whoever_waits_is_told_of_new_members() {
        let group = SlotGroup::new();
        let slots = group.slots();
        assert_eq!((slots.total(), slots.free()), (0, 0));
        let mut waiting = std::pin::pin!(slots.acquire());
        assert!(waiting.as_mut().now_or_never().is_none());
        let [one, _] = servers();
        group.offer([Offer::new(one.clone())]);
        let slot = waiting.await;
        group.offer([]);
        assert_eq!((slots.total(), one.free()), (0, 0), "what is taken stays so");
        drop(slot);
        assert_eq!(one.free(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_offered_from_their_instant_on() {
        let [one, _] = servers();
        let group = SlotGroup::new();
        let start = Instant::now();
        group.offer([Offer::new(one).from(start + Duration::from_secs(3))]);
        assert_eq!((group.slots().total(), group.slots().free()), (0, 0));
        assert!(group.slots().try_acquire().is_none());
        let _slot = group.slots().acquire().await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        assert_eq!(group.slots().total(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspended_member_is_not_offered_until_somebody_looks_again() {
        let [one, two] = servers();
        let slots = group(&[one.clone(), two.clone()]).slots();
        one.suspend(Duration::from_secs(5));
        assert_eq!((slots.total(), slots.free()), (2, 2));
        two.suspend(Duration::from_secs(7));
        assert_eq!(slots.supply(usize::MAX, 0).slots, 0);
        assert!((slots.supply(usize::MAX, 0).probe - 5.0).abs() < 0.1);
        let start = Instant::now();
        let slot = slots.acquire().await;
        assert_eq!(start.elapsed().as_secs(), 5);
        assert!(Lease::of(&slot).take().expect("a member's").is_of(&one));
        two.resume();
        assert_eq!(slots.total(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_for_a_suspended_member_hears_that_it_is_back() {
        let [one, _] = servers();
        let slots = group(std::slice::from_ref(&one)).slots();
        one.suspend(Duration::from_secs(60));
        let start = Instant::now();
        let waits = tokio::spawn({
            let slots = slots.clone();
            async move { slots.acquire().await }
        });
        tokio::time::sleep(Duration::from_secs(2)).await;
        one.resume();
        let slot = waits.await.expect("it runs");
        assert_eq!(start.elapsed().as_secs(), 2);
        drop(slot);
        one.suspend(Duration::from_secs(60));
        let waits = tokio::spawn(async move { slots.acquire().await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        one.suspend(Duration::from_secs(4));
        drop(waits.await.expect("it runs"));
        assert_eq!(start.elapsed().as_secs(), 7, "a nearer instant holds, too");
    }

    #[test]
    fn the_slots_of_one_server_count_once() {
        let [one, two] = servers();
        let through = |slots: &Slots| group(std::slice::from_ref(slots)).slots();
        let all = group(&[two.clone(), through(&two), through(&through(&two)), one.clone()]).slots();
        assert_eq!((all.total(), all.free()), (3, 3));
        let taken = two.try_acquire().expect("two are free");
        assert_eq!((all.total(), all.free()), (3, 2));
        drop(taken);
        let limited = || Offer::new(two.clone()).through(Slots::new(count(1)));
        let group = SlotGroup::new();
        group.offer([limited(), limited(), limited()]);
        assert_eq!((group.slots().total(), group.slots().free()), (2, 2));
        group.offer([limited()]);
        assert_eq!(
            (group.slots().total(), group.slots().free()),
            (1, 1),
            "one that is limited is less than its server"
        );
    }

    #[test]
    fn no_more_go_through_a_gate_than_it_has() {
        let [_, two] = servers();
        let group = SlotGroup::new();
        group.offer([Offer::new(two.clone()).through(Slots::new(count(1)))]);
        assert_eq!((group.slots().total(), group.slots().free()), (1, 1));
        let probe = group.slots().try_acquire().expect("the gate is open");
        assert!(group.slots().try_acquire().is_none() && two.free() == 1);
        let lease = Lease::of(&probe);
        drop(probe);
        assert!(group.slots().try_acquire().is_none(), "the gate goes with the member's slot");
        drop(lease);
        assert!(group.slots().try_acquire().is_some());
    }

    #[tokio::test]
    async fn groups_of_groups_hold_one_slot_of_a_server() {
        let [one, two] = servers();
        let inner = group(&[one.clone(), two.clone()]);
        let outer = group(&[inner.slots()]);
        let slot = outer.slots().acquire().await;
        assert_eq!((outer.slots().free(), inner.slots().free(), one.free() + two.free()), (2, 2, 2));
        let member = Lease::of(&slot).take().expect("the inner group's");
        assert!(member.is_of(&inner.slots()));
        assert!(Lease::of(&member).take().is_some_and(|slot| slot.is_of(&one) || slot.is_of(&two)));
    }

    #[test]
    fn no_slot_is_lost_or_made_while_members_come_and_go() {
        let [one, two] = servers();
        let group = group(&[one.clone(), two.clone()]);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let takers: Vec<_> = (0..4)
                .map(|_| {
                    let slots = group.slots();
                    tokio::spawn(async move {
                        for round in 0..1_000 {
                            let slot = slots.acquire().await;
                            let lease = (round % 2 == 0).then(|| Lease::of(&slot));
                            tokio::task::yield_now().await;
                            drop((slot, lease));
                        }
                    })
                })
                .collect();
            for round in 0..1_000 {
                let members = if round % 3 == 0 { vec![one.clone()] } else { vec![two.clone(), one.clone()] };
                group.offer(members.into_iter().map(Offer::new));
                tokio::task::yield_now().await;
            }
            for taker in takers {
                taker.await.expect("it ends");
            }
        });
        assert_eq!((one.free(), two.free()), (1, 2));
    }
}
