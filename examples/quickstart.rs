//! Answers a question over the Markdown and text files of a folder: offline, with sentences of the passages that it finds, or
//! with a model server's words.
//!
//! ```sh
//! cargo run --release --example quickstart -- "How does shedding work?" [--docs DIR]
//! cargo run --release --example quickstart --features llamacpp,vllm -- "How does shedding work?" --backend URL
//! ```

#[cfg(all(feature = "llamacpp", feature = "vllm"))]
#[path = "shared/backend.rs"]
mod backend;

use std::io::Write as _;
use std::sync::Arc;

use prompt_orchestrator::prelude::*;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { question, docs, backend } = arguments()?;
    let worker: Arc<dyn ModelWorker> = match backend {
        Some(url) => backend::connect(&url, None).await?,
        None => Arc::new(Extractive::default()),
    };
    let folder = docs;
    let docs = Bm25Index::from_dir(&folder).await?;
    eprintln!("{} passages from {folder}", docs.len());
    for file in docs.skipped() {
        eprintln!("skipped {file}");
    }

    let assemble = match worker.info().context_length {
        // The rest is for the answer, and for what the estimate of a prompt's tokens is wrong by.
        Some(tokens) => AssembleStage::default().budget(usize::try_from(tokens / 3)?),
        None => AssembleStage::default(),
    };
    let pipeline = Pipeline::builder("quickstart")
        .stage(RagStage::new(docs).top_k(4))
        .stage(assemble)
        .stage(InferenceStage::shared(worker))
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

struct Arguments {
    question: String,
    docs: String,
    backend: Option<String>,
}

/// The question, the folder to look for the answer in (the guides of this repository unless `--docs` names another), and the
/// model server.
fn arguments() -> Result<Arguments, Box<dyn std::error::Error>> {
    let mut question = None;
    let mut docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs").to_owned();
    let mut backend = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--docs" => docs = arguments.next().ok_or("--docs needs a folder")?,
            "--backend" => backend = Some(arguments.next().ok_or("--backend needs a URL")?),
            _ if question.is_none() => question = Some(argument),
            _ => return Err(format!("unexpected argument `{argument}`; put the question in quotes").into()),
        }
    }
    let question = question.ok_or("usage: quickstart QUESTION [--docs DIR] [--backend URL]")?;
    Ok(Arguments { question, docs, backend })
}

#[cfg(not(all(feature = "llamacpp", feature = "vllm")))]
mod backend {
    use std::sync::Arc;

    use prompt_orchestrator::prelude::*;

    /// Says what is missing.
    pub(crate) async fn connect(
        _url: &str,
        _model: Option<&str>,
    ) -> Result<Arc<dyn ModelWorker>, Box<dyn std::error::Error>> {
        Err("--backend needs `--features llamacpp,vllm`".into())
    }
}
