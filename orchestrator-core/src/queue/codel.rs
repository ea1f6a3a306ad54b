//! Controlled delay: tells a queue that stands from a burst that passes, and cuts the former down.
//!
//! A burst makes some entries wait; a standing queue makes all of them wait. So what counts is the shortest wait over an
//! interval (Nichols and Jacobson, "Controlling Queue Delay", ACM Queue 2012). Senders of packets slow down when one of
//! them is lost, and are told so gently, by one drop after another. Requests do not slow down: here everything that has
//! waited for too long is dropped at once, as in Facebook's variant for servers (Maurer, "Fail at Scale", ACM Queue 2015).

use super::{CoDelTicks, NEVER};

/// Watches how long what leaves a queue has waited.
pub(super) struct CoDel {
    ticks: CoDelTicks,
    /// From when on entries are dropped, unless a short wait or an empty queue comes before; [`NEVER`] behind such a one.
    from: u64,
}

impl CoDel {
    pub(super) const fn new(ticks: CoDelTicks) -> Self {
        Self { ticks, from: NEVER }
    }

    /// Notes an entry that is about to leave after `wait` ticks; returns whether it is to be dropped.
    ///
    /// It is if it has waited for longer than the target, as has all that came before it for an interval or more.
    pub(super) fn drops(&mut self, now: u64, wait: u64) -> bool {
        if wait <= self.ticks.target {
            self.reset();
            return false;
        }
        if self.from == NEVER {
            self.from = now.saturating_add(self.ticks.interval);
        }
        self.from <= now
    }

    /// Notes that the queue was empty.
    pub(super) const fn reset(&mut self) {
        self.from = NEVER;
    }
}

#[cfg(all(test, not(core_loom)))]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const TICKS: CoDelTicks = CoDelTicks { target: 5, interval: 20 };

    #[test]
    fn drops_begin_an_interval_after_the_first_long_wait_and_end_with_a_short_one() {
        let mut codel = CoDel::new(TICKS);
        let leave = [(0, 6), (19, 90), (20, 6), (21, 90), (22, 5), (23, 6), (42, 6), (43, 6)];
        let dropped = leave.map(|(now, wait)| codel.drops(now, wait));
        assert_eq!(dropped, [false, false, true, true, false, false, false, true]);
    }

    #[test]
    fn an_empty_queue_ends_the_drops() {
        let mut codel = CoDel::new(TICKS);
        assert!(!codel.drops(0, 6) && codel.drops(20, 6));
        codel.reset();
        assert!(!codel.drops(21, 90) && codel.drops(41, 90));
    }

    #[test]
    fn an_interval_without_end_never_drops() {
        let mut codel = CoDel::new(CoDelTicks { target: 5, interval: NEVER });
        assert!(![1, NEVER - 1].iter().any(|now| codel.drops(*now, 6)));
    }

    /// Whether the last of `leave` is to be dropped: all since some instant an interval ago were long waits.
    ///
    /// An empty queue stands as `None`.
    fn is_dropped(leave: &[(u64, Option<u64>)]) -> bool {
        let is_long = |wait: Option<u64>| wait.is_some_and(|wait| wait > TICKS.target);
        let long: Vec<_> = leave.iter().rev().take_while(|(_, wait)| is_long(*wait)).collect();
        long.first().zip(long.last()).is_some_and(|(last, first)| last.0 - first.0 >= TICKS.interval)
    }

    proptest! {
        #[test]
        fn drops_what_a_look_at_the_whole_past_would_drop(steps in vec((0_u64..8, 0_u64..40), 1..200)) {
            let mut codel = CoDel::new(TICKS);
            let (mut now, mut past) = (0, Vec::new());
            for (step, wait) in steps {
                now += step;
                if wait == 0 {
                    codel.reset();
                    past.push((now, None));
                } else {
                    past.push((now, Some(wait)));
                    prop_assert_eq!(codel.drops(now, wait), is_dropped(&past));
                }
            }
        }
    }
}
