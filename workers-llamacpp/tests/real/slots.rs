use futures_util::future::{join, try_join_all};
use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, Model, TestResult};
use workers_llamacpp::{LlamaCpp, Route};

use crate::rig::{client, greedy, watch};

fn pipeline(worker: LlamaCpp) -> Result<Pipeline<PromptRequest, Tokens>, BuildError> {
    Pipeline::builder("callers").stage(InferenceStage::new(worker)).stage(StreamStage::default()).build()
}

/// Fifty callers, two pipelines with a worker each, and a server with two slots that never has anybody wait.
pub(crate) async fn two_pipelines_keep_to_the_slots(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().model(Model::Slow).parallel(2).start()?;
    let chat = LlamaCpp::connect(server.base_url()).await?;
    let native = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await?;
    let pipelines = [pipeline(chat)?, pipeline(native)?];
    let callers = (0..50).map(|caller| {
        let pipeline = &pipelines[caller % 2];
        let prompt = greedy(PromptRequest::new(format!("caller {caller}")), 8).vendor("ignore_eos", true);
        // Some of them come twice.
        let prompt = if caller % 3 == 0 { prompt } else { prompt.session(format!("{}", caller % 7)) };
        async move {
            let mut answer = pipeline.submit(prompt).await?;
            answer.text().await
        }
    });
    let done = std::cell::Cell::new(false);
    let all = async {
        let answers = try_join_all(callers).await;
        done.set(true);
        answers
    };
    let (answers, watched) = join(all, watch(&client(&server), &done)).await;
    assert_eq!(answers?.len(), 50);
    assert_eq!(watched.most_running, 2, "both slots were used, and there is no third");
    assert_eq!(watched.most_waiting, 0, "somebody waited at the server");
    assert!(watched.looks > 10, "{}", watched.looks);
    Ok(())
}
