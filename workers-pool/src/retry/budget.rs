use std::time::Duration;

use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::Attempts;
use tower::retry::budget::{Budget as _, TpsBudget};

use crate::pace::goes_elsewhere;

/// Over how long requests and retries are compared.
const OVER: Duration = Duration::from_secs(10);

/// How many retries a second there may be, however few requests there are.
const AT_LEAST: u32 = 10;

/// How much of the traffic retries may be.
///
/// A retry at another worker is free: it is no more load for the one that failed, and where all fail there soon is no other.
#[derive(Debug)]
pub(crate) struct Budget(TpsBudget);

impl Budget {
    /// Allows so many retries for each request, and [`AT_LEAST`].
    pub(crate) fn share(share: f32) -> Self {
        // Above one retry for each request, it would not limit anything that the pace does not.
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        Self(TpsBudget::new(OVER, AT_LEAST, share))
    }

    /// Counts a request.
    pub(crate) fn request(&self) {
        self.0.deposit();
    }

    /// Takes what the next attempt costs; `false` where that is not there.
    pub(crate) fn pay(&self, attempts: &Attempts, error: &WorkerError) -> bool {
        goes_elsewhere(attempts, error) || self.0.withdraw()
    }
}
