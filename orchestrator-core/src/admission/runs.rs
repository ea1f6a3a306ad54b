use super::bookings::Key;

/// A request in a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Its booking.
    pub(super) key: Key,
    /// When it got its slot.
    pub(super) started: u64,
    /// Slot-nanoseconds that it was thought to need.
    pub(super) work: u64,
    /// What the [`Pace`](super::pace::Pace) had counted when it started.
    pub(super) mark: u64,
}

impl Run {
    /// What it still needs: what is left of its work, and half of its age once it is overdue.
    ///
    /// So a server that stands still makes its own figures worse.
    pub(super) fn residual(&self, now: u64) -> u64 {
        let age = now.saturating_sub(self.started);
        if age > self.work { age / 2 } else { self.work - age }
    }
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

    /// What all of them still need, each counted for at most `most`.
    pub(super) fn residual(&self, now: u64, most: u64) -> u64 {
        self.runs.iter().map(|r| r.residual(now).min(most)).fold(0, u64::saturating_add)
    }
}
