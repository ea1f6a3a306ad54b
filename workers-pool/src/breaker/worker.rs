use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{BoxFuture, ready};
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, Lease, ModelWorker, Slot, Slots, WorkerInfo};
use tokio::time::Instant;

use super::call::{Call, Times};
use super::circuit::{BreakerState, Circuit, Pass};
use super::config::BreakerConfig;
use super::gate::Gate;

/// Leaves a worker alone while it fails: a circuit breaker around one [`ModelWorker`].
///
/// It opens when too many calls failed or were slow, as its [`BreakerConfig`] says, and refuses calls then, with
/// [`Overloaded`](WorkerErrorKind::Overloaded) and the time to the next probe as `retry_after`; the worker is not called. After
/// a pause one call goes through: the probe. With its first event the breaker closes; if it fails, then or later, or is slow,
/// the breaker opens again, for twice as long. Only when its stream has come to its end the pauses begin anew.
///
/// - **What counts** is how the *stream* goes: a stream that fails in the middle is a failure. What the caller did wrong does
///   not count. A stream that is dropped behind its first event says nothing. Before it, the call counts as slow if it took so
///   long, and as failed if the request's deadline passed meanwhile, and a second at least; else it says nothing, and if it was
///   the probe the next call is the probe at once.
/// - **A server that says when to come back** (rate limited, with `retry_after`) did nothing wrong: the worker rests until
///   then, and goes on as if nothing had been. If it opens meanwhile, the probe comes no sooner. Without `retry_after`, or with
///   less than 100 ms, it is a failure.
/// - **Slots** of the worker are offered as long as it is closed. While it is open there are none, from the instant of the
///   probe on there is one. So pipelines wait, or refuse as
///   [`Unavailable`](orchestrator_core::error::RefuseReason::Unavailable). Only a request that has its slot already when the
///   breaker opens is refused here.
/// - **Where it shows**: each change of state is an event of `tracing`, and the span of a call that was not simply let through
///   has the state in its field `breaker`.
/// - **A second attempt** of a request, whose slot went with the first one, waits for one of the worker's; is refused at once
///   if the breaker is open by then, or behind its wait if it opens meanwhile.
///
/// Inside of retries and pools, around [`Timed`](crate::Timed): what takes too long then counts as a failure. A breaker around
/// a retry would see only what is left of the failures.
///
/// ```
/// use orchestrator_core::testing::{MockWorker, Script};
/// use workers_pool::{Breaker, BreakerConfig, BreakerState};
///
/// let worker = MockWorker::new(Script::answering("to be"));
/// let breaker = Breaker::with(worker, BreakerConfig::new().in_a_row(3));
/// assert_eq!(breaker.state(), BreakerState::Closed);
/// ```
pub struct Breaker<W> {
    worker: W,
    shared: Arc<Shared>,
}

/// What a [`Breaker`] has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerStats {
    /// What it does with the next call.
    pub state: BreakerState,
    /// How often it opened; probes that failed don't count again.
    pub opened: u64,
}

impl<W: ModelWorker> Breaker<W> {
    /// Puts a breaker with the usual settings around a worker.
    pub fn new(worker: W) -> Self {
        Self::with(worker, BreakerConfig::default())
    }

    /// Puts a breaker around a worker.
    pub fn with(worker: W, config: BreakerConfig) -> Self {
        let (name, slots) = (worker.info().name, worker.slots());
        Self::known_as(name, worker, config, slots)
    }

    /// Puts a breaker around a worker, and says what it is called and what slots it has, instead of asking it.
    pub(crate) fn known_as(name: String, worker: W, config: BreakerConfig, slots: Option<Slots>) -> Self {
        Self { worker, shared: Arc::new(Shared::new(name, config, slots)) }
    }

    /// Returns what it does with the next call.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.shared.circuit().state()
    }

    /// Returns what it has seen.
    #[must_use]
    pub fn stats(&self) -> BreakerStats {
        let circuit = self.shared.circuit();
        BreakerStats { state: circuit.state(), opened: circuit.opened() }
    }

    /// Lets the next call be the probe, if it is open: somebody has looked, and found the server ready again. A pause that the
    /// server asked for (rate limited, with `retry_after`) goes on.
    pub fn probe_now(&self) {
        let now = Instant::now();
        self.shared.tell(|circuit, _| circuit.probe_now(now));
    }
}

impl<W: ModelWorker> Breaker<W> {
    /// Calls the worker, unless it is left alone.
    fn call(
        &self,
        slot: Option<Slot>,
        mut request: InferenceRequest,
    ) -> Result<impl Future<Output = Result<TokenStream, WorkerError>> + Send + use<'_, W>, WorkerError> {
        request.lease = slot.as_ref().map(Lease::of).unwrap_or_default();
        let call = self.shared.admit(request.context.deadline())?;
        let probe = self.shared.gate.as_ref().filter(|_| call.is_probe()).and_then(Gate::probe);
        let answer = self.worker.infer(request);
        Ok(async move {
            match answer.await {
                Ok(stream) => {
                    let kept = [slot, probe].into_iter().flatten();
                    Ok(kept.fold(stream.observed(call), TokenStream::keep))
                }
                Err(error) => {
                    call.failed(&error);
                    Err(error)
                }
            }
        })
    }

    /// Waits for a slot, as the one of its request went with an earlier attempt, and calls the worker then.
    async fn call_again(&self, gate: &Gate, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        // Nobody stands in line to be refused.
        self.shared.look()?;
        let slot = gate.second_slot().await;
        self.call(Some(slot), request)?.await
    }
}

#[async_trait]
impl<W: ModelWorker> ModelWorker for Breaker<W> {
    /// Written out: a future that holds the request costs more to move and to allocate than the rest of the call.
    fn infer<'a, 'b>(&'a self, mut request: InferenceRequest) -> BoxFuture<'b, Result<TokenStream, WorkerError>>
    where
        'a: 'b,
    {
        let slot = match &self.shared.gate {
            None => None,
            Some(gate) => match gate.leased(&mut request) {
                None if !request.attempts.is_empty() => return Box::pin(self.call_again(gate, request)),
                leased => leased,
            },
        };
        match self.call(slot, request) {
            Ok(call) => Box::pin(call),
            Err(refused) => Box::pin(ready(Err(refused))),
        }
    }

    fn info(&self) -> WorkerInfo {
        self.worker.info()
    }

    fn slots(&self) -> Option<Slots> {
        self.shared.gate.as_ref().map(Gate::slots)
    }

    async fn health(&self) -> Health {
        self.worker.health().await
    }
}

impl<W> fmt::Debug for Breaker<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.circuit().state();
        f.debug_struct("Breaker").field("worker", &self.shared.name).field("state", &state).finish_non_exhaustive()
    }
}

/// The circuit of a breaker, its slots, and what its streams share with it.
pub(super) struct Shared {
    name: String,
    pub(super) slow_call: Option<Duration>,
    /// [`Circuit::pass`], which takes no lock: whoever comes while it opens may still go through.
    pass: AtomicU64,
    circuit: Mutex<Circuit>,
    gate: Option<Gate>,
}

impl Shared {
    pub(super) fn new(name: String, config: BreakerConfig, slots: Option<Slots>) -> Self {
        let circuit = Circuit::new(config);
        Self {
            name,
            slow_call: config.slow_call,
            pass: AtomicU64::new(Pass::to_bits(circuit.pass())),
            circuit: Mutex::new(circuit),
            gate: slots.map(Gate::new),
        }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call through.
    pub(super) fn admit(self: &Arc<Self>, deadline: Option<Instant>) -> Result<Call, WorkerError> {
        let pass = match Pass::from_bits(self.pass.load(Ordering::Acquire)) {
            Some(pass) => pass,
            None => self.ask(Circuit::admit)?,
        };
        let is_timed = deadline.is_some() || self.slow_call.is_some();
        Ok(Call::new(self.clone(), pass, is_timed.then(|| Times::until(deadline))))
    }

    /// Refuses a call that would be refused now.
    fn look(&self) -> Result<(), WorkerError> {
        match Pass::from_bits(self.pass.load(Ordering::Acquire)) {
            Some(_) => Ok(()),
            None => self.ask(|circuit, now| circuit.look(now)),
        }
    }

    #[cold]
    fn ask<T>(&self, ask: impl FnOnce(&mut Circuit, Instant) -> Result<T, Duration>) -> Result<T, WorkerError> {
        let now = Instant::now();
        let (asked, state) = self.tell(|circuit, _| (ask(circuit, now), circuit.state()));
        tracing::Span::current().record("breaker", state.as_str());
        asked.map_err(|pause| self.refuse(pause))
    }

    fn refuse(&self, pause: Duration) -> WorkerError {
        let message = format!("`{}` is left alone for {pause:.3?}: its circuit breaker is open", self.name);
        WorkerError::new(WorkerErrorKind::Overloaded, message).with_retry_after(pause).unsent()
    }

    /// Tells the circuit something, with chance from 0 to 1, and makes known what changes by it.
    pub(super) fn tell<T>(&self, tell: impl FnOnce(&mut Circuit, f64) -> T) -> T {
        let mut circuit = self.circuit();
        let before = circuit.state();
        let told = tell(&mut circuit, fastrand::f64());
        let (after, pass) = (circuit.state(), Pass::to_bits(circuit.pass()));
        if self.pass.load(Ordering::Relaxed) != pass {
            self.pass.store(pass, Ordering::Release);
        }
        drop(circuit);
        if before != after {
            self.announce(after);
        }
        told
    }

    /// Offers what the state allows. Whoever waits is woken here, so no lock is held; but what is offered last must be what the
    /// last state allows, whoever was the last to announce one.
    #[cold]
    fn announce(&self, mut state: BreakerState) {
        self.log(state);
        let Some(gate) = &self.gate else { return };
        loop {
            gate.follow(state);
            let latest = self.circuit().state();
            if latest == state {
                return;
            }
            state = latest;
        }
    }

    fn log(&self, state: BreakerState) {
        let (worker, name) = (&*self.name, state.as_str());
        match state {
            BreakerState::Open { probe_at: at } | BreakerState::Resting { until: at } => {
                let pause = at.saturating_duration_since(Instant::now());
                tracing::warn!(worker, state = name, ?pause, "a worker is left alone");
            }
            BreakerState::Closed | BreakerState::HalfOpen => {
                tracing::info!(worker, state = name, "a worker is asked again");
            }
        }
    }
}
