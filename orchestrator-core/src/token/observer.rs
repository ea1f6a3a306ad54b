use crate::error::WorkerError;
use crate::token::{Finish, TokenEvent};

/// Is told how a stream goes, where what happens from event to event does not matter.
///
/// Called by whoever reads the stream, before the event is handed on; what takes long holds up the answer. See
/// [`TokenStream::observed`](crate::token::TokenStream::observed).
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use orchestrator_core::token::{End, Observer};
///
/// struct Prints;
///
/// impl Observer for Prints {
///     fn begin(&mut self) {
///         println!("it answers");
///     }
///
///     fn end(&mut self, end: End<'_>) {
///         match end {
///             End::Finished(finish) => println!("{} tokens", finish.usage.completion_tokens),
///             End::Failed(error) => println!("{error}"),
///             End::Dropped => println!("nobody wants the rest"),
///         }
///     }
/// }
///
/// fn printing(stream: TokenStream) -> TokenStream {
///     stream.observed(Prints)
/// }
/// ```
pub trait Observer: Send {
    /// The first event is there, and it is not the end.
    fn begin(&mut self) {}

    /// The stream has ended; called once.
    fn end(&mut self, end: End<'_>);
}

/// How a stream ended.
#[derive(Debug)]
pub enum End<'a> {
    /// With its terminal event, which may be added to.
    Finished(&'a mut Finish),
    /// With an error, or without a terminal event or with a panic: then the error is of the kind
    /// [`StreamCut`](crate::error::WorkerErrorKind::StreamCut).
    Failed(&'a WorkerError),
    /// It was dropped before.
    Dropped,
}

/// Who is told; the innermost first.
#[derive(Default)]
pub(super) struct Observers {
    all: Vec<Box<dyn Observer>>,
    begun: bool,
}

impl Observers {
    pub(super) fn push(&mut self, observer: Box<dyn Observer>) {
        self.all.push(observer);
    }

    /// Tells of a panic.
    #[cold]
    pub(super) fn panicked(&mut self) {
        let error = WorkerError::stream_cut().with_message("the stream panicked");
        self.end(|observer| observer.end(End::Failed(&error)));
    }

    /// Tells of an event that is the first or the last.
    #[inline]
    pub(super) fn tell(&mut self, item: &mut Option<Result<TokenEvent, WorkerError>>, over: bool) {
        if !self.all.is_empty() && (over || !self.begun) {
            self.tell_all(item);
        }
    }

    /// Tells of a terminal event that somebody made.
    pub(super) fn finished(&mut self, finish: &mut Finish) {
        self.end(|observer| observer.end(End::Finished(finish)));
    }

    #[cold]
    fn tell_all(&mut self, item: &mut Option<Result<TokenEvent, WorkerError>>) {
        match item {
            Some(Ok(TokenEvent::Finish(finish))) => self.end(|observer| observer.end(End::Finished(finish))),
            Some(Ok(_)) => {
                self.begun = true;
                self.all.iter_mut().for_each(|observer| observer.begin());
            }
            Some(Err(error)) => self.end(|observer| observer.end(End::Failed(error))),
            None => {
                let error = WorkerError::stream_cut();
                self.end(|observer| observer.end(End::Failed(&error)));
            }
        }
    }

    fn end(&mut self, mut tell: impl FnMut(&mut dyn Observer)) {
        for mut observer in std::mem::take(&mut self.all) {
            tell(&mut *observer);
        }
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        self.end(|observer| observer.end(End::Dropped));
    }
}
