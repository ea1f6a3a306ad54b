use std::collections::BTreeMap;

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::{anthropic, openai};

/// What each route that asks models answers where it does not answer.
const STATUSES: [u16; 12] = [400, 401, 404, 405, 408, 413, 429, 431, 500, 502, 503, 504];

/// Anthropic's API says by a status of its own that there is too much to do.
const OVERLOADED: u16 = 529;

/// The faults of a route of OpenAI's API.
pub(crate) struct Refusals;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        STATUSES.iter().map(|status| (status.to_string(), refusal::<openai::Error<'_>>(*status).into())).collect()
    }
}

/// The faults of a route of Anthropic's.
pub(crate) struct MessageRefusals;

impl IntoResponses for MessageRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let statuses = STATUSES.iter().chain([&OVERLOADED]);
        statuses.map(|status| (status.to_string(), refusal::<anthropic::Error<'_>>(*status).into())).collect()
    }
}

fn refusal<T: ToSchema>(status: u16) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(T::name()))).build();
    let response = ResponseBuilder::new().description("Why not.").content("application/json", content);
    if matches!(status, 429 | 503 | OVERLOADED) {
        response.header("Retry-After", pause()).build()
    } else {
        response.build()
    }
}

fn pause() -> Header {
    let mut header = Header::new(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build());
    header.description = Some("Seconds to wait.".to_owned());
    header
}
