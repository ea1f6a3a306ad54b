//! What callers know of their requests, and whether it agrees with what the pipeline counted.

use prompt_orchestrator::error::{RefuseReason, ShedReason};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::stats::PipelineStats;

/// What a caller knows of one of its requests.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Refused(RefuseReason),
    /// Dropped `submit` before it returned.
    LeftAtDoor,
    Answered,
    Failed,
    Shed(ShedReason),
    Cancelled,
    /// Dropped or detached the answer: it does not know how that ended.
    LeftInside,
}

impl Outcome {
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Refused(reason) => Self::Refused(reason),
            ErrorKind::Shed(reason) => Self::Shed(reason),
            ErrorKind::Cancelled | ErrorKind::ReaderStalled => Self::Cancelled,
            _ => Self::Failed,
        }
    }

    /// Of a request that was let in.
    pub(crate) fn inside(error: &Error) -> Self {
        assert!(!error.is_refused(), "let in, then refused: {error:?}");
        Self::of(error)
    }
}

/// What all callers together know.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    submitted: u64,
    refused: [u64; RefuseReason::ALL.len()],
    left_at_door: u64,
    answered: u64,
    failed: u64,
    shed: [u64; ShedReason::ALL.len()],
    cancelled: u64,
    left_inside: u64,
}

impl Told {
    pub(crate) fn record(&mut self, outcome: Outcome) {
        self.submitted += 1;
        *match outcome {
            Outcome::Refused(reason) => &mut self.refused[place(&RefuseReason::ALL, reason)],
            Outcome::LeftAtDoor => &mut self.left_at_door,
            Outcome::Answered => &mut self.answered,
            Outcome::Failed => &mut self.failed,
            Outcome::Shed(reason) => &mut self.shed[place(&ShedReason::ALL, reason)],
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::LeftInside => &mut self.left_inside,
        } += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.submitted += other.submitted;
        self.refused.iter_mut().zip(other.refused).for_each(|(a, b)| *a += b);
        self.left_at_door += other.left_at_door;
        self.answered += other.answered;
        self.failed += other.failed;
        self.shed.iter_mut().zip(other.shed).for_each(|(a, b)| *a += b);
        self.cancelled += other.cancelled;
        self.left_inside += other.left_inside;
    }

    /// Compares with what the pipeline counted.
    pub(crate) fn check(&self, stats: &PipelineStats) {
        assert_eq!(stats.in_flight, 0, "something is still inside");
        assert_eq!(stats.submitted, self.submitted, "submitted");
        assert_eq!(stats.submitted, stats.refused + stats.withdrawn + stats.accepted, "at the door");
        let ended = stats.answered + stats.failed + stats.shed + stats.cancelled;
        assert_eq!(stats.accepted, ended, "inside");
        // What a caller was told was counted as that; the rest of each count belongs to those that left.
        let beyond = |counted: u64, told: u64, what: &str| {
            counted.checked_sub(told).unwrap_or_else(|| panic!("{what}: counted {counted}, told {told}"))
        };
        let refused = stats.refused_by_reason.iter().map(|(reason, counted)| {
            beyond(*counted, self.refused[place(&RefuseReason::ALL, *reason)], reason.as_str())
        });
        let at_door = refused.sum::<u64>() + stats.withdrawn;
        let sheds = ShedReason::ALL.into_iter().zip(self.shed).map(|(reason, told)| {
            let by_reason = stats.stages.iter().flat_map(|s| &s.shed_by_reason);
            let counted = by_reason.filter(|(r, _)| *r == reason).map(|(_, n)| n).sum();
            beyond(counted, told, reason.as_str())
        });
        let inside = beyond(stats.answered, self.answered, "answered")
            + beyond(stats.failed, self.failed, "failed")
            + sheds.sum::<u64>()
            + beyond(stats.cancelled, self.cancelled, "cancelled");
        assert!(at_door <= self.left_at_door, "{at_door} ended at the door, {} left there", self.left_at_door);
        assert_eq!(at_door + inside, self.left_at_door + self.left_inside, "those that left");
        let sheds: u64 = stats.stages.iter().flat_map(|s| &s.shed_by_reason).map(|(_, n)| n).sum();
        assert_eq!(sheds, stats.shed, "sheds by stage and reason");
        let refusals: u64 = stats.refused_by_reason.iter().map(|(_, n)| n).sum();
        assert_eq!(refusals, stats.refused, "refusals by reason");
        assert!(stats.stages.iter().all(|s| s.depth == 0), "a queue is not empty");
        // A test in which some ending never happens would prove nothing of it.
        assert!(self.answered > 0 && self.failed > 0 && self.left_at_door + self.left_inside > 0);
    }
}

fn place<R: PartialEq + Copy>(all: &[R], reason: R) -> usize {
    all.iter().position(|r| *r == reason).expect("all are listed")
}
