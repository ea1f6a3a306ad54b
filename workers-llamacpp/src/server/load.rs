use futures_util::future::join;
use orchestrator_core::worker::Load;
use workers_openai::client::{Client, Metrics};

use super::facts::Facts;
use crate::wire::Slot;

/// Asks `/metrics` and `/slots`. Either may be turned off, and what it would tell is then not told.
pub(super) async fn ask(client: &Client, facts: &Facts) -> Load {
    let (metrics, slots) = join(client.get_text("/metrics"), client.get_json::<Vec<Slot>>("/slots")).await;
    load(&metrics.unwrap_or_default(), slots.ok().as_deref(), facts)
}

fn load(metrics: &str, slots: Option<&[Slot]>, facts: &Facts) -> Load {
    let metrics = Metrics::read(metrics);
    let cached = metrics.count("llamacpp:prompt_tokens_cached_total");
    let mut load = Load::default();
    load.running =
        metrics.count("llamacpp:requests_processing").or_else(|| slots.map(|slots| busy(slots).count() as u64));
    load.waiting = metrics.count("llamacpp:requests_deferred");
    load.slots = Some(facts.slots.get() as u64);
    load.kv_cache_use = slots.and_then(kv_cache_use);
    // The server counts those that it evaluated apart from those that it had.
    let evaluated = metrics.count("llamacpp:prompt_tokens_total");
    load.prompt_tokens = evaluated.map(|evaluated| evaluated.saturating_add(cached.unwrap_or_default()));
    load.cached_tokens = cached;
    load
}

fn busy(slots: &[Slot]) -> impl Iterator<Item = &Slot> {
    slots.iter().filter(|slot| slot.is_processing.get() == Some(&true))
}

/// What busy slots hold, as part of what all have room for. What idle ones keep is given up when the room is needed.
#[expect(clippy::cast_precision_loss, reason = "it is a ratio")]
fn kv_cache_use(slots: &[Slot]) -> Option<f64> {
    let room: u64 = slots.iter().filter_map(|slot| slot.n_ctx.get()).sum();
    let used: u64 = busy(slots).filter_map(|slot| slot.n_prompt_tokens.get()).sum();
    (room > 0).then(|| (used as f64 / room as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use serde_json::json;

    use super::*;

    fn facts() -> Facts {
        Facts { slots: NonZeroUsize::new(2).expect("not zero"), context_length: None, model: None }
    }

    fn slots() -> Vec<Slot> {
        let told = json!([
            {"id": 0, "n_ctx": 100, "is_processing": true, "n_prompt_tokens": 50},
            {"id": 1, "n_ctx": 100, "is_processing": false, "n_prompt_tokens": 90},
        ]);
        serde_json::from_value(told).expect("slots")
    }

    #[test]
    fn tokens_of_prompts_are_those_evaluated_and_those_cached() {
        let metrics = "llamacpp:requests_processing 2\nllamacpp:requests_deferred 3\nllamacpp:prompt_tokens_total 7e+01\n\
                       llamacpp:prompt_tokens_cached_total 183\n";
        let load = load(metrics, None, &facts());
        assert_eq!((load.running, load.waiting, load.slots), (Some(2), Some(3), Some(2)));
        assert_eq!((load.prompt_tokens, load.cached_tokens, load.kv_cache_use), (Some(253), Some(183), None));
    }

    #[test]
    fn what_one_route_does_not_tell_the_other_may() {
        let load = load("", Some(&slots()), &facts());
        assert_eq!((load.running, load.waiting, load.prompt_tokens), (Some(1), None, None));
        assert_eq!(load.kv_cache_use, Some(0.25), "only what is worked on counts");
    }
}
