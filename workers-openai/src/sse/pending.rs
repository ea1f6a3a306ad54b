//! The event that is being put together.

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;

use super::field::{Field, Value};
use super::{SseError, SseEvent};

/// Where the data is that has come so far.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// One line, in its chunk.
    Slice(Bytes),
    /// In the buffer.
    Joined,
}

/// What the lines since the last blank one say; the last id and retry time of all lines.
#[derive(Debug, Default)]
pub(super) struct Pending {
    data: Data,
    /// Reused for every event that is not one `data` line in one chunk.
    joined: Vec<u8>,
    name: Option<Bytes>,
    id: Option<Bytes>,
    retry: Option<Duration>,
}

impl Pending {
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    #[inline]
    pub(super) fn take(&mut self, field: Field<'_>, limit: NonZeroUsize) -> Result<(), SseError> {
        match field {
            Field::Data(value) => self.take_data(value, limit)?,
            Field::Event(value) => self.name = filled(value),
            Field::Id(value) => self.id = filled(value),
            Field::Retry(time) => self.retry = Some(time),
            Field::Ignored => {}
        }
        Ok(())
    }

    #[inline]
    fn take_data(&mut self, value: Value<'_>, limit: NonZeroUsize) -> Result<(), SseError> {
        match std::mem::take(&mut self.data) {
            Data::None if value.chunk.is_some() => {
                self.data = Data::Slice(value.to_bytes());
                return Ok(());
            }
            Data::None => self.joined.clear(),
            Data::Slice(first) => {
                self.joined.clear();
                self.joined.extend_from_slice(&first);
                self.joined.push(b'\n');
            }
            Data::Joined => self.joined.push(b'\n'),
        }
        if self.joined.len() + value.bytes.len() > limit.get() {
            return Err(SseError { limit });
        }
        self.joined.extend_from_slice(value.bytes);
        self.data = Data::Joined;
        Ok(())
    }

    /// Ends the event. Without a `data` line there is none, and its name is forgotten.
    #[inline]
    pub(super) fn dispatch(&mut self) -> Option<SseEvent> {
        let name = self.name.take();
        let data = match std::mem::take(&mut self.data) {
            Data::None => return None,
            Data::Slice(data) => data,
            Data::Joined => Bytes::copy_from_slice(&self.joined),
        };
        Some(SseEvent { data, name, id: self.id.clone() })
    }
}

/// To the specification, empty is none.
fn filled(value: Value<'_>) -> Option<Bytes> {
    (!value.bytes.is_empty()).then(|| value.to_bytes())
}
