//! Generated chunks: any known field may be missing, `null` or there, among unknown ones, in any order.

use proptest::prelude::*;
use proptest::strategy::Union;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use workers_openai::wire::{ChatChunk, ChatCompletion, Completion, EmbeddingResponse, ErrorBody, ModelList};

/// JSON as text, since the order of fields counts.
type Text = BoxedStrategy<String>;

fn number() -> Text {
    let float = any::<f64>().prop_filter("JSON has finite numbers", |float| float.is_finite());
    prop_oneof![
        float.prop_map(|float| Value::from(float).to_string()),
        any::<i64>().prop_map(|integer| integer.to_string()),
        any::<u64>().prop_map(|integer| integer.to_string()),
        Just("1".to_owned()),
        Just("0.0".to_owned()),
        Just("1e-7".to_owned()),
    ]
    .boxed()
}

fn count() -> Text {
    any::<u32>().prop_map(|count| count.to_string()).boxed()
}

fn string() -> Text {
    any::<String>().prop_map(|text| Value::from(text).to_string()).boxed()
}

fn list(items: Text) -> Text {
    proptest::collection::vec(items, 0..3).prop_map(|items| format!("[{}]", items.join(","))).boxed()
}

fn anything() -> Text {
    let leaf = prop_oneof![Just("null".to_owned()), Just("true".to_owned()), number(), string()].boxed();
    leaf.prop_recursive(3, 12, 3, |inner| {
        let fields = proptest::collection::btree_map("[a-z]{1,3}", inner.clone(), 0..3);
        let object = fields.prop_map(|fields| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            format!("{{{}}}", fields.join(","))
        });
        prop_oneof![list(inner.boxed()), object]
    })
    .boxed()
}

/// An object with some of these fields, and some of a vendor's.
fn object(known: Vec<(&'static str, Text)>) -> Text {
    let known = known.into_iter().map(|(name, value)| {
        let value = prop_oneof![1 => Just(None), 1 => Just(Some("null".to_owned())), 3 => value.prop_map(Some)];
        value.prop_map(move |value| Some((name.to_owned(), value?))).boxed()
    });
    let known: Vec<_> = known.collect();
    let unknown = proptest::collection::btree_map("x_[a-z]{1,4}", anything(), 0..3);
    let fields = (known, unknown).prop_map(|(known, unknown)| {
        known.into_iter().flatten().chain(unknown).map(|(name, value)| format!("\"{name}\": {value}")).collect()
    });
    fields.prop_shuffle().prop_map(|fields: Vec<String>| format!("{{{}}}", fields.join(", "))).boxed()
}

fn one_of(texts: &[&'static str]) -> Text {
    Union::new(texts.iter().map(|text| Just(format!("\"{text}\"")))).boxed()
}

fn finish_reason() -> Text {
    one_of(&["stop", "length", "tool_calls", "content_filter", "function_call", "", "eos_token", "Stop"])
}

fn usage() -> Text {
    object(vec![
        ("prompt_tokens", count()),
        ("completion_tokens", count()),
        ("total_tokens", count()),
        ("prompt_tokens_details", object(vec![("cached_tokens", count())])),
        ("completion_tokens_details", object(vec![("reasoning_tokens", count())])),
    ])
}

fn logprobs() -> Text {
    let flat = vec![
        ("token", string()),
        ("logprob", number()),
        ("bytes", list(any::<u8>().prop_map(|b| b.to_string()).boxed())),
    ];
    let mut token = flat.clone();
    token.push(("top_logprobs", list(object(flat))));
    object(vec![
        ("content", list(object(token.clone()))),
        ("refusal", list(object(token))),
        ("tokens", list(string())),
        ("token_logprobs", list(prop_oneof![Just("null".to_owned()), number()].boxed())),
        ("top_logprobs", Just("[null, {\"a\": -1, \"b\": -2.5}]".to_owned()).boxed()),
        ("text_offset", list(count())),
    ])
}

fn content() -> Text {
    let text = Just(r#"{"type": "text", "text": "a", "cache_control": {}}"#.to_owned());
    let image = Just(r#"{"image_url": {"url": "data:,", "x": 1}, "type": "image_url"}"#.to_owned());
    let part = prop_oneof![text, image, anything()].boxed();
    prop_oneof![3 => string(), 1 => list(part), 1 => anything()].boxed()
}

fn tool_call() -> Text {
    let function = object(vec![("name", string()), ("arguments", prop_oneof![string(), anything()].boxed())]);
    object(vec![
        ("index", count()),
        ("id", string()),
        ("type", one_of(&["function", "custom"])),
        ("function", function),
    ])
}

fn message() -> Vec<(&'static str, Text)> {
    vec![
        ("role", one_of(&["assistant", "user", "system", "developer", "tool", "", "narrator"])),
        ("content", content()),
        ("tool_calls", list(tool_call())),
        ("reasoning_content", string()),
        ("reasoning", string()),
        ("refusal", string()),
    ]
}

fn answer(choice: Vec<(&'static str, Text)>) -> Text {
    let common = [("index", count()), ("logprobs", logprobs()), ("finish_reason", finish_reason())];
    object(vec![
        ("id", string()),
        ("object", string()),
        ("created", number()),
        ("model", string()),
        ("system_fingerprint", string()),
        ("choices", list(object(choice.into_iter().chain(common).collect()))),
        ("usage", usage()),
    ])
}

fn models() -> Text {
    let model = object(vec![("id", string()), ("object", string()), ("created", number()), ("owned_by", string())]);
    object(vec![("object", string()), ("data", list(model))])
}

fn embeddings() -> Text {
    let vector = prop_oneof![list(number()), string()];
    let embedding = (vector, object(vec![("index", count()), ("object", string())]))
        .prop_map(|(vector, rest)| rest.replacen('{', &format!("{{\"embedding\": {vector}, "), 1).replace(", }", "}"));
    object(vec![("object", string()), ("data", list(embedding.boxed())), ("model", string()), ("usage", usage())])
}

fn error() -> Text {
    let fields = vec![("message", string()), ("type", string()), ("param", anything()), ("code", anything())];
    object(vec![("error", prop_oneof![object(fields), string(), anything()].boxed())])
}

fn survives<T: DeserializeOwned + Serialize>(text: &str) -> Result<(), TestCaseError> {
    let typed: T = serde_json::from_str(text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
    let written = serde_json::to_string(&typed).expect("written");
    let (before, after) = [text, &written].map(|json| serde_json::from_str::<Value>(json).expect("JSON")).into();
    prop_assert_eq!(before, after);
    Ok(())
}

proptest! {
    #[test]
    fn chunks_of_chats_survive(text in answer(vec![("delta", object(message()))])) {
        survives::<ChatChunk>(&text)?;
    }

    #[test]
    fn chat_completions_survive(text in answer(vec![("message", object(message()))])) {
        survives::<ChatCompletion>(&text)?;
    }

    #[test]
    fn completions_survive(text in answer(vec![("text", string())])) {
        survives::<Completion>(&text)?;
    }

    #[test]
    fn lists_of_models_survive(text in models()) {
        survives::<ModelList>(&text)?;
    }

    #[test]
    fn embeddings_survive(text in embeddings()) {
        survives::<EmbeddingResponse>(&text)?;
    }

    #[test]
    fn errors_survive(text in error()) {
        survives::<ErrorBody>(&text)?;
    }
}
