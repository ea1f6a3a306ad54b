use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use serde_json::Value;
use workers_openai::client::Client;
use workers_openai::wire::{Model, ModelList};

/// What a server says of itself when it is connected to.
#[derive(Debug)]
pub(crate) struct Discovered {
    pub(crate) model: String,
    pub(crate) context_length: Option<u64>,
    pub(crate) version: Option<String>,
}

/// Asks for the model, its length and the version.
///
/// # Errors
///
/// Those of the server, and `NotFound` where it does not have the model that is wanted, or none.
pub(crate) async fn ask(client: &Client, wanted: Option<&str>) -> Result<Discovered, WorkerError> {
    let list: ModelList = client.get_json("/v1/models").await?;
    let models = list.data.get().map(Vec::as_slice).unwrap_or_default();
    let (model, id) = choose(models, wanted)?;
    // A proxy need not let it through, and nothing depends on it.
    let version: Value = client.get_json("/version").await.unwrap_or_default();
    Ok(Discovered {
        model: id.to_owned(),
        context_length: length(model).or_else(|| models.iter().find_map(length)),
        version: version.get("version").and_then(Value::as_str).map(str::to_owned),
    })
}

/// The model that is wanted, or the first: adapters come behind the model that they are made for.
fn choose<'a>(models: &'a [Model], wanted: Option<&str>) -> Result<(&'a Model, &'a str), WorkerError> {
    let mut named = models.iter().filter_map(|model| Some((model, model.id.get()?.as_str())));
    named.find(|(_, id)| wanted.is_none_or(|wanted| wanted == *id)).ok_or_else(|| {
        let what = wanted.map_or("the server has no model".to_owned(), |id| format!("the server has no model `{id}`"));
        WorkerError::new(WorkerErrorKind::NotFound, what)
    })
}

/// An adapter's own is `null`; it is that of its model.
fn length(model: &Model) -> Option<u64> {
    model.extra.get("max_model_len").and_then(Value::as_u64)
}
