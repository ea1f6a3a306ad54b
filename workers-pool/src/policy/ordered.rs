use super::{Ask, Candidate, Policy};

/// The first in order that has room: a primary, and who helps out when it is full or away.
///
/// As only members with a free slot are candidates, requests spill over to the next when the first has none left, and come back
/// with the first that is free again. Members stand in the order in which they were added to the pool, or as
/// [`by_name`](Self::by_name) says. Where what a member costs is known, [`Cheapest`](super::Cheapest) keeps an eye on the time
/// too.
///
/// # Examples
///
/// ```
/// use workers_pool::policy::{Ask, Candidate, Ordered, Policy};
///
/// let policy = Ordered::by_name(["mac", "gpu"]);
/// let [cloud, gpu, mac] = [Candidate::new(0, "cloud"), Candidate::new(1, "gpu"), Candidate::new(2, "mac")];
/// assert_eq!(policy.choose(&Ask::new(), &[cloud, gpu, mac]), 2);
/// assert_eq!(policy.choose(&Ask::new(), &[cloud, gpu]), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ordered {
    first: Vec<String>,
}

impl Ordered {
    /// Prefers members in the order in which they were added.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: Vec::new() }
    }

    /// Prefers the members of these names in this order; behind them all others, in the order in which they were added.
    #[must_use]
    pub fn by_name<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self { first: names.into_iter().map(Into::into).collect() }
    }
}

impl Policy for Ordered {
    fn choose(&self, _ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize {
        let place = |name: &String| candidates.iter().position(|candidate| candidate.name == name);
        self.first.iter().find_map(place).unwrap_or(0)
    }

    fn name(&self) -> &str {
        "ordered"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills members of two slots each, and returns who was chosen.
    fn fill(policy: &Ordered, members: &mut [Candidate<'_>], requests: usize) -> Vec<u64> {
        let mut chosen = Vec::new();
        for _ in 0..requests {
            let free: Vec<_> = members.iter().copied().filter(|member| member.free > 0).collect();
            let id = free[policy.choose(&Ask::new(), &free)].id;
            let member = members.iter_mut().find(|member| member.id == id).expect("it is one of them");
            *member = member.busy(member.in_flight + 1, 2);
            chosen.push(id);
        }
        chosen
    }

    #[test]
    fn requests_spill_over_and_come_back() {
        let policy = Ordered::new();
        let mut members = [0, 1, 2].map(|id| Candidate::new(id, "").busy(0, 2));
        assert_eq!(fill(&policy, &mut members, 5), [0, 0, 1, 1, 2]);
        members[0] = members[0].busy(1, 2);
        assert_eq!(fill(&policy, &mut members, 2), [0, 2]);
    }

    #[test]
    fn names_come_before_the_order_of_adding() {
        let policy = Ordered::by_name(["late", "gone", "second"]);
        let mut members = [(0, "other"), (1, "second"), (2, "another"), (3, "late")];
        let mut members = members.each_mut().map(|(id, name)| Candidate::new(*id, name).busy(0, 2));
        assert_eq!(fill(&policy, &mut members, 8), [3, 3, 1, 1, 0, 0, 2, 2]);
    }
}
