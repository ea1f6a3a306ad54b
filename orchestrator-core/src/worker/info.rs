/// What a worker is, without asking its server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// Name of the worker, for logs and reports.
    pub name: String,
    /// The model that answers, where it is known.
    pub model: Option<String>,
    /// How many tokens prompt and answer may have together, where it is known.
    pub context_length: Option<u64>,
    /// Whether it can go on with an answer that another call began:
    /// [`InferenceRequest::prefix`](crate::worker::InferenceRequest::prefix). It gets none without this.
    pub continues: bool,
    /// Whether it takes [tools](crate::worker::InferenceRequest::tools), where that is known.
    pub tools: Option<bool>,
    /// Whether it takes pictures, where that is known.
    pub images: Option<bool>,
}

impl WorkerInfo {
    /// Names a worker.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Names the model.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Says how many tokens prompt and answer may have together.
    #[must_use]
    pub const fn context_length(mut self, tokens: u64) -> Self {
        self.context_length = Some(tokens);
        self
    }

    /// Says that it can go on with an answer that another call began.
    #[must_use]
    pub const fn continues(mut self) -> Self {
        self.continues = true;
        self
    }

    /// Says whether it takes tools.
    #[must_use]
    pub const fn tools(mut self, takes: bool) -> Self {
        self.tools = Some(takes);
        self
    }

    /// Says whether it takes pictures.
    #[must_use]
    pub const fn images(mut self, takes: bool) -> Self {
        self.images = Some(takes);
        self
    }
}
