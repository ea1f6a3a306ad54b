//! How the service stops.

use std::time::Duration;

use prompt_orchestrator::testing::Script;
use serde_json::json;
use tokio::net::TcpStream;

use crate::client::Client;
use crate::service::{Held, Service};
use crate::{by_hand, soon, tick, until};

#[tokio::test]
async fn a_service_that_stops_finishes_what_is_inside_and_refuses_the_rest() {
    let worker = Held::open(2, |_| Script::answering("to be"));
    worker.set_open(false);
    let service = Service::start(worker.clone(), 8).await;
    let mut inside = Client::post(service.address, "/ask", &json!({ "question": "tea?" })).await;
    until("it is inside", || service.assistant.stats().in_flight == 1).await;

    let (address, assistant) = (service.address, service.assistant.clone());
    let stopped = tokio::spawn(service.stop());
    loop {
        // From the moment in which the drain begins; before that, the question waits at the gate, and is left.
        let mut late = Client::post(address, "/ask", &json!({ "question": "tea?" })).await;
        let refused = tokio::select! {
            reply = late.reply() => Some(reply),
            () = until("it is inside", || assistant.stats().in_flight > 1) => None,
        };
        if let Some((head, body)) = refused {
            assert_eq!((head.status, body), (503, json!({ "kind": "draining" })));
            break;
        }
        drop(late);
        until("it is gone", || assistant.stats().in_flight == 1).await;
    }
    let (head, _) = Client::get(address, "/products/1").await.reply().await;
    assert_eq!(head.status, 200, "the rest of the service works until the last answer");

    worker.set_open(true);
    assert_eq!(inside.head().await.status, 200);
    assert_eq!(inside.events().await.last().expect("some").name, "done");
    let report = soon(stopped).await.expect("no panic");
    assert_eq!((report.finished, report.cancelled), (1, 0));
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cancelled_and_told_so() {
    by_hand(async {
        let service = Service::start(Held::open(2, |_| Script::new().streaming().text("a").hang()), 8).await;
        let mut inside = Client::post(service.address, "/ask", &json!({ "question": "tea?" })).await;
        assert_eq!(inside.head().await.status, 200);
        assert_eq!(inside.event().await.expect("a token").name, "token");

        let worker = service.worker.clone();
        let assistant = service.assistant.clone();
        let stopped = tokio::spawn(service.stop());
        until("it drains", || assistant.try_submit("tea?".into()).is_err_and(|error| error.is_refused())).await;
        tokio::time::advance(Duration::from_secs(11)).await;
        let last = inside.events().await;
        assert_eq!((last.len(), &*last[0].name, &last[0].data), (1, "error", &json!({ "kind": "cancelled" })));
        let report = soon(stopped).await.expect("no panic");
        assert_eq!(report.cancelled, 1);
        assert_eq!(worker.mock.stats().live, 0);
    })
    .await;
}

/// Its answer is complete as far as the pipeline is concerned, and lies in the service's buffers.
#[tokio::test]
async fn a_client_that_does_not_read_cannot_keep_the_service_from_stopping() {
    by_hand(async {
        let long = "long ".repeat(1 << 18);
        let script = (0..32).fold(Script::new().streaming(), |script, _| script.text(&long)).finish();
        let service = Service::start(Held::open(2, move |_| script.clone()), 8).await;
        let mut sleepy = Client::post(service.address, "/ask", &json!({ "question": "tea?" })).await;
        assert_eq!(sleepy.head().await.status, 200);
        until("all of it has been said", || service.assistant.stats().answered == 1).await;

        let stopped = tokio::spawn(service.stop());
        until("it has stopped", || {
            tick(Duration::from_millis(10));
            stopped.is_finished()
        })
        .await;
        assert_eq!(stopped.await.expect("no panic").cancelled, 0);
    })
    .await;
}
