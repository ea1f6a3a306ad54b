//! How a pool chooses among the members that can take a request now.

use std::time::Duration;

/// Chooses a member for each call.
///
/// # What a policy owes
///
/// - It returns a number below the number of candidates; any other is taken as the last one.
/// - It does not wait, and takes a microsecond or so: it is called for every attempt, on whatever thread makes it.
/// - What it remembers it keeps by [`Candidate::id`]: places among the candidates change from call to call, and ids are
///   never used again.
///
/// # What it may rely on
///
/// - There are at least two candidates, and all of them can take the request: model, context length, tools and pictures fit, the
///   breaker is closed, they are not being drained, and each has a free slot. (A member of which there is no choice is not asked
///   about; nor is the one request that probes a member whose breaker was open.)
/// - Candidates that have failed for this request already are not among them while there are others.
/// - They stand in the order in which they were added to the pool.
/// - Calls may come from several threads at once.
///
/// # Examples
///
/// ```
/// use workers_pool::policy::{Ask, Candidate, Policy};
///
/// /// The one with the most free slots.
/// struct Roomiest;
///
/// impl Policy for Roomiest {
///     fn choose(&self, _ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize {
///         let roomiest = candidates.iter().enumerate().max_by_key(|(_, candidate)| candidate.free);
///         roomiest.map_or(0, |(place, _)| place)
///     }
///
///     fn name(&self) -> &str {
///         "roomiest"
///     }
/// }
/// ```
pub trait Policy: Send + Sync + 'static {
    /// Returns the place of the member to ask.
    fn choose(&self, ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize;

    /// Returns its name, for statistics and logs.
    fn name(&self) -> &str;
}

/// What a policy is told of a request.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// The conversation, where the caller named one.
    pub session: Option<&'a str>,
    /// The customer, where the caller named one.
    pub tenant: Option<&'a str>,
    /// Tokens of the prompt, counted or estimated.
    pub prompt_tokens: u64,
    /// The most tokens that the answer may have, where the caller set a limit.
    pub max_tokens: Option<u64>,
}

/// A member that can take a request now.
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
    /// What it costs, in the units that the service chose.
    pub cost: f64,
}
