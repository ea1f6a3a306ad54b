use crate::error::WorkerErrorKind::{self as Kind, Protocol, StreamCut, Transient};
use crate::testing::conformance::bench::{Bench, Rig};
use crate::testing::conformance::report::Judged;
use crate::testing::conformance::{Dialect, Verdict, secrets};
use crate::testing::server::{Reply, Signal};
use crate::token::FinishReason;
use crate::worker::Timeouts;

/// What goes wrong, and what a worker must make of it.
struct Fault {
    what: &'static str,
    reply: Reply,
    kinds: Vec<Kind>,
    /// What was sent before, and must have been handed on.
    text: &'static str,
}

/// What a worker makes of servers that break off or break the rules.
pub(super) async fn run(bench: &Bench) {
    for Fault { what, reply, kinds, text } in faults(&bench.dialect) {
        let judged = bench.rig(Timeouts::default(), move || reply.clone(), async |rig| fails(rig, &kinds, text).await);
        bench.judge(format!("told for what it is: {what}"), judged).await;
    }
    bench.judge("told for what it is: a reset in the stream", reset(bench)).await;
    bench.judge("the end without the marker is what the dialect says", no_marker(bench)).await;
    secrets::provoke(bench).await;
}

async fn fails(rig: &Rig<'_>, kinds: &[Kind], text: &str) -> Judged {
    let reading = rig.ask().await?;
    reading.is_failure(kinds)?;
    if reading.text == text {
        Ok(())
    } else {
        Err(Verdict::failed(format!("read {:?} before it, not {text:?}", reading.text)))
    }
}

fn faults(dialect: &Dialect) -> Vec<Fault> {
    let one = || dialect.texts(&["one"]);
    let half_event = &dialect.text("two")[..dialect.text("two").len() / 2];
    let before = |what, reply, kind| Fault { what, reply, kinds: vec![kind], text: "" };
    let behind = |what, reply, kinds: &[Kind]| Fault { what, reply, kinds: kinds.to_vec(), text: "one" };
    let mut faults = vec![
        before("a reset before the head", Reply::raw().reset(), Transient),
        before("an end before the head", Reply::raw().close(), Transient),
        before("no HTTP", Reply::raw().bytes("220 mail.example ready\r\n\r\n").close(), Protocol),
        before("another content type", Reply::full(200, &[("content-type", "text/html")], "<html></html>"), Protocol),
        behind("a cut in a chunk", one().bytes("ff\r\ndata").close(), &[StreamCut]),
        behind("a cut in an event", one().chunk(half_event).last_chunk(), &[StreamCut]),
        behind("a cut between events", one().last_chunk(), &[StreamCut]),
        // Clients hardly tell a broken frame from a broken connection.
        behind("a malformed chunk", one().bytes("no size\r\n").stall(), &[Protocol, StreamCut]),
    ];
    if !dialect.nonsense.is_empty() {
        faults.push(behind("an event that means nothing", one().chunk(&dialect.nonsense).stall(), &[Protocol]));
    }
    if !dialect.oversize.is_empty() {
        let endless = one().chunk(&dialect.oversize).flood([b'x'; 65_536], 2048).stall();
        faults.push(behind("an event without end", endless, &[Protocol]));
    }
    if let Some((event, kind)) = &dialect.failure {
        faults.push(behind("an error in the stream", one().chunk(event).last_chunk(), &[*kind]));
    }
    faults
}

/// The text is read before the reset is sent: it may take away what is on its way.
async fn reset(bench: &Bench) -> Judged {
    let read = Signal::new();
    let reply = bench.dialect.texts(&["one"]).until(&read).reset();
    let check = async |rig: &Rig<'_>| {
        let mut stream = rig.started().await?;
        read.raise();
        match rig.next(&mut stream).await {
            Some(Err(error)) if matches!(error.kind(), StreamCut | Transient) => Ok(()),
            other => Err(Verdict::failed(format!("{other:?}, not StreamCut or Transient"))),
        }
    };
    bench.rig(Timeouts::default(), move || reply.clone(), check).await
}

async fn no_marker(bench: &Bench) -> Judged {
    let dialect = &bench.dialect;
    if dialect.marker.is_empty() {
        return Err(Verdict::left_out("the dialect has no marker"));
    }
    let optional = dialect.marker_optional;
    let reply = dialect.texts(&["one"]).chunk(dialect.ending(FinishReason::Stop, 1)).last_chunk();
    let check = async |rig: &Rig<'_>| {
        if optional { rig.ask().await?.is_answer("one") } else { fails(rig, &[StreamCut], "one").await }
    };
    bench.rig(Timeouts::default(), move || reply.clone(), check).await
}
