use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, TestResult};
use workers_llamacpp::{LlamaCpp, Route};

use crate::rig::{Whole, ask, call, greedy};

/// A conversation that grows.
struct Talk {
    name: String,
    messages: Vec<Message>,
    /// Tokens of the prompt before this turn.
    had: u64,
}

impl Talk {
    fn new(name: &str) -> Self {
        // Conversations that have nothing in common but the template's first mark.
        let system = format!("{name} {}", format!("{name} talks about a queue and a model. ").repeat(8));
        Self { name: name.to_owned(), messages: vec![Message::system(system)], had: 0 }
    }

    async fn turn(&mut self, worker: &LlamaCpp) -> Result<Whole, WorkerError> {
        self.messages.push(Message::user(format!("question {}", self.messages.len())));
        let prompt = greedy(PromptRequest::from_messages(self.messages.clone()), 4);
        let answer = ask(worker, call(prompt, Some(&self.name))).await?;
        self.messages.push(Message::assistant(answer.text.clone()));
        Ok(answer)
    }

    /// Returns whether a turn found more than nine tenths of the one before.
    async fn finds(&mut self, worker: &LlamaCpp) -> Result<bool, WorkerError> {
        let usage = self.turn(worker).await?.finish.usage;
        let found = usage.cached_tokens * 10 > self.had * 9;
        self.had = usage.prompt_tokens;
        Ok(found)
    }
}

pub(crate) async fn a_second_turn_finds_the_first(server: &LlamaServer) -> TestResult {
    for route in [Route::Chat, Route::Native] {
        let worker = LlamaCpp::builder(server.base_url()).route(route).connect().await?;
        let mut talk = Talk::new(&format!("{route:?}"));
        talk.finds(&worker).await?;
        for turn in 2..5 {
            assert!(talk.finds(&worker).await?, "turn {turn} by {route:?}");
        }
    }
    Ok(())
}

/// Without the server's own second cache, so that it is the slots that keep the sessions.
pub(crate) async fn turns_of_other_sessions_come_in_between(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().parallel(4).context(8192).arg("--cache-ram").arg("0").start()?;
    let worker = LlamaCpp::connect(server.base_url()).await?;
    // A worker of the same server that knows of the same sessions.
    let other = LlamaCpp::connect(server.base_url()).await?;
    let mut talks = ["alpha", "beta", "gamma"].map(Talk::new);
    for turn in 1..6 {
        for talk in &mut talks {
            assert!(talk.finds(&worker).await? || turn == 1, "{} in turn {turn}", talk.name);
            // Nobody's request, with much in common with all of them.
            let system = talk.messages[0].clone();
            let passing = PromptRequest::from_messages([system, Message::user("something else")]);
            ask(&other, call(greedy(passing, 4), None)).await?;
        }
    }
    Ok(())
}

/// With a cache that all slots share, a named slot is emptied while it is idle, and what it held is only looked for if the
/// server chooses.
pub(crate) async fn a_server_that_empties_idle_slots_chooses(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().arg("--kv-unified").start()?;
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let mut talks = ["alpha", "beta"].map(Talk::new);
    let mut missed = 0;
    for _turn in 1..4 {
        for talk in &mut talks {
            missed += usize::from(!talk.finds(&worker).await?);
        }
    }
    assert!(missed >= 3, "if it does not empty them any more, there is nothing to learn: {missed}");
    for turn in 4..8 {
        for talk in &mut talks {
            assert!(talk.finds(&worker).await?, "{} in turn {turn}", talk.name);
        }
    }
    Ok(())
}
