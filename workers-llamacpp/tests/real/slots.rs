use std::time::Duration;

use futures_util::future::{join, try_join_all};
use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, Model, TestResult};
use workers_llamacpp::{LlamaCpp, Route};

use crate::rig::{client, greedy, has_seed, slots, until_within, watch};

/// Until the last of all callers has had its turn.
const PATIENCE: Duration = Duration::from_secs(30);

fn pipeline(worker: LlamaCpp) -> Result<Pipeline<PromptRequest, Tokens>, BuildError> {
    let patient = StageConfig::new().shed(ShedPolicy::Backpressure);
    Pipeline::builder("callers").stage_with(InferenceStage::new(worker), patient).stage(StreamStage::default()).build()
}

/// Ninety callers of whom each third leaves while the server evaluates its long prompt. Whoever comes then may find that the
/// server has not noticed yet, but for a moment only.
pub(crate) async fn callers_that_leave_do_not_hold_slots(_shared: &LlamaServer) -> TestResult {
    let batches = ["-b", "64", "-ub", "64"];
    let server = LlamaServer::builder().model(Model::Slow).parallel(2);
    let server = batches.into_iter().fold(server, test_peers::Builder::arg).start()?;
    let chat = LlamaCpp::connect(server.base_url()).await?;
    let native = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await?;
    let pipelines = [pipeline(chat)?, pipeline(native)?];
    let (client, done) = (client(&server), std::cell::Cell::new(false));
    let callers = (0..90_u64).map(|caller| {
        let (pipeline, client) = (&pipelines[usize::from(caller % 4 < 2)], &client);
        async move {
            if caller % 3 > 0 {
                let prompt = greedy(PromptRequest::new(format!("caller {caller}")), 8).vendor("ignore_eos", true);
                return pipeline.submit(prompt).await?.text().await.map(drop);
            }
            let text = format!("{caller} {}", "the quick brown fox jumps over ".repeat(310));
            let seed = 1000 + caller;
            let answer = pipeline.submit(greedy(PromptRequest::new(text), 8).seed(seed)).await?;
            until_within(PATIENCE, "its prefill", async || has_seed(&slots(client).await, seed)).await;
            drop(answer);
            Ok(())
        }
    });
    let all = async {
        let answers = try_join_all(callers).await;
        done.set(true);
        answers
    };
    let (answers, watched) = join(all, watch(&client, &done)).await;
    answers?;
    println!("{watched:?}");
    assert_eq!(watched.most_running, 2);
    assert!(watched.longest_wait <= Duration::from_millis(700), "{watched:?}");
    Ok(())
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
