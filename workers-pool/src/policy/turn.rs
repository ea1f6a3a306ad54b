use std::sync::atomic::{AtomicU64, Ordering};

use super::Candidate;

/// Whose turn it is, by id: the next above the one that was chosen last, and the lowest behind the highest.
///
/// Places would not do: they change with every member that comes, goes or has no room.
#[derive(Debug)]
pub(super) struct Turn(AtomicU64);

impl Turn {
    pub(super) const fn new() -> Self {
        // Nothing is above it, so the lowest comes first.
        Self(AtomicU64::new(u64::MAX))
    }

    /// Gives the turn to the next among those that `may`, and returns its place; 0 where nobody may.
    pub(super) fn give(&self, candidates: &[Candidate<'_>], may: impl Fn(&Candidate<'_>) -> bool) -> usize {
        let next = |last: u64| {
            let who = candidates.iter().enumerate().filter(|(_, candidate)| may(candidate));
            who.map(|(place, candidate)| (candidate.id <= last, candidate.id, place)).min()
        };
        let mut last = self.0.load(Ordering::Relaxed);
        while let Some((_, id, place)) = next(last) {
            match self.0.compare_exchange_weak(last, id, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return place,
                // Somebody else had the turn in the same moment.
                Err(now) => last = now,
            }
        }
        0
    }
}
