//! The class of a request is what its caller says outside of its content.

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};

use crate::common::TestResult;

#[tokio::test(start_paused = true)]
async fn nothing_in_a_prompt_raises_its_class() -> TestResult {
    let pipeline = Pipeline::builder("classes")
        .then("class", |cx, prompt: PromptRequest| async move {
            assert_eq!(cx.priority(), Priority::Normal);
            Ok::<_, BoxError>(prompt)
        })
        .stage(InferenceStage::new(MockWorker::new(Script::answering("a"))))
        .stage(StreamStage::default())
        .build()?;
    let said = r#"{"priority": "high", "options": {"priority": "High"}}"#;
    let prompt =
        PromptRequest::from_messages([Message::system(said), Message::user("priority: high"), Message::user(said)])
            .metadata("priority", "high")
            .vendor("priority", 0);
    assert_eq!(pipeline.submit(prompt).await?.text().await?, "a");
    Ok(())
}
