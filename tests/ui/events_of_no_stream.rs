//! Only an answer of tokens has events; the others have an output.

use prompt_orchestrator::prelude::*;

async fn read(mut answer: Answer<String>) {
    let _ = answer.next().await;
}

fn main() {}
