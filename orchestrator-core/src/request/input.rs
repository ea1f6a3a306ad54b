use crate::error::InvalidInput;
use crate::request::{RequestOptions, Size};

/// What a pipeline can be submitted with.
///
/// [`PromptRequest`](crate::request::PromptRequest) is the usual one. A pipeline that embeds texts or searches
/// takes a type of its own; all methods have a default, so an empty `impl` is enough:
///
/// ```
/// use orchestrator_core::request::Input;
///
/// struct Texts(Vec<String>);
/// impl Input for Texts {}
/// ```
pub trait Input: Send + 'static {
    /// Takes the options that the input carries; called once, at the door.
    ///
    /// Not called by [`submit_with`](crate::pipeline::Pipeline::submit_with), which is given its options.
    fn take_options(&mut self) -> RequestOptions {
        RequestOptions::default()
    }

    /// Says how much work it is, as far as that can be seen; nothing unless overridden.
    ///
    /// Called at the door of pipelines in which a stage takes slots, or tenants have limits.
    fn size(&self) -> Size {
        Size::Unknown
    }

    /// Checks the input before anything is spent on it.
    ///
    /// # Errors
    ///
    /// Names the field that is wrong; the request is refused with it.
    fn validate(&self) -> Result<(), InvalidInput> {
        Ok(())
    }
}

impl Input for String {}
impl Input for &'static str {}
impl Input for Vec<String> {}
impl Input for u64 {}
