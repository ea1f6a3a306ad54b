use crate::error::RefuseReason;

/// How much work a request says it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Size {
    /// It says nothing: the mean of what others took is assumed.
    Unknown,
    /// So many seconds in a slot; corrected by how such figures turned out before.
    Time(f64),
    /// Tokens in, and at most so many out.
    Tokens {
        /// Tokens of the prompt.
        prompt: u64,
        /// The most tokens that may be generated; `None` where there is no limit.
        limit: Option<u64>,
        /// A hash of the model's name.
        model: u64,
    },
}

/// What the door asks for one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// Its priority class, 0 is served first.
    pub(crate) class: usize,
    /// `None` is a tenant like any other, of weight 1.
    pub(crate) tenant: Option<&'a str>,
    /// The tenant's share within its class; above 0.
    pub(crate) weight: f64,
    /// What it says of its work.
    pub(crate) size: Size,
    /// Seconds in a slot that are assumed while nothing was learned, 1 where it is `None`.
    pub(crate) expected: Option<f64>,
    /// The instant at which its answer must be whole, [`NEVER`](crate::queue::NEVER) where there is none.
    pub(crate) deadline: u64,
    /// The longest wait for a slot, or [`NEVER`](crate::queue::NEVER).
    pub(crate) max_wait: u64,
    /// The wait per step of class after which it is overdue, or [`NEVER`](crate::queue::NEVER).
    pub(crate) aging: u64,
    /// The time that it is expected to spend in the stages before, where it does not wait for a slot yet.
    pub(crate) before: u64,
}

/// The slots as they are now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supply {
    /// Those that can be used, free or taken.
    pub(crate) slots: usize,
    /// Seconds until the server is looked at again, where none can be used.
    pub(crate) probe: f64,
}

/// What a server said of a finished answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Tokens {
    /// Tokens of the prompt, cached ones among them.
    pub(crate) prompt: u64,
    /// Those that the server still had in its cache.
    pub(crate) cached: u64,
    /// Tokens generated.
    pub(crate) completion: u64,
    /// Seconds from the start to the first token.
    pub(crate) first_token: f64,
}

/// A request that is not let in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Refusal {
    /// Why: it would wait for longer than it can, or miss its deadline even with a slot at once, or no slot can be used.
    pub(crate) reason: RefuseReason,
    /// How long it would have waited for a slot, in seconds.
    pub(crate) wait: f64,
    /// After how many seconds a retry makes sense; spread by a fifth either way, so that those refused together do not come
    /// back together.
    pub(crate) retry_after: f64,
}
