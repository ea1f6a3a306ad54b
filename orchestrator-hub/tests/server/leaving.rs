//! Clients that leave: what was done for them stops, as far as the model server.

use std::sync::Arc;
use std::time::Duration;

use hub_rig::{CHAT, Rig, chat, count, until};
use orchestrator_config::file::Limits;
use orchestrator_core::testing::server::{Outcome, Reply, ScriptedServer, Seen};
use tokio::task::JoinSet;
use workers_openai::OpenAi;

use crate::http2::Http2;

/// Streams, and as many that do not stream, and as many in the queue.
const EACH: usize = 20;

/// How long it may take until nobody works for them.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A model server that begins each answer, and the service in front of it.
async fn begun() -> (ScriptedServer, Rig) {
    let word = r#"{"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"w"}}]}"#;
    let script = move |_: &_| Reply::chunked(200, "text/event-stream").chunk(format!("data: {word}\n\n")).stall();
    let server = ScriptedServer::start(script).await.expect("a port");
    let worker = OpenAi::builder().base_url(format!("{}/v1", server.base_url())).key("none").slots(count(2 * EACH));
    let rig = Rig::of(worker.build().expect("settings that fit"), Limits::default()).await;
    (server, rig)
}

/// Has all of them ask, leave when all are where they shall be, and sees that nothing is left.
async fn all_leave(server: &ScriptedServer, rig: &Rig, mut clients: JoinSet<()>) {
    let working = |seen: &Seen| seen.in_flight.now == 2 * EACH && seen.exchanges.iter().all(|one| one.written > 0);
    server.wait_for("all slots are taken", working).await;
    until("the others wait", || rig.in_flight() == 3 * EACH as u64).await;
    clients.abort_all();
    while clients.join_next().await.is_some() {}
    let Ok(seen) = server.wait_within(AT_ONCE, Seen::is_idle).await else { panic!("it does not stop within a second") };
    assert_eq!(seen.in_flight.total, 2 * EACH, "who waited was never asked for");
    assert!(seen.exchanges.iter().all(|one| one.outcome == Some(Outcome::ClientLeft)));
    until("nothing is left", || rig.in_flight() == 0).await;
}

#[tokio::test]
async fn over_http1_nothing_is_done_for_who_has_left() {
    let (server, rig) = begun().await;
    let mut clients = JoinSet::new();
    let url = rig.url(CHAT);
    for number in 0..3 * EACH {
        let asked = reqwest::Client::new().post(&url).body(chat(number % 2 == 0)).send();
        clients.spawn(async move {
            let _ = asked.await.expect("a response").bytes().await;
        });
    }
    all_leave(&server, &rig, clients).await;
    rig.end().await;
}

#[tokio::test]
async fn over_http2_nothing_is_done_for_streams_that_were_reset() {
    let (server, rig) = begun().await;
    let connection = Arc::new(Http2::connect(rig.address).await);
    let mut clients = JoinSet::new();
    for number in 0..3 * EACH {
        let connection = connection.clone();
        clients.spawn(async move {
            let response = connection.ask(chat(number % 2 == 0)).await.expect("a response");
            let _ = http_body_util::BodyExt::collect(response.into_body()).await;
        });
    }
    all_leave(&server, &rig, clients).await;
    assert!(connection.is_open(), "it is there for other requests");
    drop(connection);
    rig.end().await;
}

#[tokio::test]
async fn over_http2_nothing_is_done_for_a_connection_that_is_gone() {
    let (server, rig) = begun().await;
    let connection = Http2::connect(rig.address).await;
    let mut clients = JoinSet::<()>::new();
    for number in 0..2 * EACH {
        let asked = connection.requests.clone().send_request(crate::http2::post(chat(number % 2 == 0)));
        clients.spawn(async move {
            let _begun = asked.await;
            std::future::pending().await
        });
    }
    server.wait_for("all slots are taken", |seen| seen.in_flight.now == 2 * EACH).await;
    drop(connection);
    assert!(server.wait_within(AT_ONCE, Seen::is_idle).await.is_ok(), "it stops within a second");
    rig.end().await;
}
