use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::{Ask, Candidate, Policy};

/// A member whose first token has not been seen is tried once in as many choices, after the first time.
const AGAIN: usize = 16;

/// Below this, first tokens are all equally fast, and what is in flight decides.
const FASTEST: Duration = Duration::from_micros(1);

/// The better of two members drawn at random: the one whose first tokens are expected sooner.
///
/// A member's load is how long its first tokens take, times the calls that it would have in flight, divided by its weight. The
/// mean follows a rise at once and a fall slowly, so that a member that becomes slow is left alone with its next first token;
/// as it forgets while nobody calls, the member is looked at again. To take the better of two avoids that all callers run to
/// the same one. This is what Finagle's `Balancers.p2cPeakEwma` does, with first tokens in place of whole answers.
///
/// A member that has not been measured is tried at once when it is idle, and then once in sixteen choices, lest one that only
/// refuses be asked first by everybody.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use workers_pool::policy::{Ask, Candidate, PeakEwma, Policy};
///
/// let policy = PeakEwma::new();
/// let fast = Candidate::new(0, "fast").first_token(Duration::from_millis(80)).busy(2, 8);
/// let slow = Candidate::new(1, "slow").first_token(Duration::from_millis(900)).busy(0, 8);
/// assert_eq!(policy.choose(&Ask::new(), &[fast, slow]), 0);
/// ```
#[derive(Debug, Default)]
pub struct PeakEwma {
    /// Whose ids, modulo 64, were tried unmeasured. Where two share a bit, the later one waits its sixteen choices.
    tried: AtomicU64,
    /// How many choices there were with an unmeasured member among the candidates.
    choices: AtomicUsize,
}

impl PeakEwma {
    /// Makes the policy.
    #[must_use]
    pub const fn new() -> Self {
        Self { tried: AtomicU64::new(0), choices: AtomicUsize::new(0) }
    }

    /// Returns whom this request is to measure.
    fn unmeasured(&self, candidates: &[Candidate<'_>]) -> Option<usize> {
        let idle = |candidate: &Candidate<'_>| candidate.first_token.is_none() && candidate.in_flight == 0;
        let count = candidates.iter().filter(|candidate| idle(candidate)).count();
        if count == 0 {
            return None;
        }
        let choice = self.choices.fetch_add(1, Ordering::Relaxed);
        let new = candidates.iter().position(|candidate| idle(candidate) && self.is_new(candidate.id));
        if new.is_some() || !choice.is_multiple_of(AGAIN) {
            return new;
        }
        let idle = candidates.iter().enumerate().filter(|(_, candidate)| idle(candidate));
        idle.map(|(place, _)| place).nth(choice / AGAIN % count)
    }

    /// Returns whether an id was not asked for before.
    fn is_new(&self, id: u64) -> bool {
        let bit = 1 << (id % 64);
        self.tried.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

impl Policy for PeakEwma {
    fn choose(&self, _ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize {
        if let Some(place) = self.unmeasured(candidates) {
            return place;
        }
        let one = fastrand::usize(..candidates.len());
        // Any but the first.
        let other = (one + fastrand::usize(1..candidates.len())) % candidates.len();
        if load(&candidates[one]) <= load(&candidates[other]) { one } else { other }
    }

    fn name(&self) -> &str {
        "peak-ewma"
    }
}

/// What a member has to do, above all whether that is known: one whose first answer is still awaited might never give it.
fn load(candidate: &Candidate<'_>) -> (bool, f64) {
    let takes = candidate.first_token.map(|takes| takes.max(FASTEST).as_secs_f64());
    (takes.is_none(), takes.unwrap_or(1.0) * candidate.pressure())
}

#[cfg(test)]
mod tests;
