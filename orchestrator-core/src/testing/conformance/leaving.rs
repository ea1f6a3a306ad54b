use std::pin::pin;

use futures_util::future::{Either, select};

use crate::testing::conformance::Verdict;
use crate::testing::conformance::bench::{Bench, Rig, SOON};
use crate::testing::conformance::report::Judged;
use crate::testing::server::{Outcome, Reply};
use crate::worker::Timeouts;

/// So much is on its way when a reader leaves that has not read.
const UNREAD: u64 = 128 * 1024;

/// Whether a server sees within a second that its client has left, whenever that was.
pub(super) async fn run(bench: &Bench) {
    let limits = Timeouts::default();
    let dialect = bench.dialect.clone();
    let (begun, started) = (dialect.begin().stall(), dialect.texts(&["one"]));
    let flood = started.clone().flood(dialect.text("two"), 1_000_000);
    let started = started.stall();

    let judged = bench.rig(limits, || Reply::raw().stall(), async |rig| waiting(rig, 0).await);
    bench.judge("leaving reaches the server: before the head", judged).await;
    let judged = bench.rig(limits, move || begun.clone(), async |rig| waiting(rig, 1).await);
    bench.judge("leaving reaches the server: before the first token", judged).await;
    let judged = bench.rig(
        limits,
        move || started.clone(),
        async |rig| {
            drop(rig.started().await?);
            noticed(rig).await
        },
    );
    bench.judge("leaving reaches the server: in the middle", judged).await;
    let judged = bench.rig(
        limits,
        move || flood.clone(),
        async |rig| {
            let stream = rig.started().await?;
            rig.call_with("much unread", SOON, |call| call.written > UNREAD).await?;
            drop(stream);
            noticed(rig).await
        },
    );
    bench.judge("leaving reaches the server: with the reader away", judged).await;
}

/// Drops a call that waits for its first event, once the server has written so much.
async fn waiting(rig: &Rig<'_>, written: u64) -> Judged {
    {
        let call = pin!(async { rig.next(&mut rig.infer().await?).await.transpose() });
        let arrived = pin!(rig.call_with("the call", SOON, |call| call.written >= written));
        match select(call, arrived).await {
            Either::Left((Err(error), _)) => return Err(Verdict::failed(format!("it failed: {error}"))),
            Either::Left((Ok(event), _)) => return Err(Verdict::failed(format!("{event:?} came from nowhere"))),
            Either::Right((arrived, _)) => arrived?,
        }
    }
    noticed(rig).await
}

/// The server sees that its client has left.
pub(super) async fn noticed(rig: &Rig<'_>) -> Judged {
    rig.call_with("its client leave", SOON, |call| call.outcome == Some(Outcome::ClientLeft)).await
}
