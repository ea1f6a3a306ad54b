//! What a filter is, and what it and the stage owe each other.

use orchestrator_core::token::FinishReason;

/// What [`TextFilter::push`] did with a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Filtered {
    /// The piece goes on as it is, with its token ids and its raw frame; what stands in `out` is dropped.
    Unchanged,
    /// What stands in `out` goes on in its place, nothing if `out` is empty.
    Changed,
    /// What stands in `out` goes on in the piece's place, and with it the answer ends, for this reason.
    ///
    /// The worker's stream is dropped at once, which stops the model server and frees its slot. Filters behind this one
    /// give out what they hold, those before it do not. The terminal event counts no tokens, as servers tell them at the end.
    End(FinishReason),
}

/// Changes the text of one answer while it streams.
///
/// One filter serves one request: [`PostStage::filter`](crate::PostStage::filter) is given a function that makes it.
///
/// # What a filter owes
///
/// - It answers [`Filtered::Unchanged`] wherever it can. That costs nothing, and only then the token ids and the
///   server's frame stay with the text; they are dropped from a piece that was changed.
/// - It answers `Unchanged` only while it holds nothing back: what was held would come out behind the later piece.
/// - What it holds back comes out of a later `push` or of `flush`, in order.
/// - After `reset` it is as it was when it was made.
/// - It does not block, and keeps its buffers: `push` runs once for every token.
///
/// # What it may rely on
///
/// - The pieces are never empty and come in order. Where they are cut means nothing: a word, a line break or a
///   combined character may be split between two of them.
/// - `out` is empty when `push` is called. `flush` appends to what a `push` of the last moment may have left there.
/// - `flush` is called once, at the terminal event, and nothing after it. An answer that fails or is cancelled is not
///   flushed.
/// - A panic fails the one request, in the name of the stage.
///
/// # Examples
///
/// Right: dots are held back until it is clear what they are.
///
/// ```
/// use stages_post::{Filtered, PostStage, TextFilter};
///
/// /// Turns three dots into an ellipsis.
/// #[derive(Default)]
/// struct Ellipsis {
///     dots: usize,
/// }
///
/// impl TextFilter for Ellipsis {
///     fn push(&mut self, text: &str, out: &mut String) -> Filtered {
///         if self.dots == 0 && !text.contains('.') {
///             return Filtered::Unchanged;
///         }
///         for c in text.chars() {
///             if c != '.' {
///                 self.flush(out);
///                 out.push(c);
///             } else if self.dots == 2 {
///                 self.dots = 0;
///                 out.push('…');
///             } else {
///                 self.dots += 1;
///             }
///         }
///         Filtered::Changed
///     }
///
///     fn flush(&mut self, out: &mut String) {
///         out.extend(std::iter::repeat_n('.', self.dots));
///         self.dots = 0;
///     }
///
///     fn reset(&mut self) {
///         self.dots = 0;
///     }
/// }
///
/// let post = PostStage::new().filter(Ellipsis::default);
/// # drop(post);
/// ```
///
/// Wrong: leaving out the test of `self.dots == 0` above. A piece without dots would overtake the dots before it.
pub trait TextFilter: Send + 'static {
    /// Takes the next piece of text, and writes what takes its place to `out` unless the piece goes on as it is.
    fn push(&mut self, text: &str, out: &mut String) -> Filtered;

    /// Appends what is still held back to `out`: the answer's text is complete.
    fn flush(&mut self, out: &mut String);

    /// Forgets everything: what was delivered is void, and the answer starts again.
    fn reset(&mut self);
}

/// For functions that choose among several filters.
impl<F: TextFilter + ?Sized> TextFilter for Box<F> {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        (**self).push(text, out)
    }

    fn flush(&mut self, out: &mut String) {
        (**self).flush(out);
    }

    fn reset(&mut self) {
        (**self).reset();
    }
}
