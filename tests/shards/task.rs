//! Requests that bring their own code, and shards that run it.

use std::future::Future;
use std::pin::Pin;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::shards::ShardsBuilder;

use crate::common::Gate;

type Running = Pin<Box<dyn Future<Output = Result<u64, BoxError>> + Send>>;

/// A request that is what it does.
pub(crate) struct Task {
    pub(crate) run: Box<dyn FnOnce(Context) -> Running + Send>,
    options: RequestOptions,
}

impl Input for Task {
    fn take_options(&mut self) -> RequestOptions {
        std::mem::take(&mut self.options)
    }
}

/// A request that runs `code` in a stage.
pub(crate) fn task<F>(code: impl FnOnce(Context) -> F + Send + 'static) -> Task
where
    F: Future<Output = Result<u64, BoxError>> + Send + 'static,
{
    Task { run: Box::new(|cx| Box::pin(code(cx))), options: RequestOptions::new() }
}

/// A request that tells the shard whose thread runs it.
pub(crate) fn whereabouts() -> Task {
    task(async |_cx| Ok(here()?))
}

/// A request that waits at the gate and looks at nothing.
pub(crate) fn waiting(gate: &Gate) -> Task {
    let gate = gate.clone();
    task(async move |_cx| {
        gate.pass().await;
        Ok(0)
    })
}

impl Task {
    pub(crate) fn of(mut self, session: &str) -> Self {
        self.options = self.options.session(session);
        self
    }

    pub(crate) fn by(mut self, tenant: &str) -> Self {
        self.options = self.options.tenant(tenant);
        self
    }
}

/// The number in the name of the thread, where it is a shard's.
pub(crate) fn here() -> Result<u64, BoxError> {
    let thread = std::thread::current();
    let number = thread.name().and_then(|name| name.strip_prefix("shard-")).ok_or("not on a shard")?;
    Ok(number.parse()?)
}

/// Starts shards of one stage that runs [`Task`]s.
pub(crate) fn running(shards: ShardsBuilder) -> Shards<Task, u64> {
    shards
        .build(|_| Pipeline::builder("tasks").then("run", |cx: Context, task: Task| (task.run)(cx)).build())
        .expect("the plan is sound")
}

/// A session at home on a shard.
pub(crate) fn session_on<In: Input, Out: Send + 'static>(shards: &Shards<In, Out>, shard: usize) -> String {
    (0..).map(|n| format!("session-{n}")).find(|session| shards.shard_of(session) == shard).expect("there are enough")
}

/// Submits and waits.
pub(crate) async fn ask(shards: &Shards<Task, u64>, task: Task) -> Result<u64, Error> {
    shards.submit(task).await?.output().await
}
