/// Finished requests, at the least, after which the pace is learned anew.
const FEWEST: usize = 4;
/// What the windows before weigh when one is added: about sixty of them count.
const DECAY: f64 = 1.0 - 1.0 / 64.0;
/// Windows that a pace of 1 weighs as at first.
const PRIOR: f64 = 16.0;
/// Between these the pace is believed.
const BOUNDS: (f64, f64) = (0.25, 4.0);

/// How much of the estimated work is done per slot and time: 1 where estimates are right and slots are never idle.
///
/// It is measured only while all slots are taken, since outside such times it would tell the rate of arrivals; and not while
/// more run than there are slots, since these have become fewer. What it was is forgotten when the number of slots changes.
#[derive(Debug)]
pub(super) struct Pace {
    slots: usize,
    /// Nanoseconds for which all slots were taken, without the present such time.
    busy: u64,
    /// Since when all slots are taken.
    since: Option<u64>,
    /// What the clock showed when the number of slots changed.
    changed: u64,
    window: Window,
    /// Sums over the windows before, of which older ones weigh less.
    done: f64,
    time: f64,
}

/// What is gathered until the pace is learned from it.
#[derive(Debug, Default)]
struct Window {
    opened: u64,
    finished: usize,
    work: f64,
}

/// A run that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// What [`Pace::clock`] showed when it started.
    pub(super) mark: u64,
    /// For how long it had its slot.
    pub(super) age: u64,
    /// The work that was done with that.
    pub(super) work: u64,
}

impl Pace {
    /// Knows of no slots.
    pub(super) fn new() -> Self {
        Self { slots: 0, busy: 0, since: None, changed: 0, window: Window::default(), done: 0.0, time: 0.0 }
    }

    /// Slots, as last told.
    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    /// Work done per slot and time.
    pub(super) fn factor(&self) -> f64 {
        if self.time > 0.0 { (self.done / self.time).clamp(BOUNDS.0, BOUNDS.1) } else { 1.0 }
    }

    /// Nanoseconds for which all slots were taken so far.
    pub(super) fn clock(&self, now: u64) -> u64 {
        self.busy + self.since.map_or(0, |s| now.saturating_sub(s))
    }

    /// Notes how many slots there are.
    pub(super) fn supply(&mut self, slots: usize, running: usize, now: u64) {
        if slots == self.slots {
            return;
        }
        let clock = self.clock(now);
        *self = Self { slots, busy: clock, changed: clock, ..Self::new() };
        self.window.opened = clock;
        self.running(running, now);
    }

    /// Notes how many are running from now on.
    pub(super) fn running(&mut self, running: usize, now: u64) {
        let all_taken = self.slots > 0 && running == self.slots;
        if all_taken && self.since.is_none() {
            self.since = Some(now);
        } else if !all_taken {
            self.busy = self.clock(now);
            self.since = None;
        }
    }

    /// Learns from a run; to be told before [`running`](Self::running) is.
    pub(super) fn ended(&mut self, run: Ended, now: u64) {
        let inside = self.clock(now).saturating_sub(run.mark.max(self.changed)).min(run.age);
        if inside == 0 {
            return;
        }
        self.window.work += run.work as f64 * (inside as f64 / run.age as f64);
        self.window.finished += 1;
        if self.window.finished >= self.slots.max(FEWEST) {
            self.close_window(now);
        }
    }

    fn close_window(&mut self, now: u64) {
        let clock = self.clock(now);
        let time = self.slots as f64 * clock.saturating_sub(self.window.opened) as f64;
        if self.time == 0.0 {
            self.done = PRIOR * time;
            self.time = PRIOR * time;
        }
        self.done = self.done * DECAY + self.window.work;
        self.time = self.time * DECAY + time;
        self.window = Window { opened: clock, ..Window::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Two slots that are always taken by runs of `took` ms which were thought to be 100 ms.
    fn serve(pace: &mut Pace, now: &mut u64, took: u64, runs: usize) {
        for _ in 0..runs {
            pace.running(2, *now);
            let mark = pace.clock(*now);
            *now += took * MS;
            for _ in 0..2 {
                pace.ended(Ended { mark, age: took * MS, work: 100 * MS }, *now);
            }
            pace.running(0, *now);
        }
    }

    fn two_slots() -> (Pace, u64) {
        let mut pace = Pace::new();
        pace.supply(2, 0, 0);
        (pace, 0)
    }

    #[test]
    fn follows_a_server_that_slows_down_and_recovers() {
        let (mut pace, mut now) = two_slots();
        serve(&mut pace, &mut now, 100, 100);
        assert!((pace.factor() - 1.0).abs() < 0.01, "{}", pace.factor());
        serve(&mut pace, &mut now, 200, 600);
        assert!((pace.factor() - 0.5).abs() < 0.05, "{}", pace.factor());
        serve(&mut pace, &mut now, 100, 1_200);
        assert!((pace.factor() - 1.0).abs() < 0.05, "{}", pace.factor());
    }

    #[test]
    fn times_in_which_a_slot_is_free_do_not_count() {
        let (mut pace, mut now) = two_slots();
        for _ in 0..100 {
            pace.running(1, now);
            let mark = pace.clock(now);
            now += 400 * MS;
            pace.ended(Ended { mark, age: 400 * MS, work: 100 * MS }, now);
            pace.running(0, now);
        }
        assert_eq!(pace.factor(), 1.0);
        serve(&mut pace, &mut now, 100, 100);
        now += 1_000_000 * MS;
        serve(&mut pace, &mut now, 100, 100);
        assert!((pace.factor() - 1.0).abs() < 0.01, "{}", pace.factor());
    }

    #[test]
    fn a_run_counts_for_the_part_in_which_all_were_busy() {
        let (mut pace, mut now) = two_slots();
        for _ in 0..100 {
            pace.running(1, now);
            let first = pace.clock(now);
            now += 100 * MS;
            pace.running(2, now);
            let second = pace.clock(now);
            now += 100 * MS;
            pace.ended(Ended { mark: first, age: 200 * MS, work: 200 * MS }, now);
            pace.ended(Ended { mark: second, age: 100 * MS, work: 100 * MS }, now);
            pace.running(0, now);
        }
        assert!((pace.factor() - 1.0).abs() < 0.01, "{}", pace.factor());
    }

    #[test]
    fn what_ran_when_slots_became_fewer_counts_for_what_it_does_in_those_that_are_left() {
        let mut pace = Pace::new();
        pace.supply(8, 0, 0);
        pace.running(8, 0);
        let mut now = 1_000 * MS;
        pace.supply(2, 8, now);
        let mut end = |running: usize, pace: &mut Pace| {
            now += 100 * MS;
            pace.ended(Ended { mark: 0, age: now, work: now }, now);
            pace.running(running, now);
        };
        (2..8).rev().for_each(|running| end(running, &mut pace));
        assert_eq!((pace.clock(1_600 * MS), pace.factor()), (1_000 * MS, 1.0), "more ran than there are slots");
        for _ in 0..FEWEST {
            end(2, &mut pace);
        }
        assert!((0.9..=1.1).contains(&pace.factor()), "{}", pace.factor());
    }

    #[test]
    fn stays_within_bounds_and_is_learned_anew_with_other_slots() {
        let (mut pace, mut now) = two_slots();
        serve(&mut pace, &mut now, 10_000, 600);
        assert_eq!(pace.factor(), BOUNDS.0);
        pace.supply(2, 0, now);
        assert_eq!(pace.factor(), BOUNDS.0, "the same slots");
        pace.supply(3, 0, now);
        assert_eq!(pace.factor(), 1.0);
        pace.supply(2, 0, now);
        serve(&mut pace, &mut now, 1, 600);
        assert_eq!(pace.factor(), BOUNDS.1);
    }
}
