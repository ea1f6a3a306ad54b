//! Embedders that give the vectors that a test wants, and short ways to put and to find.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use orchestrator_core::prelude::*;
use stages_rag::{Document, Fingerprint, Index, IndexError, VectorIndex};

/// Reads a text's vector from the text: its numbers.
#[derive(Debug, Default)]
pub(crate) struct Spelled {
    pub(crate) name: &'static str,
}

#[async_trait]
impl Embedder for Spelled {
    fn name(&self) -> &str {
        self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        let vector = |text: &&str| text.split(' ').map(|number| number.parse().expect("a number")).collect();
        Ok(texts.iter().map(vector).collect())
    }
}

pub(crate) fn spelled() -> Arc<dyn Embedder> {
    Arc::new(Spelled { name: "spelled" })
}

pub(crate) fn spell(vector: &[f32]) -> String {
    vector.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

pub(crate) async fn open(folder: &Path) -> VectorIndex {
    VectorIndex::open(folder, spelled()).await.expect("opened")
}

/// A document whose passages have these texts.
pub(crate) fn document(name: &str, fingerprint: u64, texts: &[&str]) -> Document {
    let passage = |text: &&str| Passage::new(*text, Source::new(name), 0.0);
    Document::new(name, Fingerprint(fingerprint), texts.iter().map(passage).collect())
}

pub(crate) async fn put(index: &VectorIndex, name: &str, texts: &[&str]) {
    index.put(vec![document(name, texts.len() as u64, texts)]).await.expect("put");
}

pub(crate) fn query(text: &str, limit: usize) -> Query {
    Query::new(text, NonZeroUsize::new(limit).expect("not zero"))
}

pub(crate) async fn find(index: &VectorIndex, text: &str, limit: usize) -> Vec<Passage> {
    index.retrieve(&query(text, limit)).await.expect("found")
}

/// The texts that are found, the best first.
pub(crate) async fn texts(index: &VectorIndex, text: &str) -> Vec<String> {
    find(index, text, 100).await.into_iter().map(|passage| passage.text).collect()
}

pub(crate) async fn names(index: &VectorIndex) -> Vec<String> {
    index.documents().await.expect("listed").into_keys().collect()
}

pub(crate) fn kind<T>(result: Result<T, IndexError>) -> stages_rag::IndexErrorKind {
    result.map(drop).expect_err("an error").kind()
}

/// A point at random on the sphere.
pub(crate) fn point(random: &mut fastrand::Rng, dimensions: usize) -> Vec<f32> {
    around(random, &vec![0.0; dimensions], 1.0)
}

/// A point around another one.
pub(crate) fn around(random: &mut fastrand::Rng, centre: &[f32], spread: f32) -> Vec<f32> {
    let mut normal = || {
        let (length, angle) = ((-2.0 * random.f32().max(1e-9).ln()).sqrt(), std::f32::consts::TAU * random.f32());
        length * angle.cos()
    };
    centre.iter().map(|component| component + spread * normal()).collect()
}

/// One document for each vector, named by its number.
pub(crate) fn documents(vectors: &[Vec<f32>]) -> Vec<Document> {
    let document = |(number, vector): (usize, &Vec<f32>)| document(&number.to_string(), 0, &[&spell(vector)]);
    vectors.iter().enumerate().map(document).collect()
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}
