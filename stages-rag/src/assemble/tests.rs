use orchestrator_core::context::Context;
use orchestrator_core::error::BoxError;
use orchestrator_core::request::{Message, PromptRequest, RequestOptions, Role};
use orchestrator_core::retrieval::{Passage, Passages, Source};
use orchestrator_core::stage::Stage;
use orchestrator_core::worker::InferenceRequest;

use super::AssembleStage;
use super::stage::{GROUNDED, NOTHING_FOUND, PLAIN};
use crate::grounded::GroundedPrompt;

fn cx() -> Context {
    Context::standalone(RequestOptions::new())
}

fn passages() -> Vec<Passage> {
    let headings = vec!["Overload".to_owned(), "Shedding".to_owned()];
    vec![
        Passage::new("First.", Source::new("a.md").headings(headings).lines(3, 9), 2.0),
        Passage::new("Second,\non two lines.", Source::new("b.txt"), 1.0),
    ]
}

/// Role and text of every message.
async fn assembled<In: Send + 'static>(stage: AssembleStage, input: In) -> Vec<(Role, String)>
where
    AssembleStage: Stage<In, Out = InferenceRequest, Error = BoxError>,
{
    let request = stage.run(&cx(), input).await.expect("assembled");
    request.messages.iter().map(|m| (m.role(), m.text().into_owned())).collect()
}

fn system(text: impl Into<String>) -> (Role, String) {
    (Role::System, text.into())
}

fn user(text: &str) -> (Role, String) {
    (Role::User, text.to_owned())
}

#[tokio::test]
async fn passages_are_numbered_with_their_sources_in_front_of_the_question() {
    let grounded = GroundedPrompt::new(PromptRequest::new(" What? "), passages());
    let numbered = format!(
        "{GROUNDED}\n\nPassages:\n\n[1] a.md:3-9 (Overload > Shedding)\nFirst.\n\n[2] b.txt\nSecond,\non two lines."
    );
    assert_eq!(assembled(AssembleStage::default(), grounded).await, [system(numbered), user(" What? ")]);
}

#[tokio::test]
async fn the_default_text_asks_for_numbered_citations_and_for_honesty() {
    assert!(GROUNDED.contains("like [2]"));
    assert!(GROUNDED.contains("say so"));
    assert!(PLAIN.len() < GROUNDED.len());
}

#[tokio::test]
async fn passages_are_handed_on_as_data_and_kept_with_the_request() {
    let cx = cx();
    cx.insert(Passages(vec![Passage::new("dropped on the way", Source::new("c.md"), 3.0)].into()));
    let grounded = GroundedPrompt::new(PromptRequest::new("What?"), passages());
    let request = AssembleStage::default().run(&cx, grounded).await.expect("assembled");
    assert_eq!(*request.passages, *passages());
    assert_eq!(*cx.get::<Passages>().expect("kept").0, *passages());
}

#[tokio::test]
async fn without_retrieval_the_text_is_short() {
    let plain = assembled(AssembleStage::default(), PromptRequest::new("What?")).await;
    assert_eq!(plain, [system(PLAIN), user("What?")]);
}

#[tokio::test]
async fn where_nothing_was_found_the_model_is_told_so() {
    let nothing = GroundedPrompt::new(PromptRequest::new("What?"), []);
    assert_eq!(assembled(AssembleStage::default(), nothing).await, [system(NOTHING_FOUND), user("What?")]);
}

#[tokio::test]
async fn the_callers_system_messages_are_kept_and_come_first() {
    let prompt = || PromptRequest::new("What?").system("Two.").system("One.");
    let alone = assembled(AssembleStage::default(), prompt()).await;
    assert_eq!(alone, [system("One.\n\nTwo."), user("What?")]);

    let with_text = assembled(AssembleStage::default().system("Three."), prompt()).await;
    assert_eq!(with_text, [system("One.\n\nTwo.\n\nThree."), user("What?")]);

    let grounded = assembled(AssembleStage::default(), GroundedPrompt::new(prompt(), passages())).await;
    assert!(grounded[0].1.starts_with(&format!("One.\n\nTwo.\n\n{GROUNDED}\n\nPassages:\n\n[1] a.md")));
    assert_eq!(grounded.len(), 2);
}

#[tokio::test]
async fn a_text_of_ones_own_replaces_the_default() {
    let stage = AssembleStage::default().system("Mine.");
    assert_eq!(assembled(stage.clone(), PromptRequest::new("What?")).await[0], system("Mine."));
    let nothing = GroundedPrompt::new(PromptRequest::new("What?"), []);
    assert_eq!(assembled(stage.clone(), nothing).await[0], system("Mine."));
    let found = assembled(stage, GroundedPrompt::new(PromptRequest::new("What?"), passages())).await;
    assert!(found[0].1.starts_with("Mine.\n\nPassages:\n\n[1] a.md"));
}

#[tokio::test]
async fn a_conversation_keeps_its_order() {
    let prompt = PromptRequest::from_messages([
        Message::system("Be brief."),
        Message::user("First?"),
        Message::assistant("Reply."),
        Message::system("Note."),
        Message::user("Second?"),
    ]);
    let conversation = assembled(AssembleStage::default(), prompt).await;
    let rest = [user("First?"), (Role::Assistant, "Reply.".to_owned()), system("Note."), user("Second?")];
    assert_eq!(conversation[0], system("Be brief."));
    assert_eq!(conversation[1..], rest);
}

#[tokio::test]
async fn an_empty_text_makes_no_empty_message() {
    let bare = assembled(AssembleStage::default().system(""), PromptRequest::new("What?")).await;
    assert_eq!(bare, [user("What?")]);
}
