use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use orchestrator_core::retrieval::{Filter, Passage, Query};
use redb::ReadOnlyTable;

use super::fault;
use super::graph::{Candidate, Graph, Nodes, Slot};
use super::rows::{self, PassageRow};
use crate::error::IndexError;
use crate::index::Fingerprint;

/// What passages have in common: the metadata of their document.
pub(super) type Metadata = Arc<BTreeMap<String, String>>;

/// A committed document.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) fingerprint: Fingerprint,
    pub(super) slots: Vec<Slot>,
}

/// Everything that one commit left; never changes.
pub(super) struct Snapshot {
    pub(super) graph: Graph,
    pub(super) documents: BTreeMap<String, Entry>,
    /// Of each slot, its place in `metadata`; without meaning where no passage stands behind the slot.
    pub(super) kinds: Vec<u32>,
    /// Each metadata that there is, once: a filter is asked once for each.
    pub(super) metadata: Vec<Metadata>,
    /// How many passages it holds.
    pub(super) len: usize,
    /// The texts as of this commit; `None` where there was none yet.
    pub(super) passages: Option<ReadOnlyTable<Slot, PassageRow>>,
}

impl Snapshot {
    pub(super) fn empty() -> Self {
        Self {
            graph: Graph::new(Nodes::default()),
            documents: BTreeMap::new(),
            kinds: Vec::new(),
            metadata: Vec::new(),
            len: 0,
            passages: None,
        }
    }

    /// Returns the length of the vectors; 0 where there has been none.
    pub(super) fn dimensions(&self) -> usize {
        self.graph.nodes().dimensions()
    }

    /// Returns the passages nearest to a vector of unit length.
    pub(super) fn search(
        &self,
        vector: &[f32],
        query: &Query,
        path: Option<&Path>,
    ) -> Result<Vec<Passage>, IndexError> {
        let nodes = self.graph.nodes();
        let live = self.len;
        let accepted: Vec<bool> = match &query.filter {
            Filter::Any => vec![true; self.metadata.len()],
            filter => self.metadata.iter().map(|metadata| filter.accepts(metadata)).collect(),
        };
        let accepts = |slot: Slot| nodes.is_live(slot) && accepted[self.kinds[slot as usize] as usize];
        let count = nodes.live_slots().filter(|slot| accepts(*slot)).count();
        let found = self
            .graph
            .nearest(vector, query.limit.get(), (count, live), accepts)
            .map_err(|error| fault::engine(path, error))?;
        found.into_iter().map(|candidate| self.passage(candidate, path)).collect()
    }

    fn passage(&self, candidate: Candidate, path: Option<&Path>) -> Result<Passage, IndexError> {
        let slot = candidate.slot;
        let row = match &self.passages {
            Some(passages) => passages.get(slot).map_err(|error| fault::storage(path, error))?,
            None => None,
        };
        let row = row.ok_or_else(|| fault::damaged(path, "a vector has no passage"))?;
        let metadata = &self.metadata[self.kinds[slot as usize] as usize];
        Ok(rows::passage(row.value(), metadata, 1.0 - candidate.distance))
    }
}
