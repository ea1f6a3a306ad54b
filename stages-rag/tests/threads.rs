//! Which threads an index over words has. Alone in its process, so that it sees no others.

#![cfg(target_os = "linux")]

use std::fs;
use std::ops::RangeBounds;
use std::time::{Duration, Instant};

use orchestrator_core::prelude::*;
use stages_rag::{Bm25Index, Document, Fingerprint, Index};

/// The names of the search engine's threads.
fn engine_threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.expect("a thread").path().join("comm")).ok());
    let of_engine =
        |name: &String| ["thrd-tantivy", "segment_updater", "merge_thread"].iter().any(|n| name.starts_with(n));
    names.filter(of_engine).collect()
}

/// Waits until as many are there; one that has been told to end, or has only begun, may take a moment.
async fn there_are(number: impl RangeBounds<usize>) {
    let start = Instant::now();
    while !number.contains(&engine_threads().len()) {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", engine_threads());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn threads_are_few_and_end_with_the_commit_or_the_index() {
    let folder = tempfile::tempdir().expect("a folder");
    for index in [Bm25Index::in_memory().expect("an index"), Bm25Index::open(folder.path()).await.expect("an index")] {
        there_are(..1).await;
        let put = async || {
            let passage = Passage::new("needle", Source::new("a"), 0.0);
            index.put(vec![Document::new("a", Fingerprint(0), vec![passage])]).await.expect("put");
        };
        for _ in 0..3 {
            put().await;
            put().await;
            there_are(1..=3).await;
            index.commit().await.expect("committed");
            there_are(..1).await;
        }
        put().await;
        drop(index);
        there_are(..1).await;
    }
}
