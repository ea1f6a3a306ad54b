use std::collections::BTreeMap;
use std::fs;
use std::hash::Hasher;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use orchestrator_core::retrieval::{Passage, Source};
use siphasher::sip::SipHasher13;

use super::limits::{Limit, Limits};
use super::list::{File, unreadable};
use super::skipped::SkipReason;
use crate::extract::{self, Extracted, Piece};
use crate::index::Fingerprint;

/// Goes up when the same bytes would give other passages than before, so that every document is read again.
const READER_VERSION: u8 = 2;

/// Which facts about a document its caller adds, by its name.
pub(super) type Describe = dyn Fn(&str) -> BTreeMap<String, String> + Send + Sync;

/// The bytes of a file, and what tells them from others.
pub(super) struct Content {
    bytes: Vec<u8>,
    pub(super) fingerprint: Fingerprint,
    described: BTreeMap<String, String>,
}

/// Reads a file up to the limit of its length.
///
/// Blocks.
pub(super) fn read(file: &File, limits: &Limits, describe: Option<&Describe>) -> Result<Content, SkipReason> {
    let bytes = read_bounded(file, limits.file_bytes)?;
    let described = describe.map(|describe| describe(&file.name)).unwrap_or_default();
    let fingerprint = fingerprint(file, &bytes, &described);
    Ok(Content { bytes, fingerprint, described })
}

fn read_bounded(file: &File, most: u64) -> Result<Vec<u8>, SkipReason> {
    let opened = fs::File::open(&file.path).map_err(|e| unreadable(&e))?;
    let length = opened.metadata().map_err(|e| unreadable(&e))?.len();
    if length > most {
        return Err(SkipReason::TooLarge(Limit::FileBytes));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    // It may grow while it is read.
    let read = opened.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    if read as u64 > most { Err(SkipReason::TooLarge(Limit::FileBytes)) } else { Ok(bytes) }
}

/// SipHash is the same on every machine and in every version, which the hasher of the standard library need not be.
fn fingerprint(file: &File, bytes: &[u8], described: &BTreeMap<String, String>) -> Fingerprint {
    let mut hash = SipHasher13::new();
    hash.write(&[READER_VERSION, file.format as u8]);
    for (key, value) in described {
        for part in [key, value] {
            hash.write(&(part.len() as u64).to_le_bytes());
            hash.write(part.as_bytes());
        }
    }
    hash.write(bytes);
    Fingerprint(hash.finish())
}

/// Gets the passages out of a file's content.
///
/// Its name and the facts about it go with every passage, and may come to as much as the text.
///
/// Blocks. Whatever a parser does to a hostile file ends here as a reason.
pub(super) fn passages(file: &File, content: Content, limits: &Limits) -> Result<Vec<Passage>, SkipReason> {
    let Content { bytes, described, .. } = content;
    let extracted = catch_unwind(AssertUnwindSafe(|| extract::extract(file.format, bytes, limits)));
    let Extracted { pieces, mut metadata } = extracted.unwrap_or(Err(SkipReason::Broken))?;
    if pieces.is_empty() {
        return Err(SkipReason::NoText);
    }
    metadata.insert("format".to_owned(), file.format.name().to_owned());
    if let Some((folder, _)) = file.name.rsplit_once('/') {
        metadata.insert("folder".to_owned(), folder.to_owned());
    }
    metadata.extend(described);
    let facts = metadata.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() + file.name.len();
    if facts.saturating_mul(pieces.len()) > limits.text_bytes {
        return Err(SkipReason::TooLarge(Limit::TextBytes));
    }
    let passage = |piece: Piece| {
        let mut source = Source::new(file.name.as_str()).headings(piece.headings);
        source.lines = piece.lines;
        source.page = piece.page;
        let mut passage = Passage::new(piece.text, source, 0.0);
        passage.metadata.clone_from(&metadata);
        passage
    };
    Ok(pieces.into_iter().map(passage).collect())
}
