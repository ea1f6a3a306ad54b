//! A process is killed while it commits, again and again, and what it leaves is looked at.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use orchestrator_core::prelude::*;
use stages_rag::{Bm25Index, Document, Fingerprint, Index};

use super::{commit, documents, folder, names, open, search};

const KILLS: usize = 100;

/// Names the folder for the process that is to be killed.
const FOLDER: &str = "DISK_TEST_FOLDER";

/// The documents of a generation: some stay, some change, some come and go, one is of many passages.
fn generation(number: u64) -> Vec<Document> {
    let stays = (0..5).map(|i| (format!("stays {i}"), 0, 2));
    let changes = (0..5).map(|i| (format!("changes {i}"), number, 3));
    let comes = (0..3).map(|i| (format!("came {}", number + i), i, 1));
    let blank = number.is_multiple_of(2).then(|| ("blank".to_owned(), number, 0));
    let many = [("many".to_owned(), number, 40)];
    let all = stays.chain(changes).chain(comes).chain(blank).chain(many);
    all.map(|(name, content, passages)| {
        let passages = (0..passages).map(|part| {
            let text = format!("needle content{content} part{part} of {name}");
            Passage::new(text, Source::new(name.as_str()), 0.0).with_metadata("generation", number.to_string())
        });
        Document::new(name.as_str(), Fingerprint(content * 1_000 + 7), passages.collect())
    })
    .collect()
}

fn fingerprints(number: u64) -> BTreeMap<String, Fingerprint> {
    generation(number).into_iter().map(|document| (document.name, document.fingerprint)).collect()
}

/// Changes the index from whatever it holds to a generation.
async fn change(index: &Bm25Index, number: u64) {
    let there = documents(index).await;
    let wanted = generation(number);
    let gone = there.keys().filter(|name| wanted.iter().all(|document| document.name != **name)).cloned().collect();
    index.remove(gone).await.expect("removed");
    // All of it, also what is the same: the metadata says which generation a passage is of.
    index.put(wanted).await.expect("put");
}

/// Returns the generation that the index holds; fails where it is not whole, or more than that.
async fn check(index: &Bm25Index) -> Option<u64> {
    let there = documents(index).await;
    let Some(Fingerprint(print)) = there.get("many") else {
        assert!(there.is_empty() && index.is_empty(), "{there:?}");
        return None;
    };
    let number = print / 1_000;
    assert_eq!(there, fingerprints(number));
    let mut found: Vec<_> = search(index, "needle")
        .await
        .into_iter()
        .map(|mut passage| {
            passage.score = 0.0;
            passage
        })
        .collect();
    let mut wanted: Vec<_> = generation(number).into_iter().flat_map(|document| document.passages).collect();
    for passages in [&mut found, &mut wanted] {
        passages.sort_by(|a, b| a.text.cmp(&b.text));
    }
    assert_eq!(found, wanted);
    assert_eq!(index.len(), wanted.len());
    Some(number)
}

/// What the killed process does. It is no test of its own: run without a folder, it has nothing to do.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let index = Bm25Index::open(Path::new(&folder)).await.expect("an index");
        let mut number = check(&index).await.unwrap_or_default();
        loop {
            number += 1;
            change(&index, number).await;
            say(&format!("committing {number}"));
            commit(&index).await;
            say(&format!("committed {number}"));
        }
    });
}

/// Past the harness, which would keep it until the test is over.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

struct Killed {
    process: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    committed: Option<u64>,
}

impl Killed {
    fn start(folder: &Path) -> Self {
        let this = std::env::current_exe().expect("the test's own program");
        let mut process = Command::new(this)
            .args(["--exact", "kill::child", "--nocapture", "--test-threads", "1"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, lines, committed: None }
    }

    /// Reads until a commit of its own has begun, the `nth` one; false where the process has ended.
    fn until_committing(&mut self, nth: usize) -> bool {
        let mut begun = 0;
        while begun < nth {
            let Some(Ok(line)) = self.lines.next() else { return false };
            begun += usize::from(line.contains("committing "));
            self.note(&line);
        }
        true
    }

    fn note(&mut self, line: &str) {
        if let Some((_, number)) = line.split_once("committed ") {
            self.committed = Some(number.parse().expect("a number"));
        }
    }

    /// Kills it, and returns the last generation whose commit it has seen return.
    fn kill(mut self) -> Option<u64> {
        self.process.kill().expect("killed");
        self.process.wait().expect("gone");
        while let Some(Ok(line)) = self.lines.next() {
            self.note(&line);
        }
        self.committed
    }
}

/// Waits for a moment in a commit that has just begun.
///
/// From a microsecond to 0.1 s behind its beginning, each order of magnitude as often, or each moment; or up to 1 ms
/// behind the renaming that makes it whole, of which the process has yet to tell.
fn wait(folder: &Path, random: &mut fastrand::Rng) {
    let root = || std::fs::metadata(folder.join("meta.json")).and_then(|meta| meta.modified()).ok();
    match random.u8(..3) {
        0 => spin(Duration::from_secs_f64(10f64.powf(-6.0 + 5.0 * random.f64()))),
        1 => spin(Duration::from_secs_f64(0.1 * random.f64())),
        _ => {
            let (before, start) = (root(), Instant::now());
            while root() == before && start.elapsed() < Duration::from_millis(100) {}
            spin(Duration::from_secs_f64(0.001 * random.f64()));
        }
    }
}

/// Lets time pass to the microsecond, which a sleep does not.
fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn a_process_killed_in_a_commit_leaves_all_of_it_or_nothing() {
    let folder = folder();
    let mut random = fastrand::Rng::with_seed(1);
    let mut before = 0;
    let mut whole = 0;
    for round in 0..KILLS {
        let mut killed = Killed::start(folder.path());
        assert!(killed.until_committing(random.usize(1..3)), "round {round}: the process ended by itself");
        wait(folder.path(), &mut random);
        let reported = killed.kill().unwrap_or(before);
        let index = open(&folder).await;
        let there = check(&index).await.unwrap_or_default();
        assert!((reported..=reported + 1).contains(&there), "round {round}: {there} after {reported} was reported");
        whole += usize::from(there == reported + 1);
        before = there;
    }
    eprintln!("{KILLS} kills, {before} generations, {whole} of the killed commits were whole");
    assert!(whole > 0 && whole < KILLS, "the kills came all before or all behind: {whole}");
    // Nothing that the killed ones have left stays for ever.
    let index = open(&folder).await;
    change(&index, before + 1).await;
    commit(&index).await;
    assert_eq!(check(&index).await, Some(before + 1));
    assert_eq!(names(&index).await.len(), generation(before + 1).len());
    let files = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert!(files < 100, "{files} files");
}
