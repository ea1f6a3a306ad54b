//! PDF files that are right: their text, page by page.
#![cfg(feature = "pdf")]

mod common;

use common::pdf::{Pdf, deflate, lines_content};
use common::{MemoryIndex, folder};
use orchestrator_core::retrieval::Passage;
use stages_rag::{Bm25Index, Folder, Limit, Limits, SkipReason};

/// What becomes of one file.
async fn read_within(bytes: &[u8], limits: Limits) -> Result<Vec<Passage>, SkipReason> {
    let folder = folder(&[("a.pdf", bytes)]);
    let index = MemoryIndex::default();
    let report = Folder::new(folder.path()).limits(limits).sync(&index).await.expect("a sync");
    match report.skipped.first() {
        Some(skipped) => Err(skipped.reason),
        None => Ok(index.passages("a.pdf")),
    }
}

async fn read(bytes: &[u8]) -> Result<Vec<Passage>, SkipReason> {
    read_within(bytes, Limits::default()).await
}

async fn text(bytes: &[u8]) -> String {
    read(bytes).await.expect("a file").iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join("\n\n")
}

/// Text that stands in the source over several lines, on one.
fn flow(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn pages_are_read_in_order_with_their_numbers() {
    let pages = [lines_content(&["One \\(1\\)", "goes on."]), String::new(), lines_content(&["Three."])];
    let pages = pages.iter().map(String::as_bytes).collect::<Vec<_>>();
    let found = read(&Pdf::of_pages(&pages).bytes()).await.expect("a file");
    let shown: Vec<_> = found.iter().map(|p| (p.source.to_string(), p.text.as_str())).collect();
    assert_eq!(shown, [("a.pdf, page 1".into(), "One (1)\ngoes on."), ("a.pdf, page 3".into(), "Three.")]);
    assert_eq!(found[0].metadata.get("format").map(String::as_str), Some("pdf"));
    assert_eq!(found[0].metadata.len(), 1);
}

#[tokio::test]
async fn a_file_says_what_it_is() {
    let mut pdf = Pdf::of_lines(&["text"]);
    let info = pdf.add("<</Title(\\376\\377\\000G\\000r\\000\\366)/Author(Ann\\n Ode)/Keywords(no)>>");
    let found = read(&pdf.with_trailer(&format!("/Info {info} 0 R"))).await.expect("a file");
    assert_eq!(found[0].metadata.get("title").map(String::as_str), Some("Grö"));
    assert_eq!(found[0].metadata.get("author").map(String::as_str), Some("Ann Ode"));
}

#[tokio::test]
async fn what_other_producers_make_is_read() {
    let embedded = read(include_bytes!("fixtures/embedded-font.pdf")).await.expect("a file");
    assert_eq!(embedded.len(), 2);
    assert_eq!(
        flow(&embedded[0].text),
        "Die Größe zählt: café, naïve, Łódź, Ωμέγα — “quoted”. \
        A second paragraph that is long enough to run over more than one line of a small page."
    );
    assert_eq!((embedded[1].text.as_str(), embedded[1].source.page), ("The second page holds a needle.", Some(2)));
    assert_eq!(embedded[0].metadata.get("title").map(String::as_str), Some("Größen und Maße"));

    let glyphs = text(include_bytes!("fixtures/glyph-ids.pdf")).await;
    assert_eq!(glyphs, "Žluťoučký kůň pěl.\nΚαλημέρα κόσμε.\nПривет, мир.");

    let sheet = text(include_bytes!("../../examples/corpus/datasheet.pdf")).await;
    assert!(flow(&sheet).contains("The hidden service interface listens on port 8731 of the local network"), "{sheet}");
    assert!(sheet.contains("fuse F2 (horn) 250 mA"), "{sheet}");
}

#[tokio::test]
async fn encrypted_files_are_skipped() {
    let secret = include_bytes!("fixtures/password.pdf");
    let locked = include_bytes!("fixtures/locked.pdf");
    assert_eq!(read(secret).await, Err(SkipReason::Encrypted));
    assert_eq!(read(locked).await, Err(SkipReason::Encrypted));
}

#[tokio::test]
async fn fonts_say_what_their_codes_mean() {
    let mut pdf = Pdf::of_pages(&[b"BT /F1 12 Tf 0 0 Td (\x01b\x02) Tj /F2 12 Tf <000100020003> Tj ET"]);
    let names = "<</Differences[1/uni4E16/b/Euro 98/z.alt]/Type/Encoding>>";
    pdf.replace(3, &format!("<</Type/Font/Subtype/TrueType/BaseFont/X/Encoding {names}>>"));
    let map = pdf
        .stream("", b"1 begincodespacerange<0000><FFFF>endcodespacerange 1 beginbfrange<0001><0002><0041>endbfrange");
    let cid = pdf.add(&format!(
        "<</Type/Font/Subtype/Type0/BaseFont/Y/Encoding/Identity-H/ToUnicode {map} 0 R/DescendantFonts[<</W[1[600 600]3 9 250]>>]>>"
    ));
    pdf.replace(2, &format!("<</Type/Pages/Kids[4 0 R]/Count 1/Resources<</Font<</F1 3 0 R/F2 {cid} 0 R>>>>>>"));
    // The third code of the second font is nobody's.
    assert_eq!(text(&pdf.bytes()).await, "世zbAB");
}

#[tokio::test]
async fn places_make_words_lines_and_paragraphs() {
    let page = b"BT /F1 10 Tf 50 700 Td [(Ker)20(ned)-300(text)] TJ 0 -12 Td (next) Tj 0 -40 Td (far) Tj ET \
        q 1 0 0 1 0 500 cm BT /F1 10 Tf 20 TL 50 0 Td (in) Tj 80 0 Td (a box) Tj (over) ' 0 0 (two) \" T* [(x)] TJ ET Q \
        BT /F1 10 Tf 1 0 0 1 50 20 Tm (foot) Tj ET";
    let found = text(&Pdf::of_pages(&[page.as_slice()]).bytes()).await;
    assert_eq!(found, "Kerned text\nnext\n\nfar\n\nin a box\n\nover\n\ntwo\n\nx\n\nfoot");
}

#[tokio::test]
async fn forms_and_packed_streams_are_read_and_pictures_are_not() {
    let mut pdf = Pdf::of_pages(&[b"/Fm Do BI /W 1 /H 1 ID \x01(no) Tj \nEI Q /Im Do"]);
    let form =
        pdf.stream("/Type/XObject/Subtype/Form/Filter/FlateDecode", &deflate(lines_content(&["in a form"]).as_bytes()));
    let image = pdf.stream("/Type/XObject/Subtype/Image", lines_content(&["no picture"]).as_bytes());
    let named = format!("/Font<</F1 3 0 R>>/XObject<</Fm {form} 0 R/Im {image} 0 R>>");
    pdf.replace(2, &format!("<</Type/Pages/Kids[4 0 R]/Count 1/Resources<<{named}>>>>"));
    assert_eq!(text(&pdf.bytes()).await, "in a form");
}

#[tokio::test]
async fn a_file_beyond_its_limits_is_too_large() {
    let line = "x".repeat(100);
    let content = lines_content(&[line.as_str(); 20]);
    let pdf = Pdf::of_pages(&[content.as_bytes(); 5]).bytes();
    let default = Limits::default;
    assert!(read(&pdf).await.is_ok());
    for (limits, limit) in [
        (default().file_bytes(pdf.len() as u64 - 1), Limit::FileBytes),
        (default().text_bytes(10_000), Limit::TextBytes),
        (default().text_bytes(1_000), Limit::TextBytes),
        (default().pages(4), Limit::Pages),
        (default().unpacked_bytes(10_000), Limit::UnpackedBytes),
    ] {
        assert_eq!(read_within(&pdf, limits).await, Err(SkipReason::TooLarge(limit)));
    }
    assert!(read_within(&pdf, default().file_bytes(pdf.len() as u64).pages(5)).await.is_ok());
    assert!(read_within(&pdf, default().time(std::time::Duration::MAX)).await.is_ok());
}

#[tokio::test]
async fn an_index_over_a_folder_reads_them_too() {
    let folder = folder(&[("a.md", b"words"), ("b.PDF", &Pdf::of_lines(&["A needle."]).bytes()), ("c.pdf", b"no")]);
    let index = Bm25Index::from_dir(folder.path()).await.expect("an index");
    assert_eq!(index.len(), 2);
    assert_eq!(index.skipped()[0].to_string(), "c.pdf (broken)");
}
