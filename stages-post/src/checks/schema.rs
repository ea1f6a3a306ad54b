//! Whether an answer is JSON that fits a schema.

use std::sync::Arc;

use jsonschema::{PatternOptions, Validator};
use orchestrator_core::context::Context;
use orchestrator_core::error::InvalidInput;
use orchestrator_core::token::{Check, Fault, Verdict};
use serde_json::Value;

use crate::boundary::floor;

/// What the check is called in the terminal event.
const NAME: &str = "json-schema";

/// Answers above this many bytes are validated on the pool for CPU-bound jobs: that takes longer than about 50 us.
const INLINE_BYTES: usize = 8 << 10;

/// The most faults that are told, and the most bytes of each one's place and message.
const FAULTS: usize = 8;
const FAULT_BYTES: usize = 200;

/// How often a pattern of the schema with look-around may try again before that is a fault: about a millisecond.
const BACKTRACKS: usize = 50_000;

/// Why answers with tool calls are not looked at.
pub(super) const CALLS: &str = "the answer calls tools";

/// A schema, compiled.
#[derive(Debug, Clone)]
pub(super) struct Schema(Arc<Validator>);

impl Schema {
    pub(super) fn new(schema: &Value) -> Result<Self, InvalidInput> {
        let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACKS);
        let compiled = jsonschema::options().offline().with_pattern_options(patterns).build(schema);
        let compiled = compiled.map_err(|error| {
            let problem = format!("is no schema that can be used: {}", short(&error.to_string()));
            InvalidInput::new("json_schema", problem)
        })?;
        Ok(Self(Arc::new(compiled)))
    }

    fn verdict(&self, answer: &Result<Value, serde_json::Error>) -> Verdict {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Verdict::Failed(vec![Fault::new("", short(&format!("is not JSON: {error}")))]),
        };
        if self.0.is_valid(answer) {
            return Verdict::Passed;
        }
        let faults = self.0.iter_errors(answer).take(FAULTS);
        // Without the value itself, which may be long; its place is named.
        let told =
            faults.map(|fault| Fault::new(short(fault.instance_path().as_str()), short(&fault.masked().to_string())));
        Verdict::Failed(told.collect())
    }
}

/// The beginning of `text`, as much as is told.
fn short(text: &str) -> String {
    match text.get(..floor(text, FAULT_BYTES)) {
        Some(start) if start.len() < text.len() => format!("{start}.."),
        _ => text.to_owned(),
    }
}

/// Validates `text`, unless there is a reason to `skip` it.
pub(super) async fn validate(cx: &Context, schemas: Arc<[Schema]>, text: String, skip: Option<&str>) -> Vec<Check> {
    if let Some(reason) = skip {
        return skipped(&schemas, reason).collect();
    }
    let validate = |schemas: &[Schema], text: &str| -> Vec<Check> {
        let answer = serde_json::from_str(text);
        schemas.iter().map(|schema| Check::new(NAME, schema.verdict(&answer))).collect()
    };
    if text.len() <= INLINE_BYTES {
        return validate(&schemas, &text);
    }
    let kept = schemas.clone();
    let offloaded = cx.offload(move || validate(&schemas, &text)).await;
    offloaded.unwrap_or_else(|_| skipped(&kept, "the request has ended").collect())
}

pub(super) fn skipped(schemas: &[Schema], reason: &str) -> impl Iterator<Item = Check> {
    schemas.iter().map(move |_| Check::new(NAME, Verdict::Skipped(reason.to_owned())))
}
