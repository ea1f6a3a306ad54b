use async_trait::async_trait;
use orchestrator_core::prelude::*;
use orchestrator_core::worker::WorkerInfo;
use tokio_util::sync::CancellationToken;

/// A worker that says "to ", and " be" when it is told to.
#[derive(Debug, Clone, Default)]
pub struct Gated {
    open: CancellationToken,
}

impl Gated {
    /// Lets all answers come to their end.
    pub fn open(&self) {
        self.open.cancel();
    }
}

#[async_trait]
impl ModelWorker for Gated {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let open = self.open.clone();
        Ok(TokenStream::generate(async move |mut out| {
            out.emit(TokenEvent::text_delta("to ")).await;
            open.cancelled().await;
            out.emit(TokenEvent::text_delta("be")).await;
            out.emit(TokenEvent::finish(FinishReason::Stop, Usage::new(1, 2))).await;
            Ok(())
        }))
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new("gated")
    }
}
