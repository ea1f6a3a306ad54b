use super::turn::Turn;
use super::{Ask, Candidate, Policy};

/// The member that would have the fewest calls in flight for its weight, this one counted; in turn where several would.
///
/// It needs no measurements and loads members evenly that are alike. Where some are faster than others and nobody has said so
/// with weights, [`PeakEwma`](super::PeakEwma) finds out.
///
/// # Examples
///
/// ```
/// use workers_pool::policy::{Ask, Candidate, LeastOutstanding, Policy};
///
/// let policy = LeastOutstanding::new();
/// let members = [Candidate::new(0, "mac").busy(2, 4), Candidate::new(1, "gpu").busy(4, 16).weight(4.0)];
/// assert_eq!(policy.choose(&Ask::new(), &members), 1);
/// ```
#[derive(Debug)]
pub struct LeastOutstanding(Turn);

impl LeastOutstanding {
    /// Makes the policy.
    #[must_use]
    pub const fn new() -> Self {
        Self(Turn::new())
    }
}

impl Default for LeastOutstanding {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy for LeastOutstanding {
    fn choose(&self, _ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize {
        let least = candidates.iter().map(Candidate::pressure).fold(f64::INFINITY, f64::min);
        self.0.give(candidates, |candidate| candidate.pressure() <= least)
    }

    fn name(&self) -> &str {
        "least-outstanding"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_fill_up_by_weight() {
        let policy = LeastOutstanding::new();
        let mut members = [(0, 1.0), (1, 3.0), (2, 4.0)].map(|(id, weight)| Candidate::new(id, "").weight(weight));
        for _ in 0..80 {
            members[policy.choose(&Ask::new(), &members)].in_flight += 1;
        }
        assert_eq!(members.map(|member| member.in_flight), [10, 30, 40]);
    }

    #[test]
    fn those_who_are_equal_take_turns() {
        let policy = LeastOutstanding::new();
        let members = [3, 1, 0, 1, 0, 0].map(|busy| Candidate::new(0, "").busy(busy, 8));
        let members: Vec<_> = (0..).zip(members).map(|(id, member)| Candidate { id, ..member }).collect();
        assert_eq!([(); 4].map(|()| policy.choose(&Ask::new(), &members)), [2, 4, 5, 2]);
    }
}
