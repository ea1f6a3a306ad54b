//! Enumerations that servers add to.

/// Makes an enum of known strings that keeps unknown ones.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// Something else, as it was written.
            Other(String),
        }

        impl $name {
            /// Returns the name on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$variant,)+
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Ok(Self::from(&*text))
            }
        }
    };
}

pub(crate) use open_enum;

open_enum! {
    /// Who a message is from.
    Role {
        /// Who runs the service.
        System = "system",
        /// The same for newer models of OpenAI.
        Developer = "developer",
        /// Who asks.
        User = "user",
        /// The model.
        Assistant = "assistant",
        /// The result of a call that the model asked for.
        Tool = "tool",
    }
}

open_enum! {
    /// Why the model stopped.
    ///
    /// Some servers write `""` instead of `null` while it goes on: that is [`Other`](Self::Other) with an empty string.
    FinishReason {
        /// It had finished, or met a stop string.
        Stop = "stop",
        /// The token limit or the context was used up.
        Length = "length",
        /// It wants tools called.
        ToolCalls = "tool_calls",
        /// The same for the older form with one function.
        FunctionCall = "function_call",
        /// The provider's filter stopped it.
        ContentFilter = "content_filter",
    }
}
