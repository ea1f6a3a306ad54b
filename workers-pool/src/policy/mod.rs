//! How a pool chooses among the members that can take a request now.
//!
//! | to | use |
//! |---|---|
//! | have the first token soon, whatever the members are like | [`PeakEwma`], what a pool does unless told otherwise |
//! | give every member the same share | [`RoundRobin`] |
//! | give every member a share of its own | [`Weighted`] |
//! | load members evenly that are alike | [`LeastOutstanding`] |
//! | find the conversation in the server's cache | [`SessionAffinity`] |
//! | fill the own servers before the cloud is paid | [`Ordered`] |
//! | pay as little as a goal for the first token allows | [`Cheapest`] |

mod affinity;
mod ask;
mod candidate;
mod cheapest;
mod least_outstanding;
mod ordered;
mod peak_ewma;
mod round_robin;
mod turn;
mod weighted;

pub use affinity::SessionAffinity;
pub use ask::Ask;
pub use candidate::Candidate;
pub use cheapest::Cheapest;
pub use least_outstanding::LeastOutstanding;
pub use ordered::Ordered;
pub use peak_ewma::PeakEwma;
pub use round_robin::RoundRobin;
pub use weighted::Weighted;

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
/// - There are at least two candidates, and all of them can take the request: model, context length, tools and pictures fit,
///   the breaker is closed, they are not being drained, and each has a free slot. (A member of which there is no choice is not
///   asked about; nor is the one request that probes a member whose breaker was open, nor are texts that are to be embedded.)
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
///
/// let candidates = [Candidate::new(0, "mac").busy(3, 4), Candidate::new(1, "gpu").busy(5, 16)];
/// assert_eq!(Roomiest.choose(&Ask::new(), &candidates), 1);
/// ```
pub trait Policy: Send + Sync + 'static {
    /// Returns the place of the member to ask.
    fn choose(&self, ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize;

    /// Returns its name, for statistics and logs.
    fn name(&self) -> &str;
}
