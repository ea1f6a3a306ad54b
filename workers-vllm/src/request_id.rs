use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use orchestrator_core::context::Context;

/// What tells the ids of this process from those of others that talk to the same server.
static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));

/// Calls of this process so far.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// Makes the id of a call: the process, the id of the context, and which call of the process it is.
///
/// A request may be asked twice at once, by a pool that hedges, and vLLM wants every id once.
pub(crate) fn next(context: &Context) -> HeaderValue {
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let id = format!("po-{:016x}-{}-{call}", *PROCESS, context.id());
    HeaderValue::try_from(id).expect("letters, digits and dashes")
}

#[cfg(test)]
mod tests {
    use orchestrator_core::request::RequestOptions;

    use super::*;

    #[test]
    fn the_same_request_has_another_id_with_every_call() {
        let context = Context::standalone(RequestOptions::new());
        let ids = [next(&context), next(&context)].map(|id| id.to_str().expect("ASCII").to_owned());
        assert_ne!(ids[0], ids[1]);
        let parts: Vec<_> = ids[0].split('-').collect();
        assert_eq!((parts.len(), parts[0], parts[1].len()), (4, "po", 16));
        assert_eq!(parts[2], context.id().to_string());
    }
}
