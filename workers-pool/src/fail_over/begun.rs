//! Asking another call to go on behind what was delivered.

use std::num::NonZeroU32;

use orchestrator_core::request::{ResponseFormat, Sampling};
use orchestrator_core::worker::{InferenceRequest, Prefix, WorkerInfo};

use super::delivered::Delivered;

/// Fields of vendors with which half an answer cannot be gone on with: by them it has a form, which the server would begin
/// anew, or holds the prompt again.
const BARS: &[&str] = &[
    "echo",
    "functions",
    "grammar",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "json_schema",
    "response_format",
    "structured_outputs",
    "tools",
];

/// The names that vendors have for the most tokens to generate.
const MOST: &[&str] = &["max_completion_tokens", "max_tokens", "n_predict"];

/// The name for the fewest.
const LEAST: &str = "min_tokens";

/// Returns whether answers to this request are never gone on with.
pub(super) fn is_barred(request: &InferenceRequest) -> bool {
    let vendor = &request.sampling.vendor;
    request.response_format != ResponseFormat::Text
        || !request.tools.is_empty()
        || (!vendor.is_empty() && BARS.iter().any(|field| vendor.contains_key(*field)))
}

/// Returns the request by which `worker` goes on behind what was delivered; `None` where that cannot be told it.
pub(super) fn go_on(asked: &InferenceRequest, delivered: &Delivered, worker: &WorkerInfo) -> Option<InferenceRequest> {
    let prefix = prefix(asked.prefix.as_ref(), delivered, worker)?;
    let mut request = asked.clone();
    request.prefix = Some(prefix);
    limit(&mut request.sampling, delivered.tokens());
    Some(request)
}

/// Returns whether the answer has all the tokens that it may have.
pub(super) fn is_full(asked: &InferenceRequest, delivered: &Delivered) -> bool {
    most(&asked.sampling).is_some_and(|most| most <= delivered.tokens())
}

/// What the caller had of the answer, and behind it what was delivered.
fn prefix(before: Option<&Prefix>, delivered: &Delivered, worker: &WorkerInfo) -> Option<Prefix> {
    let mut prefix = before.cloned().unwrap_or_else(|| Prefix::new(""));
    let nameless = prefix.text.is_empty() && !prefix.token_ids.is_empty();
    prefix.token_ids = ids(before, delivered, worker).unwrap_or_default();
    if nameless && prefix.token_ids.is_empty() {
        // Of tokens without a text nothing would be left.
        return None;
    }
    prefix.text.push_str(delivered.text());
    prefix.model = prefix.model.or_else(|| delivered.model().map(str::to_owned));
    Some(prefix)
}

/// The ids of all its tokens, where they are known and may be the worker's.
fn ids(before: Option<&Prefix>, delivered: &Delivered, worker: &WorkerInfo) -> Option<Vec<u32>> {
    let ids = delivered.ids()?;
    let may_be_of = |model: &Option<String>| model.is_none() || model.as_deref() == delivered.model();
    let mut all = match before {
        None => Vec::new(),
        Some(prefix) if prefix.token_ids.is_empty() && !prefix.text.is_empty() => return None,
        Some(prefix) if !may_be_of(&prefix.model) => return None,
        Some(prefix) => prefix.token_ids.clone(),
    };
    all.extend_from_slice(ids);
    may_be_of(&worker.model).then_some(all)
}

/// Leaves what is left of the tokens.
fn limit(sampling: &mut Sampling, so_far: u64) {
    if let Some(most) = most(sampling) {
        let left = u32::try_from(most.saturating_sub(so_far)).unwrap_or(u32::MAX);
        sampling.max_tokens = NonZeroU32::new(left);
        MOST.iter().for_each(|field| drop(sampling.vendor.remove(*field)));
    }
    if let Some(least) = sampling.vendor.get_mut(LEAST)
        && let Some(count) = least.as_u64()
    {
        *least = count.saturating_sub(so_far).into();
    }
}

/// The most tokens that the answer may have; what has a type in core goes before what a vendor's field says.
fn most(sampling: &Sampling) -> Option<u64> {
    let of_vendor = || MOST.iter().find_map(|field| sampling.vendor.get(*field)?.as_u64());
    sampling.max_tokens.map(|most| most.get().into()).or_else(of_vendor)
}
