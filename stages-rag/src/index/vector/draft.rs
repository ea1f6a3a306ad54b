use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use orchestrator_core::retrieval::Passage;
use redb::ReadOnlyTable;

use super::changes::{Change, Changes, Embedded};
use super::graph::{Graph, Nodes, Slot, Stopped, Unlinked, WORTH_A_GRAPH};
use super::kinds::Kinds;
use super::rows::PassageRow;
use super::snapshot::{Entry, Snapshot};

/// For how many passages there may be one waypoint before edges are led past all of them.
const PASSAGES_PER_WAYPOINT: usize = 5;

/// What a commit will leave, while it is made.
pub(super) struct Draft {
    graph: Graph,
    documents: BTreeMap<String, Entry>,
    kinds: Vec<u32>,
    metadata: Vec<super::snapshot::Metadata>,
    touched: Vec<String>,
    put: Vec<(Slot, Arc<Embedded>, usize)>,
    taken: Vec<Slot>,
}

impl Draft {
    /// Applies changes to a copy of what was committed last.
    pub(super) fn new(base: &Snapshot, changes: &Changes) -> Self {
        let mut nodes = base.graph.nodes().copy();
        if let Some(dimensions) = changes.dimensions() {
            nodes.set_dimensions(dimensions);
        }
        let mut draft = Self {
            graph: Graph::new(Nodes::default()),
            documents: base.documents.clone(),
            kinds: Vec::new(),
            metadata: Vec::new(),
            touched: changes.documents.keys().cloned().collect(),
            put: Vec::new(),
            taken: Vec::new(),
        };
        for name in changes.documents.keys() {
            draft.taken.extend(draft.documents.remove(name).into_iter().flat_map(|entry| entry.slots));
        }
        draft.taken.iter().for_each(|slot| nodes.take(*slot));
        draft.fill(&mut nodes, changes);
        draft.number_metadata(base, nodes.len());
        draft.graph = Graph::new(nodes);
        draft
    }

    /// Puts the new vectors in free slots, then behind the others.
    fn fill(&mut self, nodes: &mut Nodes, changes: &Changes) {
        let free: Vec<Slot> = nodes.free_slots().collect();
        let next = u32::try_from(nodes.len()).expect("their vectors fill the memory of any machine before");
        let mut slots = free.into_iter().chain(next..);
        for (name, change) in &changes.documents {
            let Change::Put(embedded) = change else { continue };
            let slots: Vec<Slot> = slots.by_ref().take(embedded.vectors.len()).collect();
            for (place, (slot, vector)) in slots.iter().zip(&embedded.vectors).enumerate() {
                nodes.put(*slot, vector.clone());
                self.put.push((*slot, embedded.clone(), place));
            }
            let entry = Entry { fingerprint: embedded.document.fingerprint, slots };
            self.documents.insert(name.clone(), entry);
        }
    }

    /// Numbers the metadata anew, so that what no passage has any more is forgotten.
    fn number_metadata(&mut self, base: &Snapshot, slots: usize) {
        let mut found = Kinds::default();
        let mut kinds = vec![0; slots];
        let fresh: HashMap<Slot, &Passage> = self.put().collect();
        for &slot in self.documents.values().flat_map(|entry| &entry.slots) {
            kinds[slot as usize] = match fresh.get(&slot) {
                Some(passage) => found.kind_of(&passage.metadata),
                None => found.kind_of(&base.metadata[base.kinds[slot as usize] as usize]),
            };
        }
        drop(fresh);
        self.kinds = kinds;
        self.metadata = found.into_metadata();
    }

    /// Links the new nodes, and leads edges past the old ones when there are many.
    pub(super) fn link(mut self, wanted: impl Fn() -> bool + Sync) -> Result<Self, Stopped> {
        let mut nodes = self.graph.into_nodes();
        nodes.free_all_if_none_is_live();
        nodes.spread_entries();
        let live: Vec<Slot> = nodes.live_slots().collect();
        let passages = live.len();
        let unlinked = match nodes.begin_links(live.len() > WORTH_A_GRAPH) {
            Unlinked::None => Vec::new(),
            Unlinked::New => self.put.iter().map(|(slot, ..)| *slot).collect(),
            Unlinked::All => live,
        };
        let waypoints = nodes.waypoints();
        self.graph = Graph::new(nodes);
        self.graph.link(&unlinked, &wanted)?;
        if waypoints * PASSAGES_PER_WAYPOINT > passages {
            self.graph.bypass(&wanted)?;
            let mut nodes = self.graph.into_nodes();
            nodes.free_waypoints();
            self.graph = Graph::new(nodes);
        }
        Ok(self)
    }

    /// Makes it what searches see.
    pub(super) fn into_snapshot(self, passages: ReadOnlyTable<Slot, PassageRow>) -> Snapshot {
        let Self { graph, documents, kinds, metadata, .. } = self;
        let len = graph.nodes().live_slots().count();
        Snapshot { graph, documents, kinds, metadata, len, passages: Some(passages) }
    }

    pub(super) fn nodes(&self) -> &Nodes {
        self.graph.nodes()
    }

    pub(super) fn documents(&self) -> &BTreeMap<String, Entry> {
        &self.documents
    }

    /// Returns the names of the documents that were put or taken out.
    pub(super) fn touched(&self) -> &[String] {
        &self.touched
    }

    /// Returns the slots whose passages are gone; some have new ones.
    pub(super) fn taken(&self) -> impl Iterator<Item = Slot> + '_ {
        self.taken.iter().copied()
    }

    /// Returns the new passages.
    pub(super) fn put(&self) -> impl Iterator<Item = (Slot, &Passage)> + '_ {
        self.put.iter().map(|(slot, embedded, place)| (*slot, &embedded.document.passages[*place]))
    }
}
