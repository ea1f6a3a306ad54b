//! Kills one server after the other, and starts it again.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::server::Server;
use super::tally::Tally;

/// How long a server stays away.
const AWAY: Duration = Duration::from_secs(1);

/// Goes on until it is dropped; with no time between kills it does nothing.
///
/// # Errors
///
/// Where a server cannot be killed or started again.
pub(crate) async fn run(
    servers: &mut [Server],
    every: Option<Duration>,
    tally: &Arc<Tally>,
) -> Result<(), Box<dyn Error>> {
    let Some(every) = every else { return std::future::pending().await };
    loop {
        for server in &mut *servers {
            sleep(every.saturating_sub(AWAY)).await;
            server.kill().await?;
            tally.lock().kills += 1;
            tally.event(format!("{} was killed", server.name));
            sleep(AWAY).await;
            server.restart().await?;
            tally.event(format!("{} is back", server.name));
        }
    }
}
