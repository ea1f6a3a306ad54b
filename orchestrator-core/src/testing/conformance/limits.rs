use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Phase, WorkerErrorKind};
use crate::testing::conformance::Verdict;
use crate::testing::conformance::bench::{Bench, Rig};
use crate::testing::conformance::leaving::noticed;
use crate::testing::conformance::report::Judged;
use crate::testing::server::Reply;
use crate::token::FinishReason;
use crate::worker::Timeouts;

/// A limit that is to pass. The server waits for ever, so it cannot pass too early on a slow machine.
const SHORT: Duration = Duration::from_millis(50);

/// A limit between tokens that is not to pass, and the pause that stays below it.
const LONG: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(90);

/// Whether limits end what takes too long, by their own name, and nothing else.
pub(super) async fn run(bench: &Bench) {
    let dialect = bench.dialect.clone();
    let none = Timeouts::none();
    let slow = (0..1000).fold(dialect.begin(), |reply, _| reply.chunk(dialect.text("one")).delay(SHORT / 5));
    let cases = [
        ("the first token, no head", none.first_token(SHORT), Reply::raw().stall(), Phase::FirstToken),
        ("the first token, behind the head", none.first_token(SHORT), dialect.begin().stall(), Phase::FirstToken),
        ("the next token", none.between_tokens(SHORT), dialect.texts(&["one"]).stall(), Phase::BetweenTokens),
        ("the whole answer", none.total(SHORT), slow, Phase::Total),
    ];
    for (limit, timeouts, reply, phase) in cases {
        let judged = bench.rig(timeouts, move || reply.clone(), async |rig| passes(rig, phase).await);
        bench.judge(format!("a limit ends the wait for {limit}"), judged).await;
    }
    let late = (0..6).fold(dialect.begin(), |reply, _| reply.delay(PAUSE).chunk(dialect.text("one")));
    let late = late.chunk(dialect.ending(FinishReason::Stop, 6)).chunk(&dialect.marker).last_chunk();
    let limits = none.first_token(LONG).between_tokens(LONG);
    let judged = bench.rig(limits, move || late.clone(), async |rig| rig.ask().await?.is_answer(&"one".repeat(6)));
    bench.judge("a slow answer within its limits is read", judged).await;
}

async fn passes(rig: &Rig<'_>, phase: Phase) -> Judged {
    let start = Instant::now();
    rig.ask().await?.is_failure(&[WorkerErrorKind::Timeout(phase)])?;
    if start.elapsed() < SHORT {
        return Err(Verdict::failed(format!("it came after {:?}, before its time", start.elapsed())));
    }
    noticed(rig).await
}
