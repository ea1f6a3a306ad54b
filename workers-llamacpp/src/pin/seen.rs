use std::hash::{DefaultHasher, Hasher as _};

/// What is kept of a prompt, to know its continuation by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    length: usize,
    hash: u64,
}

impl Seen {
    pub(super) fn new(prompt: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(prompt);
        Self { length: prompt.len(), hash: hasher.finish() }
    }

    /// Whether a prompt begins with all of this one.
    pub(super) fn begins(&self, prompt: &[u8]) -> bool {
        prompt.get(..self.length).is_some_and(|start| Self::new(start) == *self)
    }
}
