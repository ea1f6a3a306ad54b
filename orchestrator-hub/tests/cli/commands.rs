//! The commands that serve nothing.

use serde_json::Value;

use crate::process::{folder, run};

const QUOTES: &str = "
[workers.quotes]
kind = 'extractive'

[pipelines.assistant]
stages = [{ stage = 'rag', docs = 'notes' }, { stage = 'assemble' }, { stage = 'infer', worker = 'quotes' }]
";

#[tokio::test]
async fn check_tells_every_fault_with_its_place() {
    let wrong =
        "[limits]\ngrace = '10'\n\n[workers.quotes]\nkind = 'extractive'\n\n[[models]]\nname = 'a'\nworker = 'quote'\n";
    let folder = folder(&[("wrong.toml", wrong), ("right.toml", QUOTES), ("twice.toml", "a = 1\na = 2\n")]);
    let ended = run(&folder, &["check", "wrong.toml"]).await;
    assert_eq!((ended.status.code(), ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("wrong.toml:2:"), "{}", ended.err);

    let ended = run(&folder, &["check", "twice.toml"]).await;
    assert!(ended.status.code() == Some(2) && ended.err.contains("twice.toml:2:1"), "{}", ended.err);

    let ended = run(&folder, &["check", "right.toml"]).await;
    assert!(ended.status.success() && ended.out.contains("pipelines  1"), "{} {}", ended.out, ended.err);
    // A file that is served is held against the same rules.
    assert_eq!(run(&folder, &["serve", "wrong.toml"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn run_prints_the_answer_and_tells_what_the_stages_took() {
    let folder = folder(&[
        ("right.toml", QUOTES),
        ("notes/clock.md", "# Clock\n\nThe backup battery keeps the clock when the mains fail.\n"),
    ]);
    let ended = run(&folder, &["run", "right.toml", "Which battery keeps the clock?"]).await;
    assert!(ended.status.success(), "{}", ended.err);
    assert!(ended.out.starts_with("The backup battery keeps the clock"), "{}", ended.out);
    for told in ["rag waited ", "assemble waited ", "infer waited ", "finish reason stop"] {
        assert!(ended.err.contains(told), "no `{told}` in {}", ended.err);
    }
    let ended = run(&folder, &["run", "right.toml", "Which?", "--model", "other"]).await;
    assert!(ended.status.code() == Some(2) && ended.err.contains("there is: assistant"), "{}", ended.err);
}

#[tokio::test]
async fn run_fails_where_the_request_does() {
    let file = "[workers.gone]\nkind = 'openai-compatible'\nurl = 'http://127.0.0.1:1'\nmodel = 'm'\n";
    let folder = folder(&[("gone.toml", file)]);
    let ended = run(&folder, &["run", "gone.toml", "Which?"]).await;
    assert!(ended.status.code() == Some(1) && ended.err.contains("error: "), "{}", ended.err);
}

#[tokio::test]
async fn schema_is_json_and_the_version_is_told() {
    let folder = folder(&[]);
    let schema: Value = serde_json::from_str(&run(&folder, &["schema"]).await.out).expect("JSON");
    assert!(schema["properties"]["pipelines"].is_object());
    assert_eq!(run(&folder, &["--version"]).await.out, format!("orchestrator {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&folder, &["serve", "--bogus"]).await.status.code(), Some(2));
}
