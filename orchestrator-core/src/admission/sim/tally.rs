use super::Refusal;
use super::load::Job;

/// What became of one job.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    /// The simulation ended before.
    Open,
    Refused(Refusal),
    /// It waited for too long.
    Expired,
    /// It could not have made its deadline any more.
    TooLate,
    /// It had a slot from the first to the second instant, in seconds, after it had waited for the third.
    Served(f64, f64, f64),
}

/// What became of all jobs.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) slots: usize,
    pub(super) jobs: Vec<(Job, Outcome)>,
}

impl Tally {
    fn within(&self, from: f64, to: f64) -> impl Iterator<Item = &(Job, Outcome)> {
        self.jobs.iter().filter(move |(job, _)| (from..to).contains(&job.at))
    }

    /// The part of the slots' time between two instants that was used.
    pub(super) fn used(&self, from: f64, to: f64) -> f64 {
        let part = |outcome: &Outcome| match outcome {
            Outcome::Served(start, end, _) => (end.min(to) - start.max(from)).max(0.0),
            _ => 0.0,
        };
        self.jobs.iter().map(|(_, outcome)| part(outcome)).sum::<f64>() / (self.slots as f64 * (to - from))
    }

    /// Served requests per second, of those that came between two instants, as a part of what could be: of those that came, or
    /// of the slots over their mean service where that is less.
    pub(super) fn goodput(&self, from: f64, to: f64) -> f64 {
        let count = self.within(from, to).count() as f64;
        let mean = self.within(from, to).map(|(job, _)| job.service).sum::<f64>() / count;
        let served = self.within(from, to).filter(|(_, o)| matches!(o, Outcome::Served(..))).count() as f64;
        served / count.min(self.slots as f64 / mean * (to - from))
    }

    /// The part of the admitted that waited for too long.
    pub(super) fn expired(&self, from: f64, to: f64) -> f64 {
        let expired = self.within(from, to).filter(|(_, o)| *o == Outcome::Expired).count();
        let admitted = self.within(from, to).filter(|(_, o)| !matches!(o, Outcome::Refused(_))).count();
        expired as f64 / admitted.max(1) as f64
    }

    /// The part of the jobs that `which` is true of that were served.
    pub(super) fn served(&self, which: impl Fn(&Job) -> bool) -> f64 {
        let count = |served: bool| {
            let counts = |o: &Outcome| !served || matches!(o, Outcome::Served(..));
            self.jobs.iter().filter(|(job, o)| which(job) && counts(o)).count() as f64
        };
        count(true) / count(false)
    }

    /// Seconds in slots of the jobs that `which` is true of.
    pub(super) fn work(&self, which: impl Fn(&Job) -> bool) -> f64 {
        let served = self.jobs.iter().filter(|(job, o)| which(job) && matches!(o, Outcome::Served(..)));
        served.map(|(job, _)| job.service).sum()
    }

    /// The wait that one in a hundred of the served exceeded.
    pub(super) fn p99_wait(&self) -> f64 {
        let mut waits: Vec<f64> = self.jobs.iter().filter_map(|(_, o)| waited(o)).collect();
        waits.sort_unstable_by(f64::total_cmp);
        waits.get(waits.len() * 99 / 100).copied().unwrap_or_default()
    }

    /// The longest wait of the served that `which` is true of.
    pub(super) fn longest_wait(&self, which: impl Fn(&Job) -> bool) -> f64 {
        let served = self.jobs.iter().filter(|(job, _)| which(job));
        served.filter_map(|(_, o)| waited(o)).fold(0.0, f64::max)
    }

    /// The refusals of jobs that came between two instants.
    pub(super) fn refusals(&self, from: f64, to: f64) -> Vec<Refusal> {
        let refusal = |(_, outcome): &(Job, Outcome)| match outcome {
            Outcome::Refused(refusal) => Some(*refusal),
            _ => None,
        };
        self.within(from, to).filter_map(refusal).collect()
    }
}

fn waited(outcome: &Outcome) -> Option<f64> {
    match outcome {
        Outcome::Served(_, _, wait) => Some(*wait),
        _ => None,
    }
}

/// Jain's index of fairness: 1 where all have the same, 1/n where one has everything.
pub(super) fn jain(parts: &[f64]) -> f64 {
    let sum: f64 = parts.iter().sum();
    sum * sum / (parts.len() as f64 * parts.iter().map(|p| p * p).sum::<f64>())
}
