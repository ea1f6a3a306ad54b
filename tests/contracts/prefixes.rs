//! A begun answer comes only to workers that say that they go on with it.

use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::error::WorkerErrorKind;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use prompt_orchestrator::worker::{Prefix, WorkerInfo};

use crate::common::TestResult;

/// Goes on, or says at least that it does.
struct GoesOn(MockWorker);

#[async_trait]
impl ModelWorker for GoesOn {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.0.infer(request).await
    }

    fn info(&self) -> WorkerInfo {
        self.0.info().continues()
    }
}

fn behind(prefix: Prefix, worker: impl ModelWorker) -> Result<Pipeline<PromptRequest, Tokens>, BuildError> {
    let begin = move |cx, prompt| {
        let mut request = InferenceRequest::new(prompt, cx);
        request.prefix = Some(prefix.clone());
        std::future::ready(Ok::<_, WorkerError>(request))
    };
    Pipeline::builder("begun")
        .then("begin", begin)
        .stage(InferenceStage::new(worker))
        .stage(StreamStage::default())
        .build()
}

#[tokio::test]
async fn a_worker_that_cannot_go_on_is_not_called() -> TestResult {
    for prefix in [Prefix::new("to be"), Prefix::new("").token_ids(vec![7])] {
        let worker = MockWorker::new(Script::answering("to be"));
        let pipeline = behind(prefix, worker.clone())?;
        let error = pipeline.submit(PromptRequest::new("?")).await?.text().await.expect_err("begun");
        assert_eq!(error.kind(), ErrorKind::Worker(WorkerErrorKind::InvalidRequest));
        assert_eq!(worker.stats().calls, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_goes_on_is_called_and_nothing_begun_is_no_matter() -> TestResult {
    let script = Script::answering("or not");
    let on = behind(Prefix::new("to be "), GoesOn(MockWorker::new(script.clone())))?;
    assert_eq!(on.submit(PromptRequest::new("?")).await?.text().await?, "or not");
    let empty = behind(Prefix::new(""), MockWorker::new(script))?;
    assert_eq!(empty.submit(PromptRequest::new("?")).await?.text().await?, "or not");
    Ok(())
}
