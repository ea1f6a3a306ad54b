//! One event.

use bytes::Bytes;

/// An event as it was dispatched.
///
/// Its bytes are slices of the chunk that they came in, where they came in one: as long as an event lives, so does its
/// chunk. They are handed on as they were sent. The specification reads them as UTF-8 with replacement characters, which
/// is what [`String::from_utf8_lossy`] makes of them; a JSON parser refuses what is no UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    pub(super) data: Bytes,
    pub(super) name: Option<Bytes>,
    pub(super) id: Option<Bytes>,
}

impl SseEvent {
    /// Returns the data: the values of the event's `data` lines, with a line feed between each two.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Returns the data without the rest.
    pub fn into_data(self) -> Bytes {
        self.data
    }

    /// Returns the value of the event's last `event` line; `None` where there is none, or an empty one.
    pub fn name(&self) -> Option<&Bytes> {
        self.name.as_ref()
    }

    /// Returns the last event id: the value of the last `id` line so far in this stream; `None` where there is none, or an
    /// empty one.
    pub fn id(&self) -> Option<&Bytes> {
        self.id.as_ref()
    }
}
