//! Answers questions over a folder of Markdown, text, HTML and PDF in the terminal, turn by turn, offline.
//!
//! ```sh
//! cargo run --release --example rag_over_folder --features html,pdf,vector,watch -- [FOLDER] [--index DIR]
//! ```
//!
//! Words and vectors are searched together. The vectors are of `HashingEmbedder`, which knows no meanings, and the answers
//! of `Extractive`, which is no model: put an embedder and a worker of your own in their place. With `--index` the indexes
//! are kept on disk, and the next start reads only what has changed. The folder is followed while the program runs.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::rag::{Folder, HashingEmbedder, last_two_questions};
use tokio::io::{AsyncBufReadExt as _, BufReader};

type Assistant = Pipeline<PromptRequest, Tokens>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (folder, index) = arguments()?;
    let (words, vectors) = open(index).await?;

    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}")?);
    let shown = bar.clone();
    let folder = Folder::new(folder).progress(move |progress| {
        shown.set_length(progress.total as u64);
        shown.set_position(progress.done as u64);
        shown.set_message(progress.name.clone());
    });
    // A pair of indexes is an index: each file is read once for both.
    let mut watch = folder.watch((words.clone(), vectors.clone())).await?;
    let first = watch.next().await.ok_or("the watch has ended")??;
    bar.finish_and_clear();
    println!("{}: {first}; {} passages", folder.path().display(), words.len());
    for file in &first.skipped {
        println!("skipped {file}");
    }

    let assistant = assistant(words, vectors)?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        print!("\n> ");
        std::io::stdout().flush()?;
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(question) if question.trim().is_empty() => {}
                Some(question) => {
                    if let Err(error) = answer(&assistant, &question).await {
                        println!("failed to answer: {error}");
                    }
                }
                None => break,
            },
            Some(synced) = watch.next() => match synced {
                Ok(report) => println!("{report}"),
                Err(error) => println!("failed to index the documents: {error}"),
            },
        }
    }
    println!();
    Ok(())
}

/// The two indexes, in memory or on disk.
async fn open(folder: Option<PathBuf>) -> Result<(Bm25Index, VectorIndex), Box<dyn std::error::Error>> {
    let embedder = Arc::new(HashingEmbedder::default());
    match folder {
        None => Ok((Bm25Index::in_memory()?, VectorIndex::in_memory(embedder))),
        Some(folder) => {
            let words = Bm25Index::open(folder.join("words")).await?;
            Ok((words, VectorIndex::open(folder.join("vectors"), embedder).await?))
        }
    }
}

fn assistant(words: Bm25Index, vectors: VectorIndex) -> Result<Assistant, Box<dyn std::error::Error>> {
    let memory = SessionMemory::default();
    let search = Hybrid::new().with(words, 1.0)?.with(vectors, 0.5)?;
    let rag = RagStage::new(search).top_k(4).query(query).memory(memory.clone());
    let assemble = AssembleStage::default().memory(memory.clone()).budget(4_096).history_budget(1_024);
    let pipeline = Pipeline::builder("rag_over_folder")
        .stage(rag)
        .stage(assemble)
        .stage(InferenceStage::new(Extractive::default()))
        .stage(PostStage::new().trim())
        .stage(RememberStage::new(memory))
        .stage(StreamStage::default())
        .build()?;
    Ok(pipeline)
}

/// What is searched for: "And in winter?" finds nothing by itself, so the question before belongs to a short one.
fn query(prompt: &PromptRequest) -> String {
    let question = prompt.question();
    if question.split_whitespace().count() <= 4 { last_two_questions(prompt) } else { question.into_owned() }
}

/// Asks, and prints the answer as it comes, its sources, and what was left out on the way.
async fn answer(assistant: &Assistant, question: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut answer = assistant.submit(PromptRequest::new(question).session("terminal")).await?;
    while let Some(event) = answer.next().await {
        print!("{}", event?.text());
        std::io::stdout().flush()?;
    }
    println!();
    let passages = answer.context().get::<Passages>().map(|found| found.0.clone()).unwrap_or_default();
    for (number, passage) in (1..).zip(passages.iter()) {
        println!("  [{number}] {}", passage.source);
    }
    for note in answer.report().notes {
        println!("  {}: {}", note.stage, note.text);
    }
    Ok(())
}

/// The folder of documents, the examples' own unless one is named, and where the indexes are kept.
fn arguments() -> Result<(PathBuf, Option<PathBuf>), String> {
    let mut folder = None;
    let mut index = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--index" => index = Some(arguments.next().ok_or("--index needs a folder")?.into()),
            _ if folder.is_none() => folder = Some(argument.into()),
            _ => {
                return Err(format!("unexpected argument `{argument}`; usage: rag_over_folder [FOLDER] [--index DIR]"));
            }
        }
    }
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/corpus");
    Ok((folder.unwrap_or_else(|| corpus.into()), index))
}
