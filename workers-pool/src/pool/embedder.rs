use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::{Embedded, Embedder};
use tokio::time::Instant;

use crate::consequence::Consequence;
use crate::pool::fleet::Fleet;
use crate::pool::roster::Entry;

/// Embeds with the members of a [`Pool`](crate::Pool) that have an embedder; see [`Member::embedder`](crate::Member::embedder).
///
/// Members take turns, whatever the pool's policy is; those that said that they take nothing come last, and those that are
/// drained are left out. Where one fails for reasons that others need not have, the next one is asked, each member once.
/// Members that come later and embed are asked, too; the name stays that of those that there were when it was made.
///
/// Each embedder has a circuit breaker of its own, with the settings of its [member](crate::Member::breaker), and is waited for
/// no longer than the member's first token would be: 120 s unless its [limits](crate::Member::timeouts) say otherwise. Its
/// calls are not in the [statistics](crate::Pool::stats), which are those of answers.
///
/// The slots of a member are its embedder's business: those of a server that answers requests as well take them themselves, and
/// wait.
///
/// # Errors
///
/// That of the member that has the soonest say when it may be asked again, or else of the one that was asked first.
#[derive(Clone)]
pub struct PoolEmbedder {
    name: String,
    fleet: Arc<Fleet>,
    /// Who had the last turn, by id.
    last: Arc<AtomicU64>,
}

impl PoolEmbedder {
    pub(super) fn of(fleet: &Arc<Fleet>) -> Option<Self> {
        let roster = fleet.roster();
        let name = roster.entries.iter().find_map(|entry| Some(entry.seat.embedder.as_ref()?.name().to_owned()))?;
        // Nothing is above it, so the first member comes first.
        Some(Self { name, fleet: fleet.clone(), last: Arc::new(AtomicU64::new(u64::MAX)) })
    }

    /// Begins a round of those that could be asked.
    fn round(&self) -> Round<'_> {
        let embeds = |entry: &&Arc<Entry>| {
            !entry.draining && entry.seat.embedder.as_ref().is_some_and(|embedder| embedder.name() == self.name)
        };
        let members = self.fleet.roster().entries.iter().filter(embeds).cloned().collect();
        Round { last: &self.last, members, failed: Vec::new() }
    }
}

/// One call: members are asked one after the other, until one does not fail for reasons of its own.
struct Round<'a> {
    last: &'a AtomicU64,
    /// Those that were not asked yet.
    members: Vec<Arc<Entry>>,
    failed: Vec<WorkerError>,
}

impl Round<'_> {
    /// Whose turn it is: the next above the last one, and the lowest behind the highest.
    fn next(&mut self) -> Option<Arc<dyn Embedder>> {
        let (last, now) = (self.last.load(Ordering::Relaxed), Instant::now());
        let order = |entry: &Entry| (entry.seat.unavailable_until(now).is_some(), entry.seat.id <= last, entry.seat.id);
        let place = (0..self.members.len()).min_by_key(|place| order(&self.members[*place]))?;
        let entry = self.members.remove(place);
        self.last.store(entry.seat.id, Ordering::Relaxed);
        entry.seat.embedder.clone()
    }

    /// Takes note of what came of it; `None` where the next one is to be asked.
    fn heed<T>(&mut self, answer: Result<T, WorkerError>) -> Option<Result<T, WorkerError>> {
        match answer {
            Err(error) if Consequence::of(error.kind()).elsewhere => {
                self.failed.push(error);
                None
            }
            done => Some(done),
        }
    }

    /// What there is to say where nobody was left.
    fn over(self) -> WorkerError {
        let soonest = self.failed.into_iter().min_by_key(|error| error.retry_after().unwrap_or(Duration::MAX));
        soonest.unwrap_or_else(|| WorkerError::new(WorkerErrorKind::Overloaded, "no member embeds now"))
    }
}

#[async_trait]
impl Embedder for PoolEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.embed_counted(texts).await.map(|embedded| embedded.vectors)
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        let mut round = self.round();
        while let Some(embedder) = round.next() {
            if let Some(done) = round.heed(embedder.embed_counted(texts).await) {
                return done;
            }
        }
        Err(round.over())
    }

    async fn embed_query(&self, question: &str) -> Result<Vec<f32>, WorkerError> {
        let mut round = self.round();
        while let Some(embedder) = round.next() {
            if let Some(done) = round.heed(embedder.embed_query(question).await) {
                return done;
            }
        }
        Err(round.over())
    }
}

impl fmt::Debug for PoolEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolEmbedder").field("name", &self.name).finish_non_exhaustive()
    }
}
