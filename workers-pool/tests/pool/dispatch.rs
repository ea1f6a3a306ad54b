use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::worker::{ModelWorker, WorkerInfo};
use workers_pool::Member;
use workers_pool::policy::{Ordered, RoundRobin};

use crate::common::{Told, answers, fails, finish, member, pool, request, told, who};

#[tokio::test(start_paused = true)]
async fn the_policy_chooses_and_a_new_one_from_the_next_request_on() {
    let pool = pool([Member::new("a", answers("x")), Member::new("b", answers("x"))]);
    pool.set_policy(RoundRobin::new());
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns.push(who(&pool, request()).await.expect("answered"));
    }
    turns.sort();
    assert_eq!(turns, ["a", "a", "b", "b"]);
    pool.set_policy(Ordered::new());
    for _ in 0..3 {
        assert_eq!(who(&pool, request()).await.expect("answered"), "a");
    }
    assert_eq!(pool.stats().policy, "ordered");
}

#[tokio::test(start_paused = true)]
async fn the_model_that_is_asked_is_told_before_the_end_also_of_a_pool_in_a_pool() {
    let info = |model: &str| WorkerInfo::new("w").model(model);
    let inner = pool([Member::new("b", told(info("m-b")))]);
    let first = Told { worker: fails(WorkerErrorKind::Transient), info: info("m-a") };
    let pool = pool([Member::new("a", first), Member::new("inner", inner)]);
    pool.set_policy(Ordered::new());
    let request = request();
    let (cx, again) = (request.context.clone(), request.clone());
    assert_eq!(cx.asked_model(), None);
    pool.infer(request).await.map(drop).expect_err("a fails");
    assert_eq!(cx.asked_model().as_deref(), Some("m-a"));
    let _begun = pool.infer(again).await.expect("b answers");
    assert_eq!(cx.asked_model().as_deref(), Some("m-b"));
}

#[tokio::test(start_paused = true)]
async fn the_answer_names_its_member_and_what_failed_before() {
    let pool = pool([Member::new("a", fails(WorkerErrorKind::Transient)), Member::new("b", answers("x y"))]);
    pool.set_policy(Ordered::new());
    let request = request();
    let again = request.clone();
    let error = finish(&pool, request).await.expect_err("a fails");
    assert_eq!(error.kind(), WorkerErrorKind::Transient);
    let attempt = again.attempts.last().expect("noted");
    assert_eq!((attempt.worker.as_str(), attempt.elsewhere, attempt.begun), ("a", true, false));
    let origin = finish(&pool, again).await.expect("b answers").origin.expect("named");
    assert_eq!((origin.worker.as_str(), origin.failed.len()), ("b", 1));
    let (a, b) = (member(&pool, "a"), member(&pool, "b"));
    assert_eq!((a.calls, a.failures, a.last_error.as_deref()), (1, 1, Some("it fails")));
    assert_eq!((b.calls, b.failures, b.usage.completion_tokens, b.in_flight), (1, 0, 2, 0));
}
