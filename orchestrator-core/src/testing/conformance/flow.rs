use std::time::Duration;

use crate::testing::conformance::Verdict;
use crate::testing::conformance::bench::{Bench, Rig};
use crate::testing::conformance::report::Judged;
use crate::worker::Timeouts;

/// What the server has to say, in pieces of a size at which reading it all would not take long.
const OFFERED: usize = 64 * 1024 * 1024;
const PIECE: usize = 16 * 1024;

/// What may lie between a server and a reader that does not read: its own buffers, and the system's, of a megabyte or two.
const ALLOWED: u64 = 8 * 1024 * 1024;

/// A server that could write nothing for so long is held back.
const HELD_BACK: Duration = Duration::from_millis(400);

/// Whether a reader that does not read holds the server back.
pub(super) async fn run(bench: &Bench) {
    let piece = bench.dialect.text(&"x".repeat(PIECE));
    let reply = bench.dialect.texts(&["one"]).flood(piece, OFFERED / PIECE).stall();
    let judged = bench.rig(Timeouts::default(), move || reply.clone(), is_held_back);
    bench.judge("a slow reader holds the server back", judged).await;
}

async fn is_held_back(rig: &Rig<'_>) -> Judged {
    let _unread = rig.started().await?;
    let mut written = 0;
    loop {
        let more = rig.server.wait_within(HELD_BACK, |seen| rig.calls(seen).any(|call| call.written > written)).await;
        let Ok(seen) = more else { return Ok(()) };
        written = rig.calls(&seen).map(|call| call.written).max().unwrap_or(0);
        if written > ALLOWED {
            return Err(Verdict::failed(format!("{written} bytes were taken that nobody reads")));
        }
    }
}
