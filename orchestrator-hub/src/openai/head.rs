use std::time::SystemTime;

/// Which of the two routes that generate text an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Chat,
    Completion,
}

impl Route {
    /// What the objects of a stream are called.
    pub(super) const fn chunk(self) -> &'static str {
        match self {
            Self::Chat => "chat.completion.chunk",
            Self::Completion => "text_completion",
        }
    }
}

/// What all objects of one answer begin with.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: String,
    /// Seconds since 1970.
    pub(super) created: u64,
    pub(super) model: String,
}

impl Head {
    /// Names an answer at random.
    pub(super) fn new(route: Route, model: String) -> Self {
        let kind = match route {
            Route::Chat => "chatcmpl",
            Route::Completion => "cmpl",
        };
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { id: format!("{kind}-{:024x}", fastrand::u128(..) >> 32), created: since.as_secs(), model }
    }
}
