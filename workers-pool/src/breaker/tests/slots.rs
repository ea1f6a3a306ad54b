use std::num::NonZeroUsize;

use orchestrator_core::worker::{Attempt, Lease, Offer, SlotGroup, Slots};

use super::*;

fn two() -> Slots {
    Slots::new(NonZeroUsize::new(2).expect("not zero"))
}

/// Calls as the inference stage does: with what stands behind a slot of the worker.
async fn ask_with_slot(breaker: &impl ModelWorker) -> Result<(), WorkerError> {
    let slot = breaker.slots().expect("has slots").acquire().await;
    let mut request = request();
    request.lease = Lease::of(&slot);
    let mut stream = breaker.infer(request).await?;
    while let Some(event) = stream.next().await {
        event?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn slots_are_withheld_while_it_is_open_and_one_is_there_for_the_probe() {
    let slots = two();
    let scripts = [vec![failing(); 5], vec![Script::answering("back")]].concat();
    let breaker = Breaker::new(scripted(scripts).slots(slots.clone()));
    let offered = breaker.slots().expect("has slots");
    assert_eq!((offered.total(), offered.free()), (2, 2));
    open(&breaker, 5).await;
    assert_eq!((offered.total(), offered.free()), (0, 0));
    assert!(offered.try_acquire().is_none());
    tokio::time::sleep(seconds(1)).await;
    assert_eq!((offered.total(), offered.free()), (1, 1));
    ask_with_slot(&breaker).await.expect("the probe");
    assert_eq!((offered.total(), offered.free(), slots.free()), (2, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_wakes_for_the_probe_and_the_others_when_it_is_closed() {
    let back = Script::new().delay(seconds(5)).streaming().text("back").finish();
    let breaker = Arc::new(Breaker::new(scripted([vec![failing(); 5], vec![back]].concat()).slots(two())));
    open(&*breaker, 5).await;
    let started = tokio::time::Instant::now();
    let waiting = (0..3).map(|_| {
        let breaker = breaker.clone();
        tokio::spawn(async move {
            ask_with_slot(&*breaker).await.expect("answers");
            started.elapsed().as_secs()
        })
    });
    let ended = futures_util::future::join_all(waiting.collect::<Vec<_>>()).await;
    let mut ended: Vec<_> = ended.into_iter().map(|ended| ended.expect("runs")).collect();
    ended.sort_unstable();
    // The probe within a second and its five, then both of the others at once.
    assert!(ended == [5, 10, 10] || ended == [6, 11, 11], "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_by_hand_leaves_no_slot_for_another() {
    let back = Script::new().streaming().text("back").finish();
    let breaker = Breaker::new(scripted([vec![failing(); 5], vec![back]].concat()).slots(two()));
    open(&breaker, 5).await;
    tokio::time::sleep(seconds(1)).await;
    let probe = breaker.infer(request()).await.expect("begins");
    let offered = breaker.slots().expect("has slots");
    assert!(offered.try_acquire().is_none());
    drop(probe);
    assert!(offered.try_acquire().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_the_slot_that_its_call_came_with() {
    let slots = two();
    let breaker = Breaker::new(MockWorker::new(Script::answering("a b")).slots(slots.clone()));
    let mut request = request();
    let slot = breaker.slots().expect("has slots").acquire().await;
    request.lease = Lease::of(&slot);
    let stream = breaker.infer(request).await.expect("begins");
    drop(slot);
    assert_eq!(slots.free(), 1);
    drop(stream);
    assert_eq!(slots.free(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_waits_for_a_slot_of_its_own() {
    let slots = two();
    let worker = MockWorker::new(Script::answering("a b")).slots(slots.clone());
    let breaker = Breaker::new(worker.clone());
    let others = (slots.acquire().await, slots.acquire().await);
    let again = request();
    again.attempts.push(Attempt::new("mock", None, &error(WorkerErrorKind::Transient), seconds(1)));
    let mut call = breaker.infer(again);
    assert!(futures_util::poll!(&mut call).is_pending());
    assert_eq!(worker.stats().calls, 0);
    drop(others.0);
    let stream = call.await.expect("begins");
    assert_eq!(slots.free(), 0);
    drop(stream);
    assert_eq!(slots.free(), 1);
}

/// A worker around others, which is to be told which of their slots it has.
struct Around {
    member: Slots,
    group: SlotGroup,
}

#[async_trait]
impl ModelWorker for Around {
    async fn infer(&self, mut request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let slot = request.lease.take().expect("the slot of a member");
        assert!(slot.is_of(&self.member));
        Ok(MockWorker::new(Script::answering("a b")).infer(request).await?.keep(slot))
    }

    fn slots(&self) -> Option<Slots> {
        Some(self.group.slots())
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_a_slot_is_handed_on() {
    let around = Around { member: two(), group: SlotGroup::new() };
    around.group.offer([Offer::new(around.member.clone())]);
    let member = around.member.clone();
    let breaker = Breaker::new(Breaker::new(around));
    for _ in 0..3 {
        ask_with_slot(&breaker).await.expect("answers");
    }
    assert_eq!(member.free(), 2);
}

#[tokio::test(start_paused = true)]
async fn slots_are_withheld_while_it_rests() {
    let limited = error(WorkerErrorKind::RateLimited).with_retry_after(seconds(7));
    let breaker = Breaker::new(MockWorker::new(Script::new().fail(limited)).slots(two()));
    ask(&breaker).await.expect_err("limited");
    let offered = breaker.slots().expect("has slots");
    assert_eq!((offered.total(), offered.free()), (0, 0));
    tokio::time::sleep(seconds(7)).await;
    assert_eq!((offered.total(), offered.free()), (2, 2));
}

fn again() -> InferenceRequest {
    let again = request();
    again.attempts.push(Attempt::new("mock", None, &error(WorkerErrorKind::Transient), seconds(1)));
    again
}

#[tokio::test(start_paused = true)]
async fn a_second_attempt_that_waits_while_it_opens_is_refused() {
    let slots = two();
    let worker = MockWorker::new(failing()).slots(slots.clone());
    let breaker = Breaker::new(worker.clone());
    let others = (slots.acquire().await, slots.acquire().await);
    let mut call = breaker.infer(again());
    assert!(futures_util::poll!(&mut call).is_pending());
    open(&breaker, 5).await;
    drop(others.0);
    let refused = call.await.expect_err("it is open by now");
    assert_eq!((refused.kind(), worker.stats().calls, slots.free()), (WorkerErrorKind::Overloaded, 5, 1));
    let _all = slots.acquire().await;
    let mut late = breaker.infer(again());
    assert!(futures_util::poll!(&mut late).is_ready(), "who comes to an open one does not stand in line");
}

#[tokio::test(start_paused = true)]
async fn to_wait_for_a_slot_is_not_to_be_slow() {
    let slots = two();
    let config = BreakerConfig::new().slow_call(seconds(2)).least_calls(1);
    let breaker = Breaker::with(MockWorker::new(Script::answering("a b")).slots(slots.clone()), config);
    let others = (slots.acquire().await, slots.acquire().await);
    let mut call = breaker.infer(again());
    assert!(futures_util::poll!(&mut call).is_pending());
    tokio::time::sleep(seconds(3)).await;
    drop(others);
    let mut stream = call.await.expect("begins");
    stream.next().await.expect("an event").expect("of the answer");
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_still_answers_does_not_keep_the_next_one_out() {
    let long = Script::new().streaming().text("t").hang();
    let scripts = [vec![failing(); 5], vec![long], vec![failing(); 5], vec![Script::answering("back")]].concat();
    let breaker = Breaker::new(scripted(scripts).slots(two()));
    open(&breaker, 5).await;
    tokio::time::sleep(seconds(1)).await;
    let slot = breaker.slots().expect("has slots").acquire().await;
    let mut request = request();
    request.lease = Lease::of(&slot);
    let mut probe = breaker.infer(request).await.expect("the probe");
    probe.next().await.expect("an event").expect("of the answer");
    open(&breaker, 5).await;
    let next = tokio::time::timeout(seconds(2), ask_with_slot(&breaker)).await;
    next.expect("there is a slot for it").expect("answers");
}
