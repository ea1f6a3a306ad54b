use std::time::Duration;

use tokio::time::{sleep, timeout};

/// How long anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("it never came true: {what}"));
}
