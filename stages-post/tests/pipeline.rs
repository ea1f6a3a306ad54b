//! The stage in its place: behind a worker, in front of the stream stage.

use orchestrator_core::prelude::*;
use stages_post::{Filtered, PostStage, TextFilter};

/// Says the question back in pieces of one character, white space around it.
struct Echo;

#[async_trait]
impl ModelWorker for Echo {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let text = format!(" \n{}\t ", request.question());
        Ok(TokenStream::generate(async move |mut out| {
            for piece in text.split_inclusive(|_| true) {
                out.text(piece).await;
                tokio::task::yield_now().await;
            }
            out.finish(FinishReason::Stop, Usage::new(1, 2)).await;
            Ok(())
        }))
    }
}

fn assistant(post: PostStage, config: StageConfig, stream: StreamStage) -> Pipeline<PromptRequest, Tokens> {
    Pipeline::builder("assistant")
        .stage(InferenceStage::new(Echo))
        .stage_with(post, config)
        .stage(stream)
        .build()
        .expect("a valid plan")
}

#[tokio::test]
async fn the_answer_is_filtered_wherever_the_stage_is_placed() {
    for config in [StageConfig::new(), StageConfig::new().queued()] {
        for stream in [StreamStage::default(), StreamStage::default().direct()] {
            let post = PostStage::new().trim().map_text(|text| text.to_uppercase().into());
            let pipeline = assistant(post, config.clone(), stream);
            let mut answer = pipeline.submit(PromptRequest::new("to be")).await.expect("let in");
            assert_eq!(answer.text().await.expect("answered"), "TO BE");
            let stats = pipeline.stats();
            assert_eq!((stats.answered, stats.stages[1].name.as_str()), (1, "post"));
        }
    }
}

#[tokio::test]
async fn a_stage_without_filters_changes_nothing() {
    let pipeline = assistant(PostStage::new(), StageConfig::new(), StreamStage::default());
    let mut answer = pipeline.submit(PromptRequest::new("to be")).await.expect("let in");
    assert_eq!(answer.text().await.expect("answered"), " \nto be\t ");
}

#[tokio::test]
async fn a_panic_of_a_filter_is_the_error_of_this_stage() {
    struct Panics;

    impl TextFilter for Panics {
        fn push(&mut self, text: &str, _out: &mut String) -> Filtered {
            assert_ne!(text, "x", "no x");
            Filtered::Unchanged
        }

        fn flush(&mut self, _out: &mut String) {}

        fn reset(&mut self) {}
    }

    for stream in [StreamStage::default(), StreamStage::default().direct()] {
        let pipeline = assistant(PostStage::new().filter(|| Panics), StageConfig::new(), stream);
        let mut answer = pipeline.submit(PromptRequest::new("ax")).await.expect("let in");
        let error = answer.text().await.expect_err("it panicked");
        assert_eq!((error.kind(), error.stage()), (ErrorKind::Panicked, Some("post")));

        let mut next = pipeline.submit(PromptRequest::new("a")).await.expect("let in");
        assert_eq!(next.text().await.expect("the pipeline lives on").trim(), "a");
    }
}
