//! How many of the nearest a graph finds, at a size that a test can afford; `benches/retrieval` has the full one.

use std::collections::BTreeSet;

use stages_rag::{Index, VectorIndex};

use crate::common::*;

const DIMENSIONS: usize = 16;
const QUESTIONS: usize = 30;

/// The share of the ten nearest that is found.
async fn recall(index: &VectorIndex, vectors: &[Vec<f32>], questions: &[Vec<f32>]) -> f64 {
    let mut hits = 0;
    for question in questions {
        let mut all: Vec<_> = vectors.iter().map(|vector| (cosine(vector, question), vector)).collect();
        all.select_nth_unstable_by(10, |a, b| b.0.total_cmp(&a.0));
        let nearest: BTreeSet<String> = all[..10].iter().map(|(_, vector)| spell(vector)).collect();
        hits +=
            find(index, &spell(question), 10).await.iter().filter(|passage| nearest.contains(&passage.text)).count();
    }
    hits as f64 / (10 * questions.len()) as f64
}

/// Puts vectors in that are named by their place.
async fn put_all(index: &VectorIndex, vectors: &[Vec<f32>]) {
    index.put(documents(vectors)).await.expect("put");
    index.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_vectors_are_found_also_after_three_quarters_were_replaced() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut vectors: Vec<_> = (0..5_400).map(|_| point(&mut random, DIMENSIONS)).collect();
    let questions: Vec<_> = (0..QUESTIONS).map(|_| point(&mut random, DIMENSIONS)).collect();
    let index = VectorIndex::in_memory(spelled());
    put_all(&index, &vectors).await;
    let first = recall(&index, &vectors, &questions).await;
    assert!(first >= 0.95, "{first}");

    // A quarter at a time, so that some commits leave waypoints and some lead past them.
    for quarter in 0..3 {
        let replaced: Vec<_> = (0..1_350).map(|_| point(&mut random, DIMENSIONS)).collect();
        let named = documents(&replaced).into_iter().enumerate().map(|(number, mut document)| {
            document.name = (quarter * 1_350 + number).to_string();
            document
        });
        index.put(named.collect()).await.expect("put");
        index.commit().await.expect("committed");
        vectors[quarter * 1_350..(quarter + 1) * 1_350].clone_from_slice(&replaced);
        let later = recall(&index, &vectors, &questions).await;
        assert!(later >= 0.95, "{later} after {} were replaced", (quarter + 1) * 1_350);
    }
    assert_eq!(index.len(), 5_400);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_lie_apart_are_found_even_if_they_come_one_after_the_other() {
    let mut random = fastrand::Rng::with_seed(12);
    let centres: Vec<_> = (0..60).map(|_| point(&mut random, DIMENSIONS)).collect();
    let vectors: Vec<_> = centres
        .iter()
        .flat_map(|centre| (0..100).map(|_| around(&mut random, centre, 0.2)).collect::<Vec<_>>())
        .collect();
    let questions: Vec<_> = (0..QUESTIONS).map(|i| around(&mut random, &centres[i % centres.len()], 0.2)).collect();
    let index = VectorIndex::in_memory(spelled());
    let (early, late) = vectors.split_at(5_500);
    put_all(&index, early).await;
    // The last groups come with commits of their own, to a graph that has none of their kind.
    for (number, group) in late.chunks(100).enumerate() {
        let named = documents(group).into_iter().enumerate().map(|(place, mut document)| {
            document.name = format!("late {number} {place}");
            document
        });
        index.put(named.collect()).await.expect("put");
        index.commit().await.expect("committed");
    }
    let found = recall(&index, &vectors, &questions).await;
    assert!(found >= 0.95, "{found}");
    let late: Vec<_> = centres[55..].iter().map(|centre| around(&mut random, centre, 0.2)).collect();
    let found = recall(&index, &vectors, &late).await;
    assert!(found >= 0.95, "{found} of the late groups");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_equal_vectors_hide_nothing_else() {
    let mut random = fastrand::Rng::with_seed(13);
    let same = point(&mut random, DIMENSIONS);
    let others: Vec<_> = (0..2_700).map(|_| point(&mut random, DIMENSIONS)).collect();
    let mut vectors = vec![same.clone(); 2_700];
    vectors.extend(others.iter().cloned());
    let index = VectorIndex::in_memory(spelled());
    put_all(&index, &vectors).await;
    let questions: Vec<_> = (0..QUESTIONS).map(|_| point(&mut random, DIMENSIONS)).collect();
    let found = recall(&index, &vectors, &questions).await;
    assert!(found >= 0.95, "{found}");
    assert!(find(&index, &spell(&same), 10).await.iter().all(|passage| passage.text == spell(&same)));
}
