//! What compiles and what does not: misuse of the builder is a compile error with a message that says what is wrong, and
//! the public futures are `Send + 'static` where that is promised.
//!
//! The messages in `tests/ui/*.stderr` were made with rustc 1.95; another compiler may word the rest of a message
//! differently. `TRYBUILD=overwrite cargo test --test compile` writes them anew: look at the difference.

use std::error::Error as StdError;
use std::future::Future;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::Stream;
use prompt_orchestrator::answer::{Report, Tokens};
use prompt_orchestrator::context::{OffloadError, Permit, SessionStateError};
use prompt_orchestrator::error::{Fault, InvalidInput};
use prompt_orchestrator::pipeline::{Builder, DrainReport};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::shards::ShardsBuilder;
use prompt_orchestrator::stats::PipelineStats;
use prompt_orchestrator::token::Emitter;
use prompt_orchestrator::worker::Slot;

#[test]
fn misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

fn future<F: Future + Send + 'static>(_: &F) {}
fn send<F: Future + Send>(_: &F) {}
fn send_type<T: Send + 'static>() {}
fn shared<T: Send + Sync + ?Sized + 'static>() {}
fn handle<T: Clone + Send + Sync + Unpin + 'static>() {}
fn error<T: StdError + Clone + Send + Sync + 'static>() {}
fn stream<T: Stream + Send + Unpin + 'static>() {}

/// An output that is `Send` and not `Sync`, which is all that is asked of it.
type Lonely = std::cell::Cell<u64>;

#[test]
fn types_cross_threads() {
    handle::<Pipeline<PromptRequest, Tokens>>();
    handle::<Pipeline<String, Lonely>>();
    handle::<Shards<PromptRequest, Tokens>>();
    handle::<Shards<String, Lonely>>();
    handle::<ShardsBuilder>();
    handle::<Context>();
    handle::<Slots>();
    shared::<Slot>();
    shared::<Permit>();
    shared::<InferenceStage>();
    shared::<StreamStage>();
    shared::<InferenceRequest>();
    shared::<PipelineStats>();
    shared::<DrainReport>();
    shared::<Report>();
    // Not `Sync`-bound: whoever owns one may take it to another thread.
    send_type::<Answer<Lonely>>();
    send_type::<Tokens>();
    send_type::<Emitter>();
    send_type::<Builder<String, Lonely>>();
    stream::<Answer<Tokens>>();
    stream::<TokenStream>();
    error::<Error>();
    error::<WorkerError>();
    error::<BuildError>();
    error::<InvalidInput>();
    error::<OffloadError>();
    error::<SessionStateError>();
    shared::<Fault>();
    shared::<BoxError>();
    shared::<dyn ModelWorker>();
}

#[test]
fn futures_can_be_spawned() {
    let pipeline: Pipeline<String, Lonely> = Pipeline::builder("lonely")
        .then("length", |_cx, text: String| async move { Ok::<_, BoxError>(Lonely::new(text.len() as u64)) })
        .build()
        .expect("builds");
    let mine = pipeline.clone();
    future(&async move {
        let mut answer = mine.submit(String::new()).await?;
        let output = answer.output().await?;
        mine.drain(Duration::ZERO).await;
        Ok::<_, Error>(output.get())
    });
    let mine = pipeline.clone();
    future(&async move { mine.submit_with(String::new(), RequestOptions::new()).await.map(Answer::detach) });
    // Where they borrow, they still are `Send`.
    send(&pipeline.submit(String::new()));
    send(&pipeline.submit_with(String::new(), RequestOptions::new()));
    send(&pipeline.drain(Duration::ZERO));
}

#[test]
fn futures_of_shards_can_be_spawned() {
    fn with(shards: &Shards<String, Lonely>) {
        send(&shards.submit(String::new()));
        send(&shards.submit_with(String::new(), RequestOptions::new()));
        send(&shards.drain(Duration::ZERO));
        let mine = shards.clone();
        let task = shards.spawn_on("anna", async move {
            let output = mine.submit(String::new()).await?.output().await?;
            Ok::<_, Error>(output.get())
        });
        future(&task);
    }
    let _: fn(&Shards<String, Lonely>) = with;
}

#[test]
fn futures_of_a_token_answer_can_be_spawned() {
    fn with(mut answer: Answer<Tokens>, mut stream: TokenStream) {
        send(&answer.output());
        send(&answer.next());
        send(&answer.text());
        send(&stream.next());
        future(&async move {
            while answer.next().await.is_some() {}
            while stream.next().await.is_some() {}
            answer.text().await
        });
    }
    let _: fn(Answer<Tokens>, TokenStream) = with;
}

struct Nowhere;

impl Retriever for Nowhere {
    type Error = std::convert::Infallible;

    async fn retrieve(&self, _query: &Query) -> Result<Vec<Passage>, Self::Error> {
        Ok(Vec::new())
    }
}

#[test]
fn futures_of_a_context_worker_or_stage_can_be_spawned() {
    let cx = Context::standalone(RequestOptions::new());
    // They own what they need, so that they need not be awaited where they are made.
    future(&cx.offload(|| Lonely::new(1)));
    future(&cx.offload_blocking(|| Lonely::new(1)));
    fn call<R: Retriever>(worker: &dyn ModelWorker, slots: &Slots, retriever: &R, cx: &Context) {
        send(&worker.infer(InferenceRequest::new(PromptRequest::new("?"), cx.clone())));
        send(&worker.health());
        send(&slots.acquire());
        send(&retriever.retrieve(&Query::new("?", NonZeroUsize::MIN)));
    }
    let _: fn(&dyn ModelWorker, &Slots, &Nowhere, &Context) = call;
    fn run<In: Send + 'static, S: Stage<In>>(stage: &S, cx: &Context, input: In) {
        send(&stage.run(cx, input));
    }
    let _: fn(&StreamStage, &Context, TokenStream) = run;
}
