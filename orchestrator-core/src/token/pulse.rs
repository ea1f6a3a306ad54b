use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::runtime::cell::lock;

/// A sign of life of a server that has nothing to say yet: it holds back half a character, or a tool call that it reads first.
///
/// Between two events, time limits count from the last one.
///
/// ```
/// use orchestrator_core::token::{Pulse, TokenStream};
///
/// let pulse = Pulse::default();
/// let beats = pulse.clone();
/// let stream = TokenStream::generate(async move |mut out| {
///     beats.beat();
///     out.text("late").await;
///     Ok(())
/// });
/// let stream = stream.with_pulse(pulse);
/// # drop(stream);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Beats>);

/// Counted, so that limits around each other all see each beat.
#[derive(Debug, Default)]
struct Beats {
    own: AtomicU64,
    /// Whose beats are added.
    running: Mutex<Option<Pulse>>,
}

impl Pulse {
    /// Says that the server lives.
    pub fn beat(&self) {
        self.0.own.fetch_add(1, Ordering::Relaxed);
    }

    /// How many beats there were.
    pub(super) fn beats(&self) -> u64 {
        let running = lock(&self.0.running).as_ref().map_or(0, Self::beats);
        self.0.own.load(Ordering::Relaxed).wrapping_add(running)
    }

    /// Adds the beats of another from now on, in place of one before. Those that there were stay counted.
    pub(super) fn follow(&self, other: Option<Self>) {
        let mut running = lock(&self.0.running);
        let counted = running.as_ref().map_or(0, Self::beats);
        let has = other.as_ref().map_or(0, Self::beats);
        self.0.own.fetch_add(counted.wrapping_sub(has), Ordering::Relaxed);
        *running = other;
    }
}
