use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::Embedder;
use smallvec::SmallVec;
use tokio::time::Instant;

use crate::consequence::Consequence;
use crate::policy::{Ask, Candidate};
use crate::pool::capability::Seen;
use crate::pool::dispatch::candidate;
use crate::pool::fleet::Fleet;
use crate::pool::roster::{Entry, Roster};

/// Embeds with the members of a [`Pool`](crate::Pool) that have an embedder; see [`Member::embedder`](crate::Member::embedder).
///
/// Each call goes to a member that the pool's policy chooses among those that take requests now, or among all of them where none does.
/// Where that one fails for reasons that others need not have, the next one is asked, each member once. Members that come later and
/// embed are asked, too; the name stays that of those that there were when it was made.
///
/// The slots of a member are its embedder's business: those of a server that answers requests as well take them themselves, and wait.
#[derive(Clone)]
pub struct PoolEmbedder {
    name: String,
    fleet: Arc<Fleet>,
}

impl PoolEmbedder {
    pub(super) fn of(fleet: &Arc<Fleet>) -> Option<Self> {
        let roster = fleet.roster();
        let name = roster.entries.iter().find_map(|entry| Some(entry.seat.embedder.as_ref()?.name().to_owned()))?;
        Some(Self { name, fleet: fleet.clone() })
    }

    /// Those that could be asked.
    fn members(&self, roster: &Roster) -> Vec<Arc<Entry>> {
        let now = Instant::now();
        let embeds = |entry: &&Arc<Entry>| {
            !entry.draining && entry.seat.embedder.as_ref().is_some_and(|embedder| embedder.name() == self.name)
        };
        let all: Vec<_> = roster.entries.iter().filter(embeds).cloned().collect();
        let open: Vec<_> = all.iter().filter(|entry| Seen::new(entry).opens_in(now).is_none()).cloned().collect();
        if open.is_empty() { all } else { open }
    }

    /// Asks one after the other, until one does not fail for reasons of its own.
    async fn ask(&self, asked: Asked<'_>) -> Result<Vec<Vec<f32>>, WorkerError> {
        let roster = self.fleet.roster();
        let mut members = self.members(&roster);
        let mut failed = None;
        while !members.is_empty() {
            let entry = members.remove(choose(&roster, &members, asked));
            let Some(embedder) = &entry.seat.embedder else { continue };
            match asked.of(&**embedder).await {
                Err(error) if Consequence::of(error.kind()).elsewhere => failed = Some(error),
                done => return done,
            }
        }
        Err(failed.unwrap_or_else(|| WorkerError::new(WorkerErrorKind::Overloaded, "no member embeds now")))
    }
}

/// What is to be embedded.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Texts(&'a [&'a str]),
    Question(&'a str),
}

impl Asked<'_> {
    async fn of(self, embedder: &dyn Embedder) -> Result<Vec<Vec<f32>>, WorkerError> {
        match self {
            Self::Texts(texts) => embedder.embed(texts).await,
            Self::Question(question) => Ok(vec![embedder.embed_query(question).await?]),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Texts(texts) => texts.iter().map(|text| text.len()).sum(),
            Self::Question(question) => question.len(),
        }
    }
}

fn choose(roster: &Roster, members: &[Arc<Entry>], asked: Asked<'_>) -> usize {
    if members.len() < 2 {
        return 0;
    }
    let now = Instant::now();
    let candidates: SmallVec<[Candidate<'_>; 8]> = members.iter().map(|entry| candidate(entry, None, now)).collect();
    let ask = Ask { prompt_tokens: asked.bytes() as u64 / BYTES_PER_TOKEN, ..Ask::default() };
    roster.policy.choose(&ask, &candidates).min(members.len() - 1)
}

/// About as many as a token of English has.
const BYTES_PER_TOKEN: u64 = 4;

#[async_trait]
impl Embedder for PoolEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.ask(Asked::Texts(texts)).await
    }

    async fn embed_query(&self, question: &str) -> Result<Vec<f32>, WorkerError> {
        let vectors = self.ask(Asked::Question(question)).await?;
        Ok(vectors.into_iter().next().expect("one is put in for a question"))
    }
}

impl fmt::Debug for PoolEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolEmbedder").field("name", &self.name).finish_non_exhaustive()
    }
}
