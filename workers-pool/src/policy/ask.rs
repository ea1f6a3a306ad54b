/// What a policy is told of a request.
///
/// The pool makes them; to test a policy of one's own there is [`new`](Self::new).
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Ask<'a> {
    /// The conversation, where the caller named one.
    pub session: Option<&'a str>,
    /// The customer, where the caller named one.
    pub tenant: Option<&'a str>,
    /// Tokens of the prompt, counted or estimated.
    pub prompt_tokens: u64,
    /// The most tokens that the answer may have, where the caller set a limit.
    pub max_tokens: Option<u64>,
}

impl<'a> Ask<'a> {
    /// Makes one of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the conversation.
    #[must_use]
    pub const fn session(mut self, session: &'a str) -> Self {
        self.session = Some(session);
        self
    }
}
