//! A closure takes what the stage before it hands on.

use prompt_orchestrator::prelude::*;

fn main() {
    let _ = Pipeline::builder("wrong")
        .then("count", |_cx, text: String| async move { Ok::<_, BoxError>(text.len()) })
        .then("shout", |_cx, text: String| async move { Ok::<_, BoxError>(text) });
}
