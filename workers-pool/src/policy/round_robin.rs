use super::turn::Turn;
use super::{Ask, Candidate, Policy};

/// One after the other.
///
/// Turns go by the members' ids, so that one that comes, goes, or has no room for a while changes nothing for the others. For
/// shares of different size use [`Weighted`](super::Weighted); where answers take different times, as those of models do,
/// [`LeastOutstanding`](super::LeastOutstanding) loads members more evenly.
///
/// # Examples
///
/// ```
/// use workers_pool::policy::{Ask, Candidate, Policy, RoundRobin};
///
/// let policy = RoundRobin::new();
/// let members = [Candidate::new(0, "mac"), Candidate::new(1, "gpu"), Candidate::new(2, "cloud")];
/// let turns: Vec<_> = (0..4).map(|_| policy.choose(&Ask::new(), &members)).collect();
/// assert_eq!(turns, [0, 1, 2, 0]);
/// ```
#[derive(Debug)]
pub struct RoundRobin(Turn);

impl RoundRobin {
    /// Starts with the first member.
    #[must_use]
    pub const fn new() -> Self {
        Self(Turn::new())
    }
}

impl Default for RoundRobin {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy for RoundRobin {
    fn choose(&self, _ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize {
        self.0.give(candidates, |_| true)
    }

    fn name(&self) -> &str {
        "round-robin"
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn members(ids: &[u64]) -> Vec<Candidate<'static>> {
        ids.iter().map(|id| Candidate::new(*id, "")).collect()
    }

    fn choose(policy: &RoundRobin, ids: &[u64]) -> u64 {
        ids[policy.choose(&Ask::new(), &members(ids))]
    }

    #[test]
    fn a_member_that_leaves_costs_nobody_a_turn() {
        let policy = RoundRobin::new();
        assert_eq!([1, 2, 3].map(|_| choose(&policy, &[1, 2, 3, 4])), [1, 2, 3]);
        assert_eq!([1, 2].map(|_| choose(&policy, &[1, 2, 4])), [4, 1]);
        assert_eq!([1, 2, 3].map(|_| choose(&policy, &[2, 4, 7])), [2, 4, 7]);
    }

    #[test]
    fn threads_share_the_turns() {
        let (policy, members) = (RoundRobin::new(), members(&[5, 6, 7, 8]));
        let draw = || {
            let mut draws = [0_usize; 4];
            (0..1_000).for_each(|_| draws[policy.choose(&Ask::new(), &members)] += 1);
            draws
        };
        let draws = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(draw)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no draw panics")).collect::<Vec<_>>()
        });
        for place in 0..4 {
            assert_eq!(draws.iter().map(|draws| draws[place]).sum::<usize>(), 1_000);
        }
    }
}
