//! What conversations find of themselves in the servers' caches: session affinity against round robin.
//!
//! Two servers with sixteen slots each, and room for 1,024 tokens in each slot (`--parallel 16 -c 16384`), without a second
//! cache in the server's memory (`--cache-ram 0`): one conversation in each slot. The worker sends the turns of a session to
//! the slot that has them (`LlamaCppBuilder::pin_sessions`). The policy's homes are given out by hash, so a server needs more
//! slots than ten.

use std::fmt::Write;
use std::time::{Duration, Instant};

use fastrand::Rng;
use futures_util::{StreamExt, stream};
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::pool::policy::{Policy, RoundRobin, SessionAffinity};
use prompt_orchestrator::pool::{Member, Pool};
use prompt_orchestrator::prelude::*;
use test_peers::{LlamaServer, Model, TestResult};

use crate::rig::{greedy, pipeline};

const CONVERSATIONS: usize = 20;
const TURNS: usize = 5;

/// Conversations that speak at once.
const AT_ONCE: usize = 2;

/// Tokens of an answer: few, so that time goes into prompts.
const ANSWER: u32 = 8;

/// The least share of the tokens of earlier turns that a policy for sessions has to find.
const LEAST_REUSED: f64 = 0.9;

/// A conversation that grows.
struct Talk {
    name: String,
    messages: Vec<Message>,
    /// Tokens of prompt and answer so far.
    had: u64,
}

/// What turns behind the first found, and how long they waited.
#[derive(Debug, Default)]
struct Figures {
    had: u64,
    reused: u64,
    waits: Vec<Duration>,
}

impl Talk {
    fn new(number: usize) -> Self {
        let name = format!("conversation {number}");
        // Conversations that have nothing in common but the template's first mark.
        let system = format!("{name} {}", format!("{number} talks about a queue and a model. ").repeat(24));
        Self { name, messages: vec![Message::system(system)], had: 0 }
    }

    /// Asks the next question; returns what there was before, how much of it was found, and the time to the first token.
    async fn turn(&mut self, pipeline: &Pipeline<PromptRequest, Tokens>) -> Result<(u64, u64, Duration), Error> {
        let question =
            format!("question {} of {} {}", self.messages.len(), self.name, "about a slot and a stream ".repeat(3));
        self.messages.push(Message::user(question));
        let prompt = greedy(PromptRequest::from_messages(self.messages.clone()), ANSWER).session(self.name.clone());
        let asked = Instant::now();
        let mut answer = pipeline.submit(prompt).await?;
        let (mut text, mut first) = (String::new(), None);
        while let Some(event) = answer.next().await {
            text.push_str(event?.text());
            first.get_or_insert_with(|| asked.elapsed());
        }
        let usage = answer.report().finish.expect("it has an end").usage;
        self.messages.push(Message::assistant(text));
        let had = std::mem::replace(&mut self.had, usage.prompt_tokens + usage.completion_tokens);
        Ok((had, usage.cached_tokens, first.expect("an event")))
    }
}

impl Figures {
    fn share(&self) -> f64 {
        self.reused as f64 / self.had as f64
    }

    fn mean_wait(&self) -> Duration {
        self.waits.iter().sum::<Duration>() / u32::try_from(self.waits.len()).expect("they are few")
    }

    /// What nine in ten did not wait longer for.
    fn long_wait(&self) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        waits[waits.len() * 9 / 10]
    }
}

/// Has all conversations take their turns over two new servers, each time in another order.
async fn play(policy: impl Policy) -> Result<Figures, Box<dyn std::error::Error + Send + Sync>> {
    let builder = LlamaServer::builder().model(Model::Slow).parallel(16).context(16 * 1024).arg("--cache-ram").arg("0");
    let servers = [builder.start()?, builder.start()?];
    let mut pool = Pool::builder("fleet").policy(policy);
    for (name, server) in ["one", "other"].into_iter().zip(&servers) {
        pool = pool.member(Member::new(name, LlamaCpp::connect(server.base_url()).await?));
    }
    let pipeline = pipeline(&pool.build()?)?;
    let mut talks: Vec<_> = (0..CONVERSATIONS).map(Talk::new).collect();
    let (mut figures, mut rng) = (Figures::default(), Rng::with_seed(7));
    for turn in 0..TURNS {
        rng.shuffle(&mut talks);
        let turns = talks.iter_mut().map(|talk| talk.turn(&pipeline));
        let turns: Vec<_> = stream::iter(turns).buffer_unordered(AT_ONCE).collect().await;
        for figure in turns {
            let (had, reused, wait) = figure?;
            if turn > 0 {
                figures.had += had;
                figures.reused += reused;
                figures.waits.push(wait);
            }
        }
    }
    Ok(figures)
}

/// Shows the table of the guide.
fn table(rows: &[(&str, &Figures)]) -> String {
    let mut table = String::from(
        "| policy | tokens of earlier turns reused | time to first token, mean | 90th percentile |\n|---|---|---|---|\n",
    );
    for (policy, figures) in rows {
        let [mean, long] = [figures.mean_wait(), figures.long_wait()].map(|wait| wait.as_millis());
        let (reused, had) = (figures.reused, figures.had);
        let share = 100.0 * figures.share();
        writeln!(table, "| {policy} | {share:.0} % ({reused} of {had}) | {mean} ms | {long} ms |")
            .expect("a string takes everything");
    }
    table
}

pub(crate) async fn sessions_find_their_caches_again(_shared: &LlamaServer) -> TestResult {
    let affinity = play(SessionAffinity::new()).await?;
    let round_robin = play(RoundRobin::new()).await?;
    println!("{}", table(&[("session affinity", &affinity), ("round robin", &round_robin)]));
    assert!(affinity.share() >= LEAST_REUSED, "{affinity:?}");
    assert!(round_robin.share() < affinity.share(), "{round_robin:?}");
    Ok(())
}
