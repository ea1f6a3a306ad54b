use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use orchestrator_config::{Embeddings, Texts};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::gateway::{Asked, Site, object};
use crate::json;

/// What is asked for on the route of embeddings. Fields that are not known here are passed over.
#[derive(Deserialize)]
struct Body {
    model: String,
    input: Input,
    encoding_format: Option<Format>,
    dimensions: Option<usize>,
    user: Option<String>,
}

/// Texts, and no ids of tokens: which text they stand for is the server's own affair.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`input` must be a text or a list of texts")]
enum Input {
    Text(String),
    Texts(Vec<String>),
}

/// How the numbers of a vector are written.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Float,
    /// In four bytes each, the lowest first.
    Base64,
}

/// `POST /v1/embeddings`.
pub(crate) async fn embeddings(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    let (caller, body) = request.read(&site).await?;
    let body: Body = json::read(&body)?;
    let model = site.embedding_model(&body.model)?;
    let texts = match body.input {
        Input::Text(text) => vec![text],
        Input::Texts(texts) => texts,
    };
    let embedded = model.embed(Texts(texts), &caller, body.user.as_deref()).await?;
    check(&embedded, body.dimensions)?;
    Ok(shown(&embedded, &model.shown(), body.encoding_format.unwrap_or_default()))
}

/// How long its vectors are is the model's own affair: a request may ask for what it gives, and for nothing else.
fn check(embedded: &Embeddings, dimensions: Option<usize>) -> Result<(), Fault> {
    let odd = embedded.vectors.iter().map(Vec::len).find(|length| dimensions.is_some_and(|asked| asked != *length));
    match odd {
        Some(length) => Err(Fault::invalid("dimensions", format!("the model's vectors have {length} dimensions"))),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Embedding<'a>>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Numbers(&'a [f32]),
    Text(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

fn shown(embedded: &Embeddings, model: &str, format: Format) -> Response {
    let written = |numbers| match format {
        Format::Float => Vector::Numbers(numbers),
        Format::Base64 => Vector::Text(base64(numbers)),
    };
    let vectors = embedded.vectors.iter().enumerate();
    let data = vectors.map(|(index, vector)| Embedding { object: "embedding", index, embedding: written(vector) });
    let usage = Usage { prompt_tokens: embedded.tokens, total_tokens: embedded.tokens };
    object(List { object: "list", data: data.collect(), model, usage })
}

fn base64(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
