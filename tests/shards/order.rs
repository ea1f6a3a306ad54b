use std::collections::HashMap;

use prompt_orchestrator::prelude::*;

use crate::TestResult;

const SESSIONS: usize = 8;
const REQUESTS: u64 = 1_000;

/// Takes a different number of turns for each request.
async fn dawdle(_cx: Context, number: u64) -> Result<u64, BoxError> {
    for _ in 0..number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 {
        tokio::task::yield_now().await;
    }
    Ok(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_a_session_come_out_in_the_order_in_which_they_were_submitted() -> TestResult {
    let (sender, mut ended) = tokio::sync::mpsc::channel(SESSIONS * REQUESTS as usize);
    let shards = Shards::of(3).build(move |_| {
        let sender = sender.clone();
        Pipeline::builder("ordered")
            .then_with("queued", StageConfig::new().queued().ordered(), dawdle)
            .then_with("spawned", StageConfig::new().spawned().ordered(), dawdle)
            .then("end", move |cx: Context, number: u64| {
                let sender = sender.clone();
                async move {
                    let session = cx.session().ok_or("no session")?.to_owned();
                    sender.try_send((session, number))?;
                    Ok::<_, BoxError>(number)
                }
            })
            .build()
    })?;
    // Half of the callers live with their session, half of them elsewhere.
    let callers: Vec<_> = (0..SESSIONS)
        .map(|n| {
            let (mine, session) = (shards.clone(), format!("session-{n}"));
            let caller = async move {
                let mut answers = Vec::new();
                for number in 0..REQUESTS {
                    let options = RequestOptions::new().session(session.as_str());
                    answers.push(mine.submit_with(number, options).await?);
                }
                for mut answer in answers {
                    answer.output().await?;
                }
                Ok::<_, Error>(())
            };
            if n % 2 == 0 { shards.spawn_on(format!("session-{n}"), caller) } else { tokio::spawn(caller) }
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    let mut next: HashMap<String, u64> = HashMap::new();
    while let Ok((session, number)) = ended.try_recv() {
        let expected = next.entry(session).or_default();
        assert_eq!(number, *expected);
        *expected += 1;
    }
    assert_eq!(next.len(), SESSIONS);
    assert!(next.values().all(|count| *count == REQUESTS), "{next:?}");
    Ok(())
}
