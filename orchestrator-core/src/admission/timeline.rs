use std::collections::BTreeMap;

/// Steps into which the time that an entry brings is cut.
const STEPS: u64 = 32;

/// Work by the instant from which it counts, in steps of at most a sixteenth of the time until then.
///
/// Steps and not instants are kept, so that a walk over thousands of entries is one over some dozens of chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Timeline {
    chunks: BTreeMap<(u64, usize), Chunk>,
    /// What lies at or before this is not kept any more.
    settled: u64,
}

/// The work of one class in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Slot-nanoseconds.
    pub(super) work: u64,
    /// In so many entries.
    pub(super) count: u64,
}

impl Chunk {
    /// The most that it can be where no entry counts for more than `most`.
    pub(super) fn capped(self, most: u64) -> u64 {
        self.work.min(self.count.saturating_mul(most))
    }
}

impl Timeline {
    /// The step in which `after` from now lies: its end, never before the instant itself.
    pub(super) fn step(now: u64, after: u64) -> u64 {
        let width = (after / STEPS).max(1).next_power_of_two();
        let mask = width - 1;
        now.saturating_add(after).saturating_add(mask) & !mask
    }

    /// Adds the work of an entry of `class` at a [`step`](Self::step), unless that has been settled.
    pub(super) fn add(&mut self, step: u64, class: usize, work: u64) {
        if step > self.settled {
            let chunk = self.chunks.entry((step, class)).or_default();
            chunk.work += work;
            chunk.count += 1;
        }
    }

    /// Takes away what was added; nothing where it has been settled since.
    pub(super) fn remove(&mut self, step: u64, class: usize, work: u64) {
        let Some(chunk) = self.chunks.get_mut(&(step, class)) else { return };
        chunk.work -= work;
        chunk.count -= 1;
        if chunk.count == 0 {
            self.chunks.remove(&(step, class));
        }
    }

    /// Forgets what lies at `now` or before, once and for all.
    pub(super) fn settle(&mut self, now: u64) {
        self.settled = self.settled.max(now);
        while let Some(first) = self.chunks.first_entry().filter(|e| e.key().0 <= now) {
            first.remove();
        }
    }

    /// What lies at `last` or before: step, class and work, in order of time.
    pub(super) fn until(&self, last: u64) -> impl Iterator<Item = (u64, usize, Chunk)> {
        self.chunks.range(..=(last, usize::MAX)).map(|(&(step, class), &chunk)| (step, class, chunk))
    }
}

#[cfg(test)]
impl Timeline {
    /// The last instant that was settled.
    pub(super) const fn settled(&self) -> u64 {
        self.settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_never_early_and_late_by_a_sixteenth_at_most() {
        for after in [0, 1, 31, 1_000, 999_999_999, 1 << 40] {
            for now in [0, 1, 77_777, 1 << 50] {
                let step = Timeline::step(now, after);
                assert!(step >= now + after && step - now <= after + after / 16 + 1, "{now} {after} {step}");
            }
        }
        assert!(Timeline::step(u64::MAX, u64::MAX) >= u64::MAX - u64::MAX / 16);
    }

    #[test]
    fn thousands_of_entries_are_some_dozens_of_chunks() {
        let mut timeline = Timeline::default();
        for now in 0..10_000_u64 {
            timeline.add(Timeline::step(now, 10_000), 1, 1);
        }
        assert!(timeline.until(u64::MAX).count() <= 64);
        assert_eq!(timeline.until(u64::MAX).map(|(_, _, c)| c.count).sum::<u64>(), 10_000);
    }

    #[test]
    fn what_was_settled_is_not_taken_away_twice() {
        let mut timeline = Timeline::default();
        timeline.add(10, 0, 5);
        timeline.add(20, 0, 7);
        timeline.settle(10);
        timeline.add(10, 0, 5);
        timeline.remove(10, 0, 5);
        let left: Vec<_> = timeline.until(u64::MAX).map(|(step, _, c)| (step, c.work, c.count)).collect();
        assert_eq!(left, [(20, 7, 1)]);
        timeline.remove(20, 0, 7);
        assert_eq!(timeline.until(u64::MAX).count(), 0);
    }
}
