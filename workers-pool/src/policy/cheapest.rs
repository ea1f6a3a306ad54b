use std::time::Duration;

use super::{Ask, Candidate, Policy};

/// The cheapest member of which the first token is expected within a goal; the fastest where none is that fast.
///
/// A first token is expected in as long as it took when that was last measured, and up to twice that as the member's slots fill
/// up. Where several cost the same, the fastest is chosen.
///
/// **Who is tried**: a member whose first token has not been seen, or took too long, but so long ago that it is forgotten by
/// now, gets one request while it is idle. Until it is known how that one fares, the others go on as if it did not meet the
/// goal.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use workers_pool::policy::{Ask, Candidate, Cheapest, Policy};
///
/// let policy = Cheapest::within(Duration::from_secs(1));
/// let own = Candidate::new(0, "own").busy(0, 4).first_token(Duration::from_millis(600));
/// let cloud = Candidate::new(1, "cloud").cost(0.6).first_token(Duration::from_millis(300));
/// assert_eq!(policy.choose(&Ask::new(), &[own, cloud]), 0);
/// assert_eq!(policy.choose(&Ask::new(), &[own.busy(3, 4), cloud]), 1);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Cheapest {
    goal: Duration,
}

impl Cheapest {
    /// Sets how long a first token may take.
    #[must_use]
    pub const fn within(goal: Duration) -> Self {
        Self { goal }
    }
}

impl Policy for Cheapest {
    fn choose(&self, _ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize {
        let goal = self.goal.as_secs_f64();
        let rank = |candidate: &Candidate<'_>| rank(candidate, goal);
        let ranks = candidates.iter().map(rank).enumerate();
        let best = ranks.reduce(|best, next| if next.1 < best.1 { next } else { best });
        best.map_or(0, |(place, _)| place)
    }

    fn name(&self) -> &str {
        "cheapest"
    }
}

/// Who meets the goal, by cost; who does not, by speed; of whom nothing is known as long as a request tries it, by load.
fn rank(candidate: &Candidate<'_>, goal: f64) -> (u8, f64, f64) {
    let idle = candidate.in_flight == 0;
    let expected = |takes: Option<Duration>| takes.map(|takes| takes.as_secs_f64() * (1.0 + busy(candidate)));
    let (now, last) = (expected(candidate.first_token), expected(candidate.measured));
    match last {
        Some(last) if last <= goal => (0, candidate.cost, last),
        _ if idle && now.is_none_or(|now| now <= goal) => (0, candidate.cost, now.unwrap_or(0.0)),
        Some(last) => (1, last, candidate.cost),
        None => (2, candidate.pressure(), candidate.cost),
    }
}

/// The share of its slots that are taken, by calls of this pool.
fn busy(candidate: &Candidate<'_>) -> f64 {
    (candidate.in_flight as f64 / candidate.slots.max(1) as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOAL: Duration = Duration::from_millis(500);

    fn member(cost: f64, millis: u64) -> Candidate<'static> {
        Candidate::new(0, "").busy(0, 8).cost(cost).first_token(Duration::from_millis(millis))
    }

    fn choose(members: &[Candidate<'_>]) -> usize {
        Cheapest::within(GOAL).choose(&Ask::new(), members)
    }

    #[test]
    fn the_cheapest_that_meets_the_goal_then_the_fastest() {
        assert_eq!(choose(&[member(3.0, 100), member(1.0, 400), member(0.0, 600)]), 1);
        assert_eq!(choose(&[member(3.0, 900), member(1.0, 700), member(0.0, 800)]), 1);
        assert_eq!(choose(&[member(1.0, 400), member(1.0, 300), member(1.0, 300)]), 1);
    }

    #[test]
    fn a_member_is_measured_before_a_dearer_one_is_paid() {
        let unknown = Candidate::new(0, "").cost(1.0);
        assert_eq!(choose(&[member(2.0, 10), unknown, member(0.0, 900)]), 1);
        assert_eq!(choose(&[unknown, member(0.5, 400)]), 1);
    }

    #[test]
    fn load_counts_up_to_twice_the_time() {
        let cheap = member(0.0, 300);
        assert_eq!(choose(&[member(1.0, 10), cheap.busy(5, 8)]), 1);
        assert_eq!(choose(&[member(1.0, 10), cheap.busy(6, 8)]), 0);
        assert_eq!(choose(&[member(1.0, 10), member(0.0, 249).busy(80, 8)]), 1);
    }

    #[test]
    fn one_request_tries_who_is_not_known_or_was_too_slow_once() {
        let (paid, unknown) = (member(1.0, 100), Candidate::new(0, "").busy(0, 8));
        let slow_once = member(0.0, 200).measured(Duration::from_secs(20));
        for tried in [unknown, slow_once] {
            assert_eq!(choose(&[paid, tried]), 1);
            assert_eq!(choose(&[paid, tried.busy(1, 8)]), 0);
        }
        assert_eq!(choose(&[paid, member(0.0, 501).measured(Duration::from_secs(20))]), 0, "it is not forgotten yet");
        assert_eq!(
            choose(&[paid, member(0.0, 10).measured(Duration::from_millis(300)).busy(5, 8)]),
            1,
            "known to be fast"
        );
        assert_eq!(choose(&[unknown.busy(2, 8), unknown.busy(1, 8), unknown.busy(3, 8)]), 1, "nobody is known");
        assert_eq!(choose(&[unknown.busy(1, 8), member(1.0, 900)]), 1, "rather late than who knows when");
    }

    proptest! {
        #[test]
        fn nobody_cheaper_meets_the_goal(members in prop::collection::vec((0_u8..4, 0_u64..1_000, 0_usize..8), 2..9)) {
            let members: Vec<_> =
                members.into_iter().map(|(cost, takes, busy)| member(f64::from(cost), takes).busy(busy, 8)).collect();
            let chosen = members[choose(&members)];
            let expected = |member: &Candidate<'_>| member.measured.map(|takes| takes.mul_f64(1.0 + busy(member)));
            let meets = |member: &Candidate<'_>| expected(member) <= Some(GOAL);
            if meets(&chosen) {
                prop_assert!(members.iter().all(|member| !meets(member) || member.cost >= chosen.cost));
            } else {
                prop_assert!(members.iter().all(|member| expected(member) >= expected(&chosen)));
            }
        }
    }
}
