//! What the model may call, and its calls.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::open::open_enum;
use super::{Extra, Field};

/// Something that the model may ask to have called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// `function`, or a vendor's own kind.
    #[serde(rename = "type", skip_serializing_if = "Field::is_absent")]
    pub kind: Field<String>,
    /// The function, if it is one.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub function: Field<FunctionTool>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Tool {
    /// Makes a function whose parameters are described by a JSON schema.
    pub fn function(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Self {
        let function = FunctionTool {
            name: name.into().into(),
            description: description.into().into(),
            parameters: parameters.into(),
            ..FunctionTool::default()
        };
        Self { kind: "function".into(), function: function.into(), extra: Extra::new() }
    }
}

/// A function that the model may ask to have called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionTool {
    /// What calls say.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// What it does; the model sees this.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub description: Field<String>,
    /// The JSON schema of its arguments.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub parameters: Field<Value>,
    /// Whether calls must match the schema, or should.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub strict: Field<bool>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

open_enum! {
    /// Whether the model may, must or must not call something.
    ToolMode {
        /// It decides.
        Auto = "auto",
        /// It must not.
        None = "none",
        /// It must call one or more.
        Required = "required",
    }
}

/// Which tool the model calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ToolChoice {
    /// Any.
    Mode(ToolMode),
    /// This function.
    Function(FunctionChoice),
    /// Anything else.
    Other(Value),
}

impl ToolChoice {
    /// Has the model call this function.
    pub fn function(name: impl Into<String>) -> Self {
        let function = FunctionName { name: name.into(), extra: Extra::new() };
        Self::Function(FunctionChoice { kind: "function".into(), function, extra: Extra::new() })
    }
}

/// A function that the model must call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionChoice {
    /// `function`.
    #[serde(rename = "type", default, skip_serializing_if = "Field::is_absent")]
    pub kind: Field<String>,
    /// Which.
    pub function: FunctionName,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The name of a function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FunctionName {
    /// As in [`FunctionTool::name`].
    pub name: String,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A call that the model asks for, or a piece of one.
///
/// In a stream the pieces of a call have the same `index`; the first has the id and the name, each has more of the
/// arguments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolCall {
    /// Which of the message's calls this is a piece of.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub index: Field<u32>,
    /// What the message with the result refers to.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub id: Field<String>,
    /// `function`.
    #[serde(rename = "type", skip_serializing_if = "Field::is_absent")]
    pub kind: Field<String>,
    /// What to call.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub function: Field<FunctionCall>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A function's name and arguments, or a piece of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionCall {
    /// As in [`FunctionTool::name`].
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// What to call it with.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub arguments: Field<Arguments>,
    /// Unknown fields.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a function is called with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Arguments {
    /// JSON as text, which is what OpenAI sends: the model may have written it badly.
    Text(String),
    /// The object itself, which some servers send.
    Object(Value),
}
