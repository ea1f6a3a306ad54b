use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::{ResponseFormat, Sampling};
use orchestrator_core::worker::InferenceRequest;
use serde_json::{Value, json};

use crate::wire::{CompletionRequest, Extra, Field, Float, Prompt};

/// Fields whose values decide how the answer is read, so that nobody else may set them.
const OURS: &[&str] = &["prompt", "response_fields", "stream"];

/// Makes what is sent: always a stream, as the server does not notice that nobody waits for any other answer.
///
/// Fields of [`Sampling::vendor`] are sent as they are; what has a type in core and is set there is not overwritten.
///
/// # Errors
///
/// `InvalidRequest` where more than one answer is asked for.
pub(crate) fn request(request: &InferenceRequest, prompt: Prompt) -> Result<CompletionRequest, WorkerError> {
    let Sampling { max_tokens, temperature, top_p, ref stop, seed, .. } = request.sampling;
    let mut extra = request.sampling.vendor.clone();
    refuse_several(&extra)?;
    let mut ours = OURS.to_vec();
    let mut typed = |is_set: bool, names: &[&'static str]| ours.extend(names.iter().filter(|_| is_set));
    typed(max_tokens.is_some(), &["n_predict", "max_tokens"]);
    typed(temperature.is_some(), &["temperature"]);
    typed(top_p.is_some(), &["top_p"]);
    typed(!stop.is_empty(), &["stop"]);
    typed(seed.is_some(), &["seed"]);
    typed(schema(&request.response_format).is_some(), &["json_schema"]);
    extra.retain(|name, _| !ours.contains(&name.as_str()));
    Ok(CompletionRequest {
        prompt: prompt.into(),
        n_predict: max_tokens.map(|tokens| tokens.get().into()).into(),
        temperature: temperature.map(float).into(),
        top_p: top_p.map(float).into(),
        stop: (!stop.is_empty()).then(|| stop.clone()).into(),
        seed: seed.map(|seed| native_seed(seed).into()).into(),
        json_schema: schema(&request.response_format).into(),
        stream: Field::Value(true),
        extra,
        ..CompletionRequest::default()
    })
}

/// The same seed for the server, which takes 32 bits of it and for which all ones are chance.
pub(crate) const fn native_seed(seed: u64) -> u64 {
    seed % u32::MAX as u64
}

fn schema(format: &ResponseFormat) -> Option<Value> {
    match format {
        ResponseFormat::Json => Some(json!({"type": "object"})),
        ResponseFormat::JsonSchema { schema, .. } => Some(schema.clone()),
        // Text, and what this version does not know.
        _ => None,
    }
}

fn refuse_several(vendor: &Extra) -> Result<(), WorkerError> {
    for field in ["n", "n_cmpl"] {
        if vendor.get(field).is_some_and(|count| !count.is_null() && count.as_u64() != Some(1)) {
            let what = format!("`{field}` must be 1: a worker gives one answer");
            return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
        }
    }
    Ok(())
}

/// As short as it was written: `0.2`, and not what is nearest to it in 64 bits.
fn float(value: f32) -> Float {
    value.to_string().parse::<f64>().unwrap_or_else(|_| value.into()).into()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use orchestrator_core::prelude::*;

    use super::*;

    fn asked(prompt: PromptRequest) -> InferenceRequest {
        InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()))
    }

    fn sent(prompt: PromptRequest) -> Value {
        let made = request(&asked(prompt), Prompt::Text("p".to_owned())).expect("it can be asked");
        serde_json::to_value(made).expect("JSON")
    }

    #[test]
    fn sampling_has_the_servers_names() {
        let all = PromptRequest::new("?")
            .max_tokens(NonZeroU32::new(7).expect("not zero"))
            .temperature(0.2)
            .top_p(0.9)
            .seed(3)
            .stop("end")
            .vendor("top_k", 5);
        let expected = json!({"prompt": "p", "n_predict": 7, "temperature": 0.2, "top_p": 0.9, "seed": 3, "stop": ["end"],
            "top_k": 5, "stream": true});
        assert_eq!(sent(all), expected);
    }

    #[test]
    fn what_has_a_type_is_not_overwritten_and_some_is_nobodys_to_set() {
        let vendor = PromptRequest::new("?")
            .temperature(0.5)
            .vendor("temperature", 2)
            .vendor("stream", false)
            .vendor("prompt", "other")
            .vendor("response_fields", json!(["content"]))
            .vendor("n_predict", 4);
        assert_eq!(sent(vendor), json!({"prompt": "p", "temperature": 0.5, "n_predict": 4, "stream": true}));
    }

    #[test]
    fn json_is_asked_for_by_a_schema() {
        let any = PromptRequest::new("?").response_format(ResponseFormat::Json);
        assert_eq!(sent(any)["json_schema"], json!({"type": "object"}));
        let schema = json!({"type": "array"});
        let format = ResponseFormat::JsonSchema { name: "list".to_owned(), schema: schema.clone() };
        assert_eq!(sent(PromptRequest::new("?").response_format(format))["json_schema"], schema);
    }

    #[test]
    fn no_seed_means_chance_and_each_of_32_bits_is_itself() {
        for same in [0, 1, u64::from(u32::MAX) - 1] {
            assert_eq!(native_seed(same), same);
        }
        for long in [u64::from(u32::MAX), u64::MAX, 1 << 40] {
            assert!(native_seed(long) < u64::from(u32::MAX), "{long}");
        }
    }

    #[test]
    fn several_answers_are_refused() {
        for field in ["n", "n_cmpl"] {
            let error = request(&asked(PromptRequest::new("?").vendor(field, 2)), Prompt::Text(String::new()));
            assert_eq!(error.expect_err("two answers").kind(), WorkerErrorKind::InvalidRequest);
        }
    }
}
