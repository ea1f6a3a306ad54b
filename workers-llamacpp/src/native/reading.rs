use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{Finish, FinishReason, Pulse, TextDelta, TokenEvent, TokenStream, Usage};
use serde_json::{Map, Value};
use workers_openai::client::Frames;

use super::piece::{Piece, Tally, is_error};
use crate::pin::Lease;
use crate::server::Doubt;
use crate::wire::{Completion, Field};

/// Reads an answer, and ends the lease of its slot with it.
///
/// The last event says `stop`: an answer that ends without one was cut. What comes behind it is not waited for, as the server
/// does not use the connection again. Events without text, such as those that tell how far the prompt is, are the stream's
/// pulse.
pub(crate) fn tokens(frames: Frames, lease: Lease, doubt: Doubt) -> TokenStream {
    let pulse = Pulse::default();
    let reading = Reading { frames, tally: Tally::default(), lease: Some(lease), pulse: pulse.clone(), doubt };
    TokenStream::from_stream(reading).with_pulse(pulse)
}

struct Reading {
    frames: Frames,
    tally: Tally,
    /// `None` behind the last event.
    lease: Option<Lease>,
    pulse: Pulse,
    doubt: Doubt,
}

impl Reading {
    /// Reads a frame: an event, or nothing where it has no text.
    fn read(&mut self, frame: &Bytes) -> Option<Result<TokenEvent, WorkerError>> {
        let piece = match Piece::parse(frame) {
            Ok(piece) => piece,
            Err(why) => return Some(Err(self.unreadable(frame, &why))),
        };
        if piece.stop {
            return Some(self.finish(frame));
        }
        let Some(ids) = self.tally.take(&piece) else {
            self.pulse.beat();
            return None;
        };
        let delta = TextDelta::new(piece.content).with_token_ids(&ids).with_raw(frame.clone());
        Some(Ok(TokenEvent::Text(delta)))
    }

    fn finish(&mut self, frame: &[u8]) -> Result<TokenEvent, WorkerError> {
        let last: Completion = serde_json::from_slice(frame).map_err(|why| self.unreadable(frame, &why))?;
        if let Some(lease) = self.lease.take() {
            lease.finish(cached(&last));
        }
        Ok(TokenEvent::Finish(ending(last)))
    }

    fn unreadable(&self, frame: &[u8], why: &serde_json::Error) -> WorkerError {
        if is_error(frame) {
            return self.frames.error_of(frame).unwrap_or_else(WorkerError::stream_cut);
        }
        // Half an event at the end: the connection was cut in it.
        if self.frames.is_over() { WorkerError::stream_cut() } else { self.frames.unreadable(frame, why) }
    }
}

impl Stream for Reading {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let event = match ready!(Pin::new(&mut this.frames).poll_next(cx)) {
                Some(Ok(frame)) => this.read(&frame),
                Some(Err(error)) => Some(Err(error)),
                None => Some(Err(WorkerError::stream_cut())),
            };
            if let Some(Err(error)) = &event {
                this.doubt.note(error);
            }
            if event.is_some() {
                return Poll::Ready(event);
            }
        }
    }
}

/// Tokens of the prompt that the slot had already, where it says so.
fn cached(last: &Completion) -> Option<u64> {
    last.timings.get()?.cache_n.get().copied()
}

fn ending(last: Completion) -> Finish {
    let reason = match last.stop_type.get().map(String::as_str) {
        Some("limit") => FinishReason::Length,
        // `word`, `eos`, and `none` for a prompt without a token.
        _ => FinishReason::Stop,
    };
    let count = |field: &Field<u64>| field.get().copied().unwrap_or_default();
    let mut usage = Usage::new(count(&last.tokens_evaluated), count(&last.tokens_predicted));
    usage.cached_tokens = cached(&last).unwrap_or_default();
    let mut finish = Finish::new(reason, usage);
    finish.vendor = Some(Box::new(vendor(last)));
    finish
}

/// What else the last event says of this answer, by the server's names.
fn vendor(last: Completion) -> Map<String, Value> {
    let timings = last.timings.into_option().and_then(|timings| serde_json::to_value(timings).ok());
    let word = last.stopping_word.into_option().filter(|word| !word.is_empty());
    let truncated = last.truncated.into_option().filter(|truncated| *truncated);
    let fields = [
        ("id_slot", last.id_slot.into_option().map(Value::from)),
        ("stop_type", last.stop_type.into_option().map(Value::from)),
        ("stopping_word", word.map(Value::from)),
        ("timings", timings),
        ("truncated", truncated.map(Value::from)),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
