use tokio::time::Instant;

use super::super::circuit::{Circuit, Pass, Verdict};
use super::*;

/// With a first pause of 1 s and 15 s at most, and no chance.
fn circuit() -> Circuit {
    Circuit::new(BreakerConfig::new())
}

fn pass(circuit: &mut Circuit, now: Instant) -> Pass {
    circuit.admit(now).expect("lets through")
}

fn end(circuit: &mut Circuit, verdict: Verdict, now: Instant) {
    let pass = pass(circuit, now);
    circuit.ended(pass, verdict, now, 0.0);
}

fn opened(now: Instant) -> Circuit {
    let mut circuit = circuit();
    (0..5).for_each(|_| end(&mut circuit, Verdict::Fault, now));
    circuit
}

#[test]
fn five_failures_in_a_row_open_it_however_slow_they_come() {
    let (mut circuit, start) = (circuit(), Instant::now());
    for minute in 0..5 {
        assert_eq!(circuit.state(), BreakerState::Closed);
        end(&mut circuit, Verdict::Fault, start + seconds(60 * minute));
    }
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: start + seconds(241) });
    assert_eq!(circuit.opened(), 1);
}

#[test]
fn half_of_the_calls_in_the_window_open_it_and_fewer_do_not() {
    let (mut circuit, now) = (circuit(), Instant::now());
    for _ in 0..20 {
        end(&mut circuit, Verdict::Success, now);
        end(&mut circuit, Verdict::Success, now);
        end(&mut circuit, Verdict::Fault, now);
    }
    assert_eq!(circuit.state(), BreakerState::Closed, "a third failed");
    let later = now + seconds(10);
    for verdict in [Verdict::Success, Verdict::Fault, Verdict::Success, Verdict::Fault] {
        end(&mut circuit, verdict, later);
    }
    assert_eq!(circuit.state(), BreakerState::Closed, "four calls say little");
    end(&mut circuit, Verdict::Fault, later);
    assert!(matches!(circuit.state(), BreakerState::Open { .. }), "{circuit:?}");
}

#[test]
fn pauses_grow_to_the_longest_and_begin_anew_after_a_success() {
    let mut now = Instant::now();
    let mut circuit = opened(now);
    for pause in [1, 2, 4, 8, 15, 15] {
        assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + seconds(pause) });
        let refused = circuit.admit(now + seconds(pause) - Duration::from_millis(1));
        assert_eq!(refused, Err(Duration::from_millis(1)));
        now += seconds(pause);
        end(&mut circuit, Verdict::Fault, now);
    }
    now += seconds(15);
    end(&mut circuit, Verdict::Success, now);
    assert_eq!((circuit.state(), circuit.opened()), (BreakerState::Closed, 1));
    (0..5).for_each(|_| end(&mut circuit, Verdict::Fault, now));
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + seconds(1) });
}

#[test]
fn chance_takes_away_a_fifth_of_a_pause_at_most() {
    let now = Instant::now();
    let mut circuit = circuit();
    for _ in 0..5 {
        let pass = pass(&mut circuit, now);
        circuit.ended(pass, Verdict::Fault, now, 1.0);
    }
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + Duration::from_millis(800) });
}

#[test]
fn calls_of_before_do_not_count() {
    let start = Instant::now();
    let mut circuit = circuit();
    let (old, older) = (pass(&mut circuit, start), pass(&mut circuit, start));
    (0..5).for_each(|_| end(&mut circuit, Verdict::Fault, start));
    let open = circuit.state();
    circuit.ended(old, Verdict::Success, start, 0.0);
    assert_eq!(circuit.state(), open, "an answer that began before");
    let probe = pass(&mut circuit, start + seconds(1));
    circuit.ended(older, Verdict::Fault, start + seconds(1), 0.0);
    assert_eq!(circuit.state(), BreakerState::HalfOpen);
    circuit.ended(probe, Verdict::Success, start + seconds(1), 0.0);
    assert_eq!(circuit.state(), BreakerState::Closed);
}

#[test]
fn a_pause_that_the_server_asks_for_is_no_failure() {
    let now = Instant::now();
    let mut circuit = circuit();
    let (one, other) = (pass(&mut circuit, now), pass(&mut circuit, now));
    circuit.ended(one, Verdict::Rest(now + seconds(30)), now, 0.0);
    circuit.ended(other, Verdict::Rest(now + seconds(20)), now, 0.0);
    assert_eq!(circuit.state(), BreakerState::Resting { until: now + seconds(30) });
    assert_eq!(circuit.admit(now + seconds(20)), Err(seconds(10)));
    // All of them come back, not one.
    let later = now + seconds(30);
    assert!(!pass(&mut circuit, later).is_probe && !pass(&mut circuit, later).is_probe);
    assert_eq!((circuit.state(), circuit.opened()), (BreakerState::Closed, 0));
}

#[test]
fn a_probe_that_is_told_to_wait_does_not_let_pauses_grow() {
    let now = Instant::now();
    let mut circuit = opened(now);
    end(&mut circuit, Verdict::Rest(now + seconds(30)), now + seconds(1));
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + seconds(30) });
    end(&mut circuit, Verdict::Fault, now + seconds(30));
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + seconds(32) });
}

#[test]
fn slow_calls_open_it_before_they_end() {
    let mut circuit = Circuit::new(BreakerConfig::new().slow_call(seconds(2)));
    let start = Instant::now();
    let passes: Vec<_> = (0..8).map(|_| pass(&mut circuit, start)).collect();
    passes[..4].iter().for_each(|pass| circuit.begun(*pass, start, start + seconds(2), 0.0));
    passes[4..7].iter().for_each(|pass| circuit.begun(*pass, start, start + seconds(3), 0.0));
    assert_eq!(circuit.state(), BreakerState::Closed, "three of seven");
    circuit.begun(passes[7], start, start + seconds(3), 0.0);
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: start + seconds(4) });
    let probe = pass(&mut circuit, start + seconds(4));
    circuit.begun(probe, start + seconds(4), start + seconds(7), 0.0);
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: start + seconds(9) }, "a slow probe fails at once");
    circuit.ended(probe, Verdict::Success, start + seconds(8), 0.0);
    assert!(matches!(circuit.state(), BreakerState::Open { .. }));
}

#[test]
fn whoever_finds_the_server_ready_may_have_it_probed_at_once() {
    let now = Instant::now();
    let mut circuit = opened(now);
    circuit.probe_now(now);
    assert!(pass(&mut circuit, now).is_probe);
    circuit.probe_now(now);
    assert_eq!(circuit.state(), BreakerState::HalfOpen, "one probe is enough");
}

#[test]
fn a_pause_that_the_server_asked_for_is_kept_whatever_comes() {
    let now = Instant::now();
    let mut circuit = opened(now);
    let probe = pass(&mut circuit, now + seconds(1));
    circuit.ended(probe, Verdict::Rest(now + seconds(60)), now + seconds(1), 0.0);
    circuit.probe_now(now + seconds(2));
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + seconds(60) });

    let mut circuit = self::circuit();
    let passes = [(); 6].map(|()| pass(&mut circuit, now));
    circuit.ended(passes[0], Verdict::Rest(now + seconds(60)), now, 0.0);
    passes[1..].iter().for_each(|failed| circuit.ended(*failed, Verdict::Fault, now, 0.0));
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + seconds(60) });
}

#[test]
fn the_first_event_of_the_probe_closes_it_on_trial() {
    let mut now = Instant::now();
    let mut circuit = opened(now);
    for pause in [1, 2, 4] {
        assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + seconds(pause) });
        now += seconds(pause);
        let probe = pass(&mut circuit, now);
        circuit.begun(probe, now, now, 0.0);
        assert_eq!(circuit.state(), BreakerState::Closed);
        end(&mut circuit, Verdict::Success, now);
        now += seconds(60);
        circuit.ended(probe, Verdict::Fault, now, 0.0);
    }
    assert_eq!((circuit.state(), circuit.opened()), (BreakerState::Open { probe_at: now + seconds(8) }, 1));
}

/// Opens it, and closes it by the first event of a probe, which is still on its way.
fn on_trial(now: Instant) -> (Circuit, Pass) {
    let mut circuit = opened(now);
    let probe = pass(&mut circuit, now + seconds(1));
    circuit.begun(probe, now + seconds(1), now + seconds(1), 0.0);
    (circuit, probe)
}

#[test]
fn pauses_begin_anew_when_the_probe_has_ended_well() {
    let now = Instant::now();
    for (verdict, others, pause) in [
        (Some(Verdict::Success), false, 1),
        (Some(Verdict::Neither), false, 2),
        (Some(Verdict::Neither), true, 1),
        (None, true, 2),
    ] {
        let (mut circuit, probe) = on_trial(now);
        verdict.into_iter().for_each(|verdict| circuit.ended(probe, verdict, now, 0.0));
        if others {
            end(&mut circuit, Verdict::Success, now);
        }
        let later = now + seconds(100);
        (0..5).for_each(|_| end(&mut circuit, Verdict::Fault, later));
        let open = BreakerState::Open { probe_at: later + seconds(pause) };
        assert_eq!((circuit.state(), circuit.opened()), (open, 2), "{verdict:?}, {others}");
        circuit.ended(probe, Verdict::Success, later, 0.0);
        assert_eq!(circuit.state(), open, "the trial is over");
    }
}

#[test]
fn whoever_meets_a_probe_comes_again_in_a_second_at_most() {
    let mut now = Instant::now();
    let mut circuit = opened(now);
    for pause in [1, 2, 4] {
        now += seconds(pause);
        let probe = pass(&mut circuit, now);
        assert_eq!(circuit.admit(now), Err(seconds(1)));
        circuit.ended(probe, Verdict::Fault, now, 0.0);
    }
}

#[test]
fn a_pause_that_is_asked_for_when_it_is_open_already_is_kept_too() {
    let now = Instant::now();
    let mut circuit = circuit();
    let late = pass(&mut circuit, now);
    (0..5).for_each(|_| end(&mut circuit, Verdict::Fault, now));
    circuit.ended(late, Verdict::Rest(now + seconds(30)), now, 0.0);
    circuit.probe_now(now);
    assert_eq!(circuit.state(), BreakerState::Open { probe_at: now + seconds(30) });
}
