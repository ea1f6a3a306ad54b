use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use http::HeaderMap;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, Slots, Timeouts, WorkerInfo};
use serde_json::Value;
use workers_openai::chat::{self, Dialect};
use workers_openai::client::Client;
use workers_openai::{answer, wire};

use super::builder::LlamaCppBuilder;
use super::chat::Leased;
use super::recall;
use super::route::Route;
use crate::native;
use crate::pin::{Lease, Pins, Session};
use crate::server::{self, Doubt, Facts};
use crate::{LlamaEmbedder, LlamaTokens};

/// The worker of a llama.cpp server. Cheap to clone; clones share connections, slots and what is known of sessions.
///
/// It asks for streams only, also where the caller wants none: the server notices at once when nobody reads a stream any more,
/// and finishes any other answer for nobody. While it evaluates a prompt it tells how far that is, batch by batch, and so
/// notices it then too.
///
/// **Sessions.** The turns of a session go to the slot that keeps the tokens of those before, so that only what is new is
/// evaluated; [`Usage::cached_tokens`](orchestrator_core::token::Usage) says how many were there. Requests without a session
/// stay out of these slots as long as there are others. See [`LlamaCppBuilder::pin_sessions`].
///
/// **Restarts.** Behind an error that a server makes that has ended, the next call asks it first what it is, for at most 1 s:
/// it may have come back with other slots, another context or another model.
///
/// **Grammars.** [`ResponseFormat`](orchestrator_core::request::ResponseFormat) holds on both routes; a grammar in GBNF goes
/// into the vendor's field `grammar`.
///
/// **Continuing.** It goes on with an answer that was begun: by the ids of its tokens where they are known, exactly where it
/// broke off; else by its text, whose last token may be another one then. Where the model's template has it think first, text
/// that does not hold all of that is refused (`InvalidRequest`): it would become part of the thoughts. A `stop` text that
/// begins in what there is already and ends in what is added is not found: the server looks at what it adds.
///
/// # Examples
///
/// ```no_run
/// use orchestrator_core::prelude::*;
/// use workers_llamacpp::LlamaCpp;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let worker = LlamaCpp::connect("http://127.0.0.1:8080").await?;
/// let pipeline = Pipeline::builder("chat")
///     .stage(InferenceStage::new(worker))
///     .stage(StreamStage::default())
///     .build()?;
/// let mut answer = pipeline.submit(PromptRequest::new("What is a slot?").session("demo")).await?;
/// println!("{}", answer.text().await?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct LlamaCpp(Arc<Settings>);

/// What the builder makes.
pub(super) struct Settings {
    pub(super) client: Client,
    /// Sent with every request for an answer.
    pub(super) headers: HeaderMap,
    pub(super) name: String,
    pub(super) route: Route,
    pub(super) timeouts: Timeouts,
    pub(super) slots: Slots,
    pub(super) pins: Pins,
    pub(super) pin_sessions: bool,
    pub(super) facts: Mutex<Facts>,
    pub(super) doubt: Doubt,
}

impl LlamaCpp {
    /// Makes the worker of the server at a base URL, such as `http://127.0.0.1:8080`, with or without `/v1` at its end.
    ///
    /// # Errors
    ///
    /// As [`LlamaCppBuilder::connect`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing has been changed when it is dropped.
    pub async fn connect(base_url: impl AsRef<str>) -> Result<Self, WorkerError> {
        Self::builder(base_url).connect().await
    }

    /// Starts with the base URL of a server; see [`connect`](Self::connect).
    pub fn builder(base_url: impl AsRef<str>) -> LlamaCppBuilder {
        LlamaCppBuilder::new(base_url.as_ref())
    }

    pub(super) fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// Makes a counter that asks the server's tokenizer, and measures with it what the chat template adds to each message.
    ///
    /// # Errors
    ///
    /// Fails where the server cannot be reached or does not count.
    pub async fn token_counter(&self) -> Result<LlamaTokens, WorkerError> {
        LlamaTokens::measure(self.0.client.clone()).await
    }

    /// Makes an embedder of the same server, which must have been started with `--embeddings`: else it says so with the first
    /// text (`NotFound`). It takes one of the server's slots for each text.
    #[must_use]
    pub fn embedder(&self) -> LlamaEmbedder {
        let model = self.facts().model.clone();
        LlamaEmbedder::new(self.0.client.clone(), model, self.0.slots.clone(), self.0.pins.clone())
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the server as it says it is; at no time there are more permits than places.
    fn take_as_it_is(&self, facts: Facts) {
        let Settings { slots, pins, .. } = &*self.0;
        if facts.slots.get() > slots.total() {
            pins.resize(facts.slots.get());
            slots.resize(facts.slots);
        } else {
            slots.resize(facts.slots);
            pins.resize(facts.slots.get());
        }
        *self.facts() = facts;
        self.0.doubt.end();
    }

    async fn call(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        if self.0.doubt.is_there()
            && let Some(facts) = server::glance(&self.0.client).await
        {
            self.take_as_it_is(facts);
        }
        match Route::of(&request, self.0.route)? {
            Route::Chat => self.chat(&request).await,
            Route::Native => self.native(&request).await,
        }
    }

    async fn chat(&self, request: &InferenceRequest) -> Result<TokenStream, WorkerError> {
        let mut body = chat::request(request, None, &Dialect::default())?;
        if let Some(seed) = request.sampling.seed {
            body.extra.insert("seed".to_owned(), native::seed(seed).into());
        }
        let lease = self.lease(request, || recall::chat(&body, &request.sampling.vendor));
        place(&mut body.extra, &lease);
        let frames = self.0.client.stream("/v1/chat/completions", &body, self.0.headers.clone()).await?;
        Ok(answer::tokens(frames).wrap(|stream| Leased::new(stream, lease, self.0.doubt.clone())))
    }

    async fn native(&self, request: &InferenceRequest) -> Result<TokenStream, WorkerError> {
        let prompt = native::prompt(&self.0.client, request).await?;
        let mut body = native::request(request, prompt)?;
        let lease = self.lease(request, || recall::completion(&body));
        place(&mut body.extra, &lease);
        let frames = self.0.client.stream("/completion", &body, self.0.headers.clone()).await?;
        Ok(native::tokens(frames, lease, self.0.doubt.clone()))
    }

    /// Finds a slot for a request, or notes the one that its caller has named.
    fn lease(&self, request: &InferenceRequest, prompt: impl FnOnce() -> Vec<u8>) -> Lease {
        let (vendor, pins) = (&request.sampling.vendor, &self.0.pins);
        let session = session(request);
        let prompt = session.as_ref().map(|_| prompt()).unwrap_or_default();
        match vendor.get("id_slot") {
            Some(slot) => match slot.as_u64().and_then(|slot| usize::try_from(slot).ok()) {
                Some(slot) => pins.named(slot, session.as_ref(), &prompt),
                None => pins.unplaced(),
            },
            None if self.0.pin_sessions => pins.place(session.as_ref(), &prompt),
            None => pins.unplaced(),
        }
    }
}

/// Whose tokens a slot keeps when it has answered; nobody's where its cache is not to be used.
fn session(request: &InferenceRequest) -> Option<Session> {
    let uses_cache = request.sampling.vendor.get("cache_prompt") != Some(&Value::Bool(false));
    let options = request.context.options();
    let name = options.session.clone().filter(|_| uses_cache)?;
    Some(Session { tenant: options.tenant.clone(), name })
}

/// Names the slot, and has the server use what that holds.
///
/// The server is asked to tell how far the prompt is: only when it has something to say, it notices that nobody listens any
/// more, and a long prompt takes seconds before the first token.
fn place(fields: &mut wire::Extra, lease: &Lease) {
    if let Some(slot) = lease.slot() {
        fields.insert("id_slot".to_owned(), slot.into());
    }
    fields.insert("return_progress".to_owned(), true.into());
    fields.entry("cache_prompt").or_insert(true.into());
}

#[async_trait]
impl ModelWorker for LlamaCpp {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let answer = self.0.timeouts.of(&request.context).run(self.call(request)).await;
        answer.inspect_err(|error| self.0.doubt.note(error))
    }

    fn info(&self) -> WorkerInfo {
        let facts = self.facts();
        let mut info = WorkerInfo::new(&self.0.name).continues();
        info.model.clone_from(&facts.model);
        info.context_length = facts.context_length;
        info
    }

    fn slots(&self) -> Option<Slots> {
        Some(self.0.slots.clone())
    }

    /// Asks the server what it is, as it may have been started again with other slots or another model, and what it does:
    /// `/metrics` and `/slots`, where they are enabled. Waits at most 5 s.
    async fn health(&self) -> Health {
        let health = match server::look(&self.0.client).await {
            Ok((facts, load)) => {
                self.take_as_it_is(facts);
                Health::ready().load(load)
            }
            Err(why) => Health::unavailable(why),
        };
        self.0.slots.heed(&health);
        health
    }
}

impl fmt::Debug for LlamaCpp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { client, name, route, slots, .. } = &*self.0;
        f.debug_struct("LlamaCpp")
            .field("name", name)
            .field("route", route)
            .field("slots", slots)
            .field("client", client)
            .finish_non_exhaustive()
    }
}
