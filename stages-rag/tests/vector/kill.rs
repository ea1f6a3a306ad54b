//! A process that is killed leaves what it has committed.
//!
//! The process is this test's own executable, which runs the one test below as a writer where it finds a folder in its
//! environment.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stages_rag::{Document, Index, VectorIndex};

use crate::common::*;

const FOLDER: &str = "VECTOR_INDEX_TO_WRITE";
const ROUNDS: usize = 100;
const DOCUMENTS: u32 = 8;
const PASSAGES: u32 = 5;

/// What generation `number` leaves: each document's passages name it, and one document is there in every other only.
fn generation(number: u64) -> Vec<Document> {
    let texts = |document: u32| (0..PASSAGES).map(|i| format!("{} {document} {i}", number + 1)).collect::<Vec<_>>();
    (0..DOCUMENTS)
        .map(|name| {
            let texts = texts(name);
            document(&name.to_string(), number, &texts.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect()
}

fn texts_of(number: u64) -> BTreeSet<String> {
    let there = if number.is_multiple_of(2) { DOCUMENTS } else { DOCUMENTS - 1 };
    let documents = generation(number).into_iter().take(there as usize);
    documents.flat_map(|document| document.passages).map(|passage| passage.text).collect()
}

/// Commits one generation after the other and says so, until it is killed.
async fn write_generations(folder: &Path) {
    let index = VectorIndex::open(folder, spelled()).await.expect("opened");
    let last = index.documents().await.expect("listed").values().map(|fingerprint| fingerprint.0).max();
    for number in last.map_or(0, |last| last + 1).. {
        index.put(generation(number)).await.expect("put");
        if !number.is_multiple_of(2) {
            index.remove(vec![(DOCUMENTS - 1).to_string()]).await.expect("removed");
        }
        index.commit().await.expect("committed");
        println!("committed {number}");
        std::io::stdout().flush().expect("somebody reads");
    }
}

fn writer(folder: &Path) -> Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["kill::a_killed_process_leaves_exactly_what_it_has_committed", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("started")
}

/// Lets a writer commit a few times, kills it in the middle of something and returns the last that it has reported.
fn kill_one(folder: &Path, random: &mut fastrand::Rng) -> u64 {
    let mut writer = writer(folder);
    let mut lines = BufReader::new(writer.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
    let mut reported = lines.by_ref().filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
    let mut last = reported.next().expect("the first commit");
    for _ in 0..random.usize(0..3) {
        last = reported.next().expect("another commit");
    }
    // The moment is what is tested, so it is one of real time: anywhere within a commit.
    std::thread::sleep(Duration::from_micros(random.u64(0..6_000)));
    writer.kill().expect("killed");
    writer.wait().expect("gone");
    reported.last().unwrap_or(last)
}

#[tokio::test]
async fn a_killed_process_leaves_exactly_what_it_has_committed() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return write_generations(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = fastrand::Rng::with_seed(14);
    let mut unreported = 0;
    for round in 0..ROUNDS {
        let last = kill_one(folder.path(), &mut random);
        let index = open(folder.path()).await;
        let found: BTreeSet<String> = texts(&index, "1 1 1").await.into_iter().collect();
        let documents = index.documents().await.expect("listed");
        let number = documents.values().map(|fingerprint| fingerprint.0).max().expect("a generation");
        assert!(number == last || number == last + 1, "round {round}: {number} is there, {last} was reported");
        assert_eq!(found, texts_of(number), "round {round}");
        assert_eq!(index.len(), found.len(), "round {round}");
        assert_eq!(documents.len(), found.len() / PASSAGES as usize, "round {round}");
        assert!(documents.values().all(|fingerprint| fingerprint.0 == number), "round {round}");
        unreported += u32::from(number == last + 1);
    }
    println!("{unreported} of {ROUNDS} were killed between a commit and its report");
    assert!(unreported > 0, "no kill fell into a commit");
}
