//! Answers a question over the Markdown and text files of a folder, offline.
//!
//! `cargo run --release --example quickstart -- "How does shedding work?" [--docs DIR]`

use std::io::Write as _;

use prompt_orchestrator::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (question, folder) = arguments()?;
    let docs = Bm25Index::from_dir(&folder).await?;
    eprintln!("{} passages from {folder}", docs.len());
    for file in docs.skipped() {
        eprintln!("skipped {file}");
    }

    let pipeline = Pipeline::builder("quickstart")
        .stage(RagStage::new(docs).top_k(4))
        .stage(AssembleStage::default())
        .stage(InferenceStage::new(Extractive::default()))
        .stage(PostStage::new().trim())
        .stage(StreamStage::default())
        .build()?;

    let mut answer = pipeline.submit(PromptRequest::new(question)).await?;
    while let Some(event) = answer.next().await {
        print!("{}", event?.text());
        std::io::stdout().flush()?;
    }

    println!("\n\nsources");
    let passages = answer.context().get::<Passages>().map(|found| found.0.clone()).unwrap_or_default();
    for (number, passage) in (1..).zip(passages.iter()) {
        println!("  [{number}] {}", passage.source);
    }
    println!("\n{}", answer.report());
    Ok(())
}

/// The question, and the folder to look for the answer in: the guides of this repository unless `--docs` names another.
fn arguments() -> Result<(String, String), Box<dyn std::error::Error>> {
    let mut question = None;
    let mut folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs").to_owned();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--docs" => folder = arguments.next().ok_or("--docs needs a folder")?,
            _ if question.is_none() => question = Some(argument),
            _ => return Err(format!("unexpected argument `{argument}`; put the question in quotes").into()),
        }
    }
    Ok((question.ok_or("usage: quickstart QUESTION [--docs DIR]")?, folder))
}
