//! How DiskANN reads and writes the nodes. Nothing in here ever waits, so its futures are ready at their first poll.

use diskann::ANNResult;
use diskann::error::Infallible;
use diskann::graph::{AdjacencyList, glue, workingset};
use diskann::provider::{
    DataProvider, DefaultContext, Delete, ElementStatus, HasId, NeighborAccessor, NeighborAccessorMut, NoopGuard,
    SetElement,
};
use diskann::utils::VectorRepr;
use diskann_vector::PreprocessedDistanceFunction;
use diskann_vector::distance::Metric;

use super::nodes::{Nodes, Slot};

/// One less the cosine, as all vectors are of unit length.
pub(super) const METRIC: Metric = Metric::CosineNormalized;

/// Of the entries, how many a search begins with: the nearest.
const BEGINNINGS: usize = 4;

impl DataProvider for Nodes {
    type Context = DefaultContext;
    type InternalId = Slot;
    type ExternalId = Slot;
    type Error = Infallible;
    type Guard = NoopGuard<Slot>;

    fn to_internal_id(&self, _: &DefaultContext, slot: &Slot) -> Result<Slot, Infallible> {
        Ok(*slot)
    }

    fn to_external_id(&self, _: &DefaultContext, slot: Slot) -> Result<Slot, Infallible> {
        Ok(slot)
    }
}

impl SetElement<&[f32]> for Nodes {
    type SetError = Infallible;

    /// The vector is in its slot before its node is linked.
    async fn set_element(&self, _: &DefaultContext, slot: &Slot, _: &[f32]) -> Result<NoopGuard<Slot>, Infallible> {
        Ok(NoopGuard::new(*slot))
    }
}

/// Only the state of a node is asked for: nodes are taken out, and freed, by whoever owns them.
impl Delete for Nodes {
    async fn delete(&self, _: &DefaultContext, _: &Slot) -> Result<(), Infallible> {
        Ok(())
    }

    async fn release(&self, _: &DefaultContext, _: Slot) -> Result<(), Infallible> {
        Ok(())
    }

    async fn status_by_internal_id(&self, _: &DefaultContext, slot: Slot) -> Result<ElementStatus, Infallible> {
        Ok(if self.is_live(slot) { ElementStatus::Valid } else { ElementStatus::Deleted })
    }

    async fn status_by_external_id(&self, cx: &DefaultContext, slot: &Slot) -> Result<ElementStatus, Infallible> {
        self.status_by_internal_id(cx, *slot).await
    }
}

/// The edges, to read and to write.
#[derive(Clone, Copy)]
pub(super) struct Edges<'a>(&'a Nodes);

impl HasId for Edges<'_> {
    type Id = Slot;
}

impl NeighborAccessor for Edges<'_> {
    async fn get_neighbors(&mut self, slot: Slot, neighbors: &mut AdjacencyList<Slot>) -> ANNResult<()> {
        neighbors.overwrite_trusted(&self.0.edges_of(slot as usize));
        Ok(())
    }
}

impl NeighborAccessorMut for Edges<'_> {
    async fn set_neighbors(&mut self, slot: Slot, neighbors: &[Slot]) -> ANNResult<()> {
        self.0.set_edges(slot, neighbors.into());
        Ok(())
    }

    async fn append_vector(&mut self, slot: Slot, neighbors: &[Slot]) -> ANNResult<()> {
        self.0.add_edges(slot, neighbors);
        Ok(())
    }
}

/// A search on its way.
pub(super) struct Walk<'a> {
    nodes: &'a Nodes,
    to_query: <f32 as VectorRepr>::QueryDistance,
}

impl Walk<'_> {
    fn distance(&self, slot: Slot) -> f32 {
        self.to_query.evaluate_similarity(&**self.nodes.vector(slot as usize))
    }
}

impl HasId for Walk<'_> {
    type Id = Slot;
}

impl glue::SearchAccessor for Walk<'_> {
    /// Only counted by DiskANN, to leave room for them.
    async fn starting_points(&self) -> ANNResult<Vec<Slot>> {
        Ok(self.nodes.entries.iter().copied().take(BEGINNINGS).collect())
    }

    async fn start_point_distances<F>(&mut self, mut begin: F) -> ANNResult<()>
    where
        F: FnMut(Slot, f32) + Send,
    {
        let mut entries: Vec<_> = self.nodes.entries.iter().map(|&slot| (self.distance(slot), slot)).collect();
        if entries.len() > BEGINNINGS {
            entries.select_nth_unstable_by(BEGINNINGS, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            entries.truncate(BEGINNINGS);
        }
        entries.into_iter().for_each(|(distance, slot)| begin(slot, distance));
        Ok(())
    }

    async fn expand_beam<Itr, P, F>(&mut self, slots: Itr, mut unseen: P, mut meet: F) -> ANNResult<()>
    where
        Itr: Iterator<Item = Slot> + Send,
        P: glue::HybridPredicate<Slot> + Send + Sync,
        F: FnMut(Slot, f32) + Send,
    {
        for slot in slots {
            for &next in self.nodes.edges_of(slot as usize).iter().filter(|next| unseen.eval_mut(next)) {
                meet(next, self.distance(next));
            }
        }
        Ok(())
    }
}

/// The choice of a node's edges.
pub(super) struct Choice<'a>(&'a Nodes);

/// The vectors as they lie: nothing is copied to compare them.
pub(super) struct Vectors<'a>(&'a Nodes);

impl workingset::View<Slot> for Vectors<'_> {
    type ElementRef<'a> = &'a [f32];
    type Element<'a>
        = &'a [f32]
    where
        Self: 'a;

    fn get(&self, slot: Slot) -> Option<&[f32]> {
        self.0.vectors.get(slot as usize).map(|vector| &**vector)
    }
}

impl HasId for Choice<'_> {
    type Id = Slot;
}

impl glue::PruneAccessor for Choice<'_> {
    type Neighbors<'a>
        = Edges<'a>
    where
        Self: 'a;
    type ElementRef<'a> = &'a [f32];
    type View<'a>
        = Vectors<'a>
    where
        Self: 'a;
    type Distance<'a>
        = <f32 as VectorRepr>::Distance
    where
        Self: 'a;

    fn neighbors(&mut self) -> Edges<'_> {
        Edges(self.0)
    }

    async fn fill<Itr>(&mut self, _: Itr) -> ANNResult<(Vectors<'_>, <f32 as VectorRepr>::Distance)>
    where
        Itr: ExactSizeIterator<Item = Slot> + Clone + Send + Sync,
    {
        Ok((Vectors(self.0), f32::distance(METRIC, Some(self.0.dimensions))))
    }
}

/// Joins DiskANN's algorithms to the above.
#[derive(Clone, Copy)]
pub(super) struct Ours;

impl<'a> glue::SearchStrategy<'a, Nodes, &'a [f32]> for Ours {
    type SearchAccessorError = Infallible;
    type SearchAccessor = Walk<'a>;

    fn search_accessor(
        &'a self,
        nodes: &'a Nodes,
        _: &'a DefaultContext,
        query: &'a [f32],
    ) -> Result<Walk<'a>, Infallible> {
        Ok(Walk { nodes, to_query: f32::query_distance(query, METRIC) })
    }
}

impl<'a> glue::DefaultPostProcessor<'a, Nodes, &'a [f32]> for Ours {
    diskann::default_post_processor!(glue::CopyIds);
}

impl glue::PruneStrategy<Nodes> for Ours {
    type PruneAccessor<'a> = Choice<'a>;
    type PruneAccessorError = Infallible;

    fn prune_accessor<'a>(
        &'a self,
        nodes: &'a Nodes,
        _: &'a DefaultContext,
        _: usize,
    ) -> Result<Choice<'a>, Infallible> {
        Ok(Choice(nodes))
    }
}

impl<'a> glue::InsertStrategy<'a, Nodes, &'a [f32]> for Ours {
    type SearchAccessor = Walk<'a>;
    type SearchAccessorError = Infallible;
    type PruneStrategy = Self;

    fn insert_search_accessor(
        &'a self,
        nodes: &'a Nodes,
        cx: &'a DefaultContext,
        vector: &'a [f32],
    ) -> Result<Walk<'a>, Infallible> {
        glue::SearchStrategy::search_accessor(self, nodes, cx, vector)
    }

    fn prune_strategy(&self) -> Self {
        *self
    }
}
