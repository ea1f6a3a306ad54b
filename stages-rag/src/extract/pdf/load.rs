use std::cell::RefCell;
use std::panic::{catch_unwind, resume_unwind};
use std::time::Instant;

use lopdf::{DecompressError, Dictionary, Document, Error, LoadOptions, Object, ObjectId, Stream};

use super::Budget;
use crate::corpus::{Limit, SkipReason};

/// The most bytes of a part that says where the objects are, or of a container of objects; ordinary ones have some ten
/// thousand.
const CONTAINER: usize = 4 << 20;

/// The most objects that are kept of a file.
const OBJECTS: usize = 2_000_000;

/// What the file may still cost while the reader goes through it.
struct Allowance {
    objects: usize,
    unpacked: usize,
    deadline: Option<Instant>,
}

thread_local! {
    /// The reader asks about each object through a plain function, which can keep nothing else.
    static ALLOWANCE: RefCell<Allowance> =
        const { RefCell::new(Allowance { objects: 0, unpacked: 0, deadline: None }) };
}

/// Reads the objects of a file, without its pictures and the outlines of its fonts.
pub(super) fn load(bytes: &[u8], budget: &mut Budget) -> Result<Document, SkipReason> {
    if names_encryption(bytes) {
        return Err(SkipReason::Encrypted);
    }
    // The reader builds what it finds before it asks. Of bytes by chance one in fifteen looks like the start of an object.
    if objects_at_most(bytes) > 1_000_000 + bytes.len() / 12 {
        return Err(SkipReason::TooLarge(Limit::Objects));
    }
    let mut document = read(bytes, false, budget)?;
    // Where the table of objects points past them, they are looked for.
    if document.as_ref().is_ok_and(|document| document.page_iter().next().is_none()) {
        document = read(bytes, true, budget)?;
    }
    budget.check_time()?;
    match document {
        Ok(document) => Ok(document),
        Err(Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => {
            Err(SkipReason::TooLarge(Limit::UnpackedBytes))
        }
        Err(_) => Err(SkipReason::Broken),
    }
}

fn read(bytes: &[u8], force_reconstruct: bool, budget: &mut Budget) -> Result<lopdf::Result<Document>, SkipReason> {
    let deadline = Some(budget.deadline);
    ALLOWANCE.set(Allowance { objects: OBJECTS, unpacked: budget.unpacked, deadline });
    let options = LoadOptions {
        filter: Some(allow),
        max_decompressed_size: Some(CONTAINER),
        force_reconstruct,
        ..LoadOptions::default()
    };
    let document = catch_unwind(|| Document::load_mem_with_options(bytes, options));
    budget.unpacked = ALLOWANCE.with_borrow(|allowance| allowance.unpacked);
    document.map_err(|thrown| thrown.downcast_ref().copied().unwrap_or(SkipReason::Broken))
}

/// Ends the reading: there is no other way out of the reader, which goes on without an object that it is refused.
fn give_up(reason: SkipReason) -> ! {
    resume_unwind(Box::new(reason))
}

/// Decides whether an object is kept, and makes it as small as it can be.
fn allow(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    ALLOWANCE.with_borrow_mut(|allowance| {
        allowance.take(size(object));
        let Object::Stream(stream) = object else {
            // The reader keeps the one for objects of their own, the other for those out of containers.
            return Some((id, object.clone()));
        };
        if stream.dict.has_type(b"ObjStm") {
            allowance.unpack(stream);
        } else if is_heavy(&stream.dict) {
            stream.content = Vec::new();
            // The reader looks again for what seems empty.
            stream.start_position = None;
        }
        // Streams are never in containers.
        Some((id, Object::Null))
    })
}

impl Allowance {
    fn take(&mut self, objects: usize) {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            give_up(SkipReason::TimedOut);
        }
        match self.objects.checked_sub(objects) {
            Some(left) => self.objects = left,
            None => give_up(SkipReason::TooLarge(Limit::Objects)),
        }
    }

    /// Unpacks a container in place, if it and what is in it can be afforded.
    fn unpack(&mut self, container: &mut Stream) {
        let unpacked = container.decompress_with_limit(CONTAINER.min(self.unpacked));
        if matches!(unpacked, Err(Error::Decompress(DecompressError::MemoryLimitExceeded { .. }))) {
            give_up(SkipReason::TooLarge(Limit::UnpackedBytes));
        }
        // One that was not packed, or that cannot be unpacked, is as long as it is.
        self.unpacked = self.unpacked.saturating_sub(container.content.len());
        self.take(objects_at_most(&container.content));
    }
}

/// How many objects there are in one, itself included.
fn size(object: &Object) -> usize {
    let of_entries = |dict: &Dictionary| dict.iter().map(|(_, value)| 1 + size(value)).sum::<usize>();
    1 + match object {
        Object::Array(items) => items.iter().map(size).sum(),
        Object::Dictionary(dict) => of_entries(dict),
        Object::Stream(stream) => of_entries(&stream.dict),
        _ => 0,
    }
}

/// Pictures, and the programs that draw a font's characters.
fn is_heavy(dict: &Dictionary) -> bool {
    let subtype = dict.get(b"Subtype").and_then(Object::as_name).unwrap_or_default();
    [b"Image".as_slice(), b"Type1C", b"CIDFontType0C", b"OpenType"].contains(&subtype) || dict.has(b"Length1")
}

/// Counts the places at which an object may start, whatever is taken for one: no reading of the bytes comes to more.
fn objects_at_most(bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut before = b' ';
    for &byte in bytes {
        let starts = match byte {
            b'[' | b'<' | b'(' | b'/' | b'+' | b'-' | b'.' => true,
            // Words need nothing in front of them: true, false, null.
            b't' | b'f' | b'n' => true,
            b'0'..=b'9' => !before.is_ascii_digit(),
            _ => false,
        };
        count += usize::from(starts);
        before = byte;
    }
    count
}

/// Returns whether the name `/Encrypt` stands anywhere, however it is spelled.
///
/// The part that says that a file is encrypted is never compressed. Which password a file wants is not asked: one that
/// opens without is encrypted to forbid something.
fn names_encryption(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"Encrypt";
    let spelled = |mut rest: &[u8]| {
        for letter in NAME {
            rest = match rest {
                [first, tail @ ..] if first == letter => tail,
                [b'#', high, low, tail @ ..] if hex(*high, *low) == Some(*letter) => tail,
                _ => return false,
            };
        }
        !rest.first().is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'#')
    };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'/') {
        rest = &rest[at + 1..];
        if spelled(rest) {
            return true;
        }
    }
    false
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_found_however_it_is_spelled() {
        for file in ["<</Encrypt 5 0 R>>", "/#45ncr#79pt<<", "//Encrypt", "/Size 3/Encrypt%\n5 0 R", "/Encrypt"] {
            assert!(names_encryption(file.as_bytes()), "{file}");
        }
        for file in ["", "/", "Encrypt", "/EncryptMetadata true", "/Encryp#", "/#4", "/encrypt"] {
            assert!(!names_encryption(file.as_bytes()), "{file}");
        }
    }

    #[test]
    fn no_reading_finds_more_objects_than_were_counted() {
        for source in [
            "[0 0 0]",
            "[1-2+3.4.5]",
            "[()()(())]",
            "[/A/B/C]",
            "[[[]][]<<>><</A null/B[true false]>>]",
            "[truetrue null]",
            "[<>< >]",
            "<</A 1/B 1 0 R>>",
        ] {
            let mut operands =
                lopdf::content::Content::decode(format!("{source} x").as_bytes()).expect("valid").operations;
            let found = size(&operands.remove(0).operands[0]);
            assert!(found <= objects_at_most(source.as_bytes()), "{source}: {found}");
        }
    }
}
