//! One client that leaves while the worker is silent: nothing is written that could fail, and still the work stops.

use std::time::Duration;

use prompt_orchestrator::testing::Script;
use serde_json::json;

use crate::client::{Client, Leaving};
use crate::service::{Held, Service};
use crate::{by_hand, tick, until};

fn silent_after(words: &[&str]) -> Script {
    words.iter().fold(Script::new().streaming(), |script, word| script.text(word)).hang()
}

#[tokio::test]
async fn a_client_that_leaves_before_the_first_token_stops_the_work() {
    let service = Service::start(Held::open(2, |_| silent_after(&[])), 8).await;
    for path in ["/ask", "/ask.json"] {
        for how in Leaving::ALL {
            let before = service.assistant.stats().cancelled;
            let client = Client::post(service.address, path, &json!({ "question": "tea?" })).await;
            until("the worker works", || service.worker.mock.stats().live == 1).await;
            let _line = client.leave(how).await;
            service.until_nothing_is_left().await;
            assert_eq!(service.assistant.stats().cancelled, before + 1, "{path}, {how:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_between_two_tokens_stops_the_work() {
    let service = Service::start(Held::open(2, |_| silent_after(&["a ", "b "])), 8).await;
    for how in Leaving::ALL {
        let before = service.assistant.stats().cancelled;
        let mut client = Client::post(service.address, "/ask", &json!({ "question": "tea?" })).await;
        assert_eq!(client.head().await.status, 200);
        // Filters hold back white space, which may be the answer's end.
        assert_eq!(client.event().await.expect("a token").data, json!({ "text": "a" }));
        assert_eq!(client.event().await.expect("a token").data, json!({ "text": " b" }));
        let _line = client.leave(how).await;
        service.until_nothing_is_left().await;
        assert_eq!(service.assistant.stats().cancelled, before + 1, "{how:?}");
    }
}

/// The text of the answer in one piece is gathered by the handler: it is dropped in the middle of that.
#[tokio::test]
async fn a_client_that_leaves_within_an_answer_in_one_piece_stops_the_work() {
    let service = Service::start(Held::open(2, |_| silent_after(&["a ", "b "])), 8).await;
    for how in Leaving::ALL {
        let before = service.assistant.stats();
        let client = Client::post(service.address, "/ask.json", &json!({ "question": "tea?" })).await;
        let first_tokens = before.first_token.count;
        until("the answer has begun", || service.assistant.stats().first_token.count > first_tokens).await;
        let _line = client.leave(how).await;
        service.until_nothing_is_left().await;
        assert_eq!(service.assistant.stats().cancelled, before.cancelled + 1, "{how:?}");
    }
}

/// A connection with bytes behind the question is not read any further, so its end is only found out by writing to it.
#[tokio::test]
async fn a_client_that_cannot_be_heard_leaving_is_found_out_by_the_comments() {
    by_hand(async {
        let service = Service::start(Held::open(2, |_| silent_after(&["a "])), 8).await;
        let mut client = Client::post(service.address, "/ask", &json!({ "question": "tea?" })).await;
        client.send(b"GET /products/1 HTTP/1.1\r\nhost: shop\r\n\r\n").await;
        assert_eq!(client.head().await.status, 200);
        assert_eq!(client.event().await.expect("a token").name, "token");
        client.leave(Leaving::Reset).await;
        until("a comment has been written, and found nobody", || {
            tick(Duration::from_millis(100));
            service.assistant.stats().in_flight == 0
        })
        .await;
        let stats = service.assistant.stats();
        assert_eq!((stats.cancelled, stats.failed), (1, 0), "it was not the deadline");
        service.until_nothing_is_left().await;
    })
    .await;
}
