//! Why an answer ended, in the words of every server.

use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::token::FinishReason;

/// What a server's word for the end of an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The answer ended so.
    Ended(FinishReason),
    /// It is not known. The server says that it is done, and nothing says that something is missing.
    Unknown,
    /// The server gave the answer up: half of one must not be taken for a whole one.
    Failed(WorkerErrorKind),
}

/// Says what a server's reason means, whatever its case; `None` where the answer goes on.
pub(super) fn meaning(reason: &str) -> Option<Meaning> {
    Some(match reason.to_ascii_lowercase().as_str() {
        "" | "null" => return None,
        "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" => Meaning::Ended(FinishReason::Stop),
        "length" | "max_tokens" | "model_length" => Meaning::Ended(FinishReason::Length),
        "tool_calls" | "tool_use" | "function_call" => Meaning::Ended(FinishReason::ToolCalls),
        "content_filter" | "safety" | "refusal" => Meaning::Ended(FinishReason::ContentFilter),
        // OpenRouter and Mistral; vLLM and SGLang, when a request is aborted from elsewhere; gateways. The same request may
        // well be answered the next time.
        "error" | "server_error" | "failed" | "timeout" => Meaning::Failed(WorkerErrorKind::Transient),
        "abort" | "aborted" | "cancelled" | "canceled" => Meaning::Failed(WorkerErrorKind::Transient),
        // DeepSeek.
        "insufficient_system_resource" => Meaning::Failed(WorkerErrorKind::Overloaded),
        _ => Meaning::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_servers_words_are_understood() {
        for stop in ["stop", "STOP", "eos_token", "stop_sequence", "end_turn"] {
            assert_eq!(meaning(stop), Some(Meaning::Ended(FinishReason::Stop)), "{stop}");
        }
        assert_eq!(meaning("model_length"), Some(Meaning::Ended(FinishReason::Length)));
        assert_eq!(meaning("function_call"), Some(Meaning::Ended(FinishReason::ToolCalls)));
        assert_eq!(meaning("content_filter"), Some(Meaning::Ended(FinishReason::ContentFilter)));
        assert_eq!(meaning("something new"), Some(Meaning::Unknown));
        assert_eq!(meaning(""), None);
    }

    #[test]
    fn words_of_failure_are_failures() {
        for failed in [
            "error",
            "Error",
            "server_error",
            "failed",
            "timeout",
            "abort",
            "aborted",
            "cancelled",
            "canceled",
            "CANCELLED",
        ] {
            assert_eq!(meaning(failed), Some(Meaning::Failed(WorkerErrorKind::Transient)), "{failed}");
        }
    }
}
