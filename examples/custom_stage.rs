//! A stage of one's own, beside a closure: a pipeline need not have a model in it.

use std::time::Duration;

use prompt_orchestrator::prelude::*;

/// Counts words, up to a limit that it checks when the pipeline is built.
struct WordCount {
    most: usize,
}

impl Stage<String> for WordCount {
    type Out = usize;
    type Error = InvalidInput;

    async fn run(&self, cx: &Context, text: String) -> Result<usize, InvalidInput> {
        // Long texts would hold up the others: off to the CPU pool.
        let counted = cx.offload(move || text.split_whitespace().count()).await;
        match counted {
            Ok(words) if words <= self.most => Ok(words),
            Ok(_) => Err(InvalidInput::new("text", "has too many words")),
            Err(_) => Err(InvalidInput::new("text", "was given up")),
        }
    }

    fn name(&self) -> &str {
        "count"
    }

    fn check(&self) -> Result<(), InvalidInput> {
        if self.most == 0 {
            return Err(InvalidInput::new("most", "must be at least 1"));
        }
        Ok(())
    }

    fn defaults(&self) -> StageConfig {
        StageConfig::new().concurrency(8).timeout(Duration::from_secs(5))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = Pipeline::builder("words")
        .stage_with(WordCount { most: 5 }, StageConfig::new().depth(64).shed(ShedPolicy::RejectNew))
        .then("say", |cx, words: usize| async move { Ok::<_, BoxError>(format!("#{}: {words} words", cx.id())) })
        .build()?;

    for text in ["to be or not", "that is the question, is it not"] {
        let mut answer = pipeline.submit(text.to_owned()).await?;
        match answer.output().await {
            Ok(said) => println!("{said}"),
            Err(error) => println!("{error}: {}", error.field().unwrap_or("no field")),
        }
    }
    let drained = pipeline.drain(Duration::from_secs(1)).await;
    println!("{} answered, {} failed, {drained:?}", pipeline.stats().answered, pipeline.stats().failed);
    Ok(())
}
