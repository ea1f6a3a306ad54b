//! Checks of the whole answer, behind all filters.

mod decide;
#[cfg(feature = "json-schema")]
mod gather;
#[cfg(feature = "json-schema")]
mod schema;

pub use decide::Decision;

use std::borrow::Cow;
use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::error::BoxError;
use orchestrator_core::token::TokenStream;

use crate::checks::decide::{Decide, Deciding};

/// The checks of a stage.
#[derive(Clone)]
pub(crate) struct Checks {
    deciding: Vec<Deciding>,
    #[cfg(feature = "json-schema")]
    schemas: Arc<[schema::Schema]>,
    /// The most bytes of an answer that are gathered.
    pub(crate) limit: usize,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            deciding: Vec::new(),
            #[cfg(feature = "json-schema")]
            schemas: Arc::default(),
            limit: 1 << 20,
        }
    }
}

impl Checks {
    pub(crate) fn add_deciding<F, Fut, E>(&mut self, name: Cow<'static, str>, decide: F)
    where
        F: Fn(Context, String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Decision, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let decide: Arc<Decide> = Arc::new(move |cx, text| {
            let deciding = decide(cx, text);
            Box::pin(async move { deciding.await.map_err(Into::into) })
        });
        self.deciding.push(Deciding { name, decide });
    }

    #[cfg(feature = "json-schema")]
    pub(crate) fn add_schema(
        &mut self,
        schema: &serde_json::Value,
    ) -> Result<(), orchestrator_core::error::InvalidInput> {
        let schema = schema::Schema::new(schema)?;
        self.schemas = self.schemas.iter().cloned().chain([schema]).collect();
        Ok(())
    }

    /// Whether an answer is held until it is decided.
    pub(crate) const fn decides(&self) -> bool {
        !self.deciding.is_empty()
    }

    /// Has the checks look at an answer.
    pub(crate) async fn run(&self, cx: &Context, stream: TokenStream) -> Result<TokenStream, BoxError> {
        if self.decides() {
            return self.decide(cx, stream).await;
        }
        #[cfg(feature = "json-schema")]
        if !self.schemas.is_empty() {
            let gathered = gather::Gathered::new(stream, cx.clone(), self.schemas.clone(), self.limit);
            return Ok(TokenStream::in_stage(cx, gathered));
        }
        Ok(stream)
    }
}
