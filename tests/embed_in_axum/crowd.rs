//! Two hundred clients, of whom about half leave at random: no work is left after them, and the others are not disturbed.

use fastrand::Rng;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::Script;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Client, Leaving, request};
use crate::service::{Held, Service};
use crate::{soon, until};

const CLIENTS: usize = 200;
const SLOTS: usize = 16;
/// Tokens of an answer.
const TOKENS: usize = 12;

/// What a client does.
#[derive(Debug, Clone, Copy)]
enum Plan {
    /// Reads to the end; the one path streams, the other does not.
    Stay { path: &'static str },
    /// Leaves in the middle of its question.
    InQuestion,
    /// Leaves as soon as it has asked.
    AtOnce,
    /// Leaves while it waits: at the door, in a queue, or for its first token.
    Waiting,
    /// Leaves behind some tokens, while others come.
    Flowing { tokens: usize },
    /// Leaves behind some tokens, and no other would ever come.
    Silent { tokens: usize },
}

impl Plan {
    fn random(rng: &mut Rng) -> Self {
        let tokens = rng.usize(1..TOKENS / 2);
        match rng.u8(..12) {
            0 => Self::InQuestion,
            1 => Self::AtOnce,
            2 | 3 => Self::Waiting,
            4 => Self::Flowing { tokens },
            5 => Self::Silent { tokens },
            even if even % 2 == 0 => Self::Stay { path: "/ask" },
            _ => Self::Stay { path: "/ask.json" },
        }
    }

    /// Whether it comes once the others are inside.
    const fn comes_late(self) -> bool {
        matches!(self, Self::InQuestion | Self::AtOnce)
    }
}

/// A client with its number and the way in which it leaves, if it does.
#[derive(Debug, Clone, Copy)]
struct Visitor {
    number: usize,
    plan: Plan,
    how: Leaving,
}

/// The tokens of a client's answer, which no other has.
fn answer(number: usize) -> Vec<String> {
    (0..TOKENS).map(|token| format!("{number}:{token}{}", if token + 1 < TOKENS { " " } else { "" })).collect()
}

/// A slow answer to "number silence", that falls silent behind `silence` tokens.
fn script(request: &InferenceRequest) -> Script {
    let question = request.question();
    let (number, silence) = question.split_once(' ').expect("two numbers");
    let silence = silence.parse().expect("a number");
    let tokens = answer(number.parse().expect("a number"));
    let slow = |script: Script, token: &String| script.delay(std::time::Duration::from_millis(1)).text(token);
    let said = tokens.iter().take(silence).fold(Script::new().streaming(), slow);
    if silence < TOKENS { said.hang() } else { said.finish() }
}

impl Visitor {
    /// Asks, reads, stays or leaves; returns the line where that stays as it was.
    async fn visit(self, address: std::net::SocketAddr, mut go: watch::Receiver<bool>) -> Option<Client> {
        let Self { number, plan, how } = self;
        let silence = if let Plan::Silent { tokens } = plan { tokens + 1 } else { TOKENS };
        let path = if let Plan::Stay { path } = plan { path } else { "/ask" };
        let bytes = request(path, &json!({ "question": format!("{number} {silence}") }));
        let mut client = Client::connect(address).await;
        if let Plan::InQuestion = plan {
            client.send(&bytes[..bytes.len() / 2 + number % 50]).await;
            return client.leave(how).await;
        }
        client.send(&bytes).await;
        match plan {
            Plan::AtOnce | Plan::InQuestion => return client.leave(how).await,
            Plan::Waiting => {
                go.wait_for(|go| *go).await.expect("the test waits for us");
                return client.leave(how).await;
            }
            Plan::Flowing { tokens } | Plan::Silent { tokens } => {
                assert_eq!(client.head().await.status, 200);
                for _ in 0..tokens {
                    assert_eq!(client.event().await.expect("a token").name, "token");
                }
                return client.leave(how).await;
            }
            Plan::Stay { path: "/ask" } => {
                assert_eq!(client.head().await.status, 200);
                let events = client.events().await;
                let (done, tokens) = events.split_last().expect("some");
                assert_eq!((&*done.name, &done.data["finish_reason"]), ("done", &json!("stop")), "{self:?}");
                assert_eq!(done.data["usage"]["completion_tokens"], TOKENS);
                let said: Vec<_> = tokens.iter().filter_map(|token| token.data["text"].as_str()).collect();
                assert_eq!(said.concat(), answer(number).concat(), "{self:?}");
            }
            Plan::Stay { .. } => {
                let (head, reply) = client.reply().await;
                assert_eq!((head.status, &reply["text"]), (200, &json!(answer(number).concat())), "{self:?}");
            }
        }
        None
    }
}

/// Sends the crowd; `service` starts with the worker held.
async fn crowd(service: &Service, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let visitors: Vec<_> = (0..CLIENTS)
        .map(|number| Visitor { number, plan: Plan::random(&mut rng), how: *rng.choice(&Leaving::ALL).expect("some") })
        .collect();
    let count = |is: fn(&Plan) -> bool| visitors.iter().filter(|visitor| is(&visitor.plan)).count() as u64;
    let early = count(|plan| !plan.comes_late());
    let waiting = count(|plan| matches!(plan, Plan::Waiting));
    let silent = count(|plan| matches!(plan, Plan::Silent { .. }));
    let staying = count(|plan| matches!(plan, Plan::Stay { .. }));
    // More than the worker holds, so that some of them leave before it was asked.
    assert!(waiting > SLOTS as u64 && silent > 5 && staying > 60, "a crowd of all sorts");

    service.worker.set_open(false);
    let (go, gone) = watch::channel(false);
    let mut visits = JoinSet::new();
    let mut send = |late: bool| {
        for visitor in visitors.iter().filter(|visitor| visitor.plan.comes_late() == late) {
            visits.spawn(visitor.visit(service.address, gone.clone()));
        }
    };
    let stats = || service.assistant.stats();
    send(false);
    until("all who stay for a while have asked", || stats().submitted == early).await;
    let slots = service.worker.slots().expect("some");
    until("there are fewer slots than clients", || slots.free() == 0).await;
    // Nothing flows yet: those who wait now are missed without a byte having been written to them.
    send(true);
    go.send_replace(true);
    until("those who waited are gone", || stats().cancelled + stats().withdrawn >= waiting).await;
    let (head, _) = Client::get(service.address, "/products/1").await.reply().await;
    assert_eq!(head.status, 200, "the service's other routes are open");
    service.worker.set_open(true);

    let lines = soon(visits.join_all()).await;
    service.until_nothing_is_left().await;
    drop(lines);

    let stats = service.assistant.stats();
    assert_eq!((stats.refused, stats.failed, stats.shed), (0, 0, 0), "nobody else is disturbed: {stats:#?}");
    assert!(stats.answered >= staying, "{stats:#?}");
    assert!(stats.cancelled + stats.withdrawn >= waiting + silent, "{stats:#?}");
    let mock = service.worker.mock.stats();
    assert!(mock.most_live <= SLOTS, "{mock:?}");
    assert!(mock.cancelled >= silent, "{mock:?}");
}

/// The example's own pipeline, with room at its door for everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_come_and_go() {
    for seed in 1..=3 {
        let service = Service::start(Held::open(SLOTS, script), CLIENTS).await;
        crowd(&service, seed).await;
        assert_eq!(service.assistant.stats().withdrawn, 0, "nobody waits for admission");
        service.stop().await;
    }
}

/// A pipeline whose door lets requests wait: those who leave there are withdrawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_wait_at_the_door_and_go() {
    for seed in 1..=3 {
        let worker = Held::open(SLOTS, script);
        let door = StageConfig::new().depth(4).shed(ShedPolicy::Backpressure);
        let assistant = Pipeline::builder("patient")
            .stage_with(InferenceStage::new(worker.clone()), door)
            .stage(StreamStage::default())
            .build();
        let service = Service::with(assistant.expect("builds"), worker).await;
        crowd(&service, seed).await;
        assert!(service.assistant.stats().withdrawn > 0, "some left at the door");
        service.stop().await;
    }
}
