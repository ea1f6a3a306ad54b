use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, TestResult};
use workers_llamacpp::LlamaCpp;

use crate::rig::{ask, call, greedy};

pub(crate) async fn counts_are_those_of_the_server(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let counter = worker.token_counter().await?;
    assert!(counter.is_exact());
    let texts = ["the quick brown fox", "h\u{e9}llo \u{1f600}", "<|im_start|>user\n", "a\n\n\nb  c", "-1"];
    let together = counter.count(&texts).await?;
    for (text, count) in texts.iter().zip(&together) {
        assert_eq!(counter.count(&[text]).await?, [*count], "{text:?} by itself");
        let answer = ask(&worker, call(greedy(PromptRequest::raw(*text), 1), None)).await?;
        assert_eq!(answer.finish.usage.prompt_tokens, *count as u64, "{text:?}");
    }
    assert_eq!(counter.count(&["", "x", ""]).await?, [0, 1, 0]);
    assert!(counter.count(&[]).await?.is_empty());
    Ok(())
}

pub(crate) async fn a_conversation_is_not_counted_too_short(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let counter = worker.token_counter().await?;
    let turns = [
        Message::system("You are a careful assistant. Answer briefly."),
        Message::user("What is a slot?\n"),
        Message::assistant("1. A place.\n2. A token stream."),
        Message::user("  And a session? \u{1f600}"),
        Message::assistant(""),
        Message::user("x"),
    ];
    for last in [0, 1, 3, 5] {
        let messages = &turns[..=last];
        let texts: Vec<_> = messages.iter().map(Message::text).collect();
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let counted: usize = counter.count(&texts).await?.iter().sum();
        let counted = counted + counter.per_message() * (messages.len() + 1);
        let prompt = greedy(PromptRequest::from_messages(messages.to_vec()), 1);
        let real = usize::try_from(ask(&worker, call(prompt, None)).await?.finish.usage.prompt_tokens)?;
        assert!(
            (real..=real + 2 * (messages.len() + 1)).contains(&counted),
            "{counted} for {real}, {} messages",
            last + 1
        );
    }
    Ok(())
}
