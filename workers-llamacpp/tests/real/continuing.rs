use orchestrator_core::prelude::*;
use orchestrator_core::worker::Prefix;
use test_peers::{LlamaServer, TestResult};
use workers_llamacpp::{LlamaCpp, Route};

use crate::rig::{FOX, GREEDY, ask, call, greedy};

pub(crate) async fn ids_go_on_where_an_answer_broke_off(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    for begun in 1..GREEDY.len() {
        let left = u32::try_from(GREEDY.len() - begun)?;
        let mut rest = call(greedy(PromptRequest::raw(FOX), left), None);
        rest.prefix = Some(Prefix::new("not looked at").token_ids(GREEDY[..begun].to_vec()));
        let answer = ask(&worker, rest).await?;
        assert_eq!(answer.finish.usage.completion_tokens, u64::from(left));
        assert_eq!(answer.finish.usage.prompt_tokens, 4 + begun as u64);
        assert!(!answer.ids.is_empty() || left < 3);
        for (place, id) in answer.ids {
            assert_eq!(id, GREEDY[begun + usize::try_from(place)?], "token {place} behind {begun}");
        }
    }
    Ok(())
}

pub(crate) async fn a_chat_is_gone_on_with_by_ids(server: &LlamaServer) -> TestResult {
    let native = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await?;
    let prompt = |tokens| greedy(PromptRequest::new("hello").system("be brief"), tokens);
    let whole = ask(&native, call(prompt(16), None)).await?;
    let known = whole.ids.iter().zip(0..).take_while(|((place, _), expected)| place == expected);
    let begun: Vec<u32> = known.map(|((_, id), _)| *id).collect();
    assert!(begun.len() >= 2, "{:?}", whole.ids);

    // Also where conversations go by the other route, which could not.
    let chat = LlamaCpp::connect(server.base_url()).await?;
    assert!(chat.info().continues);
    for worker in [&native, &chat] {
        let left = 16 - u32::try_from(begun.len())?;
        let mut rest = call(prompt(left), None);
        rest.prefix = Some(Prefix::new("not looked at").token_ids(begun.clone()));
        let answer = ask(worker, rest).await?;
        assert!(whole.text.ends_with(&answer.text), "{:?} and {:?}", whole.text, answer.text);
        let later = whole.ids.iter().filter(|(place, _)| *place >= begun.len() as u64);
        let moved: Vec<_> = answer.ids.iter().map(|(place, id)| (place + begun.len() as u64, *id)).collect();
        assert_eq!(moved, later.copied().collect::<Vec<_>>());
    }
    Ok(())
}

pub(crate) async fn text_goes_on_where_ids_are_not_known(server: &LlamaServer) -> TestResult {
    let worker = LlamaCpp::connect(server.base_url()).await?;
    let mut rest = call(greedy(PromptRequest::raw("the quick"), 8), None);
    rest.prefix = Some(Prefix::new(" brown fox"));
    let whole = ask(&worker, call(greedy(PromptRequest::raw(FOX), 8), None)).await?;
    assert_eq!(ask(&worker, rest).await?.text, whole.text);
    Ok(())
}
