//! A server that is told to end.

use std::time::Duration;

use futures_util::future::join_all;
use hub_rig::{CHAT, Gated, PATIENCE, Raw, Rig, ask, chat, get, json, millis, post, status, until};
use orchestrator_config::file::Limits;
use orchestrator_core::testing::{MockWorker, Script};
use tokio::time::{Instant, timeout};

use crate::http2::Http2;
use crate::unread::{Flood, endless_chat};

const EACH: usize = 8;

/// Waits until it says that it takes nothing more.
async fn until_unready(rig: &Rig) {
    let asking = async {
        let mut told = 0;
        while told != 503 {
            let mut asks = Raw::connect(rig.address).await;
            asks.send(get("/readyz")).await;
            told = status(&asks.head().await);
        }
    };
    timeout(PATIENCE, asking).await.expect("it takes nothing more");
}

/// A chat of which all is sent but the last byte, and which the server has begun to read.
async fn half_sent(rig: &Rig) -> Raw {
    let mut client = Raw::connect(rig.address).await;
    let whole = post(CHAT, &chat(false)).replacen("host:", "expect: 100-continue\r\nhost:", 1);
    client.send(&whole[..whole.len() - 1]).await;
    assert_eq!(status(&client.head().await), 100);
    client
}

#[tokio::test]
async fn what_runs_is_finished_while_what_comes_is_refused() {
    let worker = Gated::default();
    let rig = Rig::of(worker.clone(), Limits::default()).await;
    let client = reqwest::Client::new();
    let running = join_all((0..2 * EACH).map(|number| ask(&client, &rig, number % 2 == 0)));
    let mut waiting = Raw::connect(rig.address).await;
    let others = async {
        until("all are there", || rig.in_flight() == 2 * EACH as u64).await;
        rig.stop.cancel();
        until_unready(&rig).await;
        waiting.send(get("/readyz")).await;
        assert_eq!(status(&waiting.head().await), 503, "connections that were there are told");
        for asked in [post(CHAT, &chat(true)), post(CHAT, &chat(false))] {
            let mut new = Raw::connect(rig.address).await;
            new.send(asked).await;
            let refused = new.rest().await;
            assert_eq!(status(&refused), 503, "{refused}");
            assert!(refused.contains("retry-after: 1") && refused.contains("connection: close"), "{refused}");
        }
        assert_eq!(rig.in_flight(), 2 * EACH as u64, "what runs goes on");
        worker.open();
    };
    let (answers, ()) = tokio::join!(running, others);
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        let text = answer.text().await.expect("the whole answer");
        assert!(if number % 2 == 0 { text.ends_with("data: [DONE]\n\n") } else { text.contains("to be") }, "{text}");
    }
    rig.end().await;
}

#[tokio::test]
async fn what_is_left_behind_the_grace_period_is_told_so() {
    let rig = Rig::of(Gated::default(), Limits { grace: millis(200), ..Limits::default() }).await;
    let service = rig.service.clone();
    let client = reqwest::Client::new();
    let http2 = Http2::connect(rig.address).await;
    let running = join_all((0..2 * EACH).map(|number| ask(&client, &rig, number % 2 == 0)));
    let over_http2 = http2.ask(chat(false));
    let stop = async {
        until("all are there", || rig.in_flight() == 2 * EACH as u64 + 1).await;
        rig.stop.cancel();
    };
    let (answers, over_http2, ()) = tokio::join!(running, over_http2, stop);
    assert_eq!(over_http2.expect("an answer").status().as_u16(), 503);
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = answer.expect("an answer");
        if number % 2 == 0 {
            let text = answer.text().await.expect("a whole body");
            assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
        } else {
            assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (503, b"1".as_slice()));
            assert_eq!(json(answer).await["error"]["type"], "server_error");
        }
    }
    rig.end().await;
    assert_eq!(service.models[0].chat.as_ref().expect("a pipeline").stats().in_flight, 0);
}

#[tokio::test]
async fn who_does_not_read_its_last_words_is_not_waited_for() {
    let rig = Rig::of(Flood::new(None), Limits { grace: millis(50), ..Limits::default() }).await;
    let mut stalled = Raw::narrow(rig.address).await;
    stalled.send(post(CHAT, &endless_chat())).await;
    let _idle = Raw::connect(rig.address).await;
    until("it is there", || rig.in_flight() == 1).await;
    let started = Instant::now();
    rig.end().await;
    assert!(started.elapsed() < Duration::from_secs(6), "much less than `reader_stall`");
}

#[tokio::test]
async fn who_still_sends_its_request_when_the_grace_period_is_over_is_told_so() {
    let limits = Limits { grace: millis(200), body_time: millis(60_000), ..Limits::default() };
    let rig = Rig::of(Gated::default(), limits).await;
    let mut half = half_sent(&rig).await;
    rig.end().await;
    let refused = half.rest().await;
    assert_eq!(status(&refused), 503, "{refused}");
    assert!(refused.contains("connection: close") && refused.contains("retry-after: 1"), "{refused}");
}

#[tokio::test]
async fn an_answer_that_is_all_said_may_be_read_as_long_as_the_grace_period_is() {
    let words = "word ".repeat(500_000);
    let rig = Rig::of(MockWorker::new(Script::new().text(&words).finish()), Limits::default()).await;
    let mut slow = Raw::narrow(rig.address).await;
    slow.send(post(CHAT, &chat(false))).await;
    let mut read = slow.head().await;
    until("all is said", || rig.in_flight() == 0).await;
    rig.stop.cancel();
    // It is what is tested: more than is given for the last words.
    tokio::time::sleep(Duration::from_secs(3)).await;
    read += &slow.rest().await;
    assert!(read.contains(&words), "it is cut: {} bytes", read.len());
    rig.end().await;
}

/// A request that is still being sent keeps the server, so that everybody is told before the listener closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_everybody_is_answered_or_refused() {
    let script = Script::new().delay(Duration::from_millis(5)).text("to ").text("be").finish();
    let rig = Rig::of(MockWorker::new(script), Limits::default()).await;
    let mut half = half_sent(&rig).await;
    let client = reqwest::Client::new();
    let one = async |number: usize| {
        loop {
            let response = ask(&client, &rig, number.is_multiple_of(2)).await.expect("a response");
            if response.status().as_u16() != 200 {
                break assert_eq!(response.status().as_u16(), 503);
            }
            let text = response.text().await.expect("a whole answer");
            assert!(text.contains("[DONE]") || text.contains("to be"), "{text}");
        }
    };
    let load = join_all((0..2 * EACH).map(one));
    let stop = async {
        let chat = rig.service.models[0].chat.as_ref().expect("a pipeline");
        until("there is load", || chat.stats().answered > 200).await;
        rig.stop.cancel();
    };
    tokio::join!(load, stop);
    half.send("}").await;
    assert_eq!(status(&half.rest().await), 200, "it was there before");
    rig.end().await;
}
