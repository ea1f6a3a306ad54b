//! A worker of one's own: one method, and it ends with its reader.

use prompt_orchestrator::prelude::*;

/// Says every word of the question backwards.
struct Backwards;

#[async_trait]
impl ModelWorker for Backwards {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let words: Vec<String> = request.question().split(' ').map(|w| w.chars().rev().collect()).collect();
        Ok(TokenStream::generate(async move |mut out| {
            for word in &words {
                out.text(format!("{word} ")).await;
            }
            out.finish(FinishReason::Stop, Usage::new(words.len() as u64, words.len() as u64)).await;
            Ok(())
        }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pipeline = Pipeline::builder("backwards")
        .stage(InferenceStage::new(Backwards))
        .stage(PostStage::new().trim())
        .stage(StreamStage::default())
        .build()?;

    let mut answer = pipeline.submit(PromptRequest::new("stressed desserts")).await?;
    println!("{}", answer.text().await?);
    println!("{}", answer.report());
    Ok(())
}

#[cfg(test)]
mod tests {
    use prompt_orchestrator::testing::conformance;

    use super::*;

    #[tokio::test]
    async fn it_keeps_the_contract_of_workers() {
        conformance::check(Backwards).run().await.assert();
    }
}
