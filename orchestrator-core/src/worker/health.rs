/// How a worker's server is, and what it says of its load.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Health {
    /// Whether it takes requests.
    pub status: HealthStatus,
    /// Why it does not, in a few words.
    pub reason: Option<String>,
    /// What it says of its load.
    pub load: Load,
}

/// Whether a worker's server takes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum HealthStatus {
    /// Nobody knows: the worker has no way to ask.
    #[default]
    Unknown,
    /// It takes requests.
    Ready,
    /// It does not take requests now: it starts, or it is gone.
    Unavailable,
}

/// What a server says of its load; `None` is what it does not say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Load {
    /// Requests that it works on, of all its clients.
    pub running: Option<u64>,
    /// Requests that wait at the server, of all its clients.
    pub waiting: Option<u64>,
    /// How many requests it works on at most.
    pub slots: Option<u64>,
    /// Part of the memory for keys and values that is in use, 0.0 to 1.0.
    pub kv_cache_use: Option<f64>,
    /// Tokens of prompts since it started.
    pub prompt_tokens: Option<u64>,
    /// Of these, tokens that it had in its cache.
    pub cached_tokens: Option<u64>,
}

impl Health {
    /// Nobody knows how it is.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// It takes requests.
    #[must_use]
    pub fn ready() -> Self {
        Self { status: HealthStatus::Ready, ..Self::default() }
    }

    /// It does not take requests, and why.
    #[must_use]
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { status: HealthStatus::Unavailable, reason: Some(reason.into()), ..Self::default() }
    }

    /// Adds what the server says of its load.
    #[must_use]
    pub const fn load(mut self, load: Load) -> Self {
        self.load = load;
        self
    }

    /// Returns whether it takes requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == HealthStatus::Ready
    }
}
