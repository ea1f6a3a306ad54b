//! Lines of JSON.
//!
//! The fields of spans are written once, as the inside of an object, and copied into each line. What comes with
//! `tracing-subscriber` reads them back as JSON whenever one is added, which was a sixth of what a short request cost.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Fields as the inside of an object.
pub(super) struct Fields;

/// A line: an object with the fields of the event, and the spans that it lies in from the outermost on.
pub(super) struct Line;

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut inside = Inside { writer, is_first: true, result: Ok(()) };
        fields.record(&mut inside);
        inside.result
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let is_first = current.fields.is_empty();
        let mut inside = Inside { writer: current.as_writer(), is_first, result: Ok(()) };
        fields.record(&mut inside);
        inside.result
    }
}

impl<S> FormatEvent<S, Fields> for Line
where
    S: Subscriber + for<'l> LookupSpan<'l>,
{
    fn format_event(&self, cx: &FmtContext<'_, S, Fields>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        write!(line, "\",\"level\":\"{level}\",\"target\":\"{target}\"")?;
        let mut behind = Inside { writer: line.by_ref(), is_first: false, result: Ok(()) };
        event.record(&mut behind);
        behind.result?;
        line.write_str(",\"spans\":[")?;
        let mut before = "";
        for span in cx.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            write!(line, "{before}{{\"name\":\"{}\"", span.name())?;
            if let Some(fields) = span.extensions().get::<FormattedFields<Fields>>().filter(|f| !f.fields.is_empty()) {
                write!(line, ",{}", fields.fields)?;
            }
            line.write_char('}')?;
            before = ",";
        }
        line.write_str("]}\n")
    }
}

/// Writes fields one behind the other.
struct Inside<'w> {
    writer: Writer<'w>,
    is_first: bool,
    /// The first failure, behind which nothing is written.
    result: fmt::Result,
}

impl Inside<'_> {
    fn field(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let before = if self.is_first { "" } else { "," };
        self.is_first = false;
        let all = || {
            for part in [before, "\"", field.name(), "\":"] {
                self.writer.write_str(part)?;
            }
            write(&mut self.writer)
        };
        if self.result.is_ok() {
            self.result = all();
        }
    }
}

impl Visit for Inside<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |writer| text(writer, |inside| write!(inside, "{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |writer| text(writer, |inside| inside.write_str(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        let number = |writer: &mut Writer<'_>| match value.is_finite() {
            true => write!(writer, "{value}"),
            false => text(writer, |inside| write!(inside, "{value}")),
        };
        self.field(field, number);
    }
}

fn text(writer: &mut Writer<'_>, write: impl FnOnce(&mut Escaped<'_, '_>) -> fmt::Result) -> fmt::Result {
    writer.write_char('"')?;
    write(&mut Escaped(writer))?;
    writer.write_char('"')
}

/// Writes the inside of a JSON string.
struct Escaped<'a, 'w>(&'a mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, value: &str) -> fmt::Result {
        let mut rest = value;
        while let Some(place) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
            let (plain, odd) = rest.split_at(place);
            self.0.write_str(plain)?;
            match odd.as_bytes()[0] {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                b'\n' => self.0.write_str("\\n")?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &odd[1..];
        }
        self.0.write_str(rest)
    }
}
