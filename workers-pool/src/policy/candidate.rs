use std::time::Duration;

/// A member that can take a request now.
///
/// The pool makes them; to test a policy of one's own there is [`new`](Self::new).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Candidate<'a> {
    /// Its number, never used again in this pool.
    pub id: u64,
    /// Its name.
    pub name: &'a str,
    /// Its weight, above zero.
    pub weight: f64,
    /// Calls that it works on, of this pool.
    pub in_flight: usize,
    /// How many slots it has.
    pub slots: usize,
    /// How many of them are free, counting the one that this request would take.
    pub free: usize,
    /// How long its first tokens take: a mean that forgets, and follows a rise at once. `None` before the first.
    pub first_token: Option<Duration>,
    /// The same as it was when it was last measured, however long ago: what has not been forgotten of it.
    pub measured: Option<Duration>,
    /// What it costs, in the units that the service chose.
    pub cost: f64,
}

impl<'a> Candidate<'a> {
    /// Makes one that is idle, has one slot, weight 1 and costs nothing, and was not measured.
    #[must_use]
    pub const fn new(id: u64, name: &'a str) -> Self {
        Self { id, name, weight: 1.0, in_flight: 0, slots: 1, free: 1, first_token: None, measured: None, cost: 0.0 }
    }

    /// Sets its weight.
    #[must_use]
    pub const fn weight(mut self, weight: f64) -> Self {
        self.weight = weight;
        self
    }

    /// Says that it works on `in_flight` calls, which have as many of its slots; the others are free.
    #[must_use]
    pub const fn busy(mut self, in_flight: usize, slots: usize) -> Self {
        self.in_flight = in_flight;
        self.slots = slots;
        self.free = slots.saturating_sub(in_flight);
        self
    }

    /// Says how long its first tokens take, as measured just now.
    #[must_use]
    pub const fn first_token(mut self, takes: Duration) -> Self {
        self.first_token = Some(takes);
        self.measured = Some(takes);
        self
    }

    /// Says how long they took when that was last measured, some time ago.
    #[must_use]
    pub const fn measured(mut self, took: Duration) -> Self {
        self.measured = Some(took);
        self
    }

    /// Sets what it costs.
    #[must_use]
    pub const fn cost(mut self, cost: f64) -> Self {
        self.cost = cost;
        self
    }

    /// How busy it would be with this request, by its weight.
    pub(super) fn pressure(&self) -> f64 {
        (self.in_flight + 1) as f64 / self.weight
    }
}
