use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::future::try_join_all;
use orchestrator_core::error::{BoxError, InvalidInput};
use orchestrator_core::retrieval::{Passage, Query, Retriever};

use super::erased::Erased;

/// The constant of reciprocal rank fusion that its authors found best.
const RANK_CONSTANT: f32 = 60.0;

/// Each retriever is asked for so many times as many passages as are wanted.
const DEPTH_FACTOR: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not zero");

/// The fewest passages that each retriever is asked for.
const LEAST_DEPTH: NonZeroUsize = NonZeroUsize::new(20).expect("20 is not zero");

/// Asks several retrievers at once and fuses their lists by rank, so that scores need not be comparable.
///
/// A passage's score is the sum, over the lists that it is in, of the list's weight divided by 60 plus its rank in the
/// list, from 1 (reciprocal rank fusion; Cormack, Clarke and Büttcher, SIGIR 2009). So what two searches find high up
/// comes before what one finds at the top. Words and meanings go well together: a
/// [`Bm25Index`](crate::Bm25Index) finds names and numbers, an index over vectors finds paraphrases.
///
/// Two passages are the same where document, lines, page and text are; the one of the retriever that was added first is
/// kept. Passages of equal score come in the order in which the lists have them, those of the retriever that was added
/// first before the others.
///
/// Each retriever is asked for twice as many passages as are wanted, and for 20 at least, with the query's filter. They
/// run concurrently in the task that asks.
///
/// # Errors
///
/// Where one retriever fails, the search fails with its error: half a search would look like a whole one.
///
/// # Cancel safety
///
/// Dropping the search drops those of all retrievers.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
/// use orchestrator_core::prelude::*;
/// use stages_rag::{Bm25Index, Hybrid};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let index = |texts: [&str; 2]| Bm25Index::from_passages(texts.map(|text| Passage::new(text, Source::new(text), 0.0)));
/// let notes = index(["A full queue sheds.", "A queue is a link."])?;
/// let mails = index(["The queue sheds too much.", "See you."])?;
/// let hybrid = Hybrid::new().with(notes, 1.0)?.with(mails, 0.5)?;
///
/// let found = hybrid.retrieve(&Query::new("What sheds?", NonZeroUsize::MIN)).await?;
/// assert_eq!(found[0].text, "A full queue sheds.");
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Clone)]
pub struct Hybrid {
    retrievers: Vec<(Arc<dyn Erased>, f32)>,
    rank_constant: f32,
}

impl Hybrid {
    /// Begins without any retriever; as it stands it finds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { retrievers: Vec::new(), rank_constant: RANK_CONSTANT }
    }

    /// Adds a retriever, with how much its ranks count.
    ///
    /// # Errors
    ///
    /// Fails where the weight is not finite or not above zero, and names `weight`.
    pub fn with(mut self, retriever: impl Retriever, weight: f32) -> Result<Self, InvalidInput> {
        above_zero("weight", weight)?;
        self.retrievers.push((Arc::new(retriever), weight));
        Ok(self)
    }

    /// Sets the constant that is added to each rank, 60 unless set; the smaller it is, the more the first few count.
    ///
    /// # Errors
    ///
    /// Fails where the constant is not finite or not above zero, and names `rank_constant`.
    pub fn rank_constant(mut self, constant: f32) -> Result<Self, InvalidInput> {
        above_zero("rank_constant", constant)?;
        self.rank_constant = constant;
        Ok(self)
    }

    fn fuse(&self, lists: Vec<Vec<Passage>>) -> Vec<Passage> {
        let mut fused: Vec<Passage> = Vec::new();
        let mut places: HashMap<Same, usize> = HashMap::new();
        for (list, (_, weight)) in lists.into_iter().zip(&self.retrievers) {
            let mut seen = HashSet::new();
            for (mut passage, rank) in list.into_iter().zip(1_usize..) {
                #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
                let score = weight / (self.rank_constant + rank as f32);
                match places.entry(Same::of(&passage)) {
                    Entry::Occupied(place) => {
                        // A list that has a passage twice counts its better rank.
                        if seen.insert(*place.get()) {
                            fused[*place.get()].score += score;
                        }
                    }
                    Entry::Vacant(place) => {
                        seen.insert(fused.len());
                        place.insert(fused.len());
                        passage.score = score;
                        fused.push(passage);
                    }
                }
            }
        }
        // Stable, so equal ones stay in order.
        fused.sort_by(|a, b| b.score.total_cmp(&a.score));
        fused
    }
}

/// What makes two passages the same.
#[derive(PartialEq, Eq, Hash)]
struct Same {
    document: String,
    lines: Option<(u32, u32)>,
    page: Option<u32>,
    text: String,
}

impl Same {
    fn of(passage: &Passage) -> Self {
        let source = &passage.source;
        Self { document: source.document.clone(), lines: source.lines, page: source.page, text: passage.text.clone() }
    }
}

fn above_zero(field: &'static str, value: f32) -> Result<(), InvalidInput> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(InvalidInput::new(field, "must be finite and above zero"))
    }
}

impl Retriever for Hybrid {
    /// The error of the retriever that failed first.
    type Error = BoxError;

    async fn retrieve(&self, query: &Query) -> Result<Vec<Passage>, BoxError> {
        let depth = query.limit.saturating_mul(DEPTH_FACTOR).max(LEAST_DEPTH);
        let deep = query.clone().limit(depth);
        let lists = try_join_all(self.retrievers.iter().map(|(retriever, _)| retriever.erased_retrieve(&deep))).await?;
        let mut fused = self.fuse(lists);
        fused.truncate(query.limit.get());
        Ok(fused)
    }
}

impl Default for Hybrid {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hybrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hybrid")
            .field("weights", &self.retrievers.iter().map(|(_, weight)| weight).collect::<Vec<_>>())
            .field("rank_constant", &self.rank_constant)
            .finish_non_exhaustive()
    }
}
