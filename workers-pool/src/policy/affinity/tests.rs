use proptest::prelude::*;

use super::*;
use crate::policy::RoundRobin;

const SESSIONS: usize = 20_000;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("server-{number}")).collect()
}

fn members(names: &[String]) -> Vec<Candidate<'_>> {
    (0..).zip(names).map(|(id, name)| Candidate::new(id, name).busy(0, 64)).collect()
}

fn home(policy: &SessionAffinity, session: usize, members: &[Candidate<'_>]) -> usize {
    policy.choose(&Ask::new().session(&format!("session-{session}")), members)
}

#[test]
fn a_member_more_takes_its_share_and_moves_nothing_else() {
    let (policy, names) = (SessionAffinity::new(), names(9));
    for count in [1, 2, 3, 8] {
        let (before, after) = (members(&names[..count]), members(&names[..=count]));
        let homes = (0..SESSIONS).map(|session| (home(&policy, session, &before), home(&policy, session, &after)));
        let moved: Vec<_> = homes.filter(|(before, after)| before != after).collect();
        assert!(moved.iter().all(|(_, after)| *after == count));
        let share = moved.len() as f64 / SESSIONS as f64;
        assert!((share - 1.0 / (count + 1) as f64).abs() < 0.01, "{share} moved from {count} members to one more");
    }
}

#[test]
fn homes_go_by_names_and_not_by_ids_or_places() {
    let (policy, names) = (SessionAffinity::new(), names(5));
    let before = members(&names);
    let after: Vec<_> = before.iter().rev().map(|member| Candidate { id: member.id + 70, ..*member }).collect();
    assert!((0..1_000).all(|session| home(&policy, session, &before) == 4 - home(&policy, session, &after)));
}

/// Reckoned by other means: SipHash-1-3 in Python, and its `math.log`.
#[test]
fn homes_are_the_same_in_every_version() {
    let (policy, names) = (SessionAffinity::new(), names(5));
    let homes =
        ["a", "anna", "session-1", "Grüße", "42"].map(|s| policy.choose(&Ask::new().session(s), &members(&names)));
    assert_eq!(hash("anna"), 3_014_722_829_449_627_029);
    assert_eq!(homes, [3, 1, 3, 2, 4]);
}

#[test]
fn sessions_are_shared_by_weight() {
    let (policy, names) = (SessionAffinity::new(), names(3));
    let mut members = members(&names);
    members[2].weight = 2.0;
    let mut at_home = [0_usize; 3];
    (0..SESSIONS).for_each(|session| at_home[home(&policy, session, &members)] += 1);
    let shares = at_home.map(|sessions| sessions as f64 / SESSIONS as f64);
    assert!(shares.iter().zip([0.25, 0.25, 0.5]).all(|(share, fair)| (share - fair).abs() < 0.015), "{shares:?}");
}

#[test]
fn a_session_that_was_turned_away_comes_home() {
    let (policy, names) = (SessionAffinity::new(), names(4));
    let members = members(&names);
    for session in 0..100 {
        let at_home = home(&policy, session, &members);
        let others: Vec<_> = members.iter().copied().filter(|member| member.id != at_home as u64).collect();
        let away = others[home(&policy, session, &others)].id;
        let mut busy = members.clone();
        busy[at_home].in_flight = 9;
        assert_eq!(
            home(&policy, session, &busy) as u64,
            away,
            "over the bound it goes where it would without a free slot"
        );
        assert_eq!(home(&policy, session, &members), at_home);
    }
}

#[test]
fn without_a_bound_only_a_full_home_is_left() {
    let (policy, names) = (SessionAffinity::new().bound(f64::INFINITY), names(4));
    let mut members = members(&names);
    let at_home = home(&policy, 1, &members);
    members[at_home].in_flight = 1_000;
    assert_eq!(home(&policy, 1, &members), at_home);
}

#[test]
fn what_has_no_session_goes_to_the_other_policy() {
    let names = names(3);
    let members = members(&names);
    let policy = SessionAffinity::new().otherwise(RoundRobin::new());
    assert_eq!([(); 4].map(|()| policy.choose(&Ask::new(), &members)), [0, 1, 2, 0]);
    let mut busy = members;
    busy[0].in_flight = 2;
    busy[1].in_flight = 1;
    assert_eq!(SessionAffinity::new().choose(&Ask::new(), &busy), 2);
}

proptest! {
    #[test]
    fn nobody_gets_more_than_the_bound(
        sessions in prop::collection::vec(0_usize..6, 1..200), weights in prop::collection::vec(1_u8..5, 2..9),
    ) {
        let (policy, names) = (SessionAffinity::new(), names(weights.len()));
        let mut members = members(&names);
        members.iter_mut().zip(&weights).for_each(|(member, weight)| member.weight = f64::from(*weight));
        let total: f64 = members.iter().map(|member| member.weight).sum();
        for (calls, session) in (1..).zip(sessions) {
            let place = home(&policy, session, &members);
            let chosen = &mut members[place];
            chosen.in_flight += 1;
            let fair = BOUND * f64::from(calls) * chosen.weight / total;
            prop_assert!(chosen.in_flight as f64 <= fair.ceil(), "{} where {fair} is 1.25 times the share", chosen.in_flight);
        }
    }
}
