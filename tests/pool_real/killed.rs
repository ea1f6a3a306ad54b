//! Two servers under load, of which one is killed (SIGKILL) again and again and started anew on its port: every answer is
//! complete, and the same as without all this.
//!
//! What the same tokens make of the same model depends on how they are put together: a matrix of several rows is multiplied
//! otherwise than rows one by one, and roundings decide between tokens that are almost equally likely. So that going on behind
//! a prefix computes what generating it did, the servers
//!
//! - have one slot each (`--parallel 1`), as tokens of several slots are computed together;
//! - compute a prompt token by token (`--ubatch-size 1`).
//!
//! With these, any number of undisturbed runs agree; without, a few in a hundred differ from themselves.

use std::collections::{HashSet, VecDeque};

use futures_util::future::join;
use futures_util::{StreamExt, stream};
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::pool::{BreakerState, Member, Pool};
use prompt_orchestrator::prelude::*;
use serde_json::Value;
use test_peers::{LlamaServer, TestResult};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::rig::{Whole, ask, greedy, pipeline, plain_text_only};
use crate::watched::Watched;

const REQUESTS: usize = 500;
const PROMPTS: usize = 50;
const IN_FLIGHT: usize = 12;

/// Long enough for most of them to be in mid-stream when a server is killed.
const TOKENS: u32 = 600;

/// How many answers come without the server that was killed.
const ANSWERS_WITHOUT: usize = 5;

/// Fewer kills would prove little.
const LEAST_KILLS: usize = 5;

fn server(port: u16) -> std::io::Result<LlamaServer> {
    LlamaServer::builder().parallel(1).context(1024).port(port).arg("--ubatch-size").arg("1").start()
}

fn prompt(number: usize, bias: &Value) -> PromptRequest {
    let text = format!("Story number {}: the quick brown fox", number % PROMPTS);
    greedy(PromptRequest::raw(text), TOKENS).vendor("logit_bias", bias.clone())
}

/// What one server says to each prompt.
async fn oracle(server: &LlamaServer, bias: &Value) -> Result<Vec<String>, Error> {
    let alone = LlamaCpp::connect(server.base_url()).await.expect("it has just started");
    let pool = Pool::builder("oracle").member(Member::new("alone", alone)).build().expect("one member");
    let pipeline = pipeline(&pool).expect("stages that fit");
    let mut texts = Vec::new();
    for number in 0..PROMPTS {
        texts.push(ask(&pipeline, prompt(number, bias)).await?.text);
    }
    Ok(texts)
}

pub(crate) async fn answers_outlive_their_servers(_shared: &LlamaServer) -> TestResult {
    let servers = [server(0)?, server(0)?];
    let bias = plain_text_only(&servers[0].base_url()).await?;
    let oracle = oracle(&servers[0], &bias).await?;
    assert!(oracle.iter().collect::<HashSet<_>>().len() > PROMPTS * 9 / 10, "each prompt has an answer of its own");

    let mut pool = Pool::builder("fleet");
    let mut victims = VecDeque::new();
    for (name, server) in ["one", "other"].into_iter().zip(servers) {
        let worker = Watched::new(LlamaCpp::connect(server.base_url()).await?);
        victims.push_back((server, worker.streaming()));
        pool = pool.member(Member::new(name, worker));
    }
    let pool = pool.build()?;
    let pipeline = pipeline(&pool)?;
    let undisturbed = all(&pipeline, 2 * PROMPTS, &bias, watch::Sender::new(0)).await;
    assert_eq!(continued(&undisturbed, &oracle)?, 0, "nobody has been killed yet");

    let answered = watch::Sender::new(0);
    let killing = kill_by_turns(victims, &pool, answered.subscribe());
    let (answers, kills) = join(all(&pipeline, REQUESTS, &bias, answered), killing).await;
    let (continued, kills) = (continued(&answers, &oracle)?, kills?);
    println!("{REQUESTS} answers, {kills} kills, {continued} answers continued in mid-stream");
    assert!(kills >= LEAST_KILLS && continued > kills / 2, "{kills} kills, {continued} continued");
    let (stats, all) = (pipeline.stats(), (REQUESTS + 2 * PROMPTS) as u64);
    assert_eq!((stats.submitted, stats.answered, stats.in_flight), (all, all, 0), "{stats:?}");
    Ok(())
}

/// Asks for so many answers, some at once, and counts those that have come.
async fn all(
    pipeline: &Pipeline<PromptRequest, Tokens>,
    requests: usize,
    bias: &Value,
    answered: watch::Sender<usize>,
) -> Vec<(usize, Result<Whole, Error>)> {
    let answers = (0..requests).map(|number| {
        let answered = &answered;
        async move {
            let answer = ask(pipeline, prompt(number, bias)).await;
            answered.send_modify(|answers| *answers += 1);
            (number, answer)
        }
    });
    stream::iter(answers).buffer_unordered(IN_FLIGHT).collect().await
}

/// Fails unless every answer is that of the oracle; returns how many of them were gone on with in mid-stream.
fn continued(answers: &[(usize, Result<Whole, Error>)], oracle: &[String]) -> Result<usize, String> {
    let mut continued = 0;
    for (number, answer) in answers {
        let Whole { text, finish } =
            answer.as_ref().map_err(|error| format!("request {number} failed: {:?}", error.worker_error()))?;
        let failed = finish.origin.as_ref().map(|origin| origin.failed.as_slice()).unwrap_or_default();
        let expected = &oracle[number % PROMPTS];
        if text != expected {
            return Err(format!("request {number}, behind {failed:?}:\n{text:?}\nis not\n{expected:?}"));
        }
        if finish.usage.completion_tokens != u64::from(TOKENS) {
            return Err(format!("request {number}, behind {failed:?}: {:?}", finish.usage));
        }
        continued += usize::from(failed.iter().any(|attempt| attempt.begun));
    }
    Ok(continued)
}

/// Kills one server after the other, each time that both serve and it is in mid-stream, until no more answers come; returns how
/// many times.
async fn kill_by_turns(
    mut victims: VecDeque<(LlamaServer, watch::Receiver<usize>)>,
    pool: &Pool,
    mut answered: watch::Receiver<usize>,
) -> std::io::Result<usize> {
    let mut kills = 0;
    // Where no more answers come, nothing is left to be shown.
    while answered.wait_for(|_| both_serve(pool)).await.is_ok() {
        let (mut victim, mut streaming) = victims.pop_front().expect("there are two");
        let port = victim.port();
        streaming.wait_for(|answers| *answers > 0).await.expect("the pool has its worker");
        spawn_blocking(move || victim.kill()).await.expect("it does not panic")?;
        kills += 1;
        let without = *answered.borrow() + ANSWERS_WITHOUT;
        if answered.wait_for(|answers| *answers >= without).await.is_err() {
            break;
        }
        let revived = spawn_blocking(move || server(port)).await.expect("it does not panic")?;
        victims.push_back((revived, streaming));
    }
    Ok(kills)
}

/// Whether both are in the middle of something, and trusted.
fn both_serve(pool: &Pool) -> bool {
    pool.stats().members.iter().all(|member| member.in_flight > 0 && member.breaker.state == BreakerState::Closed)
}
