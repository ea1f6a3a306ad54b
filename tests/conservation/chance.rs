//! What callers and stages do as chance has it, whatever the pipeline is made of.

use std::time::Duration;

use fastrand::Rng;
use prompt_orchestrator::prelude::*;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::books::Outcome;

/// A caller's way through the door.
pub(crate) async fn enter<In: Input, Out: Send + 'static>(
    pipeline: &Pipeline<In, Out>,
    input: In,
    rng: &mut Rng,
) -> Result<Answer<Out>, Outcome> {
    let entered = match rng.u8(0..10) {
        0 => pipeline.try_submit(input),
        1..4 => {
            let patience = rng.u32(0..6);
            tokio::select! {
                biased;
                entered = pipeline.submit(input) => entered,
                () = yields(patience) => return Err(Outcome::LeftAtDoor),
            }
        }
        _ => pipeline.submit(input).await,
    };
    match entered {
        Ok(answer) => Ok(answer),
        Err(error) => {
            assert!(error.is_refused(), "not let in, and not refused: {error:?}");
            Err(Outcome::of(&error))
        }
    }
}

pub(crate) async fn yields(count: u32) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// Sessions, priorities and deadlines, of which some are hopeless.
///
/// Each request has a session of its own, whose number is the seed of what stages and worker do with it.
pub(crate) fn options(rng: &mut Rng) -> RequestOptions {
    let session = rng.u64(..).to_string();
    let options = RequestOptions::new().session(session).priority(Priority::ALL[rng.usize(0..3)]);
    match rng.u8(0..10) {
        0 => options.within(Duration::from_micros(rng.u64(0..200))),
        1 => options.within(Duration::from_micros(rng.u64(200..5_000))),
        2 => options.within(Duration::from_secs(3600)),
        _ => options,
    }
}

/// Fails, panics, waits or goes on, as chance has it.
pub(crate) async fn trouble(rng: &mut Rng) -> Result<(), BoxError> {
    match rng.u8(0..60) {
        0 => return Err("expected".into()),
        1 => panic!("expected: in a stage"),
        2 => sleep(Duration::from_micros(rng.u64(0..500))).await,
        3..13 => yields(rng.u32(1..4)).await,
        _ => {}
    }
    Ok(())
}

/// Its own numbers for each request and stage.
pub(crate) fn chance(cx: &Context, stage: u64) -> Rng {
    let request: u64 = cx.session().and_then(|s| s.parse().ok()).expect("every request has a number for a session");
    Rng::with_seed(request.wrapping_mul(31).wrapping_add(stage))
}
