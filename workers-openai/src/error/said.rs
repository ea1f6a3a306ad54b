//! What the body of a refusal says, whatever its shape.

use serde_json::{Map, Value};

use crate::wire::{ApiError, ErrorBody, ErrorValue};

/// The parts of a refusal that decide what it means; empty where the server does not say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// For people.
    pub(super) message: String,
    /// For programs: the type, the code where it is a word, and what TGI and Mistral call so.
    pub(super) names: Vec<String>,
    /// The status that it repeats; in a stream the only one.
    pub(super) status: Option<u16>,
    /// Tokens of the prompt, and tokens that fit, as llama.cpp tells them.
    pub(super) prompt_tokens: Option<u64>,
    pub(super) limit: Option<u64>,
    /// Why a moderator withheld it, as OpenRouter tells it.
    pub(super) moderated: bool,
}

impl Said {
    /// Reads any body; one that is no JSON, or of no known shape, is taken for a message as a whole.
    pub(super) fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(body) => Self::of_body(&body),
            Err(_) => Self { message: String::from_utf8_lossy(body).trim().to_owned(), ..Self::default() },
        }
    }

    pub(super) fn of_body(body: &ErrorBody) -> Self {
        let message = body.message().map_or_else(|| remains(body), str::to_owned);
        let said = Self { message, ..Self::default() };
        // TGI writes `error_type` beside `error`; Mistral writes everything in one object without `error`.
        let said = said.named(&body.extra, &["error_type", "type", "code"]);
        match body.error.get() {
            Some(ErrorValue::Object(error)) => said.with(error),
            _ => said,
        }
    }

    fn with(mut self, error: &ApiError) -> Self {
        self.names.extend(error.kind.get().cloned());
        self.take_code(error.code.get());
        let count = |name: &str| error.extra.get(name).and_then(Value::as_u64);
        self.prompt_tokens = count("n_prompt_tokens");
        self.limit = count("n_ctx");
        let metadata = error.extra.get("metadata");
        self.moderated = metadata.is_some_and(|metadata| metadata.get("flagged_input").is_some());
        self
    }

    fn named(mut self, fields: &Map<String, Value>, names: &[&str]) -> Self {
        for value in names.iter().filter_map(|name| fields.get(*name)) {
            self.take_code(Some(value));
        }
        self
    }

    /// A word is a name; a number is a status, if it can be one.
    fn take_code(&mut self, code: Option<&Value>) {
        match code {
            Some(Value::String(word)) => match word.parse() {
                Ok(status) => self.take_status(status),
                Err(_) => self.names.push(word.clone()),
            },
            Some(code) => self.take_status(code.as_u64().unwrap_or_default()),
            None => {}
        }
    }

    fn take_status(&mut self, number: u64) {
        self.status = u16::try_from(number).ok().filter(|status| (400..600).contains(status)).or(self.status);
    }

    pub(super) fn is_named(&self, names: &[&str]) -> bool {
        self.names.iter().any(|said| names.iter().any(|name| said.eq_ignore_ascii_case(name)))
    }
}

/// The body as it is, where no message stands in it.
fn remains(body: &ErrorBody) -> String {
    serde_json::to_string(body).unwrap_or_default()
}
