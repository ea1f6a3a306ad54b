//! What the server says of itself and of its load.

mod doubt;
mod facts;
mod load;

pub(crate) use doubt::Doubt;
pub(crate) use facts::Facts;

use std::time::Duration;

use orchestrator_core::worker::Load;
use workers_openai::client::Client;

/// How long the server is waited for when it is asked how it is.
const HEALTH: Duration = Duration::from_secs(5);

/// How long it is waited for before a call, where it may be another one.
const AGAIN: Duration = Duration::from_secs(1);

/// Asks what it is, for a moment.
pub(crate) async fn glance(client: &Client) -> Option<Facts> {
    tokio::time::timeout(AGAIN, Facts::ask(client)).await.ok()?.ok()
}

/// Asks what it is and what it does; an error is why it cannot be used.
pub(crate) async fn look(client: &Client) -> Result<(Facts, Load), String> {
    let look = async {
        let facts = Facts::ask(client).await.map_err(|error| error.to_string())?;
        let load = load::ask(client, &facts).await;
        Ok((facts, load))
    };
    let late = |_| Err(format!("no answer within {HEALTH:?}"));
    tokio::time::timeout(HEALTH, look).await.unwrap_or_else(late)
}
