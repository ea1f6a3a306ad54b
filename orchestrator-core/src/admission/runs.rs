use super::bookings::Key;
use super::estimate::{Estimates, Kind};

/// A request in a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Its booking.
    pub(super) key: Key,
    /// When it got its slot.
    pub(super) started: u64,
    /// Slot-nanoseconds that it was thought to need.
    pub(super) work: u64,
    /// Its kind of size.
    pub(super) kind: Kind,
    /// What the [`Pace`](super::pace::Pace) had counted when it started.
    pub(super) mark: u64,
}

/// The requests in slots, side by side in memory, since each prediction looks at all of them.
#[derive(Debug, Default)]
pub(super) struct Runs {
    runs: Vec<Run>,
}

impl Runs {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    /// The one in a place.
    pub(super) fn get(&self, place: u32) -> &Run {
        &self.runs[place as usize]
    }

    /// Adds one and returns its place.
    pub(super) fn push(&mut self, run: Run) -> u32 {
        self.runs.push(run);
        (self.runs.len() - 1) as u32
    }

    /// Takes one out; the second is the one that has its place now.
    pub(super) fn remove(&mut self, place: u32) -> (Run, Option<Key>) {
        let run = self.runs.swap_remove(place as usize);
        (run, self.runs.get(place as usize).map(|r| r.key))
    }

    /// What all of them still need, in slot-nanoseconds, each counted for at most `most`.
    pub(super) fn residual(&self, estimates: &Estimates, now: u64, most: u64) -> f64 {
        let left =
            |run: &Run| estimates.left(run.kind, run.work as f64, now.saturating_sub(run.started) as f64, most as f64);
        self.runs.iter().map(left).sum()
    }
}
