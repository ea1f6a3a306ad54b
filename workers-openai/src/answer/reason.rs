//! Why an answer ended, in the words of every server.

use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::token::FinishReason;

/// What a server's reason means: how the answer ended, or that it failed. `None` where it goes on.
///
/// A word that is not known is `Stop`: the server says that it is done, and nothing says that something is missing. Those that
/// say that it gave up are failures, so that half an answer is not taken for a whole one.
pub(super) fn meaning(reason: &str) -> Option<Result<FinishReason, WorkerErrorKind>> {
    Some(Ok(match reason {
        "" | "null" => return None,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "tool_calls" | "tool_use" | "function_call" => FinishReason::ToolCalls,
        "content_filter" | "safety" | "refusal" => FinishReason::ContentFilter,
        // OpenRouter and Mistral; vLLM and SGLang, when a request is aborted from elsewhere; DeepSeek.
        "error" | "abort" => return Some(Err(WorkerErrorKind::Transient)),
        "insufficient_system_resource" => return Some(Err(WorkerErrorKind::Overloaded)),
        _ => FinishReason::Stop,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_servers_words_are_understood() {
        for stop in ["stop", "eos_token", "stop_sequence", "end_turn", "something new"] {
            assert_eq!(meaning(stop), Some(Ok(FinishReason::Stop)), "{stop}");
        }
        assert_eq!(meaning("model_length"), Some(Ok(FinishReason::Length)));
        assert_eq!(meaning("function_call"), Some(Ok(FinishReason::ToolCalls)));
        assert_eq!(meaning("content_filter"), Some(Ok(FinishReason::ContentFilter)));
        assert_eq!(meaning("abort"), Some(Err(WorkerErrorKind::Transient)));
        assert_eq!(meaning(""), None);
    }
}
