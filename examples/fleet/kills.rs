//! Kills one server after the other, and starts it again.

use std::error::Error;
use std::time::Duration;

use tokio::sync::watch::{self, error::RecvError};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::server::Server;
use super::tally::Tally;

/// How long a server stays away.
const AWAY: Duration = Duration::from_secs(1);

/// How long after its first token an answer is cut.
const A_FEW_WORDS: Duration = Duration::from_millis(30);

/// Goes on until the time is over, and then has all of them running; with no time between kills it only waits.
///
/// Each server comes with how many answers it has in mid-stream: it is killed in the middle of one.
///
/// # Errors
///
/// Where a server cannot be killed or started again.
pub(crate) async fn run(
    mut servers: [(&mut Server, watch::Receiver<usize>); 2],
    every: Option<Duration>,
    until: Instant,
    tally: &Tally,
) -> Result<(), Box<dyn Error>> {
    let mut turn = 0;
    while let Some(every) = every
        && Instant::now() + every <= until
    {
        sleep(every.saturating_sub(AWAY)).await;
        let (server, streaming) = &mut servers[turn % 2];
        // Where it says nothing any more until the time is over, it is left alone.
        if let Ok(in_the_middle) = timeout_at(until, in_the_middle(streaming)).await {
            in_the_middle?;
            kill(server, tally).await?;
        }
        turn += 1;
    }
    sleep_until(until).await;
    Ok(())
}

/// Waits until an answer has begun, and has come a few words far.
async fn in_the_middle(streaming: &mut watch::Receiver<usize>) -> Result<(), RecvError> {
    loop {
        streaming.wait_for(|answers| *answers == 0).await?;
        streaming.wait_for(|answers| *answers > 0).await?;
        sleep(A_FEW_WORDS).await;
        if *streaming.borrow() > 0 {
            return Ok(());
        }
    }
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
