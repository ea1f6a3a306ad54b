use std::sync::{Arc, Mutex, PoisonError};

/// The number of a node; what a passage is stored under.
pub(in crate::index::vector) type Slot = u32;

/// A node in how many is an entry of the graph, at least.
const NODES_PER_ENTRY: usize = 64;

/// The most entries: all of them are looked at in every search.
const MAX_ENTRIES: usize = 1024;

/// Which nodes a graph still has to link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::index::vector) enum Unlinked {
    /// There is no graph.
    None,
    /// Those that were put since.
    New,
    /// All, because there was no graph before.
    All,
}

/// The vectors and what is known of each, by slot.
#[derive(Debug, Default)]
pub(in crate::index::vector) struct Nodes {
    /// Of unit length; empty where the slot is free.
    pub(super) vectors: Vec<Arc<[f32]>>,
    /// Which nodes a search goes on to. A lock for each, because threads link nodes side by side.
    pub(super) edges: Vec<Mutex<Arc<[Slot]>>>,
    /// Whether a passage stands behind the vector. What was taken out stays as a waypoint until it is unlinked.
    pub(super) live: Vec<bool>,
    /// Where searches begin, evenly spread over the slots.
    pub(super) entries: Vec<Slot>,
    /// Whether there are edges at all.
    pub(super) linked: bool,
    pub(super) dimensions: usize,
}

impl Nodes {
    pub(in crate::index::vector) fn new(dimensions: usize) -> Self {
        Self { dimensions, ..Self::default() }
    }

    /// Shares everything with the copy that the copy does not change.
    pub(in crate::index::vector) fn copy(&self) -> Self {
        Self {
            vectors: self.vectors.clone(),
            edges: (0..self.len()).map(|slot| Mutex::new(self.edges_of(slot))).collect(),
            live: self.live.clone(),
            entries: self.entries.clone(),
            linked: self.linked,
            dimensions: self.dimensions,
        }
    }

    /// Puts a live vector in a slot, growing as needed.
    pub(in crate::index::vector) fn put(&mut self, slot: Slot, vector: Arc<[f32]>) {
        let slot = slot as usize;
        while self.len() <= slot {
            self.vectors.push(Arc::new([]));
            self.edges.push(Mutex::new(Arc::new([])));
            self.live.push(false);
        }
        self.vectors[slot] = vector;
        self.live[slot] = true;
    }

    /// Puts the waypoint of a passage that was taken out in a slot.
    pub(in crate::index::vector) fn put_waypoint(&mut self, slot: Slot, vector: Arc<[f32]>) {
        self.put(slot, vector);
        self.live[slot as usize] = false;
    }

    /// Puts the edges of a node that were read from disk; `false` where they do not belong to these nodes.
    pub(in crate::index::vector) fn put_edges(&mut self, slot: Slot, edges: &[Slot]) -> bool {
        let known = |slot: Slot| self.vectors.get(slot as usize).is_some_and(|vector| !vector.is_empty());
        if !known(slot) || !edges.iter().copied().all(known) {
            return false;
        }
        self.set_edges(slot, edges.into());
        self.linked = true;
        true
    }

    /// Makes a waypoint that was read from disk a passage's node; `false` where there is none, or it is one already.
    pub(in crate::index::vector) fn revive(&mut self, slot: Slot) -> bool {
        match self.live.get_mut(slot as usize) {
            Some(live) if !*live && !self.vectors[slot as usize].is_empty() => {
                *live = true;
                true
            }
            _ => false,
        }
    }

    /// Takes a passage's node out: at once where nothing leads to it, else it becomes a waypoint.
    pub(in crate::index::vector) fn take(&mut self, slot: Slot) {
        self.live[slot as usize] = false;
        if !self.linked {
            self.free(slot as usize);
        }
    }

    /// Frees the waypoints; no edge may lead to one any more.
    pub(in crate::index::vector) fn free_waypoints(&mut self) {
        for slot in 0..self.len() {
            if !self.live[slot] {
                self.free(slot);
            }
        }
    }

    /// Forgets the graph where nothing is left to be found.
    pub(in crate::index::vector) fn free_all_if_none_is_live(&mut self) {
        if !self.live.contains(&true) {
            self.free_waypoints();
            self.linked = false;
        }
    }

    /// Returns which nodes are to be linked: none in an index that is `worth` no graph.
    pub(in crate::index::vector) fn begin_links(&mut self, worth: bool) -> Unlinked {
        match (self.linked, worth) {
            (true, _) => Unlinked::New,
            (false, true) => {
                self.linked = true;
                Unlinked::All
            }
            (false, false) => Unlinked::None,
        }
    }

    fn free(&mut self, slot: usize) {
        self.vectors[slot] = Arc::new([]);
        self.edges[slot] = Mutex::new(Arc::new([]));
    }

    /// Spreads the entries anew.
    ///
    /// One entry would do for points at random; with many, also a group of points that came late and lies apart is
    /// found, because one of its own is an entry or a neighbour of one.
    pub(in crate::index::vector) fn spread_entries(&mut self) {
        let live: Vec<Slot> = self.live_slots().collect();
        let step = live.len().div_ceil(MAX_ENTRIES).max(NODES_PER_ENTRY);
        self.entries = live.into_iter().step_by(step).collect();
    }

    /// Returns the slots that passages stand behind, in order.
    pub(in crate::index::vector) fn live_slots(&self) -> impl Iterator<Item = Slot> + Clone + '_ {
        self.live.iter().zip(0..).filter_map(|(live, slot)| live.then_some(slot))
    }

    /// Returns the slots that hold nothing.
    pub(in crate::index::vector) fn free_slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.vectors.iter().zip(0..).filter_map(|(vector, slot)| vector.is_empty().then_some(slot))
    }

    /// Returns how many nodes have no passage behind them any more.
    pub(in crate::index::vector) fn waypoints(&self) -> usize {
        self.vectors.iter().zip(&self.live).filter(|(vector, live)| !vector.is_empty() && !**live).count()
    }

    pub(in crate::index::vector) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(in crate::index::vector) fn set_dimensions(&mut self, dimensions: usize) {
        self.dimensions = dimensions;
    }

    pub(in crate::index::vector) fn is_live(&self, slot: Slot) -> bool {
        self.live.get(slot as usize).is_some_and(|live| *live)
    }

    /// Returns how many slots there are, free ones and waypoints included.
    pub(in crate::index::vector) fn len(&self) -> usize {
        self.vectors.len()
    }

    pub(in crate::index::vector) fn vector(&self, slot: usize) -> &Arc<[f32]> {
        &self.vectors[slot]
    }

    pub(in crate::index::vector) fn edges_of(&self, slot: usize) -> Arc<[Slot]> {
        self.edges[slot].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_edges(&self, slot: Slot, edges: Arc<[Slot]>) {
        *self.edges[slot as usize].lock().unwrap_or_else(PoisonError::into_inner) = edges;
    }

    /// Adds edges that are not there yet.
    pub(super) fn add_edges(&self, slot: Slot, more: &[Slot]) {
        let mut edges = self.edges[slot as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = more.iter().filter(|slot| !edges.contains(slot));
        *edges = edges.iter().chain(fresh).copied().collect();
    }
}
