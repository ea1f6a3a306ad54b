//! A conversation with a model server in the terminal: each turn shows how much of its prompt the server had in its cache.
//!
//! ```sh
//! cargo run --release --example chat --features llamacpp,vllm -- URL [--model NAME] [--system TEXT] [--max-tokens N]
//! ```
//!
//! URL is a llama.cpp, vLLM, Ollama, TGI or other OpenAI-type server; its key, if it wants one, is taken from
//! `MODEL_SERVER_KEY`. Where the server tells the length of its context, the oldest turns make room for the new ones.

#[path = "shared/backend.rs"]
mod backend;

use std::io::Write as _;
use std::num::NonZeroU32;

use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::prelude::*;
use tokio::io::{AsyncBufReadExt as _, BufReader};

struct Arguments {
    url: String,
    model: Option<String>,
    system: String,
    max_tokens: NonZeroU32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { url, model, system, max_tokens } = arguments()?;
    let worker = backend::connect(&url, model.as_deref()).await?;
    let memory = SessionMemory::default();
    let mut assemble = AssembleStage::default().system(system).memory(memory.clone());
    if let Some(context) = worker.info().context_length {
        // A fifth is left for what the estimate of a prompt's tokens is wrong by.
        let room = context.saturating_sub(max_tokens.get().into()) * 4 / 5;
        assemble = assemble.budget(usize::try_from(room)?.max(1));
    }
    let pipeline = Pipeline::builder("chat")
        .stage(assemble)
        .stage(InferenceStage::shared(worker))
        // As the model wrote it: a turn that is changed is not what the server has in its cache.
        .stage(RememberStage::new(memory))
        .stage(StreamStage::default())
        .build()?;

    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        print!("\n> ");
        std::io::stdout().flush()?;
        let Some(line) = lines.next_line().await? else { break };
        if line.trim().is_empty() {
            continue;
        }
        let prompt = PromptRequest::new(line).session("terminal").max_tokens(max_tokens);
        if let Err(error) = turn(&pipeline, prompt).await {
            println!("\nfailed to answer: {error}");
        }
    }
    println!();
    Ok(())
}

/// Asks, prints the answer as it comes, and what it took.
async fn turn(
    pipeline: &Pipeline<PromptRequest, Tokens>,
    prompt: PromptRequest,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut answer = pipeline.submit(prompt).await?;
    while let Some(event) = answer.next().await {
        print!("{}", event?.text());
        std::io::stdout().flush()?;
    }
    let report = answer.report();
    if let (Some(finish), Some(first)) = (report.finish, report.first_token) {
        let Usage { prompt_tokens, cached_tokens, completion_tokens, .. } = finish.usage;
        println!(
            "\n  [{cached_tokens} of {prompt_tokens} prompt tokens were cached; first of {completion_tokens} after {first:.0?}]"
        );
    }
    Ok(())
}

fn arguments() -> Result<Arguments, Box<dyn std::error::Error>> {
    let mut url = None;
    let mut model = None;
    let mut system = "Answer briefly.".to_owned();
    let mut max_tokens = NonZeroU32::new(512).ok_or("not zero")?;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--model" => model = Some(arguments.next().ok_or("--model needs a name")?),
            "--system" => system = arguments.next().ok_or("--system needs a text")?,
            "--max-tokens" => max_tokens = arguments.next().ok_or("--max-tokens needs a number")?.parse()?,
            _ if url.is_none() => url = Some(argument),
            _ => return Err(format!("unexpected argument `{argument}`").into()),
        }
    }
    let url = url.ok_or("usage: chat URL [--model NAME] [--system TEXT] [--max-tokens N]")?;
    Ok(Arguments { url, model, system, max_tokens })
}
