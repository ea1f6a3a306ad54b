use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{Ask, Candidate, Policy};

/// How many ids beyond twice the candidates are remembered.
const SPARE: usize = 64;

/// In turns, as often as the weights say: smooth weighted round robin, as nginx does it.
///
/// Turns of a heavy member are spread: with weights 5, 1 and 1 the order is `a a b a c a a`. It looks at nothing but weights;
/// to let them count for what members have to do, use [`LeastOutstanding`](super::LeastOutstanding).
///
/// # Examples
///
/// ```
/// use workers_pool::policy::{Ask, Candidate, Policy, Weighted};
///
/// let policy = Weighted::new();
/// let members = [Candidate::new(0, "a").weight(5.0), Candidate::new(1, "b"), Candidate::new(2, "c")];
/// let order: String = (0..7).map(|_| members[policy.choose(&Ask::new(), &members)].name).collect();
/// assert_eq!(order, "aabacaa");
/// ```
#[derive(Debug, Default)]
pub struct Weighted {
    /// By id: what a member has saved up.
    credit: Mutex<BTreeMap<u64, f64>>,
}

impl Weighted {
    /// Makes the policy.
    #[must_use]
    pub const fn new() -> Self {
        Self { credit: Mutex::new(BTreeMap::new()) }
    }
}

impl Policy for Weighted {
    /// Each saves up its weight, the richest is chosen, the first where several are, and pays the sum of the weights.
    fn choose(&self, _ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize {
        let mut credit = self.credit.lock().unwrap_or_else(PoisonError::into_inner);
        forget(&mut credit, candidates);
        let (mut total, mut richest, mut place) = (0.0, f64::NEG_INFINITY, 0);
        for (at, candidate) in candidates.iter().enumerate() {
            let saved = credit.entry(candidate.id).or_insert(0.0);
            *saved += candidate.weight;
            total += candidate.weight;
            if *saved > richest {
                (richest, place) = (*saved, at);
            }
        }
        if let Some(chosen) = candidates.get(place).and_then(|chosen| credit.get_mut(&chosen.id)) {
            *chosen -= total;
        }
        place
    }

    fn name(&self) -> &str {
        "weighted"
    }
}

/// Forgets who is not among the candidates, where so many are remembered that most of them must have left the pool for good.
fn forget(credit: &mut BTreeMap<u64, f64>, candidates: &[Candidate<'_>]) {
    if credit.len() > 2 * candidates.len() + SPARE {
        credit.retain(|id, _| candidates.iter().any(|candidate| candidate.id == *id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(policy: &Weighted, members: &[Candidate<'_>], count: usize) -> Vec<usize> {
        let mut draws = vec![0; members.len()];
        (0..count).for_each(|_| draws[policy.choose(&Ask::new(), members)] += 1);
        draws
    }

    #[test]
    fn ten_thousand_draws_are_as_the_weights_say() {
        let members = [0.5, 1.0, 2.5, 6.0].map(|weight| Candidate::new(0, "").weight(weight));
        let members: Vec<_> = (0..).zip(members).map(|(id, member)| Candidate { id, ..member }).collect();
        assert_eq!(draws(&Weighted::new(), &members, 10_000), [500, 1_000, 2_500, 6_000]);
    }

    #[test]
    fn a_new_weight_counts_at_once() {
        let policy = Weighted::new();
        let members = [Candidate::new(0, ""), Candidate::new(1, "")];
        assert_eq!(draws(&policy, &members, 1_000), [500, 500]);
        assert_eq!(draws(&policy, &[members[0].weight(4.0), members[1]], 1_000), [800, 200]);
    }

    #[test]
    fn a_member_that_was_full_does_not_catch_up() {
        let policy = Weighted::new();
        let members = [Candidate::new(0, ""), Candidate::new(1, ""), Candidate::new(2, "")];
        draws(&policy, &members, 300);
        draws(&policy, &members[..2], 1_000);
        assert_eq!(draws(&policy, &members, 300), [100, 100, 100]);
    }

    #[test]
    fn members_that_left_are_forgotten() {
        let policy = Weighted::new();
        for id in 0..10_000 {
            draws(&policy, &[Candidate::new(id, ""), Candidate::new(id + 1, "")], 3);
        }
        assert!(policy.credit.lock().expect("nobody panicked").len() <= 5 + SPARE);
    }
}
