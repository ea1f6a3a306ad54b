//! PDF files that are broken, huge or nested on purpose: each ends in its text or in a report, within a bound of memory.
//!
//! One test, so that what the allocator counts is its own.
#![cfg(feature = "pdf")]

mod common;

use std::alloc::System;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use common::pdf::{Pdf, deflate, lines_content};
use common::{MemoryIndex, folder, write};
use stages_rag::{Folder, Limit, Limits, SkipReason};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn live() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// Runs something while another thread looks at the live bytes, and returns the most that it saw.
fn peak<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let done = AtomicBool::new(false);
    let before = live();
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(live());
                std::thread::yield_now();
            }
            most
        });
        // A failed check must not leave the other thread looking for ever.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        done.store(true, Ordering::Relaxed);
        let result = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (result, watch.join().expect("it only looks").saturating_sub(before))
    })
}

/// What becomes of files, by name: their text, or why there is none.
fn read(files: &BTreeMap<String, Vec<u8>>, limits: &Limits) -> BTreeMap<String, Result<String, SkipReason>> {
    let docs = folder(&[]);
    for (name, bytes) in files {
        write(docs.path(), name, bytes);
    }
    let index = MemoryIndex::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let report = runtime.block_on(Folder::new(docs.path()).limits(limits.clone()).sync(&index)).expect("a sync");
    let mut results: BTreeMap<_, _> = report.skipped.into_iter().map(|s| (s.path, Err(s.reason))).collect();
    results.extend(index.names().into_iter().map(|name| {
        let text = index.text(&name);
        (name, Ok(text))
    }));
    assert_eq!(results.len(), files.len(), "each file is in the index or in the report");
    results
}

fn one(bytes: Vec<u8>) -> Result<String, SkipReason> {
    one_within(bytes, &Limits::default())
}

fn one_within(bytes: Vec<u8>, limits: &Limits) -> Result<String, SkipReason> {
    let files = BTreeMap::from([("a.pdf".to_owned(), bytes)]);
    read(&files, limits).remove("a.pdf").expect("one file")
}

const LINES: [&str; 3] = ["The first line of some text,", "the second with a needle,", "and the third."];
const MIB: usize = 1 << 20;

#[test]
fn hostile_files_end_in_their_text_or_in_a_report() {
    // The allocator's own tables, and those of the font encodings.
    assert!(one(Pdf::of_lines(&LINES).bytes()).is_ok());
    strange();
    truncated();
    damaged();
    bombs();
    nested();
    cyclic();
    many();
}

fn check(what: &str, most: usize, run: impl FnOnce()) {
    let started = Instant::now();
    let ((), peak) = peak(run);
    println!("{what}: peak {:.1} MiB, {:?}", peak as f64 / MIB as f64, started.elapsed());
    assert!(peak < most, "{what}: {peak} bytes");
}

fn truncated() {
    check("truncated", 64 * MIB, || {
        let sources: [&[u8]; 3] = [
            &Pdf::of_lines(&LINES).bytes(),
            include_bytes!("fixtures/embedded-font.pdf"),
            include_bytes!("fixtures/glyph-ids.pdf"),
        ];
        for source in sources {
            let files = (0..source.len()).step_by(64).map(|end| (format!("{end:06}.pdf"), source[..end].to_vec()));
            let results = read(&files.collect(), &Limits::default());
            assert_eq!(results["000000.pdf"], Err(SkipReason::Broken));
            let fine = [SkipReason::Broken, SkipReason::NoText];
            assert!(results.values().all(|r| r.as_ref().map_or_else(|reason| fine.contains(reason), |_| true)));
        }
    });
}

fn damaged() {
    check("damaged", 96 * MIB, || {
        let sources: [(&[u8], u64); 3] = [
            (&Pdf::of_lines(&LINES).bytes(), 300),
            (include_bytes!("fixtures/embedded-font.pdf"), 200),
            (include_bytes!("fixtures/glyph-ids.pdf"), 200),
        ];
        for (source, count) in sources {
            let damage = |seed| {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut bytes = source.to_vec();
                for _ in 0..random.usize(1..40) {
                    let at = random.usize(..bytes.len());
                    bytes[at] = match random.u8(..4) {
                        0 => random.u8(..),
                        1 => bytes[at] ^ (1 << random.u8(..8)),
                        2 => *b"[]<>()/ 0".get(random.usize(..9)).expect("nine"),
                        _ => bytes[random.usize(..bytes.len())],
                    };
                }
                (format!("{seed:03}.pdf"), bytes)
            };
            let results = read(&(0..count).map(damage).collect(), &Limits::default());
            assert!(results.values().any(Result::is_ok), "a damaged byte does not spoil every file");
        }
    });
}

/// A mebibyte that unpacks to a gibibyte: the same block a thousand times.
fn bomb() -> Vec<u8> {
    use miniz_oxide::MZFlush;
    use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
    let mut packer = CompressorOxide::new(create_comp_flags_from_zip_params(6, -15, 0));
    let mut block = vec![0; 10_000];
    let done = miniz_oxide::deflate::stream::deflate(&mut packer, &vec![b' '; MIB], &mut block, MZFlush::Sync);
    assert_eq!(done.bytes_consumed, MIB);
    block.truncate(done.bytes_written);
    [b"\x78\x9c".as_slice(), &block.repeat(1024), &[3, 0]].concat()
}

fn bombs() {
    let bomb = bomb();
    assert!(bomb.len() < 2 * MIB);
    let beyond = Err(SkipReason::TooLarge(Limit::UnpackedBytes));

    let mut page = Pdf::of_pages(&[b""]);
    page.replace_stream(5, "/Filter/FlateDecode", &bomb);
    let page = page.bytes();
    check("a page's bomb", 400 * MIB, || assert_eq!(one(page), beyond));

    let mut twice = Pdf::of_pages(&[b""]);
    twice.replace_stream(5, "/Filter[/FlateDecode/FlateDecode]", &deflate(&bomb));
    let twice = twice.bytes();
    check("a bomb in a bomb", 400 * MIB, || assert_eq!(one(twice), beyond));

    let mut form = Pdf::of_pages(&[b"/Fm Do /Fm Do"]);
    let number = form.stream("/Type/XObject/Subtype/Form/Filter/FlateDecode", &bomb);
    form.replace(2, &format!("<</Type/Pages/Kids[4 0 R]/Count 1/Resources<</XObject<</Fm {number} 0 R>>>>>>"));
    let form = form.bytes();
    check("a form's bomb", 400 * MIB, || assert_eq!(one(form), beyond));

    let mut map = Pdf::of_lines(&LINES);
    let number = map.stream("/Filter/FlateDecode", &bomb);
    map.replace(3, &format!("<</Type/Font/Subtype/Type1/ToUnicode {number} 0 R>>"));
    let map = map.bytes();
    check("a font's bomb", 400 * MIB, || assert_eq!(one(map), beyond));

    let mut container = Pdf::of_lines(&LINES);
    container.stream("/Type/ObjStm/N 1/First 4/Filter/FlateDecode", &bomb);
    let container = container.bytes();
    check("a container's bomb", 64 * MIB, || assert_eq!(one(container), beyond));

    let mut picture = Pdf::of_lines(&LINES);
    picture.stream("/Type/XObject/Subtype/Image/Filter/FlateDecode", &bomb);
    let picture = picture.bytes();
    check("a picture's bomb", 64 * MIB, || assert!(one(picture).expect("it is not unpacked").contains("needle")));

    // Many that are each within bounds: the same page a thousand times.
    let mut shared = Pdf::of_pages(&[b""]);
    shared.replace_stream(5, "/Filter/FlateDecode", &deflate(&vec![b' '; MIB]));
    let kids = "4 0 R ".repeat(1_000);
    shared.replace(2, &format!("<</Type/Pages/Kids[{kids}]/Count 1000>>"));
    for _ in 0..2_000 {
        shared.add("null");
    }
    let shared = shared.bytes();
    check("a page many times", 64 * MIB, || {
        assert_eq!(one_within(shared, &Limits::default().unpacked_bytes(16 * MIB)), beyond);
    });

    // A small map that speaks of four billion codes.
    let mut codes = Pdf::of_lines(&LINES);
    let number = codes.stream("", b"1 beginbfrange <00000000> <FFFFFFFF> <0041> endbfrange");
    codes.replace(3, &format!("<</Type/Font/Subtype/Type1/ToUnicode {number} 0 R>>"));
    let codes = codes.bytes();
    check("a map of all codes", 64 * MIB, || assert!(one(codes).is_ok()));

    // One word of twenty million letters, each of which means 32 characters of three bytes.
    let mut word = Pdf::of_pages(&[b""]);
    let map = format!("1 beginbfchar <61> <{}> endbfchar", "4E16".repeat(32));
    let number = word.stream("", map.as_bytes());
    word.replace(3, &format!("<</Type/Font/Subtype/Type1/ToUnicode {number} 0 R>>"));
    let content = [b"BT /F1 1 Tf (".as_slice(), &vec![b'a'; 20_000_000], b") Tj ET"].concat();
    word.replace_stream(5, "/Filter/FlateDecode", &deflate(&content));
    drop(content);
    let word = word.bytes();
    assert!(word.len() < MIB);
    check("a word that means a book", 500 * MIB, || {
        assert_eq!(one(word), Err(SkipReason::TooLarge(Limit::TextBytes)));
    });

    // Nobody reads on where there is too much already.
    let line = lines_content(&["a line of some text, and no more than that"]);
    let pages = Pdf::of_pages(&[line.as_bytes(); 20]).bytes();
    let limits = Limits::default().text_bytes(1_000).pages(10);
    assert_eq!(one_within(pages, &limits), Err(SkipReason::TooLarge(Limit::TextBytes)));
}

fn nested() {
    let deep = 300_000;
    let bodies = [
        ("arrays", format!("{}{}", "[".repeat(deep), "]".repeat(deep))),
        ("open arrays", "[".repeat(deep)),
        ("dictionaries", format!("{}1{}", "<</A".repeat(deep), ">>".repeat(deep))),
        ("open dictionaries", "<</A ".repeat(deep)),
        ("strings", format!("{}{}", "(".repeat(deep), ")".repeat(deep))),
        ("mixed", format!("{}{}", "[<</A".repeat(deep), ">>]".repeat(deep))),
        ("within the reader's depth", format!("{}{}", "[<</A".repeat(49), ">>]".repeat(49))),
    ];
    for (what, body) in bodies {
        let mut pdf = Pdf::of_lines(&LINES);
        pdf.add(&body);
        let plain = pdf.bytes();
        let mut pdf = Pdf::of_lines(&LINES);
        pdf.stream("/Type/ObjStm/N 1/First 5/Filter/FlateDecode", &deflate(format!("90 0 {body}").as_bytes()));
        let packed = pdf.bytes();
        let page = Pdf::of_pages(&[format!("{body} TJ {}", lines_content(&LINES)).as_bytes()]).bytes();
        check(&format!("nested {what}"), 400 * MIB, || {
            for file in [plain, packed, page] {
                let read = one(file);
                assert!(
                    matches!(
                        read,
                        Ok(_) | Err(SkipReason::Broken | SkipReason::NoText | SkipReason::TooLarge(Limit::Objects))
                    ),
                    "{what}: {read:?}"
                );
            }
        });
    }
    check("a deep tree of pages", 64 * MIB, || {
        let mut pdf = Pdf::of_lines(&LINES);
        pdf.replace(2, "<</Type/Pages/Kids[6 0 R]/Count 1/Resources<</Font<</F1 3 0 R>>>>>>");
        for i in 0..20_000 {
            pdf.add(&format!("<</Type/Pages/Kids[{} 0 R]/Count 1/Parent {} 0 R>>", i + 7, i + 5));
        }
        assert_eq!(one(pdf.bytes()), Err(SkipReason::NoText));
    });
    check("saved states and forms", 64 * MIB, || {
        let content = format!("{}{}{}", "q ".repeat(deep), lines_content(&LINES), "Q ".repeat(deep + 5));
        assert!(one(Pdf::of_pages(&[content.as_bytes()]).bytes()).is_ok());
    });
}

fn cyclic() {
    let mut files = BTreeMap::new();
    let mut add = |name: &str, change: &dyn Fn(&mut Pdf)| {
        let mut pdf = Pdf::of_lines(&LINES);
        change(&mut pdf);
        files.insert(format!("{name}.pdf"), pdf.bytes());
    };
    add("pages", &|pdf| {
        pdf.replace(2, "<</Type/Pages/Kids[4 0 R 2 0 R 2 0 R]/Count 3/Resources<</Font<</F1 3 0 R>>>>>>")
    });
    add("parent", &|pdf| pdf.replace(4, "<</Type/Page/Parent 4 0 R/Contents 5 0 R>>"));
    add("contents", &|pdf| pdf.replace(4, "<</Type/Page/Parent 2 0 R/Contents 4 0 R>>"));
    add("reference", &|pdf| pdf.replace(3, "3 0 R"));
    add("length", &|pdf| pdf.replace(5, "<</Length 5 0 R>>stream\nBT ET\nendstream"));
    add("catalog", &|pdf| pdf.replace(1, "1 0 R"));
    add("encoding", &|pdf| {
        let other = pdf.add("7 0 R");
        pdf.add(&format!("{other} 0 R"));
        pdf.replace(3, &format!("<</Type/Font/Subtype/Type1/Encoding {other} 0 R/Widths 7 0 R/ToUnicode 7 0 R>>"));
    });
    add("form", &|pdf| {
        let form = pdf.stream("/Type/XObject/Subtype/Form", b"/Fm Do /Fm Do /Fm Do");
        pdf.replace(
            2,
            &format!("<</Type/Pages/Kids[4 0 R]/Count 1/Resources<</Font<</F1 3 0 R>>/XObject<</Fm {form} 0 R>>>>>>"),
        );
        pdf.replace_stream(5, "", format!("{} /Fm Do", lines_content(&LINES)).as_bytes());
    });
    add("container", &|pdf| {
        pdf.stream("/Type/ObjStm/N 1/First 4/Extends 6 0 R", b"6 0 <</Type/ObjStm>>");
    });
    check("cyclic", 64 * MIB, || {
        let results = read(&files, &Limits::default());
        for name in ["pages", "form", "container"] {
            let text = results[&format!("{name}.pdf")].as_ref();
            assert!(text.is_ok_and(|text| text.contains("needle")), "{name}: {text:?}");
        }
    });
    check("forms that call each other a thousand million times", 64 * MIB, || {
        let mut pdf = Pdf::of_pages(&[b"/Fm Do"]);
        let first = 6;
        for i in 0..9 {
            let calls = "/Fm Do ".repeat(1_000);
            let next = first + i + 1;
            pdf.stream(
                &format!("/Type/XObject/Subtype/Form/Resources<</XObject<</Fm {next} 0 R>>>>"),
                calls.as_bytes(),
            );
        }
        pdf.replace(2, &format!("<</Type/Pages/Kids[4 0 R]/Count 1/Resources<</XObject<</Fm {first} 0 R>>>>>>"));
        let limits = Limits::default().unpacked_bytes(8 * MIB);
        assert_eq!(one_within(pdf.bytes(), &limits), Err(SkipReason::TooLarge(Limit::UnpackedBytes)));
    });
}

fn many() {
    // One list of numbers: nothing in the file is as cheap as a number, and nothing in memory as dear.
    let numbers = |count: usize| {
        let mut pdf = Pdf::of_lines(&LINES);
        pdf.add(&format!("[{}]", "0 ".repeat(count)));
        pdf.bytes()
    };
    let (small, large) = (numbers(400_000), numbers(2_000_000));
    check("400,000 numbers", 512 * MIB, || assert!(one(small).is_ok()));
    check("2,000,000 numbers", 64 * MIB, || assert_eq!(one(large), Err(SkipReason::TooLarge(Limit::Objects))));

    // The same list under many names.
    let mut table = String::from("%PDF-1.7\n");
    let at = table.len();
    table.push_str(&format!("1 0 obj\n[{}]\nendobj\n", "0 ".repeat(100_000)));
    let xref = table.len();
    table.push_str("xref\n0 2001\n0000000000 65535 f \n");
    table.push_str(&format!("{at:010} 00000 n \n").repeat(2_000));
    table.push_str(&format!("trailer<</Size 2001/Root 1 0 R>>\nstartxref\n{xref}\n%%EOF\n"));
    check("one list under many names", 512 * MIB, || {
        assert_eq!(one(table.into_bytes()), Err(SkipReason::TooLarge(Limit::Objects)));
    });

    let mut packed = Pdf::of_lines(&LINES);
    for i in 0..40 {
        let list = format!("{} 0 [{}]", 100 + i, "0 ".repeat(200_000));
        packed.stream("/Type/ObjStm/N 1/First 6/Filter/FlateDecode", &deflate(list.as_bytes()));
    }
    let packed = packed.bytes();
    check("lists in containers", 700 * MIB, || assert_eq!(one(packed), Err(SkipReason::TooLarge(Limit::Objects))));

    let operands = Pdf::of_pages(&[format!("{} Tj", "0 ".repeat(2 * MIB)).as_bytes()]).bytes();
    check("two million operands", 150 * MIB, || assert_eq!(one(operands), Err(SkipReason::TooLarge(Limit::Objects))));
    let mut operands = Pdf::of_pages(&[b""]);
    operands.replace_stream(5, "/Filter/FlateDecode", &deflate(format!("[{}] TJ", "(a)0 ".repeat(MIB)).as_bytes()));
    let operands = operands.bytes();
    check("a million packed operands", 150 * MIB, || assert_eq!(one(operands), Err(SkipReason::NoText)));

    check("a hundred thousand pages", 256 * MIB, || {
        let mut pdf = Pdf::of_lines(&LINES);
        pdf.replace(2, &format!("<</Type/Pages/Kids[{}]/Count 1>>", "4 0 R ".repeat(100_000)));
        let page = "<</Type/Page>>";
        for _ in 0..100_000 {
            pdf.add(page);
        }
        assert_eq!(one(pdf.bytes()), Err(SkipReason::TooLarge(Limit::Pages)));
    });
}

fn strange() {
    let mut files = BTreeMap::new();
    let mut add = |name: &str, bytes: Vec<u8>| drop(files.insert(format!("{name}.pdf"), bytes));
    add("empty", Vec::new());
    add("zeros", vec![0; 100_000]);
    add("text", b"This is no PDF.".to_vec());
    add("header", b"%PDF-1.7\n".to_vec());
    add("no-pages", Pdf::default().bytes());
    add("encrypted", Pdf::of_lines(&LINES).with_trailer("/Encrypt<</Filter/Standard/V 1/R 2>>"));
    add("sizes", Pdf::of_lines(&LINES).with_trailer("/Size 99999999999/Prev 99999999999/XRefStm -1"));
    add(
        "table",
        format!(
            "%PDF-1.7\nxref\n0 4294967295\n{}trailer<</Size 1>>\nstartxref\n9\n%%EOF",
            "0000000000 00000 n \n".repeat(9)
        )
        .into(),
    );
    add("start", b"%PDF-1.7\nstartxref\n-99999999999999999999\n%%EOF".to_vec());
    let mut stream = Pdf::of_lines(&LINES);
    stream.stream("/Type/XRef/W[1 9999999999 1]/Index[0 99999999]/Size 99999999", b"0000");
    stream.stream("/Type/ObjStm/N -1/First 99999999999", b"1 0 2 0");
    add("streams", stream.bytes());
    let mut predictor = Pdf::of_lines(&LINES);
    let entries =
        "/Filter/FlateDecode/DecodeParms<</Predictor 12/Colors 99999999/BitsPerComponent 999999/Columns 2147483647>>";
    predictor.replace_stream(5, entries, &deflate(b"abc"));
    add("predictor", predictor.bytes());
    let numbers = "BT /F1 1e99 Tf 999999999999999999999999999999999999999999 Tz 0 TL nan Td [(a)-9e37(b)] TJ inf 0 0 0 0 0 cm (c) ' ET";
    add("numbers", Pdf::of_pages(&[numbers.as_bytes()]).bytes());
    check("strange", 64 * MIB, || {
        let results = read(&files, &Limits::default());
        for name in ["empty", "zeros", "text", "header", "no-pages", "table", "start"] {
            let result = &results[&format!("{name}.pdf")];
            assert!(matches!(result, Err(SkipReason::Broken | SkipReason::NoText)), "{name}: {result:?}");
        }
        assert_eq!(results["encrypted.pdf"], Err(SkipReason::Encrypted));
        assert!(results["numbers.pdf"].as_ref().is_ok_and(|text| text.contains('a')), "{:?}", results["numbers.pdf"]);
    });
    check("no time", 64 * MIB, || {
        let docs = folder(&[("a.pdf", &Pdf::of_lines(&LINES).bytes())]);
        let old = SystemTime::now() - Duration::from_secs(60);
        File::open(docs.path().join("a.pdf")).and_then(|file| file.set_modified(old)).expect("set");
        let reads = Arc::new(AtomicUsize::new(0));
        let count = reads.clone();
        let folder = Folder::new(docs.path()).limits(Limits::default().time(Duration::ZERO)).metadata(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            BTreeMap::new()
        });
        let index = MemoryIndex::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        // The machine may be faster the next time, though the file is the same.
        for times in 1..3 {
            let report = runtime.block_on(folder.sync(&index)).expect("a sync");
            assert_eq!(report.skipped[0].reason, SkipReason::TimedOut);
            assert_eq!(reads.load(Ordering::Relaxed), times);
        }
    });
}
