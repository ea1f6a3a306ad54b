use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use orchestrator_core::error::{InvalidInput, WorkerError};
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, Slots, WorkerInfo};

use crate::policy::Policy;
use crate::pool::build::{BuildError, PoolBuilder};
use crate::pool::call::Call;
use crate::pool::dispatch::Search;
use crate::pool::embedder::PoolEmbedder;
use crate::pool::fleet::Fleet;
use crate::pool::health::{Prober, ask_all};
use crate::pool::member::{ABOVE_ZERO, Member, is_weight};
use crate::pool::needs::Needs;
use crate::pool::stats::PoolStats;

/// Many workers behind one [`ModelWorker`]; a cheap clone.
///
/// # Where a request goes
///
/// A call looks at the members, in this order:
///
/// 1. Those that **can** take it: they have the model, or [serve](Member::serves) its name; they don't say that they take no
///    tools or no pictures where it has some; they [continue](WorkerInfo::continues) where its answer is begun, and have the
///    model that began it; their context is long enough for prompt and answer as far as these are known, or, as that is an
///    estimate, the longest that there is. A member that names no model and serves no names is taken for one that has them all.
/// 2. Those that **take requests now**: not drained, not found unavailable, not put out for doing much worse than the others.
/// 3. Those that have a **free slot**, and of these those that have **not failed** for this request, or else those that have.
///    Who said that it will not answer it is not asked again, and who was silent only if nobody else takes requests.
/// 4. Among several of these the [`Policy`] chooses.
///
/// # Slots
///
/// [`slots`](ModelWorker::slots) are those of all members that take requests now, always the same object, so a pipeline lets a
/// request out of its queue when one of them has room. A pool of members that can all take the same requests never makes one
/// wait that was let out. Where members are not alike, the slot may be one of a member that cannot take the request: then it is
/// given back, and the call waits in line at those that can. So does a call behind a failure that finds all of them busy. These
/// are the only places where a pool waits: no longer than a first token may take, by the limits of the request or the usual
/// [`Timeouts`](orchestrator_core::worker::Timeouts), with [`Timeout`](orchestrator_core::error::WorkerErrorKind::Timeout) as
/// the error then; and no more calls at once than [`PoolBuilder::waiting`] says. Whoever waits is in line at all members that
/// can take the request, also at those that take none now but may again before the others have room.
///
/// A worker without slots is given [256](Member::IN_FLIGHT) calls at once, or as many as [`Member::in_flight`] says.
///
/// # Failures
///
/// One call is one attempt: what fails is told to the caller and noted in [`attempts`](InferenceRequest::attempts), from which
/// the next call, that of a retry around the pool, learns whom to ask. Where no member can take a request, the error says why:
///
/// | nobody | kind of the error |
/// |---|---|
/// | has the model | [`NotFound`](orchestrator_core::error::WorkerErrorKind::NotFound), with those that there are |
/// | takes tools, or pictures, or goes on with a begun answer | [`InvalidRequest`](orchestrator_core::error::WorkerErrorKind::InvalidRequest) |
/// | has a longer context than the one that was too short | [`ContextLength`](orchestrator_core::error::WorkerErrorKind::ContextLength) |
/// | takes requests now, or has room, while enough others wait | [`Overloaded`](orchestrator_core::error::WorkerErrorKind::Overloaded), with the time until one may |
///
/// # Changes
///
/// Members come and go, and policies change, while requests are under way: none of these is disturbed. What waits in the
/// pipeline's queue goes to who is there when it is let out.
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use orchestrator_core::testing::{MockWorker, Script};
/// use workers_pool::{Member, Pool};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// let (mac, gpu) = (MockWorker::new(Script::answering("to be")), MockWorker::new(Script::answering("to be")));
/// let pool = Pool::builder("fleet").member(Member::new("mac", mac)).member(Member::new("gpu", gpu).weight(2.0)).build()?;
/// let pipeline =
///     Pipeline::builder("test").stage(InferenceStage::new(pool.clone())).stage(StreamStage::default()).build()?;
/// let mut answer = pipeline.submit(PromptRequest::new("?")).await?;
/// assert_eq!(answer.text().await?, "to be");
/// assert_eq!(pool.stats().members.iter().map(|member| member.calls).sum::<u64>(), 1);
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).expect("runs");
/// ```
#[derive(Clone)]
pub struct Pool(Arc<Held>);

/// What is there while somebody holds the pool: the task ends with it.
struct Held {
    fleet: Arc<Fleet>,
    prober: Prober,
}

impl Pool {
    /// Starts a pool; the name is what its [`info`](ModelWorker::info) shows.
    pub fn builder(name: impl Into<String>) -> PoolBuilder {
        PoolBuilder::new(name.into())
    }

    pub(super) fn new(fleet: Fleet) -> Self {
        Self(Arc::new(Held { fleet: Arc::new(fleet), prober: Prober::default() }))
    }

    /// Adds a member behind the others; it is given requests at once.
    ///
    /// # Errors
    ///
    /// Names everything of it that cannot be used; a member of the same name is in the pool until it is
    /// [removed](Self::remove).
    pub fn add(&self, member: Member) -> Result<(), BuildError> {
        self.0.fleet.add(member.guarded()).map_err(|faults| BuildError::new(&self.0.fleet.name, faults))
    }

    /// Removes a member: it gets no new requests, and those that it works on come to their end.
    ///
    /// # Errors
    ///
    /// Fails where there is none of this name.
    pub fn remove(&self, member: &str) -> Result<(), InvalidInput> {
        self.0.fleet.remove(member)
    }

    /// Gives a member no new requests, and waits until it works on none. It stays in the pool, to be [removed](Self::remove) or
    /// [resumed](Self::resume).
    ///
    /// # Errors
    ///
    /// Fails where there is none of this name, and when it is resumed before it has ended what it works on.
    ///
    /// # Cancel safety
    ///
    /// From its first poll on it gets no new requests, also if nobody waits for the others to end.
    pub async fn drain(&self, member: &str) -> Result<(), InvalidInput> {
        let seat = self.0.fleet.change(member, |entry| {
            entry.seat.close(true);
            entry.draining = true;
        })?;
        match seat.idle().await {
            true => Ok(()),
            false => Err(InvalidInput::new("member", format!("`{member}` was resumed while it was drained"))),
        }
    }

    /// Gives a member that was drained requests again; does nothing to others.
    ///
    /// # Errors
    ///
    /// Fails where there is none of this name.
    pub fn resume(&self, member: &str) -> Result<(), InvalidInput> {
        let resume = |entry: &mut crate::pool::roster::Entry| {
            entry.seat.close(false);
            entry.draining = false;
        };
        self.0.fleet.change(member, resume).map(drop)
    }

    /// Sets a member's share of the work, for policies that go by it, from the next request on.
    ///
    /// # Errors
    ///
    /// Fails where there is none of this name, or the weight is not a number above zero.
    pub fn set_weight(&self, member: &str, weight: f64) -> Result<(), InvalidInput> {
        if !is_weight(weight) {
            return Err(InvalidInput::new("weight", ABOVE_ZERO));
        }
        self.0.fleet.change(member, |entry| entry.weight = weight).map(drop)
    }

    /// Has members chosen otherwise from the next request on.
    pub fn set_policy(&self, policy: impl Policy) {
        self.0.fleet.set_policy(Arc::new(policy));
    }

    /// Returns the embedders of its members as one; `None` where no member has one.
    #[must_use]
    pub fn embedder(&self) -> Option<PoolEmbedder> {
        PoolEmbedder::of(&self.0.fleet)
    }

    /// Returns how it and its members are.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        PoolStats::read(&self.0.fleet.roster())
    }
}

#[async_trait]
impl ModelWorker for Pool {
    /// Written out: the macro would keep the request twice in the future, and moving it about is much of what a pool costs.
    fn infer<'a, 'b>(&'a self, mut request: InferenceRequest) -> BoxFuture<'b, Result<TokenStream, WorkerError>>
    where
        'a: 'b,
    {
        Box::pin(async move {
            let fleet = &self.0.fleet;
            self.0.prober.start(fleet);
            let lease = request.lease.take().or_else(|| request.context.lease(&fleet.slots()).take());
            let needs = Needs::of(&request);
            let mut search = Search::new(&request, &needs, lease);
            let bound = match search.try_bind(fleet)? {
                Some(bound) => bound,
                None => Box::pin(search.wait(fleet)).await?,
            };
            let (call, entry, slot) = Call::start(fleet.clone(), bound, needs, &mut request);
            let answer = entry.seat.worker.infer(request).await;
            call.follow(slot, answer)
        })
    }

    fn info(&self) -> WorkerInfo {
        self.0.fleet.roster().info.clone()
    }

    fn slots(&self) -> Option<Slots> {
        Some(self.0.fleet.slots())
    }

    /// Asks all members at once, and heeds what they say: see [`PoolBuilder::health_every`].
    async fn health(&self) -> Health {
        ask_all(&self.0.fleet).await
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.0.fleet.name).field("stats", &self.stats()).finish_non_exhaustive()
    }
}
