use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use crate::context::Context;
use crate::error::BoxError;
use crate::stage::Stage;

/// A closure as a stage.
pub(crate) struct Then<F, Out> {
    name: &'static str,
    step: F,
    out: PhantomData<fn() -> Out>,
}

impl<F, Out> Then<F, Out> {
    pub(crate) const fn new(name: &'static str, step: F) -> Self {
        Self { name, step, out: PhantomData }
    }
}

impl<F, Out> fmt::Debug for Then<F, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<In, F, Fut, Out, E> Stage<In> for Then<F, Out>
where
    In: Send + 'static,
    F: Fn(Context, In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Out, E>> + Send + 'static,
    Out: Send + 'static,
    E: Into<BoxError> + 'static,
{
    type Out = Out;
    type Error = E;

    fn run(&self, cx: &Context, input: In) -> impl Future<Output = Result<Out, E>> + Send {
        (self.step)(cx.clone(), input)
    }

    fn name(&self) -> &str {
        self.name
    }
}
