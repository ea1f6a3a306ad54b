use std::fmt;

use siphasher::sip::SipHasher13;

use super::{Ask, Candidate, LeastOutstanding, Policy};

/// How far above the mean a member is loaded with sessions, unless set.
const BOUND: f64 = 1.25;

/// The same member for the same session, where its conversation lies in the server's cache.
///
/// Sessions have their homes by rendezvous hashing over the names of the members, in proportion to their weights: the same
/// homes in every process, whatever the order in which members were added. A member more takes its share from the others, and
/// nothing else moves. Where the home cannot take the request, it goes to the next in the session's own ranking, and the next
/// request of the session comes home again.
///
/// That is also so where the home has more in flight than its share by a [bound](Self::bound), as in "Consistent Hashing with
/// Bounded Loads" (Mirrokni, Thorup, Zadimoghaddam, 2016). Requests without a session go where [another
/// policy](Self::otherwise) says.
///
/// # Examples
///
/// ```
/// use workers_pool::policy::{Ask, Candidate, Policy, SessionAffinity};
///
/// let policy = SessionAffinity::new();
/// let members = [Candidate::new(0, "mac").busy(3, 8), Candidate::new(1, "gpu").busy(3, 8)];
/// let home = policy.choose(&Ask::new().session("anna"), &members);
/// assert!((0..100).all(|_| policy.choose(&Ask::new().session("anna"), &members) == home));
/// ```
pub struct SessionAffinity {
    bound: f64,
    otherwise: Box<dyn Policy>,
}

impl SessionAffinity {
    /// Bounds a member's load to 1.25 times its share; what has no session goes to the [least loaded](LeastOutstanding).
    #[must_use]
    pub fn new() -> Self {
        Self { bound: BOUND, otherwise: Box::new(LeastOutstanding::new()) }
    }

    /// Sets how many times its share of the calls in flight a member may have, this one counted, rounded up. Anything below 1
    /// is 1; with infinity a session leaves its home only where that has no free slot.
    #[must_use]
    pub const fn bound(mut self, times: f64) -> Self {
        self.bound = times.max(1.0);
        self
    }

    /// Sets who decides about requests without a session.
    #[must_use]
    pub fn otherwise(mut self, policy: impl Policy) -> Self {
        self.otherwise = Box::new(policy);
        self
    }

    /// Returns who ranks first for the session among those within the bound.
    fn home(&self, session: &str, candidates: &[Candidate<'_>]) -> usize {
        let (calls, weights) = candidates
            .iter()
            .fold((1, 0.0), |(calls, weights), candidate| (calls + candidate.in_flight, weights + candidate.weight));
        let fair = self.bound * calls as f64 / weights;
        let within = |candidate: &Candidate<'_>| ((candidate.in_flight + 1) as f64) <= (fair * candidate.weight).ceil();
        let hash = hash(session);
        let ranks = candidates.iter().enumerate().filter(|(_, candidate)| within(candidate));
        let ranks = ranks.map(|(place, candidate)| (rank(hash, candidate), place));
        ranks.max_by(|one, other| one.0.total_cmp(&other.0)).map_or(0, |(_, place)| place)
    }
}

impl Default for SessionAffinity {
    fn default() -> Self {
        Self::new()
    }
}

impl Policy for SessionAffinity {
    fn choose(&self, ask: &Ask<'_>, candidates: &[Candidate<'_>]) -> usize {
        match ask.session {
            Some(session) => self.home(session, candidates),
            None => self.otherwise.choose(ask, candidates),
        }
    }

    fn name(&self) -> &str {
        "session-affinity"
    }
}

impl fmt::Debug for SessionAffinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SessionAffinity");
        debug.field("bound", &self.bound).field("otherwise", &self.otherwise.name()).finish()
    }
}

/// The hash of a session: SipHash-1-3 of its UTF-8 bytes, both keys zero, as in every run and on every machine.
fn hash(session: &str) -> u64 {
    SipHasher13::new().hash(session.as_bytes())
}

/// The rank of a member for a session, at most zero.
///
/// The logarithm of an even draw between 0 and 1, divided by the weight: the one of twice the weight is first twice as often,
/// and a change of weights moves no more sessions than it must (Schindelhauer and Schomaker, "Weighted Distributed Hash
/// Tables", 2005).
fn rank(session: u64, member: &Candidate<'_>) -> f64 {
    let hash = SipHasher13::new_with_keys(session, 0).hash(member.name.as_bytes());
    // The upper 53 bits are exact in a `f64`; the half keeps it off zero.
    let draw = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    draw.ln() / member.weight
}

#[cfg(test)]
mod tests;
