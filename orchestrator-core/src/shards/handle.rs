use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use crate::answer::Answer;
use crate::error::Error;
use crate::request::{Input, RequestOptions};
use crate::runtime::shared::Shared;
use crate::shards::thread::Shard;
use crate::shards::{Presence, SessionKey, ShardsBuilder, here, placement};
use crate::stats::PipelineStats;

/// Below so many requests inside, a shard is not overloaded, whatever the others do: half of what a stage takes from its
/// queue in one go.
const SPILL_ABOVE: u64 = 32;

/// Pipelines of one shape, each on a thread pinned to a core of its own.
///
/// A cheap handle: clones share the shards. Their threads end by themselves when the last handle is gone and what is
/// inside has finished, requests and [spawned](Self::spawn_on) tasks; no drop waits for that. [`drain`](Self::drain) does.
///
/// | a request | runs on |
/// |---|---|
/// | of a session | the session's home shard; another one while that is overloaded, if the shards [spill over] |
/// | without a session, submitted by a task on a shard | that shard |
/// | without a session, submitted from elsewhere | the shard with the fewest requests inside |
///
/// Requests of a session, tenant and priority leave each queue in their order of arrival, as they do in a pipeline.
///
/// [spill over]: ShardsBuilder::spill_over
pub struct Shards<In, Out> {
    pub(super) inner: Arc<Inner<In, Out>>,
}

/// What the handles share.
pub(super) struct Inner<In, Out> {
    /// The number of the set, by which threads know whose they are.
    pub(super) set: u64,
    /// At least one.
    pub(super) shards: Box<[Shard<In, Out>]>,
    spill_over: Option<f64>,
}

// `()`, so that `Shards::of` leaves nothing to be inferred: what `build` is given decides what the shards take.
impl Shards<(), ()> {
    /// Begins with a number of shards; at least 1, and at most 1,024.
    pub fn of(shards: usize) -> ShardsBuilder {
        ShardsBuilder::new(shards)
    }

    /// Begins with a shard for each core that this process may use, by its affinity and by its container's quota; at most
    /// 1,024.
    pub fn per_core() -> ShardsBuilder {
        ShardsBuilder::per_core()
    }
}

impl<In: Input, Out: Send + 'static> Shards<In, Out> {
    pub(super) fn new(set: u64, shards: Vec<Shard<In, Out>>, spill_over: Option<f64>) -> Self {
        Self { inner: Arc::new(Inner { set, shards: shards.into(), spill_over }) }
    }

    /// Submits a request with the options that it carries to its shard; returns its answer once it is let in.
    ///
    /// Like [`Pipeline::submit`](crate::pipeline::Pipeline::submit), from any thread and any runtime.
    ///
    /// # Errors
    ///
    /// Like [`Pipeline::submit`](crate::pipeline::Pipeline::submit).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it returns, the request is withdrawn: it has not been run.
    pub async fn submit(&self, mut input: In) -> Result<Answer<Out>, Error> {
        let options = input.take_options();
        self.submit_with(input, options).await
    }

    /// Submits a request with options from outside; see [`submit`](Self::submit).
    ///
    /// # Errors
    ///
    /// Like [`submit`](Self::submit).
    ///
    /// # Cancel safety
    ///
    /// Like [`submit`](Self::submit).
    pub async fn submit_with(&self, input: In, options: RequestOptions) -> Result<Answer<Out>, Error> {
        let shard = self.place(options.session.as_deref());
        let presence = shard.presence(&options);
        let answer = shard.pipeline.submit_with(input, options).await?;
        if let Some(presence) = presence {
            answer.context().cell().keep_presence(presence);
        }
        Ok(answer)
    }

    /// Submits a request if there is room now; see [`submit`](Self::submit).
    ///
    /// # Errors
    ///
    /// Like [`submit`](Self::submit); where the shard has no room at once it refuses with
    /// [`QueueFull`](crate::error::RefuseReason::QueueFull), and
    /// does not look for room elsewhere.
    pub fn try_submit(&self, mut input: In) -> Result<Answer<Out>, Error> {
        let options = input.take_options().admit_now();
        let admission = self.submit_with(input, options).now_or_never();
        admission.expect("a request that wants in now does not wait")
    }

    /// Spawns a task on the home shard of `session`.
    ///
    /// This is how a caller gets close to its pipeline: what the task submits for the session stays on its core, and so does
    /// the answer. Give a connection or a conversation to such a task as a whole.
    ///
    /// The task runs beside the shard's stages on one thread, so it does not block. A panic is an error of the returned
    /// handle, the shard goes on. Dropping the handle lets the task run; a [`drain`](Self::drain) waits for it, and cancels
    /// it at its limit. On shards that have been drained it is cancelled at once.
    pub fn spawn_on<F>(&self, session: impl AsRef<str>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.shards[self.shard_of(session)].spawn(future)
    }

    /// Spawns a task on each shard, made by `task` from the shard's number; returns their handles in that order.
    ///
    /// For what every shard has one of, as a listener that shares its port with those of the others. Use
    /// [`spawn_on`](Self::spawn_on) for what belongs to a session; what is said there of its task is true of these.
    pub fn spawn_on_each<F>(&self, task: impl FnMut(usize) -> F) -> Vec<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.shards.iter().zip((0..).map(task)).map(|(shard, task)| shard.spawn(task)).collect()
    }

    /// Returns the number of a session's home shard, below [`len`](Self::len).
    ///
    /// The same in every run, on every machine and in every version: rendezvous hashing by the SipHash-1-3 of the session's
    /// UTF-8 bytes, with both keys zero. With one shard more, one session in as many as there are then moves, to the new
    /// one.
    #[must_use]
    pub fn shard_of(&self, session: impl AsRef<str>) -> usize {
        placement::home(placement::hash(session.as_ref()), self.len())
    }

    /// Returns the number of shards; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.inner.shards.len()
    }

    /// Returns what all shards together have done so far, and what is in them now.
    ///
    /// Quantiles are those of all requests, not means of the shards'.
    #[must_use]
    pub fn stats(&self) -> PipelineStats {
        let all: Vec<&Shared> = self.inner.shards.iter().map(|shard| &**shard.pipeline.shared()).collect();
        PipelineStats::read(&all)
    }

    /// Returns the same for each shard, in their order.
    #[must_use]
    pub fn stats_per_shard(&self) -> Vec<PipelineStats> {
        self.inner.shards.iter().map(|shard| shard.pipeline.stats()).collect()
    }

    /// The shard that a request goes to.
    fn place(&self, session: Option<&str>) -> &Shard<In, Out> {
        let shard = match session {
            Some(session) => self.place_session(placement::hash(session)),
            None => here::shard(self.inner.set).unwrap_or_else(|| self.least_loaded()),
        };
        &self.inner.shards[shard]
    }

    fn place_session(&self, hash: u64) -> usize {
        let home = placement::home(hash, self.len());
        match self.inner.spill_over {
            Some(factor) if self.inner.shards[home].load() > SPILL_ABOVE => self.spill(hash, home, factor),
            _ => home,
        }
    }

    /// The first in the session's ranking that is not overloaded.
    fn spill(&self, hash: u64, home: usize, factor: f64) -> usize {
        let loads: Vec<u64> = self.inner.shards.iter().map(Shard::load).collect();
        let mean = loads.iter().sum::<u64>() as f64 / loads.len() as f64;
        let most = (factor * mean).max(SPILL_ABOVE as f64);
        placement::first(hash, loads.len(), |shard| loads[shard] as f64 <= most).unwrap_or(home)
    }

    fn least_loaded(&self) -> usize {
        (0..self.len()).min_by_key(|shard| self.inner.shards[*shard].load()).unwrap_or(0)
    }
}

impl<In: Input, Out: Send + 'static> Shard<In, Out> {
    /// Spawns a task that the shard waits for.
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn_on(future, &self.runtime)
    }

    /// Requests inside.
    fn load(&self) -> u64 {
        self.pipeline.shared().in_flight()
    }

    /// What keeps the state of the request's session until the request has ended, if sessions keep state.
    fn presence(&self, options: &RequestOptions) -> Option<Presence> {
        Some(self.inside.as_ref()?.enter(SessionKey::of(options)?))
    }
}

impl<In, Out> Clone for Shards<In, Out> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<In, Out> fmt::Debug for Shards<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { shards, spill_over, .. } = &*self.inner;
        f.debug_struct("Shards").field("shards", &shards.len()).field("spill_over", spill_over).finish_non_exhaustive()
    }
}
