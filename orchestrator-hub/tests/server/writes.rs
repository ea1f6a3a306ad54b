//! How answers leave.

use hub_rig::{CHAT, Raw, Rig, chat, post};
use orchestrator_config::file::Limits;
use orchestrator_core::testing::{MockWorker, Script};

/// The chunks of a body, without that which ends it.
fn chunks(response: &str) -> Vec<&str> {
    let (_, mut rest) = response.split_once("\r\n\r\n").expect("a head");
    let mut chunks = Vec::new();
    while let Some((size, behind)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a size");
        if size == 0 {
            break;
        }
        chunks.push(&behind[..size]);
        rest = &behind[size + 2..];
    }
    chunks
}

#[tokio::test]
async fn events_that_are_ready_leave_in_one_write() {
    let script = (0..20).fold(Script::new(), |script, _| script.text("word ")).finish();
    let rig = Rig::of(MockWorker::new(script), Limits::default()).await;
    let mut client = Raw::connect(rig.address).await;
    client.send(post(CHAT, &chat(true)).replacen("host:", "connection: close\r\nhost:", 1)).await;
    let response = client.rest().await;
    let chunks = chunks(&response);
    assert_eq!(chunks.len(), 1, "{chunks:#?}");
    assert_eq!(chunks[0].matches("word ").count(), 20);
    assert!(chunks[0].ends_with("data: [DONE]\n\n"));
    rig.end().await;
}
