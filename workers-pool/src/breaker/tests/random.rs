use proptest::prelude::*;
use tokio::time::Instant;

use super::super::circuit::{Circuit, Pass, Verdict};
use super::*;

#[derive(Debug, Clone, Copy)]
enum Act {
    Wait(u64),
    Admit,
    Begin(usize, u64),
    End(usize, End),
    ProbeNow,
    Close,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Success,
    Fault,
    Rest(u64),
    Neither,
}

fn act() -> impl Strategy<Value = Act> {
    let end = prop_oneof![
        3 => Just(End::Success),
        5 => Just(End::Fault),
        1 => (0..5_000_u64).prop_map(End::Rest),
        1 => Just(End::Neither),
    ];
    prop_oneof![
        4 => (0..4_000_u64).prop_map(Act::Wait),
        8 => Just(Act::Admit),
        3 => (0..8_usize, 0..3_000_u64).prop_map(|(call, took)| Act::Begin(call, took)),
        8 => (0..8_usize, end).prop_map(|(call, end)| Act::End(call, end)),
        1 => Just(Act::ProbeNow),
        1 => Just(Act::Close),
    ]
}

/// Plays what happens, and remembers the probe that is on its way.
struct Play {
    circuit: Circuit,
    now: Instant,
    calls: Vec<Pass>,
    probe: Option<Pass>,
}

impl Play {
    fn act(&mut self, act: Act) {
        let before = self.circuit.state();
        match act {
            Act::Wait(millis) => self.now += Duration::from_millis(millis),
            Act::Admit => self.admit(before),
            Act::Begin(call, took) => {
                let took = Duration::from_millis(took);
                if let Some(pass) = self.calls.get(call).copied() {
                    self.circuit.begun(pass, self.now - took.min(seconds(3)), self.now, 0.5);
                }
            }
            Act::End(call, end) if call < self.calls.len() => self.end(call, end, before),
            Act::End(..) => {}
            Act::ProbeNow => self.circuit.probe_now(self.now),
            Act::Close => self.circuit.close(),
        }
        if self.circuit.state() != BreakerState::HalfOpen {
            self.probe = None;
        }
    }

    fn admit(&mut self, before: BreakerState) {
        let admits = match before {
            BreakerState::Closed => true,
            BreakerState::Resting { until: at } | BreakerState::Open { probe_at: at } => at <= self.now,
            BreakerState::HalfOpen => false,
        };
        match self.circuit.admit(self.now) {
            Ok(pass) => {
                assert!(admits, "{before:?} let a call through");
                assert_eq!(pass.is_probe, matches!(before, BreakerState::Open { .. }));
                assert!(!pass.is_probe || self.probe.is_none(), "a second probe");
                self.probe = if pass.is_probe { Some(pass) } else { self.probe };
                self.calls.push(pass);
            }
            Err(pause) => {
                assert!(!admits, "{before:?} refused a call");
                assert!(pause > Duration::ZERO && pause <= seconds(15));
            }
        }
    }

    fn end(&mut self, call: usize, end: End, before: BreakerState) {
        let pass = self.calls.swap_remove(call);
        let verdict = match end {
            End::Success => Verdict::Success,
            End::Fault => Verdict::Fault,
            End::Rest(millis) => Verdict::Rest(self.now + Duration::from_millis(millis)),
            End::Neither => Verdict::Neither,
        };
        self.circuit.ended(pass, verdict, self.now, 0.5);
        let after = self.circuit.state();
        let is_the_probe = self.probe == Some(pass);
        match (before, after) {
            (BreakerState::HalfOpen, BreakerState::Closed) => {
                assert!(is_the_probe && verdict == Verdict::Success, "closed by {verdict:?} of {pass:?}");
            }
            (BreakerState::HalfOpen, BreakerState::HalfOpen) => assert!(!is_the_probe, "the probe ended unnoticed"),
            (BreakerState::Open { probe_at: before }, BreakerState::Open { probe_at: after }) => match verdict {
                Verdict::Rest(until) => assert_eq!(after, before.max(until)),
                _ => assert_eq!(before, after, "an open one waits for its probe"),
            },
            (BreakerState::Open { .. }, _) => panic!("an open one waits for its probe"),
            (BreakerState::Closed | BreakerState::Resting { .. }, BreakerState::Open { .. }) => {
                assert_eq!(verdict, Verdict::Fault, "opened by something else");
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn there_is_never_a_second_probe_and_only_its_success_closes(acts in prop::collection::vec(act(), 1..200)) {
        let circuit = Circuit::new(BreakerConfig::new().slow_call(seconds(2)));
        let mut play = Play { circuit, now: Instant::now() + seconds(10), calls: Vec::new(), probe: None };
        acts.into_iter().for_each(|act| play.act(act));
    }
}
