/// How much one tenant may ask for; what is not set is not limited.
///
/// Both rates are token buckets: what is not asked for is saved up, requests up to the [`burst`](Self::burst), tokens up
/// to one minute's worth. A tenant that was quiet may take all of that at once, and then goes on at the rate.
///
/// ```
/// use orchestrator_core::tenants::Limit;
///
/// let limit = Limit::new().requests_per_second(5).burst(20).tokens_per_minute(20_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Limit {
    pub(super) requests: Option<u32>,
    pub(super) burst: Option<u32>,
    pub(super) tokens: Option<u32>,
}

impl Limit {
    /// Limits nothing, which also frees a tenant from the default limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many requests may come per second in the long run; at least 1.
    ///
    /// The pause between two requests is kept to the nanosecond, rounded up.
    pub const fn requests_per_second(mut self, requests: u32) -> Self {
        self.requests = Some(requests);
        self
    }

    /// Sets how many requests may come at once after a pause; at least 1, and one second's worth unless it is set.
    ///
    /// Stands beside [`requests_per_second`](Self::requests_per_second), and is a fault without.
    pub const fn burst(mut self, requests: u32) -> Self {
        self.burst = Some(requests);
        self
    }

    /// Sets how many tokens may be asked for per minute in the long run; at least 1.
    ///
    /// Tokens are those expected at the door, prompt and answer together: the most that the request allows for its answer, 256
    /// where it sets no limit. That is an estimate, and it is not set right when
    /// the answer turns out shorter or longer. Requests whose tokens nobody can tell cost none. A request that expects more
    /// than this number could never pass, and is refused as not valid.
    pub const fn tokens_per_minute(mut self, tokens: u32) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Every setting that cannot be kept, with what is wrong with it.
    pub(super) fn problems(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let rates = [("requests_per_second", self.requests), ("burst", self.burst), ("tokens_per_minute", self.tokens)];
        let zeros =
            rates.into_iter().filter(|(_, rate)| *rate == Some(0)).map(|(field, _)| (field, "must be at least 1"));
        let alone = self.burst.is_some() && self.requests.is_none();
        zeros.chain(alone.then_some(("burst", "needs `requests_per_second`")))
    }
}
