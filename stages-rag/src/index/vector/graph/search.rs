use diskann::graph::search::Knn;
use diskann::graph::{Config, DiskANNIndex, config};
use diskann::provider::DefaultContext;
use diskann::utils::VectorRepr;
use diskann::{ANNError, graph};
use diskann_vector::PreprocessedDistanceFunction;
use futures_util::FutureExt;

use super::nodes::{Nodes, Slot};
use super::provider::{METRIC, Ours};

/// Edges that a node keeps; while nodes are linked, it may have a third more.
const DEGREE: usize = 48;

/// Candidates that are kept while the neighbours of a new node are looked for.
const CANDIDATES_TO_LINK: usize = 128;

/// Candidates that are kept in a search for up to half as many.
const CANDIDATES: usize = 200;

/// About how many distances a search takes for each candidate that it keeps.
const DISTANCES_PER_CANDIDATE: usize = 25;

/// Up to here looking at every vector is cheaper than a search in the graph.
pub(in crate::index::vector) const WORTH_A_GRAPH: usize = CANDIDATES * DISTANCES_PER_CANDIDATE;

/// A node and its distance to the query, one less the cosine.
#[derive(Debug, Clone, Copy)]
pub(in crate::index::vector) struct Candidate {
    pub(in crate::index::vector) slot: Slot,
    pub(in crate::index::vector) distance: f32,
}

/// Nodes that can be searched and linked.
pub(in crate::index::vector) struct Graph(pub(super) DiskANNIndex<Nodes>);

impl Graph {
    pub(in crate::index::vector) fn new(nodes: Nodes) -> Self {
        Self(DiskANNIndex::new(settings(), nodes, None))
    }

    pub(in crate::index::vector) fn nodes(&self) -> &Nodes {
        self.0.provider()
    }

    pub(in crate::index::vector) fn into_nodes(self) -> Nodes {
        self.0.data_provider
    }

    /// Returns the nearest of the nodes that `accepts`, of which there are `accepted`, the nearest first.
    ///
    /// In the graph the candidates grow as fewer of the `live` nodes are accepted. Where that costs more than looking at
    /// all that are, or where fewer turn up than there should, because they lie away from the query, all are looked at.
    pub(in crate::index::vector) fn nearest(
        &self,
        query: &[f32],
        limit: usize,
        (accepted, live): (usize, usize),
        accepts: impl Fn(Slot) -> bool,
    ) -> Result<Vec<Candidate>, ANNError> {
        let wanted = CANDIDATES.max(limit.saturating_mul(2)).min(accepted);
        let candidates = wanted.saturating_mul(live) / accepted.max(1);
        if self.nodes().linked && candidates.saturating_mul(DISTANCES_PER_CANDIDATE) < accepted {
            let mut found = self.walk(query, candidates)?;
            found.retain(|candidate| accepts(candidate.slot));
            if found.len() >= wanted / 2 {
                return Ok(first(found, limit));
            }
        }
        Ok(first(self.scan(query, accepts), limit))
    }

    fn walk(&self, query: &[f32], candidates: usize) -> Result<Vec<Candidate>, ANNError> {
        let mut found: Vec<diskann::neighbor::Neighbor<Slot>> = Vec::new();
        let search = Knn::new_default(candidates)?;
        self.0
            .search(search, &Ours, &DefaultContext, query, &mut found)
            .now_or_never()
            .expect("nothing in a search of nodes in memory waits")?;
        Ok(found.iter().map(|near| Candidate { slot: *near.id(), distance: *near.distance() }).collect())
    }

    fn scan(&self, query: &[f32], accepts: impl Fn(Slot) -> bool) -> Vec<Candidate> {
        let nodes = self.nodes();
        let to_query = f32::query_distance(query, METRIC);
        let candidate =
            |slot: Slot| Candidate { slot, distance: to_query.evaluate_similarity(&**nodes.vector(slot as usize)) };
        nodes.live_slots().filter(|slot| accepts(*slot)).map(candidate).collect()
    }
}

/// Keeps the nearest; of equal ones those that were put first.
fn first(mut found: Vec<Candidate>, limit: usize) -> Vec<Candidate> {
    let nearer = |a: &Candidate, b: &Candidate| a.distance.total_cmp(&b.distance).then(a.slot.cmp(&b.slot));
    if found.len() > limit {
        found.select_nth_unstable_by(limit, nearer);
        found.truncate(limit);
    }
    found.sort_unstable_by(nearer);
    found
}

fn settings() -> Config {
    let slack = config::MaxDegree::default_slack();
    graph::config::Builder::new(DEGREE, slack, CANDIDATES_TO_LINK, METRIC.into())
        .build()
        .expect("none of the settings is zero")
}
