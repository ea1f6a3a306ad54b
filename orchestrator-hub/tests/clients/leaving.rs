use std::time::Duration;

use orchestrator_core::error::BoxError;
use serde_json::{Value, json};
use test_peers::TestResult;
use tokio::time::timeout;

use crate::front::{Front, KEY};

/// How long it may take until the model server works for nobody.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long anything else is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever leaves, before the answer or in the middle of it, leaves all slots of the model server free.
pub(crate) async fn leaving_frees_the_slot(front: &Front) -> TestResult {
    for stream in [true, false] {
        let mut asked = tokio::spawn(ask(front, stream));
        timeout(PATIENCE, until_busy(front, true)).await??;
        if stream {
            let mut response = timeout(PATIENCE, &mut asked).await???;
            response.chunk().await?.ok_or("it ends before it begins")?;
            assert!(is_busy(front).await?, "it is at work when the client leaves");
        }
        asked.abort();
        timeout(AT_ONCE, until_busy(front, false)).await.map_err(|_| "it works on for who has left")??;
    }
    Ok(())
}

/// Asks for an answer that takes long.
fn ask(front: &Front, stream: bool) -> impl Future<Output = reqwest::Result<reqwest::Response>> + use<> {
    let messages = json!([{"role": "user", "content": "tell me"}]);
    let body = json!({
        "model": "slow", "messages": messages, "stream": stream, "max_tokens": 1500, "ignore_eos": true,
    });
    let request = reqwest::Client::new().post(format!("{}/v1/chat/completions", front.url())).bearer_auth(KEY);
    request.header("content-type", "application/json").body(body.to_string()).send()
}

/// Asks again and again: the server answers between two tokens.
async fn until_busy(front: &Front, is_so: bool) -> Result<(), BoxError> {
    while is_busy(front).await? != is_so {}
    Ok(())
}

/// Whether any slot of the model server is at work.
async fn is_busy(front: &Front) -> Result<bool, BoxError> {
    let slots = reqwest::get(format!("{}/slots", front.llama())).await?.text().await?;
    let slots: Vec<Value> = serde_json::from_str(&slots)?;
    Ok(slots.iter().any(|slot| slot["is_processing"] == true))
}
