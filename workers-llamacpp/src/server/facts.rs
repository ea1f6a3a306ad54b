use std::num::NonZeroUsize;
use std::time::Duration;

use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use tokio::time::Instant;
use workers_openai::client::Client;

use crate::wire::Props;

/// More slots than any machine has; a server that says so is none.
const MOST_SLOTS: u64 = 1 << 16;

/// Pauses between two questions to a server that loads its model: small models take a tenth of a second, large ones minutes.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// How many requests it works on at once.
    pub(crate) slots: NonZeroUsize,
    /// Tokens that a slot has room for.
    pub(crate) context_length: Option<u64>,
    pub(crate) model: Option<String>,
}

impl Facts {
    pub(crate) async fn ask(client: &Client) -> Result<Self, WorkerError> {
        let props: Props = client.get_json("/props").await?;
        let slots = props.total_slots.get().copied().filter(|slots| *slots <= MOST_SLOTS);
        let slots = slots.and_then(|slots| NonZeroUsize::new(usize::try_from(slots).ok()?));
        let Some(slots) = slots else {
            let what = "the server does not say how many slots it has: it is not llama.cpp's, or an old one";
            return Err(WorkerError::new(WorkerErrorKind::Protocol, what));
        };
        let context_length = props.default_generation_settings.get().and_then(|settings| settings.n_ctx.get()).copied();
        let alias = props.model_alias.into_option().filter(|alias| !alias.is_empty());
        Ok(Self { slots, context_length, model: alias.or_else(|| props.model_path.into_option()) })
    }

    /// Asks until the server has loaded its model, at most `limit`.
    pub(crate) async fn wait(client: &Client, limit: Duration) -> Result<Self, WorkerError> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match Self::ask(client).await {
                Err(error) if is_loading(&error) && started.elapsed() + pause <= limit => {}
                answered => return answered,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// 503 with `unavailable_error`: nothing else has a reason to say so of its properties.
fn is_loading(error: &WorkerError) -> bool {
    error.status() == Some(503)
}
