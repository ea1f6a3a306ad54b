//! The longest that the lowest class waits, however much of the highest arrives.

use std::num::NonZeroUsize;
use std::time::Duration;

use prompt_orchestrator::prelude::*;
use tokio::task::JoinSet;
use tokio::time::Instant;

const SERVICE: Duration = Duration::from_millis(100);
const AGING: Duration = Duration::from_secs(2);
const SLOTS: usize = 4;
/// How often one of the high class comes: twice what can be served.
const EVERY: Duration = Duration::from_micros(12_500);
const LOW: u32 = 20;

/// Two steps from the lowest class to the highest, then those of the lowest class that were there before, by turns with as
/// many of the highest, and whatever has the slots in that moment.
fn bound() -> Duration {
    2 * AGING + SERVICE * (2 * LOW.div_ceil(SLOTS as u32) + 1) + Duration::from_millis(5)
}

type Served = Pipeline<&'static str, Instant>;

fn pipeline(policy: ShedPolicy, aging: Duration) -> Result<Served, BuildError> {
    let slots = Slots::new(NonZeroUsize::new(SLOTS).expect("not zero"));
    let config = StageConfig::new().depth(256).shed(policy).slots(slots).aging(aging).expected(SERVICE);
    let serve = |_cx, _input| async {
        let from = Instant::now();
        tokio::time::sleep(SERVICE).await;
        Ok::<_, BoxError>(from)
    };
    Pipeline::builder("aging").then_with("serve", config, serve).build()
}

/// Sends twice what can be served of the high class for as long as this is polled.
async fn flood(pipeline: Served) {
    let mut callers = JoinSet::new();
    let start = Instant::now();
    for number in 0.. {
        tokio::time::sleep_until(start + EVERY * number).await;
        let pipeline = pipeline.clone();
        callers.spawn(async move {
            let mut answer = pipeline.submit_with("high", RequestOptions::new().priority(Priority::High)).await?;
            answer.output().await
        });
        while callers.try_join_next().is_some() {}
    }
}

/// How long each request of the lowest class waited for its slot; they come when more than two seconds of work wait.
async fn low(pipeline: Served) -> Vec<Result<Duration, ErrorKind>> {
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut callers = JoinSet::new();
    for _ in 0..LOW {
        let pipeline = pipeline.clone();
        callers.spawn(async move {
            let came = Instant::now();
            let low = RequestOptions::new().priority(Priority::Low);
            let mut answer = pipeline.submit_with("low", low).await.map_err(|error| error.kind())?;
            assert_eq!(Instant::now(), came, "there is room in the queue");
            let served = answer.output().await.map_err(|error| error.kind())?;
            Ok(served.duration_since(came))
        });
    }
    callers.join_all().await
}

/// What becomes of the lowest class beside a flood of the highest; `None` where it is not served within a minute.
async fn beside_a_flood(pipeline: Served) -> Option<Vec<Result<Duration, ErrorKind>>> {
    tokio::select! {
        () = flood(pipeline.clone()) => unreachable!("it goes on for ever"),
        waits = low(pipeline) => Some(waits),
        () = tokio::time::sleep(Duration::from_secs(60)) => None,
    }
}

#[tokio::test(start_paused = true)]
async fn the_lowest_class_waits_no_longer_than_its_bound() -> Result<(), BuildError> {
    let waits = beside_a_flood(pipeline(ShedPolicy::Backpressure, AGING)?).await.expect("served");
    let mut waits: Vec<_> = waits.into_iter().map(|wait| wait.expect("nothing sheds")).collect();
    waits.sort_unstable();
    let (shortest, longest) = (waits[0], waits[waits.len() - 1]);
    assert!(longest <= bound(), "{longest:?} against {:?}", bound());
    assert!(shortest >= 2 * AGING, "the high class goes first until then: {shortest:?}");
    let by_age_alone = 2 * AGING + SERVICE * (LOW.div_ceil(SLOTS as u32) + 1);
    assert!(longest > by_age_alone, "the high class has every second turn even then: {longest:?}");
    Ok(())
}

/// Without aging it would wait for as long as the high class comes.
#[tokio::test(start_paused = true)]
async fn the_lowest_class_starves_where_it_does_not_age() -> Result<(), BuildError> {
    let waits = beside_a_flood(pipeline(ShedPolicy::Backpressure, Duration::from_secs(3600))?).await;
    assert!(waits.is_none(), "served after {waits:?}");
    Ok(())
}

/// The door lets those of the lowest class in that will be served in time because they age, and none where they don't.
#[tokio::test(start_paused = true)]
async fn the_predictive_door_counts_on_aging() -> Result<(), BuildError> {
    let aging = Duration::from_millis(500);
    let waits = beside_a_flood(pipeline(ShedPolicy::Predictive, aging)?).await.expect("served or refused");
    let served: Vec<_> = waits.iter().filter_map(|wait| wait.ok()).collect();
    assert!(served.len() >= LOW as usize / 2, "{waits:?}");
    assert!(served.iter().all(|wait| *wait <= Duration::from_millis(2_001)), "{waits:?}");
    let shed = waits.iter().filter(|wait| matches!(wait, Err(ErrorKind::Shed(_)))).count();
    assert!(shed <= 1, "who is let in is to be served: {waits:?}");

    let waits = beside_a_flood(pipeline(ShedPolicy::Predictive, Duration::from_secs(3600))?).await.expect("refused");
    let refused = waits.iter().filter(|wait| matches!(wait, Err(ErrorKind::Refused(_)))).count();
    // At most one finds room that the high class takes from it a moment later.
    assert!(refused + 1 >= waits.len() && waits.iter().all(Result::is_err), "{waits:?}");
    Ok(())
}
