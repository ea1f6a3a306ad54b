use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use crate::answer::Answer;
use crate::error::{Error, RefuseReason};
use crate::pipeline::Pipeline;
use crate::request::Input;

/// Submits; the response is the [`Answer`], given at admission.
///
/// Always ready unless it drains: what a full door does with a request is the business of its policy, which knows the
/// request's priority and deadline, and readiness does not.
impl<In: Input, Out: Send + 'static> tower_service::Service<In> for Pipeline<In, Out> {
    type Response = Answer<Out>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Answer<Out>, Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        if self.inner.shared.draining.load(Ordering::Relaxed) {
            return Poll::Ready(Err(Error::refused(RefuseReason::Draining)));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, input: In) -> Self::Future {
        let pipeline = self.clone();
        Box::pin(async move { pipeline.submit(input).await })
    }
}
