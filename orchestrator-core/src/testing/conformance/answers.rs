use std::sync::Arc;

use futures_util::future::join_all;

use crate::error::Error;
use crate::testing::conformance::Verdict;
use crate::testing::conformance::any::{ends_at_its_end, has_name, request};
use crate::testing::conformance::bench::{Bench, Rig, SOON};
use crate::testing::conformance::report::Judged;
use crate::testing::conformance::slots::{self, Held};
use crate::testing::server::{Reply, Signal};
use crate::token::FinishReason;
use crate::worker::{Prefix, Timeouts};

/// With characters of two, three and four bytes.
const TEXTS: [&str; 3] = ["na\u{ef}ve ", "\u{2603}\u{1f980} ", "end"];
const TEXT: &str = "na\u{ef}ve \u{2603}\u{1f980} end";

/// How many calls are made at once of a worker that names no slots.
const AT_ONCE: usize = 8;

/// What a worker makes of good answers.
pub(super) async fn run(bench: &Bench) {
    let limits = Timeouts::default();
    let dialect = bench.dialect.clone();
    let whole = move || dialect.answer(&TEXTS);
    bench
        .judge("info() has a name and asks nobody", bench.rig(limits, whole.clone(), async |rig| info(bench, rig)))
        .await;
    let judged = bench.rig(limits, whole.clone(), async |rig| rig.ask().await?.is_answer(TEXT));
    bench.judge("an answer is read as it was sent", judged).await;
    let judged = bench.rig(limits, whole.clone(), async |rig| ends_at_its_end(&rig.ask().await?));
    bench.judge("nothing comes behind the terminal event", judged).await;
    bench.judge("the usage is the server's", bench.rig(limits, whole.clone(), usage)).await;
    bench.judge("a second call is answered too", bench.rig(limits, whole.clone(), twice)).await;
    let judged = bench.rig(limits, whole.clone(), async |rig| slots::are_one(&*rig.worker));
    bench.judge("slots are one object", judged).await;
    bench.judge("slots are honoured", keeps_slots(bench)).await;
    bench.judge("a begun answer is gone on with", bench.rig(limits, whole, goes_on)).await;
    bench.judge("calls do not queue in the worker", bench.rig(limits, || Reply::raw().stall(), does_not_queue)).await;
    bench.judge("a filtered answer says so", filtered(bench)).await;
    for (how, reply) in framings(bench) {
        let judged = bench.rig(limits, move || reply.clone(), async |rig| rig.ask().await?.is_answer(TEXT));
        bench.judge(format!("an answer is read {how}"), judged).await;
    }
}

/// The same answer in other pieces.
fn framings(bench: &Bench) -> Vec<(&'static str, Reply)> {
    let dialect = &bench.dialect;
    let body = dialect.body(&TEXTS, FinishReason::Stop);
    let head = || Reply::chunked(200, dialect.content_type);
    let chunk = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let mut framings = vec![
        ("byte by byte", head().pieces(chunk, 1)),
        ("in chunks of one byte", body.chunks(1).fold(head(), Reply::chunk).last_chunk()),
        ("to the end of the connection", Reply::until_close(200, dialect.content_type).bytes(&body).close()),
    ];
    if !dialect.noise.is_empty() {
        let noisy =
            TEXTS.iter().fold(dialect.begin(), |reply, text| reply.chunk(&dialect.noise).chunk(dialect.text(text)));
        let ending = dialect.ending(FinishReason::Stop, 3);
        framings.push(("past what means nothing", noisy.chunk(ending).chunk(&dialect.marker).last_chunk()));
    }
    framings
}

fn info(bench: &Bench, rig: &Rig<'_>) -> Judged {
    let before = rig.server.seen().exchanges.len();
    let info = rig.worker.info();
    bench.name(&info.name);
    if rig.server.seen().exchanges.len() > before {
        return Err(Verdict::failed("it asked the server"));
    }
    has_name(&info)
}

async fn usage(rig: &Rig<'_>) -> Judged {
    let reading = rig.ask().await?;
    reading.is_whole()?;
    let usage = reading.finish.map(|finish| finish.usage).unwrap_or_default();
    let expected = (3, TEXTS.len() as u64);
    let counted = (usage.prompt_tokens, usage.completion_tokens);
    if counted == expected {
        Ok(())
    } else {
        Err(Verdict::failed(format!("(prompt, completion) is {counted:?}, not {expected:?}")))
    }
}

async fn twice(rig: &Rig<'_>) -> Judged {
    rig.ask().await?.is_answer(TEXT)?;
    rig.ask().await?.is_answer(TEXT)
}

/// Two workers of one server, as two pipelines of a process may have.
async fn keeps_slots(bench: &Bench) -> Judged {
    let dialect = &bench.dialect;
    let go = Signal::new();
    let rest = [dialect.ending(FinishReason::Stop, 1).as_bytes(), &dialect.marker].concat();
    let reply = dialect.texts(&["one"]).until(&go).chunk(rest).last_chunk();
    let check = async |rig: &Rig<'_>| {
        let total = rig.worker.slots().map(|slots| slots.total());
        if let (Some(total), Some(most)) = (total, dialect.slots.filter(|most| total > Some(*most))) {
            return Err(Verdict::failed(format!("it has {total} slots, and the server {most}")));
        }
        let workers = [rig.worker.clone(), rig.another().await];
        slots::honoured_by(workers, &(Arc::new(request) as _), &AtServer { rig, go: &go }).await
    };
    bench.rig(Timeouts::default(), move || reply.clone(), check).await
}

/// Calls that the server holds, and counts.
struct AtServer<'a> {
    rig: &'a Rig<'a>,
    go: &'a Signal,
}

impl Held for AtServer<'_> {
    fn most(&self) -> usize {
        let seen = self.rig.server.seen();
        let calls: Vec<_> = self.rig.calls(&seen).collect();
        let at = |time| calls.iter().filter(|c| c.received <= time && c.ended.is_none_or(|end| end > time)).count();
        calls.iter().map(|call| at(call.received)).max().unwrap_or(0)
    }

    fn let_go(&self) {
        self.go.raise();
    }

    fn failed(&self, error: &Error) {
        self.rig.look_at(error);
    }
}

/// All calls that the slots allow are at the server at once.
async fn does_not_queue(rig: &Rig<'_>) -> Judged {
    let calls = rig.worker.slots().map_or(AT_ONCE, |slots| slots.total().min(AT_ONCE));
    let all = std::pin::pin!(join_all((0..calls).map(|_| rig.infer())));
    let arrived = std::pin::pin!(rig.server.wait_within(SOON, |seen| rig.calls(seen).count() == calls));
    match futures_util::future::select(arrived, all).await {
        futures_util::future::Either::Left((arrived, _)) => arrived.map(drop).map_err(|seen| {
            Verdict::failed(format!("of {calls} calls {} came to the server", rig.calls(&seen).count()))
        }),
        futures_util::future::Either::Right(_) => Err(Verdict::failed("calls ended that nobody had answered")),
    }
}

async fn goes_on(rig: &Rig<'_>) -> Judged {
    const BEGUN: &str = "The answer begins with";
    if !rig.worker.info().continues {
        return Err(Verdict::left_out("it says that it cannot, and so is never asked to"));
    }
    let mut request = request();
    request.prefix = Some(Prefix::new(BEGUN));
    rig.ask_for(request).await?.is_whole()?;
    // By whatever route: a worker may have one of its own for this.
    let told = rig.server.seen().exchanges.iter().any(|call| said(&call.request, BEGUN));
    if told { Ok(()) } else { Err(Verdict::failed("it says that it can, and the server did not see the beginning")) }
}

fn said(request: &crate::testing::server::Request, text: &str) -> bool {
    String::from_utf8_lossy(request.body()).contains(text)
}

/// As a finish reason, or as an error of its own.
async fn filtered(bench: &Bench) -> Judged {
    let dialect = &bench.dialect;
    let body = dialect.body(&["one"], FinishReason::ContentFilter);
    let reply = Reply::chunked(200, dialect.content_type).chunk(body).last_chunk();
    let check = async |rig: &Rig<'_>| {
        let reading = rig.ask().await?;
        match &reading.finish {
            Some(finish) if finish.reason == FinishReason::ContentFilter => Ok(()),
            Some(finish) => Err(Verdict::failed(format!("the reason is {:?}", finish.reason))),
            None => reading.is_failure(&[crate::error::WorkerErrorKind::ContentFilter]).map(drop),
        }
    };
    bench.rig(Timeouts::default(), move || reply.clone(), check).await
}
