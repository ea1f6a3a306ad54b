//! The sessions against a plain list that does the same slowly.

use std::time::Duration;

use orchestrator_core::request::Message;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const IDLE: Duration = Duration::from_secs(100);
const PER_SESSION: usize = 1_000;
const TOTAL: usize = 3_000;

/// What somebody does with the memory.
#[derive(Debug, Clone)]
enum Op {
    /// Adds a turn of so many bytes to a session.
    Append(u8, usize),
    Read(u8),
    Forget(u8),
    Wait(u64),
    /// Has a session's oldest turns condensed to so many bytes.
    Condense(u8, usize),
    /// The same, in vain.
    Fail(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let session = 0..4_u8;
    prop_oneof![
        9 => (session.clone(), 0..400_usize).prop_map(|(key, bytes)| Op::Append(key, bytes)),
        1 => (session.clone(), 800..1_200_usize).prop_map(|(key, bytes)| Op::Append(key, bytes)),
        2 => session.clone().prop_map(Op::Read),
        1 => session.clone().prop_map(Op::Forget),
        2 => (0..60_u64).prop_map(Op::Wait),
        2 => (session.clone(), 0..300_usize).prop_map(|(key, bytes)| Op::Condense(key, bytes)),
        1 => session.prop_map(Op::Fail),
    ]
}

fn key(session: u8) -> SessionKey {
    // Two names under two tenants.
    SessionKey::new((session % 2 == 1).then(|| "acme".into()), format!("session {}", session / 2))
}

/// A turn whose text says which one it is.
fn turn(number: usize, bytes: usize) -> Turn {
    Turn::new([Message::user(format!("{number:04}{}", "x".repeat(bytes)))])
}

/// A session of the list: its turns, and when it was used.
#[derive(Debug, Default)]
struct Plain {
    session: u8,
    turns: Vec<Turn>,
    used_at: u64,
}

impl Plain {
    fn bytes(&self) -> usize {
        self.turns.iter().map(|turn| 64 + turn.messages()[0].text().len()).sum()
    }

    fn all_bytes(&self) -> usize {
        let key = key(self.session);
        self.bytes() + 256 + key.session().len() + key.tenant().map_or(0, str::len)
    }
}

/// The sessions, the one used least recently first.
#[derive(Debug, Default)]
struct List(Vec<Plain>);

impl List {
    fn expire(&mut self, now: u64) {
        self.0.retain(|plain| now - plain.used_at < IDLE.as_secs());
    }

    fn used(&mut self, session: u8, now: u64) -> Option<&mut Plain> {
        self.expire(now);
        let place = self.0.iter().position(|plain| plain.session == session)?;
        let plain = self.0.remove(place);
        self.0.push(Plain { used_at: now, ..plain });
        self.0.last_mut()
    }

    fn append(&mut self, session: u8, turn: Turn, now: u64) {
        if self.used(session, now).is_none() {
            self.0.push(Plain { session, used_at: now, ..Plain::default() });
        }
        self.0.last_mut().expect("it was used").turns.push(turn);
        self.trim();
    }

    fn trim(&mut self) {
        for plain in &mut self.0 {
            while plain.bytes() > PER_SESSION {
                plain.turns.remove(0);
            }
        }
        self.0.retain(|plain| !plain.turns.is_empty());
        while self.0.iter().map(Plain::all_bytes).sum::<usize>() > TOTAL {
            self.0.remove(0);
        }
    }

    fn condense(&mut self, session: u8, oldest: &Oldest, summary: Turn) {
        let Some(plain) = self.0.iter_mut().find(|plain| plain.session == session) else { return };
        plain.turns.drain(..oldest.turns.len());
        plain.turns.insert(0, summary);
        self.trim();
    }
}

/// What the state itself says it holds.
fn counted(state: &State) -> (usize, usize, usize) {
    let turns = state.sessions.values().map(|session| session.turns.len()).sum();
    let bytes = state.sessions.iter().map(|(key, session)| {
        let kept: usize = session.turns.iter().map(|kept| cost(&kept.turn)).sum();
        assert_eq!(kept, session.bytes);
        kept + name_cost(key)
    });
    (state.sessions.len(), turns, bytes.sum())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sessions_are_kept_as_a_plain_list_would_keep_them(ops in vec(op(), 1..60)) {
        let limits = MemoryLimits::new().idle(IDLE).session_bytes(PER_SESSION).total_bytes(TOTAL);
        let mut state = State::new(limits);
        let mut list = List::default();
        let begin = Instant::now();
        let mut now = 0;
        for (number, op) in ops.into_iter().enumerate() {
            let at = begin + Duration::from_secs(now);
            match op {
                Op::Append(session, bytes) => {
                    state.append(&key(session), turn(number, bytes), at);
                    list.append(session, turn(number, bytes), now);
                }
                Op::Read(session) => {
                    let turns = list.used(session, now).map(|plain| plain.turns.clone()).unwrap_or_default();
                    prop_assert_eq!(state.turns(&key(session), at), turns);
                }
                Op::Forget(session) => {
                    state.forget(&key(session));
                    list.0.retain(|plain| plain.session != session);
                }
                Op::Wait(seconds) => now += seconds,
                Op::Condense(session, bytes) => {
                    if let Some(oldest) = state.start_condensing(&key(session)) {
                        let all = &list.0.iter().find(|plain| plain.session == session).expect("it is there").turns;
                        prop_assert!(all.starts_with(&oldest.turns) && all.len() > oldest.turns.len());
                        prop_assert!(state.start_condensing(&key(session)).is_none(), "one at a time");
                        state.condensed(&key(session), oldest.last, Some(turn(number, bytes)));
                        list.condense(session, &oldest, turn(number, bytes));
                    }
                }
                Op::Fail(session) => {
                    if let Some(oldest) = state.start_condensing(&key(session)) {
                        state.condensed(&key(session), oldest.last, None);
                        prop_assert!(state.start_condensing(&key(session)).is_none(), "once for the same turns");
                    }
                }
            }
            let stats = state.stats;
            prop_assert_eq!((stats.sessions, stats.turns, stats.bytes), counted(&state));
            prop_assert_eq!(state.order.len(), stats.sessions);
            prop_assert!(stats.bytes <= TOTAL);
            prop_assert!(state.sessions.values().all(|session| session.bytes <= PER_SESSION));
        }
        list.expire(now);
        while state.sweep(begin + Duration::from_secs(now), 1).is_some_and(|next| next <= begin + Duration::from_secs(now)) {}
        let bytes: usize = list.0.iter().map(Plain::all_bytes).sum();
        prop_assert_eq!((state.stats.sessions, state.stats.bytes), (list.0.len(), bytes));
        for plain in &list.0 {
            prop_assert_eq!(&state.turns(&key(plain.session), begin + Duration::from_secs(now)), &plain.turns);
        }
    }
}

#[test]
fn a_summary_comes_too_late_for_a_session_that_has_begun_again() {
    let mut state = State::new(MemoryLimits::new().session_bytes(PER_SESSION));
    let now = Instant::now();
    for number in 0..4 {
        state.append(&key(0), turn(number, 160), now);
    }
    let oldest = state.start_condensing(&key(0)).expect("it holds enough");
    assert_eq!(oldest.turns.len(), 3);
    state.forget(&key(0));
    state.append(&key(0), turn(9, 10), now);
    state.condensed(&key(0), oldest.last, Some(turn(8, 10)));
    assert_eq!(state.turns(&key(0), now), [turn(9, 10)]);
    assert_eq!(state.stats.summaries, 0);
}

#[test]
fn turns_that_came_meanwhile_stay_behind_the_summary() {
    let mut state = State::new(MemoryLimits::new().session_bytes(PER_SESSION));
    let now = Instant::now();
    for number in 0..4 {
        state.append(&key(0), turn(number, 160), now);
    }
    let oldest = state.start_condensing(&key(0)).expect("it holds enough");
    // The first turn has to go for it: the summary stands for it all the same.
    state.append(&key(0), turn(4, 160), now);
    assert_eq!(state.stats.turns_dropped, 1);
    state.condensed(&key(0), oldest.last, Some(turn(9, 10)));
    assert_eq!(state.turns(&key(0), now), [turn(9, 10), turn(3, 160), turn(4, 160)]);
    assert_eq!(state.stats.summaries, 1);
}
