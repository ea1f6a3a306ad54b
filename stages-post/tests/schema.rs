//! Answers that are to be JSON of a shape.
#![cfg(feature = "json-schema")]

mod common;

use std::convert::Infallible;

use common::{Whole, call, finish, run};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::Verdict;
use serde_json::{Value, json};
use stages_post::{Decision, PostStage};

fn person() -> Value {
    json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name"],
    })
}

fn verdict(stage: &PostStage, events: impl IntoIterator<Item = TokenEvent>) -> Verdict {
    let whole = Whole::of(&run(stage, events));
    assert_eq!(whole.finish.checks[0].name, "json-schema");
    whole.finish.checks[0].verdict.clone()
}

fn texts(text: &str) -> impl Iterator<Item = TokenEvent> {
    text.split_inclusive(|_| true).map(TokenEvent::text_delta).chain([finish()])
}

#[test]
fn the_text_streams_on_and_the_verdict_comes_at_the_end() {
    let stage = PostStage::new().json_schema(&person());
    let text = r#" {"name": "é", "age": 3}"#;
    let out = run(&stage, texts(text));
    assert_eq!(out.len(), text.chars().count() + 1, "event by event");
    assert_eq!(verdict(&stage, texts(text)), Verdict::Passed);
    let again = run(&stage, [TokenEvent::text_delta("old"), TokenEvent::Reset].into_iter().chain(texts(text)));
    assert!(Whole::of(&again[2..]).finish.checks[0].verdict.is_passed(), "what was void is forgotten");
}

#[test]
fn faults_are_told_with_their_place() {
    let stage = PostStage::new().json_schema(&person());
    let Verdict::Failed(faults) = verdict(&stage, texts(r#"{"age": "three"}"#)) else { panic!("it does not fit") };
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(told, [r#""name" is a required property"#, r#"/age value is not of type "integer""#]);

    let Verdict::Failed(faults) = verdict(&stage, texts("{")) else { panic!("it is no JSON") };
    assert!(faults[0].path.is_empty() && faults[0].message.starts_with("is not JSON: EOF"));
}

#[test]
fn faults_are_bounded_in_number_and_length() {
    let stage = PostStage::new().json_schema(&json!({"items": {"enum": ["x".repeat(10_000)]}}));
    let Verdict::Failed(faults) = verdict(&stage, texts(&json!(vec![1; 100]).to_string())) else { panic!("no fit") };
    assert_eq!(faults.len(), 8);
    assert!(faults.iter().all(|fault| fault.message.len() <= 202 && fault.path.len() <= 202));
}

#[test]
fn what_is_not_looked_at_is_skipped_with_the_reason() {
    let stage = PostStage::new().json_schema(&person()).check_limit(8);
    let skipped = |reason: &str| Verdict::Skipped(reason.to_owned());
    assert_eq!(verdict(&stage, [call(0, "{}"), finish()]), skipped("the answer calls tools"));
    let long = skipped("the answer is longer than the 8 bytes that are gathered");
    assert_eq!(verdict(&stage, texts("123456789")), long);
    // Length is no reason to skip: such an answer may be whole.
    let cut = TokenEvent::finish(FinishReason::Length, Usage::default());
    assert!(matches!(verdict(&stage, [TokenEvent::text_delta("{"), cut]), Verdict::Failed(_)));
}

#[test]
fn what_is_delivered_is_validated_behind_the_checks_that_decide() {
    let decide = |decision: Decision| {
        PostStage::new().json_schema(&person()).decide("first", move |_cx, _text| {
            let decision = decision.clone();
            async move { Ok::<_, Infallible>(decision) }
        })
    };
    let checks = |stage| {
        let whole = Whole::of(&run(&stage, texts(r#"{"name": "a"}"#)));
        whole.finish.checks.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(checks(decide(Decision::Pass)), ["first: passed", "json-schema: passed"]);
    assert!(
        checks(decide(Decision::Replace("[]".to_owned())))[1].starts_with("json-schema: failed: value is not of type")
    );
    assert_eq!(checks(decide(Decision::Refuse("no".to_owned())))[1], "json-schema: skipped: the answer was refused");
}

#[test]
fn a_schema_that_cannot_be_used_is_refused_when_the_pipeline_is_built() {
    for (schema, words) in [
        (json!({"type": "nothing"}), "nothing"),
        (json!({"$ref": "https://example.org/person.json"}), "example.org"),
        (json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}), "passwd"),
        (json!({"pattern": "("}), "("),
    ] {
        let stage = PostStage::new().json_schema(&schema);
        let fault = Stage::check(&stage).expect_err("no schema").to_string();
        assert!(fault.starts_with("`json_schema` is no schema that can be used: ") && fault.contains(words), "{fault}");
    }
    assert!(Stage::check(&PostStage::new().json_schema(&json!({"$defs": {"a": {}}, "$ref": "#/$defs/a"}))).is_ok());
}

#[tokio::test]
async fn a_long_answer_is_validated_elsewhere_and_the_verdict_reaches_the_report() {
    for (items, passed) in [(5_000, true), (20, false)] {
        let text = json!(vec![1; items]).to_string();
        let worker = MockWorker::new(Script::new().streaming().text(&text).finish());
        let pipeline = Pipeline::<PromptRequest, _>::builder("assistant")
            .stage(InferenceStage::new(worker))
            .stage(PostStage::new().json_schema(&json!({"minItems": 1000})))
            .stage(StreamStage::default())
            .build()
            .expect("a valid plan");
        let mut answer = pipeline.submit(PromptRequest::new("?")).await.expect("let in");
        assert_eq!(answer.text().await.expect("answered"), text);
        let finish = answer.report().finish.expect("it has ended");
        assert_eq!(finish.checks[0].verdict.is_passed(), passed);
    }
}
