use futures_util::future::join_all;

use crate::error::WorkerErrorKind;
use crate::testing::conformance::Verdict;
use crate::testing::conformance::any::{ends_at_its_end, has_name, request};
use crate::testing::conformance::bench::{Bench, Rig, SOON};
use crate::testing::conformance::reading::read;
use crate::testing::conformance::report::Judged;
use crate::testing::conformance::slots;
use crate::testing::server::Reply;
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
    bench.judge("slots are honoured", bench.rig(limits, whole.clone(), keeps_slots)).await;
    bench.judge("a begun answer is gone on with or refused", bench.rig(limits, whole, goes_on)).await;
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

async fn keeps_slots(rig: &Rig<'_>) -> Judged {
    slots::are_one(&*rig.worker)?;
    slots::honoured(&rig.worker, &(std::sync::Arc::new(request) as _)).await
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
    let mut request = request();
    request.prefix = Some(Prefix::new(BEGUN));
    let reading = read(rig.worker.infer(request)).await?;
    match (&reading.error, rig.worker.info().continues) {
        (None, false) => Err(Verdict::left_out("it says that it cannot, and answers from the beginning")),
        // By whatever route: a worker may have one of its own for this.
        (None, true) if rig.server.seen().exchanges.iter().any(|call| said(&call.request, BEGUN)) => Ok(()),
        (None, true) => Err(Verdict::failed("the server did not see the beginning")),
        (Some(_), true) => Err(Verdict::failed("it says that it can, and fails")),
        (Some(_), false) => reading.is_failure(&[WorkerErrorKind::InvalidRequest]).map(drop),
    }
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
            None => reading.is_failure(&[WorkerErrorKind::ContentFilter]).map(drop),
        }
    };
    bench.rig(Timeouts::default(), move || reply.clone(), check).await
}
