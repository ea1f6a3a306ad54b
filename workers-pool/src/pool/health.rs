use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use orchestrator_core::worker::{Health, HealthStatus, Load, ModelWorker, WorkerInfo};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::pool::fleet::Fleet;
use crate::pool::lock;
use crate::pool::roster::Entry;
use crate::pool::seat::Seat;

/// How long a member is waited for to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it counts that a member takes nothing where nobody asks it regularly.
const UNASKED: Duration = Duration::from_secs(5);

/// The task that asks members how they are: from the first call on, until the pool is gone. A runtime that ends takes it along;
/// the next call starts it again.
#[derive(Default)]
pub(super) struct Prober {
    runs: Arc<AtomicBool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Prober {
    /// Starts the task where it does not run.
    pub(super) fn start(&self, fleet: &Arc<Fleet>) {
        if let Some(every) = fleet.health_every
            && !self.runs.load(Ordering::Relaxed)
        {
            self.spawn(fleet, every);
        }
    }

    #[cold]
    fn spawn(&self, fleet: &Arc<Fleet>, every: Duration) {
        let mut task = lock(&self.task);
        if let Ok(runtime) = Handle::try_current()
            && !self.runs.swap(true, Ordering::SeqCst)
        {
            let running = Running(self.runs.clone());
            let fleet = fleet.clone();
            *task = Some(runtime.spawn(async move {
                let _running = running;
                loop {
                    ask_all(&fleet).await;
                    tokio::time::sleep(every).await;
                }
            }));
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

/// Says that the task runs, until it is dropped.
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

/// Asks all members at once how they are, and heeds it: who takes nothing is left alone until it says otherwise, or until
/// nobody has asked it for two intervals.
pub(super) async fn ask_all(fleet: &Fleet) -> Health {
    let roster = fleet.roster();
    let heard = join_all(roster.entries.iter().map(|entry| ask(entry))).await;
    let rest = fleet.health_every.map_or(UNASKED, |every| 2 * every + PATIENCE);
    let mut recovered = Vec::new();
    fleet.change_all(|entries| {
        let mut changed = false;
        for entry in entries {
            if let Some(heard) = heard.iter().find(|heard| heard.id == entry.seat.id) {
                changed |= heed(entry, &heard.health, rest, &mut recovered);
                changed |= learn(entry, &heard.info);
            }
        }
        changed.then_some(())
    });
    for seat in recovered {
        seat.worker.probe_now();
    }
    together(heard.into_iter().map(|heard| heard.health))
}

/// What a member says of itself.
struct Heard {
    id: u64,
    health: Health,
    info: WorkerInfo,
}

async fn ask(entry: &Entry) -> Heard {
    let worker = &entry.seat.worker;
    let health = tokio::time::timeout(PATIENCE, worker.health()).await.unwrap_or_default();
    Heard { id: entry.seat.id, health, info: worker.info() }
}

/// Takes note of how a member says that it is, and of who is well again; returns whether it is left alone now and was not
/// before, or the other way round.
fn heed(entry: &Entry, health: &Health, rest: Duration, recovered: &mut Vec<Arc<Seat>>) -> bool {
    let (seat, now) = (&entry.seat, Instant::now());
    let before = seat.unavailable_until(now).is_some();
    match health.status {
        HealthStatus::Unavailable => seat.leave_alone(now + rest),
        HealthStatus::Ready if seat.is_back() => recovered.push(seat.clone()),
        // No news: it stays as it is.
        HealthStatus::Unknown if before => seat.leave_alone(now + rest),
        _ => {}
    }
    before != seat.unavailable_until(now).is_some()
}

/// Takes note of what a member is; returns whether that is new.
fn learn(entry: &mut Arc<Entry>, info: &WorkerInfo) -> bool {
    let is_new = *info != entry.info;
    if is_new {
        Arc::make_mut(entry).learn(info.clone());
    }
    is_new
}

/// How members are together: ready if one is, and what they say of their load added up.
fn together(members: impl Iterator<Item = Health>) -> Health {
    let mut members = members.peekable();
    if members.peek().is_none() {
        return Health::unavailable("it has no members");
    }
    let (mut ready, mut unknown, mut reasons, mut load) = (false, false, Vec::new(), Load::default());
    for health in members {
        ready |= health.is_ready();
        unknown |= health.status == HealthStatus::Unknown;
        reasons.extend(health.reason);
        load = sum(load, health.load);
    }
    match () {
        () if ready => Health::ready().load(load),
        () if unknown => Health::unknown().load(load),
        () => Health::unavailable(reasons.join("; ")).load(load),
    }
}

/// What two servers say together; of what only one says, that.
fn sum(one: Load, other: Load) -> Load {
    let add = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).reduce(u64::saturating_add);
    let mut load = Load::default();
    load.running = add(one.running, other.running);
    load.waiting = add(one.waiting, other.waiting);
    load.slots = add(one.slots, other.slots);
    load.prompt_tokens = add(one.prompt_tokens, other.prompt_tokens);
    load.cached_tokens = add(one.cached_tokens, other.cached_tokens);
    load
}
