use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::request::ResponseFormat;
use orchestrator_core::worker::InferenceRequest;

/// By which route conversations go to the server.
///
/// Raw prompts always go by the native one, and so does whatever goes on with an answer that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Route {
    /// `/v1/chat/completions`: the server reads tool calls and reasoning out of the answer, and takes pictures.
    #[default]
    Chat,
    /// `/completion`, with a prompt that the server made by the model's template: the answer has the ids of its tokens, so that
    /// another worker can go on with it exactly where it broke off. What the model thinks, and what it writes to call a tool,
    /// is text; requests with tools or pictures are refused. Each request is two exchanges.
    Native,
}

/// Fields of the server's by which an answer has to have a form: behind half of it the server would begin the form anew.
const FORMS: &[&str] = &["grammar", "json_schema", "response_format", "tools"];

impl Route {
    /// Chooses the route of a request.
    ///
    /// # Errors
    ///
    /// `InvalidRequest` where no route does all that is asked for.
    pub(super) fn of(request: &InferenceRequest, preferred: Self) -> Result<Self, WorkerError> {
        let formatted = request.response_format != ResponseFormat::Text;
        let grammar = request.sampling.vendor.contains_key("grammar");
        if formatted && grammar {
            return Err(invalid("`grammar` and a response format cannot both hold"));
        }
        let formed = formatted || FORMS.iter().any(|field| request.sampling.vendor.contains_key(*field));
        if request.prefix.is_some() && (formed || !request.tools.is_empty()) {
            return Err(invalid("an answer under a grammar, a response format or with tools cannot be gone on with"));
        }
        let native = request.raw || request.prefix.is_some() || preferred == Self::Native;
        if native && !request.tools.is_empty() {
            return Err(invalid("`tools` need the chat route"));
        }
        Ok(if native { Self::Native } else { Self::Chat })
    }
}

fn invalid(what: &str) -> WorkerError {
    WorkerError::new(WorkerErrorKind::InvalidRequest, what)
}

#[cfg(test)]
mod tests {
    use orchestrator_core::prelude::*;
    use orchestrator_core::request::Tool;
    use orchestrator_core::worker::Prefix;
    use serde_json::json;

    use super::*;

    fn route(prompt: PromptRequest, prefix: Option<Prefix>, preferred: Route) -> Option<Route> {
        let mut request = InferenceRequest::new(prompt, Context::standalone(RequestOptions::new()));
        request.prefix = prefix;
        match Route::of(&request, preferred) {
            Ok(route) => Some(route),
            Err(error) => {
                assert_eq!(error.kind(), WorkerErrorKind::InvalidRequest);
                None
            }
        }
    }

    fn tool() -> Tool {
        Tool { name: "t".to_owned(), description: String::new(), parameters: json!({}) }
    }

    #[test]
    fn messages_go_where_the_user_wants_and_raw_prompts_and_begun_answers_are_native() {
        for preferred in [Route::Chat, Route::Native] {
            assert_eq!(route(PromptRequest::new("?"), None, preferred), Some(preferred));
            assert_eq!(route(PromptRequest::raw("?"), None, preferred), Some(Route::Native));
            assert_eq!(route(PromptRequest::new("?"), Some(Prefix::new("a")), preferred), Some(Route::Native));
        }
    }

    #[test]
    fn what_no_route_can_do_is_refused() {
        let with_tool = || PromptRequest::new("?").tool(tool());
        assert_eq!(route(with_tool(), None, Route::Chat), Some(Route::Chat));
        assert_eq!(route(with_tool(), None, Route::Native), None);
        assert_eq!(route(PromptRequest::raw("?").tool(tool()), None, Route::Chat), None);
        let begun = || Some(Prefix::new("a"));
        let grammar = || PromptRequest::new("?").vendor("grammar", "root ::= \"a\"");
        assert_eq!(route(with_tool(), begun(), Route::Chat), None);
        for field in ["grammar", "json_schema", "response_format", "tools"] {
            let formed = || PromptRequest::new("?").vendor(field, json!({}));
            assert_eq!(route(formed(), begun(), Route::Chat), None, "{field}");
            assert_eq!(route(formed(), None, Route::Chat), Some(Route::Chat), "{field}");
        }
        assert_eq!(route(PromptRequest::new("?").response_format(ResponseFormat::Json), begun(), Route::Chat), None);
        assert_eq!(route(grammar().response_format(ResponseFormat::Json), None, Route::Native), None);
    }
}
