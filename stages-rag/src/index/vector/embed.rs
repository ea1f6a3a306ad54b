use std::path::Path;
use std::sync::Arc;

use orchestrator_core::retrieval::{Embedder, Passage};

use super::fault;
use crate::error::IndexError;

/// Texts that are given to the embedder at once, so that neither a document nor a corpus is one huge request.
const BATCH: usize = 64;

/// Embeds passages, in order, and makes the vectors of unit length.
///
/// Vectors of another length than `dimensions`, where that is known, or than each other are incompatible.
pub(super) async fn embed_passages(
    embedder: &dyn Embedder,
    passages: &[&Passage],
    mut dimensions: Option<usize>,
    path: Option<&Path>,
) -> Result<Vec<Arc<[f32]>>, IndexError> {
    let mut vectors = Vec::with_capacity(passages.len());
    for batch in passages.chunks(BATCH) {
        let texts: Vec<&str> = batch.iter().map(|passage| passage.text.as_str()).collect();
        let given = embedder.embed(&texts).await.map_err(|error| fault::embedder(path, error))?;
        if given.len() != texts.len() {
            let problem = format!("{} vectors came back for {} texts", given.len(), texts.len());
            return Err(fault::bad_vectors(path, problem));
        }
        for (vector, passage) in given.into_iter().zip(batch) {
            let unit = unit(&vector, dimensions, path, || passage.source.to_string())?;
            dimensions = Some(unit.len());
            vectors.push(unit);
        }
    }
    Ok(vectors)
}

/// Embeds a question.
pub(super) async fn embed_query(
    embedder: &dyn Embedder,
    question: &str,
    dimensions: usize,
    path: Option<&Path>,
) -> Result<Arc<[f32]>, IndexError> {
    let vector = embedder.embed_query(question).await.map_err(|error| fault::embedder(path, error))?;
    unit(&vector, Some(dimensions), path, || "the question".to_owned())
}

/// Checks a vector and makes it of unit length, so that its product with another one is their cosine.
fn unit(
    vector: &[f32],
    dimensions: Option<usize>,
    path: Option<&Path>,
    what: impl Fn() -> String,
) -> Result<Arc<[f32]>, IndexError> {
    if vector.is_empty() {
        return Err(fault::bad_vectors(path, format!("the vector of {} is empty", what())));
    }
    if let Some(stored) = dimensions.filter(|stored| *stored != vector.len()) {
        return Err(fault::incompatible(path, "dimensions", vector.len(), stored));
    }
    if vector.iter().any(|component| !component.is_finite()) {
        return Err(fault::bad_vectors(path, format!("the vector of {} is not finite", what())));
    }
    // In f64 no square of an f32 is infinite or vanishes.
    let length = vector.iter().map(|component| f64::from(*component).powi(2)).sum::<f64>().sqrt();
    if length == 0.0 {
        return Err(fault::bad_vectors(path, format!("the vector of {} is zero and has no direction", what())));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a component of a unit vector fits")]
    Ok(vector.iter().map(|component| (f64::from(*component) / length) as f32).collect())
}
