use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::token::{Emitter, TextDelta};
use orchestrator_core::worker::{Attempt, Prefix, Slots, WorkerInfo};

/// Tokens of every prompt.
pub(super) const PROMPT: u64 = 10;

/// What happens to one call; a call for which there is none is answered to its end.
#[derive(Clone)]
pub(super) enum Fault {
    /// The call itself fails.
    Call(WorkerError),
    /// The stream fails behind so many of its events; without an error it just ends.
    After(usize, Option<WorkerError>),
    /// The stream says these events first.
    Says(Vec<TokenEvent>),
}

/// A model that knows one answer, and goes on with it wherever it is asked to.
///
/// A token without text is half of a character: whoever begins behind it makes no character of the rest.
#[derive(Clone)]
pub(super) struct Model(Arc<Inner>);

struct Inner {
    deltas: Vec<TextDelta>,
    info: WorkerInfo,
    faults: Mutex<VecDeque<Fault>>,
    asked: Mutex<Vec<InferenceRequest>>,
    /// Whether it is many, which note their failures by their own names and model.
    models: Vec<&'static str>,
    slots: Option<Slots>,
}

impl Model {
    /// Answers with these words, each a token whose id is its place, from 100.
    pub(super) fn new(words: &[&str]) -> Self {
        let word = |(place, word): (usize, &&str)| TextDelta::new(*word).with_token_ids(&[100 + place as u32]);
        Self::saying(words.iter().enumerate().map(word).collect())
    }

    pub(super) fn saying(deltas: Vec<TextDelta>) -> Self {
        let info = WorkerInfo::new("box").model("m").continues();
        Self(Arc::new(Inner {
            deltas,
            info,
            faults: Mutex::default(),
            asked: Mutex::default(),
            models: Vec::new(),
            slots: None,
        }))
    }

    fn edit(self, edit: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::into_inner(self.0).expect("it is being made");
        edit(&mut inner);
        Self(Arc::new(inner))
    }

    /// Tells no ids.
    pub(super) fn without_ids(self) -> Self {
        self.edit(|inner| inner.deltas.iter_mut().for_each(|delta| *delta = TextDelta::new(delta.text())))
    }

    pub(super) fn known_as(self, info: WorkerInfo) -> Self {
        self.edit(|inner| inner.info = info)
    }

    pub(super) fn with_slots(self, slots: Slots) -> Self {
        self.edit(|inner| inner.slots = Some(slots))
    }

    /// Stands for many servers, one for each call, that note their failures: the names of their models.
    pub(super) fn of_many(self, models: &[&'static str]) -> Self {
        self.edit(|inner| inner.models = models.to_vec())
    }

    pub(super) fn faults(self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.edit(|inner| inner.faults = Mutex::new(faults.into_iter().collect()))
    }

    /// What it was asked, call by call.
    pub(super) fn asked(&self) -> Vec<InferenceRequest> {
        self.0.asked.lock().expect("not poisoned").clone()
    }

    pub(super) fn calls(&self) -> usize {
        self.asked().len()
    }

    /// The prefix of a call.
    pub(super) fn prefix(&self, call: usize) -> Option<Prefix> {
        self.asked()[call].prefix.clone()
    }

    pub(super) fn text(&self) -> String {
        self.0.deltas.iter().map(TextDelta::text).collect()
    }

    /// How many of its deltas there are already.
    fn place(&self, prefix: &Prefix) -> usize {
        let deltas = &self.0.deltas;
        let is_there = |place: &usize| match prefix.token_ids.is_empty() {
            true => deltas[..*place].iter().map(TextDelta::text).collect::<String>() == prefix.text,
            false => deltas[..*place].iter().flat_map(|delta| delta.token_ids()).eq(&prefix.token_ids),
        };
        (0..=deltas.len()).find(is_there).expect("a beginning of the answer")
    }

    /// What it says from a place on.
    fn deltas_from(&self, place: usize) -> Vec<TextDelta> {
        let mut deltas = self.0.deltas[place..].to_vec();
        let is_half = place > 0 && self.0.deltas[place - 1].text().is_empty();
        if is_half && !deltas.is_empty() {
            deltas[0] = TextDelta::new("\u{fffd}");
        }
        deltas
    }

    fn failed(&self, attempts: &orchestrator_core::worker::Attempts, call: usize, error: WorkerError) -> WorkerError {
        if let Some(model) = self.0.models.get(call) {
            let attempt = Attempt::new(format!("box {call}"), Some((*model).to_owned()), &error, Duration::ZERO);
            attempts.push(attempt.begun(true).elsewhere(true));
        }
        error
    }
}

#[async_trait]
impl ModelWorker for Model {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let call = self.calls();
        self.0.asked.lock().expect("not poisoned").push(request.clone());
        let fault = self.0.faults.lock().expect("not poisoned").pop_front();
        if let Some(Fault::Call(error)) = fault {
            return Err(self.failed(&request.attempts, call, error));
        }
        if request.prefix.is_some() && !self.0.info.continues {
            return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, "no prefix, please"));
        }
        let place = request.prefix.as_ref().map_or(0, |prefix| self.place(prefix));
        let this = self.clone();
        Ok(TokenStream::generate(async move |mut out| this.answer(&mut out, request, call, place, fault).await))
    }

    fn info(&self) -> WorkerInfo {
        self.0.info.clone()
    }

    fn slots(&self) -> Option<Slots> {
        self.0.slots.clone()
    }
}

impl Model {
    async fn answer(
        &self,
        out: &mut Emitter,
        request: InferenceRequest,
        call: usize,
        place: usize,
        fault: Option<Fault>,
    ) -> Result<(), WorkerError> {
        let mut events: Vec<_> = self.deltas_from(place).into_iter().map(TokenEvent::Text).collect();
        let most = request.sampling.max_tokens.map_or(usize::MAX, |most| most.get() as usize);
        let reason = if events.len() > most { FinishReason::Length } else { FinishReason::Stop };
        events.truncate(most);
        let mut usage = Usage::new(PROMPT + place as u64, events.len() as u64);
        usage.cached_tokens = usage.prompt_tokens - 1;
        events.push(TokenEvent::finish(reason, usage));
        if let Some(Fault::Says(first)) = &fault {
            events.splice(0..0, first.iter().cloned());
        }
        let die = match fault {
            Some(Fault::After(events, error)) => Some((events, error)),
            _ => None,
        };
        for (place, event) in events.into_iter().enumerate() {
            match &die {
                Some((after, error)) if *after == place => {
                    let error = error.clone().unwrap_or_else(WorkerError::stream_cut);
                    return Err(self.failed(&request.attempts, call, error));
                }
                _ => out.emit(event).await,
            }
        }
        Ok(())
    }
}

/// A model whose first stream is cut behind so many events.
#[derive(Clone)]
pub(super) struct Dies(pub(super) Model, pub(super) usize);

#[async_trait]
impl ModelWorker for Dies {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let is_first = self.0.calls() == 0;
        let stream = self.0.infer(request).await?;
        let events = if is_first { self.1 } else { usize::MAX };
        Ok(TokenStream::from_stream(stream.take(events)))
    }

    fn info(&self) -> WorkerInfo {
        self.0.info()
    }
}
