use orchestrator_core::context::Context;
use orchestrator_core::request::Priority;
use workers_openai::wire::Extra;

use crate::salt::CacheSalt;

/// The fields that vLLM has beyond OpenAI's, and that are set for every request.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) priorities: bool,
    pub(crate) salt: Option<CacheSalt>,
    pub(crate) token_ids: bool,
}

impl Fields {
    /// Adds them to those that the caller has set for this vendor.
    ///
    /// The caller's own come first, but for the salt: whoever could choose it could look into the cache of another tenant.
    /// `by_ids` says that the prompt is made of ids, so that those of the answer are wanted too.
    pub(crate) fn add_to(&self, extra: &mut Extra, context: &Context, by_ids: bool) {
        if self.priorities {
            extra.entry("priority").or_insert_with(|| rank(context.priority()).into());
        }
        if self.token_ids || by_ids {
            extra.entry("return_token_ids").or_insert(true.into());
        }
        if let Some(salt) = &self.salt {
            extra.insert("cache_salt".to_owned(), salt.of(context.tenant()).into());
        }
    }
}

/// vLLM serves lower numbers first; 0 is what a request has that says nothing, from whatever client.
const fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::High => -1,
        Priority::Normal => 0,
        Priority::Low => 1,
    }
}
