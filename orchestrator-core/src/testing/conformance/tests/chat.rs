use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::wire::Response;
use crate::error::{WorkerError, WorkerErrorKind as Kind};
use crate::testing::conformance::Target;
use crate::token::{Emitter, FinishReason, TokenEvent, TokenStream, Usage};
use crate::worker::{InferenceRequest, ModelWorker, Slots, WorkerInfo};

const THREE: NonZeroUsize = NonZeroUsize::new(3).expect("not zero");

/// What is wrong with a [`Chat`] worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    NoTerminal,
    TwoTerminals,
    NoUsage,
    Detached,
    DetachedCall,
    LeavesTask,
    KeyInError,
    KeyInSource,
    KeyInTrace,
    Queues,
    ManySlots,
    OwnSlots,
    AsksTwice,
    FromTheBeginning,
    KeyInEvent,
    KeyInBegun,
    Unbounded,
    WrongKinds,
    LooksWhole,
    NoPause,
}

/// A worker for chat completions, written down as far as the contract goes.
pub(super) struct Chat {
    target: Target,
    flaw: Flaw,
    slots: Slots,
    queue: Arc<Semaphore>,
}

impl Chat {
    pub(super) fn new(target: Target, flaw: Flaw, queue: Arc<Semaphore>) -> Self {
        if flaw == Flaw::LeavesTask {
            tokio::spawn(std::future::pending::<()>());
        }
        let slots = if flaw == Flaw::OwnSlots { slots() } else { Slots::of_server(&target.base_url, THREE) };
        Self { target, flaw, slots, queue }
    }

    async fn call(target: Target, flaw: Flaw, body: String) -> Result<TokenStream, WorkerError> {
        let address = target.base_url.trim_start_matches("http://");
        if flaw == Flaw::KeyInTrace {
            tracing::debug!(headers = ?[("authorization", &target.key)], "asking");
        }
        let response = Response::ask(address, &target.key, &body).await?;
        let second = match flaw {
            Flaw::AsksTwice => Some(Response::ask(address, &target.key, &body).await?),
            _ => None,
        };
        if response.status != 200 {
            return Err(refused(response, &target.key, flaw).await);
        }
        if response.header("content-type") != Some("text/event-stream") {
            return Err(WorkerError::new(Kind::Protocol, "that is no event stream"));
        }
        let key = target.key;
        let work = async move |out: Emitter| {
            let _second = second;
            let read = read(response, out, flaw).await;
            read.map_err(|error| if flaw == Flaw::KeyInEvent { error.with_source(Quoting(key)) } else { error })
        };
        Ok(match flaw {
            Flaw::Unbounded => TokenStream::spawn(1 << 40, work),
            Flaw::Detached => detached(TokenStream::generate(work)),
            _ => TokenStream::generate(work),
        })
    }
}

#[async_trait]
impl ModelWorker for Chat {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        if self.flaw == Flaw::KeyInBegun && request.prefix.is_some() {
            return Err(WorkerError::new(Kind::InvalidRequest, "cannot").with_source(Quoting(self.target.key.clone())));
        }
        let mut body = json!({"stream": true, "messages": [{"role": "user", "content": request.question()}]});
        if let Some(prefix) = request.prefix.filter(|_| self.flaw != Flaw::FromTheBeginning) {
            body["prefix"] = prefix.text.into();
        }
        let _place = match self.flaw {
            Flaw::Queues => Some(self.queue.acquire().await),
            _ => None,
        };
        let call = Self::call(self.target.clone(), self.flaw, body.to_string());
        let call = self.target.timeouts.run(call);
        let answer = match self.flaw {
            Flaw::DetachedCall => {
                let task = tokio::spawn(Self::call(self.target.clone(), self.flaw, body.to_string()));
                self.target.timeouts.run(async { task.await.map_err(|_| WorkerError::stream_cut())? }).await
            }
            _ => call.await,
        };
        match (self.flaw, answer) {
            (Flaw::TwoTerminals, Ok(stream)) => Ok(with_second_end(stream)),
            (Flaw::WrongKinds, answer) => answer.map(always_transient).map_err(|error| transient(&error)),
            (_, answer) => answer,
        }
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new("chat").continues()
    }

    fn slots(&self) -> Option<Slots> {
        Some(if self.flaw == Flaw::ManySlots { slots() } else { self.slots.clone() })
    }
}

fn slots() -> Slots {
    Slots::new(THREE)
}

async fn refused(response: Response, key: &str, flaw: Flaw) -> WorkerError {
    let (status, pause) = (response.status, response.retry_after());
    let body = response.body().await;
    let kind = kind(status, &serde_json::from_str(&body).unwrap_or_default());
    let body = if flaw == Flaw::KeyInError { body } else { body.replace(key, "(key)") };
    let error = WorkerError::new(kind, format!("status {status}")).with_status(status).with_body(body);
    let error = match flaw {
        Flaw::KeyInSource => error.with_source(Quoting(key.to_owned())),
        _ => error,
    };
    match pause {
        Some(pause) if flaw != Flaw::NoPause => error.with_retry_after(pause),
        _ => error,
    }
}

fn kind(status: u16, body: &Value) -> Kind {
    match (status, body["error"]["code"].as_str().unwrap_or_default()) {
        (_, "context_length_exceeded") => Kind::ContextLength { prompt_tokens: None, limit: None },
        (_, "content_filter") => Kind::ContentFilter,
        (401 | 403, _) => Kind::Auth,
        (404, _) => Kind::NotFound,
        (429, _) => Kind::RateLimited,
        (503, _) => Kind::Overloaded,
        (500.., _) => Kind::Transient,
        _ => Kind::InvalidRequest,
    }
}

/// Hands on the events of a body.
async fn read(mut response: Response, mut out: Emitter, flaw: Flaw) -> Result<(), WorkerError> {
    let (mut text, mut reason, mut usage) = (BytesMut::new(), FinishReason::Stop, Usage::default());
    loop {
        let Some(event) = response.event(&mut text).await? else {
            if flaw == Flaw::LooksWhole {
                out.finish(reason, usage).await;
            }
            return Err(WorkerError::stream_cut());
        };
        if event.starts_with(b"[DONE]") {
            break;
        }
        let event: Value = serde_json::from_slice(&event).map_err(|_| WorkerError::new(Kind::Protocol, "no JSON"))?;
        if event.get("error").is_some() {
            return Err(WorkerError::new(Kind::Transient, "the server failed"));
        }
        let choice = &event["choices"][0];
        if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
            out.text(text).await;
        }
        if choice["finish_reason"] == "content_filter" {
            reason = FinishReason::ContentFilter;
        }
        if let (Some(prompt), Some(completion)) =
            (event["usage"]["prompt_tokens"].as_u64(), event["usage"]["completion_tokens"].as_u64())
        {
            usage = Usage::new(prompt, completion);
        }
    }
    match flaw {
        Flaw::NoTerminal => {}
        Flaw::NoUsage => out.finish(reason, Usage::default()).await,
        _ => out.finish(reason, usage).await,
    }
    Ok(())
}

/// Reads in a task that nobody owns.
fn detached(mut stream: TokenStream) -> TokenStream {
    let (sender, receiver) = tokio::sync::mpsc::channel(1 << 20);
    tokio::spawn(async move {
        while let Some(event) = stream.next().await {
            // It goes on without a reader.
            let _ = sender.send(event).await;
        }
    });
    TokenStream::from_stream(stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver))))
}

fn with_second_end(stream: TokenStream) -> TokenStream {
    let end = TokenEvent::finish(FinishReason::Stop, Usage::default());
    TokenStream::from_stream(stream.chain(stream::iter([Ok(end)])))
}

fn always_transient(stream: TokenStream) -> TokenStream {
    TokenStream::from_stream(stream.map(|event| event.map_err(|error| transient(&error))))
}

fn transient(error: &WorkerError) -> WorkerError {
    WorkerError::new(Kind::Transient, error.to_string())
}

/// An error that says more than its `Debug` form.
struct Quoting(String);

impl std::fmt::Debug for Quoting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quoting")
    }
}

impl std::fmt::Display for Quoting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "asked with {}", self.0)
    }
}

impl std::error::Error for Quoting {}
