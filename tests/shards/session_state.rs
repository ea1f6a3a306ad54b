use std::cell::RefCell;
use std::rc::Rc;

use prompt_orchestrator::context::{SessionStateError, SessionStateErrorKind as Kind};
use prompt_orchestrator::prelude::*;

use crate::TestResult;
use crate::task::{Task, ask, running, session_on, task};

/// Not `Send`: it never leaves its thread.
#[derive(Default)]
struct Turns(Rc<RefCell<u64>>);

fn count(cx: &Context) -> Result<u64, SessionStateError> {
    cx.session_state(|turns: &mut Turns| {
        *turns.0.borrow_mut() += 1;
        *turns.0.borrow()
    })
}

fn counting() -> Task {
    task(async |cx: Context| Ok(count(&cx)?))
}

fn keeping() -> Shards<Task, u64> {
    running(Shards::of(2).session_state(SessionState::new()))
}

/// The kind of the error that a request's call of `session_state` fails with.
async fn refused(shards: &Shards<Task, u64>, request: Task) -> Result<Kind, BoxError> {
    let error = ask(shards, request).await.expect_err("there is no state for it");
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<SessionStateError>());
    Ok(source.ok_or("another error")?.kind())
}

#[tokio::test]
async fn a_session_finds_what_it_left() -> TestResult {
    let shards = keeping();
    for turn in 1..=3 {
        for session in ["anna", "bela", "cora", "dora"] {
            assert_eq!(ask(&shards, counting().of(session)).await?, turn);
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_tenant_and_each_type_has_its_own() -> TestResult {
    let shards = keeping();
    assert_eq!(ask(&shards, counting().of("anna")).await?, 1);
    assert_eq!(ask(&shards, counting().of("anna").by("acme")).await?, 1);
    assert_eq!(ask(&shards, counting().of("anna").by("other")).await?, 1);
    assert_eq!(ask(&shards, counting().of("anna").by("acme")).await?, 2);
    let another_type = task(async |cx: Context| {
        let untouched = cx.session_state(|number: &mut u64| *number)?;
        Ok(untouched + count(&cx)?)
    });
    assert_eq!(ask(&shards, another_type.of("anna")).await?, 2);
    Ok(())
}

#[tokio::test]
async fn who_has_no_state_is_told_why() -> TestResult {
    let shards = keeping();
    assert_eq!(refused(&shards, counting()).await?, Kind::NoSession);
    let offloaded = task(async |cx: Context| {
        let inner = cx.clone();
        Ok(cx.offload(move || count(&inner)).await??)
    });
    assert_eq!(refused(&shards, offloaded.of("anna")).await?, Kind::NotOnShard);
    let stateless = running(Shards::of(1));
    assert_eq!(refused(&stateless, counting().of("anna")).await?, Kind::NotOnShard);
    let elsewhere = Context::standalone(RequestOptions::new().session("anna"));
    assert_eq!(count(&elsewhere).expect_err("not on a shard").kind(), Kind::NotOnShard);
    Ok(())
}

/// A context of a request of the session, which has ended.
async fn context_of(shards: &Shards<Task, u64>, session: &str) -> Result<Context, BoxError> {
    let mut answer = shards.submit(counting().of(session)).await?;
    answer.output().await?;
    Ok(answer.context())
}

#[tokio::test]
async fn a_state_is_that_of_the_requests_own_shard_and_of_no_other() -> TestResult {
    let (shards, others) = (keeping(), keeping());
    let (home, elsewhere) = (session_on(&shards, 0), session_on(&shards, 1));
    let cx = context_of(&shards, &home).await?;
    let counted = |shards: &Shards<Task, u64>, at: &str| {
        let cx = cx.clone();
        shards.spawn_on(at, async move { count(&cx).map_err(|error| error.kind()) })
    };
    assert_eq!(counted(&shards, &home).await?, Ok(2));
    assert_eq!(counted(&shards, &elsewhere).await?, Err(Kind::NotOnShard));
    assert_eq!(counted(&others, &home).await?, Err(Kind::NotOnShard));
    Ok(())
}

#[tokio::test]
async fn a_plain_pipeline_on_a_shards_thread_has_no_state() -> TestResult {
    let shards = keeping();
    let within = task(async |cx: Context| {
        let plain = Pipeline::builder("plain").then("run", |cx: Context, task: Task| (task.run)(cx)).build()?;
        let session = cx.session().ok_or("no session")?;
        let error = plain.submit(counting().of(session)).await?.output().await.expect_err("not on a shard");
        let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<SessionStateError>());
        assert_eq!(source.ok_or("another error")?.kind(), Kind::NotOnShard);
        Ok(count(&cx)?)
    });
    assert_eq!(ask(&shards, within.of("anna")).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_state_is_not_lent_twice_and_others_are_lent_meanwhile() -> TestResult {
    let shards = keeping();
    let nested = task(async |cx: Context| {
        let again = cx.session_state(|_: &mut Turns| (count(&cx), cx.session_state(|other: &mut u64| *other)))?;
        assert_eq!(again.1?, 0);
        Ok(again.0?)
    });
    assert_eq!(refused(&shards, nested.of("anna")).await?, Kind::InUse);
    // Given back all the same.
    assert_eq!(ask(&shards, counting().of("anna")).await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_panic_forgets_the_state_that_it_had_and_no_other() -> TestResult {
    let shards = keeping();
    assert_eq!(ask(&shards, counting().of("anna")).await?, 1);
    assert_eq!(ask(&shards, counting().of("bela")).await?, 1);
    let add = || task(async |cx: Context| Ok(cx.session_state(|n: &mut u64| std::mem::replace(n, 9))?));
    assert_eq!(ask(&shards, add().of("anna")).await?, 0);
    let panics = task(async |cx: Context| Ok(cx.session_state(|_: &mut Turns| -> u64 { panic!("in the closure") })?));
    let error = ask(&shards, panics.of("anna")).await.expect_err("it goes on");
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(ask(&shards, counting().of("anna")).await?, 1);
    assert_eq!(ask(&shards, add().of("anna")).await?, 9);
    assert_eq!(ask(&shards, counting().of("bela")).await?, 2);
    Ok(())
}

#[derive(Default)]
struct Stubborn;

impl Drop for Stubborn {
    fn drop(&mut self) {
        panic!("a destructor that panics");
    }
}

#[tokio::test]
async fn a_state_whose_destructor_panics_does_not_take_the_shard_along() -> TestResult {
    let shards = running(Shards::of(1).session_state(SessionState::new().most(1)));
    let stubborn = || task(async |cx: Context| Ok(cx.session_state(|_: &mut Stubborn| 7)?));
    for session in ["anna", "bela", "cora"] {
        assert_eq!(ask(&shards, stubborn().of(session)).await?, 7);
    }
    // The last one goes with the thread.
    let report = shards.drain(std::time::Duration::from_secs(60)).await;
    assert_eq!(report.cancelled, 0);
    Ok(())
}

/// Tells with the end of its thread what became of the state of its session.
struct Farewell {
    cx: Context,
    sender: std::sync::mpsc::SyncSender<Result<u64, Kind>>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        let told = self.sender.try_send(count(&self.cx).map_err(|error| error.kind()));
        assert!(told.is_ok(), "there is room for one");
    }
}

#[tokio::test]
async fn what_goes_down_with_its_shard_still_has_its_state() -> TestResult {
    let shards = keeping();
    let (sender, told) = std::sync::mpsc::sync_channel(1);
    assert_eq!(ask(&shards, counting().of("anna")).await?, 1);
    let (keep, kept) = tokio::sync::oneshot::channel();
    let hands_out = task(async |cx: Context| {
        drop(keep.send(cx));
        Ok(0)
    });
    ask(&shards, hands_out.of("anna")).await?;
    let farewell = Farewell { cx: kept.await?, sender };
    let stuck = shards.spawn_on("anna", async move {
        let _farewell = farewell;
        std::future::pending::<()>().await;
    });
    shards.drain(std::time::Duration::ZERO).await;
    assert!(stuck.await.expect_err("cancelled").is_cancelled());
    assert_eq!(told.recv()?, Ok(2));
    Ok(())
}
