use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{ErrorKind, RefuseReason, ShedReason};
use crate::stats::Histogram;
use crate::token::Usage;

/// Keeps what different threads write on different cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart(AtomicU64);

/// The counters of a whole pipeline.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Outputs handed over by the pipeline's last task, the only one that writes here.
    delivered: Apart,
    /// Streams that came to their end.
    answered: Apart,
    failed: Apart,
    shed: Apart,
    cancelled: Apart,
    withdrawn: AtomicU64,
    barred: AtomicU64,
    refused: [AtomicU64; RefuseReason::ALL.len()],
    panics: AtomicU64,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    pub(crate) total: Histogram,
    pub(crate) first_token: Histogram,
    pub(crate) between_tokens: Histogram,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            delivered: Apart::default(),
            answered: Apart::default(),
            failed: Apart::default(),
            shed: Apart::default(),
            cancelled: Apart::default(),
            withdrawn: AtomicU64::default(),
            barred: AtomicU64::default(),
            refused: Default::default(),
            panics: AtomicU64::default(),
            prompt_tokens: AtomicU64::default(),
            cached_tokens: AtomicU64::default(),
            completion_tokens: AtomicU64::default(),
            total: Histogram::new(),
            first_token: Histogram::new(),
            between_tokens: Histogram::new(),
        }
    }

    /// Counts a submission that was refused before it came to the door's queue, which counts all others.
    pub(crate) fn barred(&self, reason: RefuseReason) {
        self.barred.fetch_add(1, Ordering::SeqCst);
        self.refused(reason);
    }

    pub(crate) fn delivered(&self) {
        let delivered = self.delivered.0.load(Ordering::Relaxed);
        self.delivered.0.store(delivered + 1, Ordering::Release);
    }

    pub(crate) fn answered(&self) {
        // The endings are sequentially consistent with `Shared::draining`.
        self.answered.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn failed(&self, kind: ErrorKind) {
        if kind == ErrorKind::Panicked {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
        self.failed.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn shed(&self) {
        self.shed.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn cancelled(&self) {
        self.cancelled.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn withdrawn(&self) {
        self.withdrawn.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn refused(&self, reason: RefuseReason) {
        self.refused[reason as usize].fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn tokens(&self, usage: Usage) {
        self.prompt_tokens.fetch_add(usage.prompt_tokens, Ordering::Relaxed);
        self.cached_tokens.fetch_add(usage.cached_tokens, Ordering::Relaxed);
        self.completion_tokens.fetch_add(usage.completion_tokens, Ordering::Relaxed);
    }

    /// Requests that were let in and have ended.
    pub(crate) fn ended(&self) -> u64 {
        [&self.delivered, &self.answered, &self.failed, &self.shed, &self.cancelled]
            .map(|c| c.0.load(Ordering::SeqCst))
            .iter()
            .sum()
    }

    pub(crate) fn read(&self) -> Counts {
        let get = |a: &AtomicU64| a.load(Ordering::SeqCst);
        Counts {
            barred: get(&self.barred),
            answered: get(&self.delivered.0) + get(&self.answered.0),
            failed: get(&self.failed.0),
            shed: get(&self.shed.0),
            cancelled: get(&self.cancelled.0),
            withdrawn: get(&self.withdrawn),
            refused: self.refused.each_ref().map(get),
            panics: get(&self.panics),
            usage: Usage {
                prompt_tokens: get(&self.prompt_tokens),
                cached_tokens: get(&self.cached_tokens),
                completion_tokens: get(&self.completion_tokens),
            },
        }
    }
}

/// [`Counters`] at one moment, without the histograms.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) barred: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) shed: u64,
    pub(crate) cancelled: u64,
    pub(crate) withdrawn: u64,
    pub(crate) refused: [u64; RefuseReason::ALL.len()],
    pub(crate) panics: u64,
    pub(crate) usage: Usage,
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, counts| {
            sum.barred += counts.barred;
            sum.answered += counts.answered;
            sum.failed += counts.failed;
            sum.shed += counts.shed;
            sum.cancelled += counts.cancelled;
            sum.withdrawn += counts.withdrawn;
            add(&mut sum.refused, counts.refused);
            sum.panics += counts.panics;
            sum.usage.prompt_tokens += counts.usage.prompt_tokens;
            sum.usage.cached_tokens += counts.usage.cached_tokens;
            sum.usage.completion_tokens += counts.usage.completion_tokens;
            sum
        })
    }
}

/// Adds number for number.
pub(super) fn add<const N: usize>(sum: &mut [u64; N], more: [u64; N]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// The counters of one stage.
#[derive(Debug)]
pub(crate) struct StageCounters {
    pub(crate) name: Arc<str>,
    /// The segment whose queue stands in front of it; `None` for an inline stage.
    pub(crate) segment: Option<usize>,
    pub(crate) wait: Histogram,
    pub(crate) run: Histogram,
    shed: [AtomicU64; ShedReason::ALL.len()],
}

impl StageCounters {
    pub(crate) fn new(name: Arc<str>, segment: Option<usize>) -> Self {
        Self { name, segment, wait: Histogram::new(), run: Histogram::new(), shed: Default::default() }
    }

    pub(crate) fn shed(&self, reason: ShedReason) {
        self.shed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sheds(&self) -> [u64; ShedReason::ALL.len()] {
        self.shed.each_ref().map(|a| a.load(Ordering::Relaxed))
    }
}
