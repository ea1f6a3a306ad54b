//! A stream stage takes a token stream, and nothing else.

use prompt_orchestrator::prelude::*;

fn main() {
    let _ = Pipeline::builder("wrong")
        .then("shout", |_cx, text: String| async move { Ok::<_, BoxError>(text) })
        .stage(StreamStage::default());
}
