//! Kills one server after the other, and starts it again.

use std::error::Error;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::server::Server;
use super::tally::Tally;

/// How long a server stays away.
const AWAY: Duration = Duration::from_secs(1);

/// Goes on until the time is over, and then has all of them running; with no time between kills it only waits.
///
/// # Errors
///
/// Where a server cannot be killed or started again.
pub(crate) async fn run(
    servers: &mut [Server],
    every: Option<Duration>,
    until: Instant,
    tally: &Tally,
) -> Result<(), Box<dyn Error>> {
    let mut turn = 0;
    while let Some(every) = every
        && Instant::now() + every <= until
    {
        sleep(every.saturating_sub(AWAY)).await;
        let count = servers.len();
        kill(&mut servers[turn % count], tally).await?;
        turn += 1;
    }
    sleep_until(until).await;
    Ok(())
}

async fn kill(server: &mut Server, tally: &Tally) -> Result<(), Box<dyn Error>> {
    server.kill().await?;
    tally.lock().kills += 1;
    tally.event(format!("{} was killed", server.name));
    sleep(AWAY).await;
    server.restart().await?;
    tally.event(format!("{} is back", server.name));
    Ok(())
}
