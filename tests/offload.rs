//! What offloaded work promises when its request ends first. One test of rayon's pool, which is the whole process's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use prompt_orchestrator::prelude::*;

#[path = "common/mod.rs"]
mod common;

use common::{Ask, Gate, TestResult, ask, one_gated, poll_once, settle, soon, until_on_threads};

/// A door that jobs on rayon's threads block at.
#[derive(Default)]
struct Block {
    started: AtomicUsize,
    dropped: AtomicUsize,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Block {
    fn pass(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().expect("not poisoned");
        while !*open {
            open = self.opened.wait(open).expect("not poisoned");
        }
    }

    fn open(&self) {
        *self.open.lock().expect("not poisoned") = true;
        self.opened.notify_all();
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }
}

/// What a job has taken with it; counted when the job is over, or is given up.
struct Luggage(Arc<Block>);

impl Drop for Luggage {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_job_outlives_its_request_with_its_cpu_permit_and_nobody_waits_for_it() -> TestResult {
    // Four for each thread of rayon's global pool.
    let threads = rayon::current_num_threads();
    let permits = 4 * threads;
    let block = Arc::new(Block::default());
    let jobs = block.clone();
    let pipeline = Pipeline::builder("offload")
        .then_with("work", StageConfig::new().concurrency(permits), move |cx, ask: Ask| {
            let luggage = Luggage(jobs.clone());
            async move {
                if ask.number > 0 {
                    cx.offload(move || luggage.0.pass()).await?;
                }
                Ok::<_, BoxError>(ask)
            }
        })
        .build()?;

    let mut answers = Vec::new();
    for number in 1..=permits as u64 {
        answers.push(pipeline.submit(ask(number)).await?);
    }
    settle().await;
    until_on_threads("every thread has a job", || block.started() == threads);
    drop(answers);

    // No permit of the stage is held any more, although the jobs go on.
    let mut free = pipeline.submit(ask(0)).await?;
    soon(free.output()).await?;
    assert_eq!(pipeline.stats().cancelled, permits as u64);
    assert_eq!(block.dropped(), 1, "only the luggage of that one: the jobs are with rayon");

    // Their CPU permits are: a further job waits for one here, where its end drops it at once.
    let late = pipeline.submit(ask(1)).await?;
    settle().await;
    assert_eq!(block.dropped(), 1);
    drop(late);
    settle().await;
    assert_eq!(block.dropped(), 2, "it was handed to rayon beyond the permits");

    block.open();
    until_on_threads("the jobs are over", || block.dropped() == permits + 2);
    assert_eq!(block.started(), threads, "a job was started for a request that had ended");
    let mut next = pipeline.submit(ask(1)).await?;
    soon(next.output()).await?;
    given_up_behind_others(threads, &pipeline).await
}

/// Of two jobs that are with rayon and have not started, one loses its caller, the other one its request.
async fn given_up_behind_others(threads: usize, pipeline: &Pipeline<Ask, Ask>) -> TestResult {
    let block = Arc::new(Block::default());
    let job = || {
        let luggage = Luggage(block.clone());
        move || luggage.0.pass()
    };
    let standalone = Context::standalone(RequestOptions::new());
    let busy: Vec<_> = (0..threads).map(|_| tokio::spawn(standalone.offload(job()))).collect();
    settle().await;
    until_on_threads("every thread has a job", || block.started() == threads);

    let mut left = Box::pin(standalone.offload(job()));
    assert!(poll_once(&mut left).await.is_none());
    drop(left);
    // Its own job is one that has to wait, too.
    let mut answer = pipeline.submit(ask(1)).await?;
    let mut ended = Box::pin(answer.context().offload(job()));
    assert!(poll_once(&mut ended).await.is_none());
    answer.cancel();
    block.open();
    assert!(soon(ended).await.is_err(), "its request has ended");
    for job in busy {
        job.await??;
    }
    until_on_threads("the jobs are over", || block.dropped() == threads + 2);
    assert_eq!(block.started(), threads, "a job was started that nobody wanted");
    Ok(())
}

/// Tokio's blocking pool belongs to a runtime, so this one can have its own test.
#[test]
fn a_blocking_job_that_has_not_started_is_given_up() -> TestResult {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(1).build()?;
    let block = Arc::new(Block::default());
    let job = || {
        let luggage = Luggage(block.clone());
        move || luggage.0.pass()
    };
    runtime.block_on(async {
        let standalone = Context::standalone(RequestOptions::new());
        let busy = tokio::spawn(standalone.offload_blocking(job()));
        until_on_threads("the thread has a job", || block.started() == 1);
        let mut left = Box::pin(standalone.offload_blocking(job()));
        assert!(poll_once(&mut left).await.is_none());
        drop(left);
        let gate = Gate::shut();
        let pipeline = one_gated(StageConfig::new(), &gate)?;
        let mut answer = pipeline.submit(ask(0)).await?;
        let mut ended = Box::pin(answer.context().offload_blocking(job()));
        assert!(poll_once(&mut ended).await.is_none());
        answer.cancel();
        block.open();
        assert!(ended.await.is_err(), "its request has ended");
        busy.await??;
        until_on_threads("the jobs are over", || block.dropped() == 3);
        assert_eq!(block.started(), 1, "a job was started that nobody wanted");
        Ok(())
    })
}
