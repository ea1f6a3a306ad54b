//! Steps of a pipeline.

mod config;
mod then;

pub use config::{CoDel, ShedPolicy, StageConfig};
pub(crate) use config::{Placement, Plan};
pub(crate) use then::Then;

use std::future::Future;

use crate::context::Context;
use crate::error::{BoxError, InvalidInput};

/// One typed step of a pipeline: takes an `In`, hands on an `Out`.
///
/// The input is a parameter of the trait, so one stage can stand behind different neighbours: the assembly stage
/// takes a bare prompt as well as one with passages. Implement it with `async fn run`; a small step can be a closure,
/// see [`Builder::then`](crate::pipeline::Builder::then).
///
/// # What a stage owes
///
/// - `run` may be dropped at any of its awaits, when the request is cancelled or its deadline passes. Whatever it
///   holds must be released by dropping it.
/// - It does not block the thread. Below about 50 us of CPU run inline; more goes through
///   [`Context::offload`], or the stage is placed with [`StageConfig::spawned`].
/// - It does not queue and does not limit itself: depth, concurrency, time limit and shed policy are given where the
///   stage is placed.
///
/// # What it may rely on
///
/// - A panic fails the one request; the stage is called again for the next one.
/// - Requests arrive in order per session, tenant and priority. They may finish out of order unless the stage is
///   [`ordered`](StageConfig::ordered).
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
///
/// struct Shout;
///
/// impl Stage<String> for Shout {
///     type Out = String;
///     type Error = std::convert::Infallible;
///
///     async fn run(&self, _cx: &Context, input: String) -> Result<String, Self::Error> {
///         Ok(input.to_uppercase())
///     }
///
///     fn name(&self) -> &str {
///         "shout"
///     }
/// }
/// ```
///
/// Wrong: a stage that starts a task and returns. The request counts as done, the task runs on unlimited, and a
/// cancellation does not reach it.
#[diagnostic::on_unimplemented(
    message = "stage `{Self}` cannot stand behind a stage that hands on `{In}`",
    label = "this stage does not take `{In}`",
    note = "a stage takes what the one before it hands on: `impl Stage<{In}> for {Self}` is missing"
)]
pub trait Stage<In: Send + 'static>: Send + Sync + 'static {
    /// What it hands on.
    type Out: Send + 'static;
    /// What can go wrong. A [`WorkerError`](crate::error::WorkerError) keeps its kind on the way to the caller.
    type Error: Into<BoxError>;

    /// Does the step for one request.
    fn run(&self, cx: &Context, input: In) -> impl Future<Output = Result<Self::Out, Self::Error>> + Send;

    /// Returns the name in reports, metrics and errors; the type's name unless overridden.
    fn name(&self) -> &str {
        short_type_name::<Self>()
    }

    /// Checks the stage's own settings; called once, when the pipeline is built.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used; it becomes a fault of the [`BuildError`](crate::error::BuildError).
    fn check(&self) -> Result<(), InvalidInput> {
        Ok(())
    }

    /// Returns how it wants to be placed; what is given with
    /// [`stage_with`](crate::pipeline::Builder::stage_with) goes before.
    fn defaults(&self) -> StageConfig {
        StageConfig::new()
    }
}

/// The last segment of a type's path, without its parameters.
fn short_type_name<T: ?Sized>() -> &'static str {
    let full = std::any::type_name::<T>();
    let plain = full.split('<').next().unwrap_or(full);
    plain.rsplit("::").next().unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_named_by_its_type() {
        struct Local<T>(T);
        assert_eq!(short_type_name::<Local<Vec<String>>>(), "Local");
    }
}
