//! Clients that do not read what they are sent.

use orchestrator_config::file::Limits;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::worker::Slots;

use crate::raw::{Raw, post};
use crate::rig::{CHAT, Rig, ask, chat, count, json_of, millis, until};

/// More than the system takes of a connection that is not read.
pub(crate) fn endless() -> Script {
    let word = "word ".repeat(1_000);
    let script = (0..2_000).fold(Script::new().streaming(), |script, _| script.text(&word));
    script.finish()
}

#[tokio::test]
async fn who_reads_nothing_loses_its_slot_and_others_are_answered() {
    const SLOTS: usize = 4;
    let worker =
        MockWorker::with(
            |request| {
                if request.sampling.max_tokens.is_some() { endless() } else { Script::answering("to be") }
            },
        );
    let worker = worker.slots(Slots::new(count(SLOTS)));
    let rig = Rig::of(worker.clone(), Limits { reader_stall: millis(700), ..Limits::default() }).await;
    let mut stalled = Vec::new();
    for _ in 0..SLOTS {
        let mut one = Raw::narrow(rig.address).await;
        one.send(post(CHAT, &chat(true).replace("\"stream\"", "\"max_tokens\":9,\"stream\""))).await;
        stalled.push(one);
    }
    until("all slots are taken", || worker.stats().live == SLOTS).await;
    let client = reqwest::Client::new();
    for _ in 0..2 * SLOTS {
        let answered = json_of(ask(&client, &rig, false).await.expect("an answer")).await;
        assert_eq!(answered["choices"][0]["message"]["content"], "to be");
    }
    until("nothing is left of the others", || rig.in_flight() == 0 && worker.stats().live == 0).await;
    assert_eq!(worker.stats().cancelled, SLOTS as u64);
    for one in &mut stalled {
        let got = one.rest().await;
        assert!(!got.contains("[DONE]") && !got.contains("\"finish_reason\":\"stop\""), "a cut answer looks whole");
    }
}
