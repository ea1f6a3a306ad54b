//! Pages that are broken, huge or nested on purpose: each ends in its text or in a report, within a bound of memory.
//!
//! One test, so that what the allocator counts is its own.
#![cfg(feature = "html")]

mod common;

use std::alloc::System;

use common::{MemoryIndex, folder};
use stages_rag::{Folder, Limit, SkipReason};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1 << 20;

/// The text of a page, or why there is none; all bytes that were given out on the way, and not only at a time, are few.
fn one(page: &[u8]) -> Result<String, SkipReason> {
    let docs = folder(&[("a.html", page)]);
    let index = MemoryIndex::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let region = Region::new(ALLOCATOR);
    let report = runtime.block_on(Folder::new(docs.path()).sync(&index)).expect("a sync");
    let given_out = region.change().bytes_allocated + region.change().bytes_reallocated.unsigned_abs();
    assert!(given_out < 64 * MIB + 12 * page.len(), "{given_out} bytes for a page of {}", page.len());
    report.skipped.first().map_or_else(|| Ok(index.text("a.html")), |skipped| Err(skipped.reason))
}

#[test]
fn hostile_pages_end_in_their_text_or_in_a_report() {
    let many = |part: &str| format!("{}needle", part.repeat(1_000_000));
    for part in
        ["<div>", "<b>", "<b a=b>", "<ul><li>", "</p>", "<table><tr><td>", "<nav></nav>", "<svg/>", "<!-->", "<p x>"]
    {
        let text = one(many(part).as_bytes());
        assert!(text.as_ref().is_ok_and(|text| text.ends_with("needle") && text.len() < 100), "{part}: {text:?}");
    }
    for part in ["<nav>", "<svg>", "<template>", "<a b='", "<![CDATA[", "<!--"] {
        assert_eq!(one(many(part).as_bytes()), Err(SkipReason::NoText), "{part}");
    }
    let long = "x".repeat(8 * MIB);
    assert_eq!(one(format!("<p title='{long}' {long}={long}>needle").as_bytes()), Ok("needle".into()));
    assert_eq!(one(format!("<{long}>needle</{long}>").as_bytes()), Ok("needle".into()));
    assert_eq!(one(format!("<!--{long}{long}-->needle").as_bytes()), Ok("needle".into()));
    assert_eq!(one(format!("<script>{long}{long}</script>needle").as_bytes()), Ok("needle".into()));
    assert_eq!(one(format!("<title>{long}{long}</title>needle").as_bytes()), Ok("needle".into()));

    let beyond = Err(SkipReason::TooLarge(Limit::TextBytes));
    assert_eq!(one(format!("<pre>{}", long.repeat(3)).as_bytes()), beyond);
    let headings: String = (1..6).map(|level| format!("<h{level}>{}</h{level}>", "y".repeat(390))).collect();
    assert_eq!(one(format!("{headings}{}", "<h6>a</h6>b".repeat(300_000)).as_bytes()), beyond);
    // What a page says about itself goes with each of its sections.
    let facts =
        ["author", "description", "keywords"].map(|name| format!("<meta name={name} content='{}'>", "f".repeat(300)));
    assert_eq!(one(format!("{}{}", facts.concat(), "<h6>a</h6>b".repeat(50_000)).as_bytes()), beyond);
    assert_eq!(one(b"needle\0"), Err(SkipReason::Binary));
    assert_eq!(one(b"needle\xff"), Err(SkipReason::NotUtf8));
}
