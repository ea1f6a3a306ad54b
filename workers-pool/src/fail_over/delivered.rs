use orchestrator_core::token::TextDelta;

/// What the reader has of an answer, as far as another call could go on behind it.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    text: String,
    ids: Ids,
    /// The model that told the first of it, once that is asked for and where it is known.
    model: Option<String>,
    /// Whether a stream that told some of it has ended.
    has_teller: bool,
    /// How many tokens it is: by their ids, or a delta for a token where they are not known.
    tokens: u64,
    /// Whether there is anything at all.
    something: bool,
    /// Whether the stream that is read now has told some of it.
    fresh: bool,
    /// Whether there is, or may come, what cannot be gone on with: nothing is collected then.
    barred: bool,
}

/// The ids of its tokens: all of them or none.
#[derive(Debug)]
enum Ids {
    /// So far all are known.
    Known {
        of_text: Vec<u32>,
        /// Those of which the server holds the text back: whoever goes on makes these tokens again.
        held: Vec<u32>,
    },
    Unknown,
}

impl Delivered {
    /// Starts with nothing; collects only where it can be of use.
    pub(super) fn new(barred: bool) -> Self {
        Self { barred, ..Self::default() }
    }

    /// Returns whether the reader has nothing yet.
    pub(super) const fn is_nothing(&self) -> bool {
        !self.something
    }

    /// Returns whether no call can go on behind it.
    pub(super) const fn is_barred(&self) -> bool {
        self.barred
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) const fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Returns the model that began it, where it is known.
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Returns the ids of its tokens, where all are known.
    pub(super) fn ids(&self) -> Option<&[u32]> {
        match &self.ids {
            Ids::Known { of_text, .. } => Some(of_text),
            Ids::Unknown => None,
        }
    }

    /// Adds a piece of text.
    #[inline]
    pub(super) fn add(&mut self, delta: &TextDelta) {
        let has_text = !delta.text().is_empty();
        self.something |= has_text;
        self.fresh |= has_text;
        if self.barred {
            return;
        }
        let new = self.ids.add(delta.token_ids(), has_text);
        if has_text {
            self.text.push_str(delta.text());
            self.tokens += new.max(1);
        }
    }

    /// Notes something that no other call can go on behind.
    pub(super) fn bar(&mut self) {
        *self = Self { something: true, ..Self::new(true) };
    }

    /// Notes that the stream that may have told the last of it has died, and which model that was of.
    ///
    /// Two models have two vocabularies, and of a model without a name nobody knows whose ids these are.
    pub(super) fn ends_with(&mut self, by: Option<&str>) {
        self.ids.let_go();
        if !std::mem::take(&mut self.fresh) {
            return;
        }
        if !std::mem::replace(&mut self.has_teller, true) {
            self.model = by.map(str::to_owned);
        }
        if by.is_none() || by != self.model.as_deref() {
            self.ids = Ids::Unknown;
        }
    }
}

impl Ids {
    /// Adds those of a delta; returns how many its text is made of, 0 where that is not known.
    fn add(&mut self, ids: &[u32], has_text: bool) -> u64 {
        let Self::Known { of_text, held, .. } = self else { return ids.len() as u64 };
        if !has_text {
            held.extend_from_slice(ids);
            return 0;
        }
        if ids.is_empty() {
            *self = Self::Unknown;
            return 0;
        }
        let before = of_text.len();
        of_text.append(held);
        of_text.extend_from_slice(ids);
        (of_text.len() - before) as u64
    }

    /// Forgets tokens whose text never came.
    fn let_go(&mut self) {
        if let Self::Known { held, .. } = self {
            held.clear();
        }
    }
}

impl Default for Ids {
    fn default() -> Self {
        Self::Known { of_text: Vec::new(), held: Vec::new() }
    }
}
