use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// A text that says something.
#[derive(ToSchema)]
#[schema(min_length = 1)]
#[expect(dead_code, reason = "what is read are plain texts")]
pub(crate) struct NotEmpty(String);

/// A text, or a list of at least one.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "what is read takes empty lists, too, and finds them wrong later")]
pub(crate) enum TextOrTexts {
    Text(String),
    Texts(Texts),
}

#[derive(ToSchema)]
#[schema(min_items = 1)]
#[expect(dead_code, reason = "as above")]
pub(crate) struct Texts(Vec<String>);

/// Events, each with a piece of the answer, where `stream` is true.
#[derive(ToSchema)]
#[expect(dead_code, reason = "events are written piece by piece")]
pub(crate) struct Event {
    data: String,
    event: Option<String>,
}

/// A text that is always the same.
pub(crate) fn word(word: &str) -> Object {
    words(&[word])
}

/// One of these texts.
pub(crate) fn words(words: &[&str]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).build()
}
