use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::WorkerError;
use crate::token::TokenStream;
use crate::worker::{Health, InferenceRequest, ModelWorker, Slots, WorkerInfo};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// So that workers around workers take one of any kind, `Arc<dyn ModelWorker>` too. Written out, since the macro would box each
/// future once more.
impl<W: ModelWorker + ?Sized> ModelWorker for Arc<W> {
    fn infer<'a, 'b>(&'a self, request: InferenceRequest) -> Boxed<'b, Result<TokenStream, WorkerError>>
    where
        'a: 'b,
    {
        (**self).infer(request)
    }

    fn info(&self) -> WorkerInfo {
        (**self).info()
    }

    fn slots(&self) -> Option<Slots> {
        (**self).slots()
    }

    fn health<'a, 'b>(&'a self) -> Boxed<'b, Health>
    where
        'a: 'b,
    {
        (**self).health()
    }
}
