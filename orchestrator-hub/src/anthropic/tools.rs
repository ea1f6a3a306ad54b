use orchestrator_core::request;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::fault::Fault;

/// A tool that the model may ask for.
#[derive(Deserialize, ToSchema)]
#[schema(as = MessageTool)]
pub(super) struct Tool {
    /// `custom`, or one that only Anthropic's own servers run.
    #[serde(rename = "type")]
    kind: Option<String>,
    name: String,
    description: Option<String>,
    #[schema(value_type = Object)]
    input_schema: Option<Value>,
}

impl Tool {
    /// Puts it as the worker is told; `place` is where it stood.
    ///
    /// # Errors
    ///
    /// Where the server would have to run it.
    pub(super) fn read(self, place: usize) -> Result<request::Tool, Fault> {
        if self.kind.as_ref().is_some_and(|kind| kind != "custom") {
            let message = "only tools of type `custom` can be offered: none is run here";
            return Err(Fault::invalid(format!("tools[{place}].type"), message));
        }
        let Some(parameters) = self.input_schema else {
            return Err(Fault::invalid(format!("tools[{place}].input_schema"), "a tool has an `input_schema`"));
        };
        Ok(request::Tool { name: self.name, description: self.description.unwrap_or_default(), parameters })
    }
}

/// Whether, and which, tools must be called.
#[derive(Deserialize, ToSchema)]
#[schema(as = ToolChoice)]
pub(super) struct Choice {
    #[serde(flatten)]
    which: Which,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ToolChoiceKind)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Which {
    Auto,
    Any,
    Tool { name: String },
    None,
}

impl Choice {
    /// Puts it as OpenAI's API does.
    pub(super) fn tell(self, fields: &mut Map<String, Value>) {
        let choice = match self.which {
            Which::Auto => "auto".into(),
            Which::Any => "required".into(),
            Which::Tool { name } => json!({"type": "function", "function": {"name": name}}),
            Which::None => "none".into(),
        };
        fields.insert("tool_choice".to_owned(), choice);
        if self.disable_parallel_tool_use == Some(true) {
            fields.insert("parallel_tool_calls".to_owned(), false.into());
        }
    }
}
