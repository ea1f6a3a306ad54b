//! The extractive worker as a pipeline sees it.

use std::num::{NonZeroU32, NonZeroUsize};

use orchestrator_core::prelude::*;
use orchestrator_core::request::ResponseFormat;
use orchestrator_core::testing::conformance;
use proptest::prelude::*;
use workers_embedded::Extractive;

const GUIDE: &str = "# Queues\n\n\
    Every queue is bounded. When a queue is full, the stage before it waits.\n\n\
    - `DropOldest` evicts the oldest entry of a full queue.\n\
    - `RejectNew` turns the newcomer away.\n\n\
    ```rust\nlet queue = Queue::full();\n```\n";

const DOOR: &str = "The door refuses a request when the first queue is full and the request asked not to wait.";

const NOTHING_FOUND: &str = "I found nothing about that in the documents.";

/// A pipeline whose retrieval always finds `texts`.
fn assistant(worker: Extractive, texts: &'static [&'static str]) -> Pipeline<PromptRequest, Tokens> {
    Pipeline::builder("assistant")
        .then("retrieve", move |cx: Context, prompt: PromptRequest| async move {
            let mut request = InferenceRequest::new(prompt, cx);
            request.passages = texts.iter().map(|text| Passage::new(*text, Source::new("guide.md"), 1.0)).collect();
            Ok::<_, BoxError>(request)
        })
        .stage(InferenceStage::new(worker))
        .stage(StreamStage::default())
        .build()
        .expect("a valid plan")
}

/// The events of an answer, without who gave it.
async fn events(pipeline: &Pipeline<PromptRequest, Tokens>, prompt: PromptRequest) -> Vec<TokenEvent> {
    let mut answer = pipeline.submit(prompt).await.expect("let in");
    let mut events = Vec::new();
    while let Some(event) = answer.next().await {
        events.push(event.expect("no error"));
    }
    if let Some(TokenEvent::Finish(finish)) = events.last_mut() {
        assert_eq!(finish.origin.take().expect("the stage named it").worker, "extractive");
    }
    events
}

fn text(events: &[TokenEvent]) -> String {
    events.iter().map(TokenEvent::text).collect()
}

#[tokio::test]
async fn it_quotes_the_sentences_that_answer_the_question() {
    let pipeline = assistant(Extractive::default(), &[GUIDE, DOOR]);
    let events = events(&pipeline, PromptRequest::new("What happens when a queue is full?")).await;
    let expected = "When a queue is full, the stage before it waits. [1] \
                    `DropOldest` evicts the oldest entry of a full queue. [1] \
                    The door refuses a request when the first queue is full and the request asked not to wait. [2]";
    assert_eq!(text(&events), expected);
}

#[tokio::test]
async fn it_says_when_it_found_nothing() {
    let pipeline = assistant(Extractive::default(), &[GUIDE, DOOR]);
    let elsewhere = events(&pipeline, PromptRequest::new("What is the capital of France?")).await;
    assert_eq!(text(&elsewhere), NOTHING_FOUND);
    let no_passages = events(&assistant(Extractive::default(), &[]), PromptRequest::new("What is a queue?")).await;
    assert_eq!(text(&no_passages), NOTHING_FOUND);
    assert!(no_passages.last().is_some_and(TokenEvent::is_terminal));
}

#[tokio::test]
async fn it_quotes_at_most_as_many_sentences_as_it_is_told() {
    let two = Extractive::default().max_sentences(NonZeroUsize::new(2).expect("not zero"));
    let events = events(&assistant(two, &[GUIDE, DOOR]), PromptRequest::new("When is a queue full?")).await;
    assert_eq!(text(&events).matches('[').count(), 2);
}

#[tokio::test]
async fn each_word_is_an_event_and_counts_as_a_token() {
    let prompt = PromptRequest::new("Who refuses?").system("Be brief, please.");
    let events = events(&assistant(Extractive::default(), &[DOOR]), prompt).await;
    let (last, words) = events.split_last().expect("a terminal event");
    assert_eq!(words[1].text(), " door");
    assert_eq!(words.last().map(TokenEvent::text), Some(" [1]"));
    assert_eq!(last, &TokenEvent::finish(FinishReason::Stop, Usage::new(5, words.len() as u64)));
}

#[tokio::test]
async fn max_tokens_cuts_the_answer_and_says_so() {
    let prompt = PromptRequest::new("Who refuses?").max_tokens(NonZeroU32::new(3).expect("not zero"));
    let events = events(&assistant(Extractive::default(), &[DOOR]), prompt).await;
    assert_eq!(text(&events), "The door refuses");
    assert_eq!(events.last(), Some(&TokenEvent::finish(FinishReason::Length, Usage::new(2, 3))));
}

#[tokio::test]
async fn a_stop_text_ends_the_answer_in_front_of_it() {
    let mut sampling = orchestrator_core::request::Sampling::default();
    sampling.stop = vec![" [".to_owned()];
    let prompt = PromptRequest::new("Who refuses?").sampling(sampling);
    let events = events(&assistant(Extractive::default(), &[DOOR]), prompt).await;
    assert_eq!(text(&events), DOOR);
    assert_eq!(events.last(), Some(&TokenEvent::finish(FinishReason::Stop, Usage::new(2, 18))));
}

#[tokio::test]
async fn only_the_last_user_message_is_the_question() {
    let messages = [Message::user("And the door?"), Message::assistant("Yes."), Message::user("What evicts?")];
    let events =
        events(&assistant(Extractive::default(), &[GUIDE, DOOR]), PromptRequest::from_messages(messages)).await;
    assert_eq!(text(&events), "`DropOldest` evicts the oldest entry of a full queue. [1]");
}

#[tokio::test]
async fn an_answer_in_json_is_refused() {
    let pipeline = assistant(Extractive::default(), &[DOOR]);
    let prompt = PromptRequest::new("Who refuses?").response_format(ResponseFormat::Json);
    let error = pipeline.submit(prompt).await.expect("let in").text().await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Worker(WorkerErrorKind::InvalidRequest));
    assert_eq!(error.stage(), Some("infer"));
}

#[tokio::test]
async fn it_is_known_by_its_name_and_always_ready() {
    let worker = Extractive::default();
    assert_eq!(worker.info(), WorkerInfo::new("extractive"));
    assert!(worker.health().await.is_ready());
    assert!(worker.slots().is_none());
}

/// Text full of what Markdown gives a meaning to, and of the words of the question below.
fn markdown() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "queue", "full", "door", " ", "\n", "\n\n", ". ", "? ", "# ", "- ", "1. ", "|", "|---|", "```", "`", "**", "[",
        "](x)", "[1]", "(", ")", "<b>", "e.g. ", "é", "\u{3000}", "界", "    ", "---", "!", "=",
    ]);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_passages_make_a_whole_answer_that_is_always_the_same(texts in prop::collection::vec(markdown(), 0..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let ask = || runtime.block_on(async {
            let prompt = PromptRequest::new("Is the queue at the door full?");
            let mut request = InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()));
            request.passages = texts.iter().map(|text| Passage::new(text.as_str(), Source::new("a.md"), 1.0)).collect();
            let mut stream = Extractive::default().infer(request).await.expect("an answer");
            let mut events = Vec::new();
            while let Some(event) = stream.next().await {
                events.push(event.expect("no error"));
            }
            events
        });
        let events = ask();
        let (last, words) = events.split_last().expect("a terminal event");
        prop_assert_eq!(last, &TokenEvent::finish(FinishReason::Stop, Usage::new(7, words.len() as u64)));
        prop_assert!(words.iter().all(|word| !word.text().trim().is_empty()));
        let text = text(words);
        prop_assert!(!text.contains('\n') && !text.starts_with(['#', '-', '|', '>', ' ']), "{}", text);
        prop_assert!(text == NOTHING_FOUND || text.ends_with(']'), "{}", text);
        prop_assert_eq!(ask(), events);
    }
}

#[tokio::test]
async fn it_keeps_the_contract_of_workers() {
    let ask = || {
        let context = Context::standalone(RequestOptions::new());
        let mut request = InferenceRequest::new(PromptRequest::new("What happens when a queue is full?"), context);
        request.passages = [Passage::new(GUIDE, Source::new("guide.md"), 1.0)].into();
        request
    };
    conformance::check(Extractive::default()).asking(ask).run().await.assert();
}
