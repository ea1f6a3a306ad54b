use proptest::prelude::*;

use super::*;

fn cut(format: Format, document: &str) -> Vec<Chunk<'_>> {
    super::cut(format, document, usize::MAX).expect("there is no limit")
}

/// Text, headings joined with `>`, first and last line of every chunk.
fn markdown(document: &str) -> Vec<(&str, String, (u32, u32))> {
    cut(Format::Markdown, document).into_iter().map(|c| (c.text, c.headings.join(">"), c.lines)).collect()
}

fn chunk<'a>(text: &'a str, headings: &str, lines: (u32, u32)) -> (&'a str, String, (u32, u32)) {
    (text, headings.to_owned(), lines)
}

#[test]
fn sections_know_their_headings_and_lines() {
    let document = "\
Before any heading.

# Guide

Intro.

## Overload

Text one.
Text two.

### Shedding ##

Deep.

## After

End.
";
    let expected = [
        chunk("Before any heading.", "", (1, 1)),
        chunk("# Guide\n\nIntro.", "Guide", (3, 5)),
        chunk("## Overload\n\nText one.\nText two.", "Guide>Overload", (7, 10)),
        chunk("### Shedding ##\n\nDeep.", "Guide>Overload>Shedding", (12, 14)),
        chunk("## After\n\nEnd.", "Guide>After", (16, 18)),
    ];
    assert_eq!(markdown(document), expected);
}

#[test]
fn setext_headings_count_with_their_underline() {
    let document = "Title\nin two lines\n=====\n\nIntro.\n\nSub `code`\n---\nText.\n";
    let expected = [
        chunk("Title\nin two lines\n=====\n\nIntro.", "Title in two lines", (1, 5)),
        chunk("Sub `code`\n---\nText.", "Title in two lines>Sub code", (7, 9)),
    ];
    assert_eq!(markdown(document), expected);
}

#[test]
fn hashes_in_code_are_not_headings() {
    let document = "# Real\n\n```sh\n# a comment\n```\n\n~~~\n## another\n~~~\n\n    # indented\n";
    assert_eq!(markdown(document), [chunk(document.trim_end(), "Real", (1, 11))]);
    let unclosed = "# Real\n```\n# a comment\n";
    assert_eq!(markdown(unclosed), [chunk(unclosed.trim_end(), "Real", (1, 3))]);
}

#[test]
fn headings_in_quotes_lists_and_notes_divide_nothing() {
    let document = "# Real\n\n> # Quoted\n> text\n\n- # Item\n  text\n\n[^1]: # Note\n";
    assert_eq!(markdown(document), [chunk(document.trim_end(), "Real", (1, 9))]);
}

#[test]
fn a_heading_after_a_quote_divides_again() {
    let document = "> # Quoted\n\n# Real\n\nText.\n";
    assert_eq!(markdown(document), [chunk("> # Quoted", "", (1, 1)), chunk("# Real\n\nText.", "Real", (3, 5))]);
}

#[test]
fn a_heading_without_text_stays_with_what_follows() {
    let document = "# Guide\n\n## Part\n\nText.\n\n## Empty\n\n# Next\n\nMore.\n\n## Last\n";
    let expected = [
        chunk("# Guide\n\n## Part\n\nText.", "Guide>Part", (1, 5)),
        chunk("## Empty\n\n# Next\n\nMore.", "Next", (7, 11)),
        chunk("## Last", "Next>Last", (13, 13)),
    ];
    assert_eq!(markdown(document), expected);
}

#[test]
fn levels_may_be_skipped_and_titles_may_be_empty() {
    let document = "### Deep\n\na\n\n# Top\n\nb\n\n#\n\nc\n";
    let headings: Vec<_> = cut(Format::Markdown, document).into_iter().map(|c| c.headings).collect();
    assert_eq!(headings, [vec!["Deep"], vec!["Top"], vec![]]);
}

#[test]
fn a_paragraph_on_a_rule_is_no_heading() {
    let paragraph = "word ".repeat(100);
    let document = format!("# Guide\n\n{}\n---\n\nText.\n", paragraph.trim_end());
    assert_eq!(markdown(&document), [chunk(document.trim_end(), "Guide", (1, 6))]);
}

#[test]
fn a_document_of_headings_is_cut_too() {
    let document: String = (0..100).map(|i| format!("# Heading number {i}\n")).collect();
    let chunks = cut(Format::Markdown, &document);
    assert!(chunks.len() > 3);
    assert!(chunks.iter().all(|c| c.text.len() <= 2 * markdown::LONGEST_HEADING));
    assert_eq!(chunks.last().map(|c| c.lines.1), Some(100));
}

#[test]
fn headings_count_with_each_of_their_sections() {
    let long = "x".repeat(390);
    let mut document: String = (1..=5).map(|level| format!("{} {long}\n", "#".repeat(level))).collect();
    document.push_str(&"###### a\nb\n".repeat(1_000));
    assert!(super::cut(Format::Markdown, &document, 1 << 20).is_none());
    assert_eq!(super::cut(Format::Markdown, &document, 4 << 20).map(|chunks| chunks.len()), Some(1_002));
    assert!(super::cut(Format::Plain, &document, document.len()).is_some());
    assert!(super::cut(Format::Plain, &document, document.len() - 1).is_none());
}

#[test]
fn titles_read_as_they_are_shown() {
    let document = "# The `run` method, *\"quoted\"* -- [linked](http://x) {#id}\n\nText.\n";
    assert_eq!(markdown(document)[0].1, "The run method, \"quoted\" -- linked");
}

#[test]
fn crlf_documents_have_the_same_lines() {
    let document = "# Guide\r\n\r\nOne.\r\nTwo.\r\n\r\n## Part\r\n\r\nThree.\r\n";
    let expected =
        [chunk("# Guide\r\n\r\nOne.\r\nTwo.", "Guide", (1, 4)), chunk("## Part\r\n\r\nThree.", "Guide>Part", (6, 8))];
    assert_eq!(markdown(document), expected);
}

#[test]
fn the_last_line_needs_no_newline() {
    assert_eq!(markdown("# Guide\n\nText."), [chunk("# Guide\n\nText.", "Guide", (1, 3))]);
    assert_eq!(markdown("# Guide"), [chunk("# Guide", "Guide", (1, 1))]);
}

#[test]
fn front_matter_is_left_out_and_still_counts_lines() {
    let document = "---\ntitle: Guide\n---\n\n# Guide\n\nText.\n";
    assert_eq!(markdown(document), [chunk("# Guide\n\nText.", "Guide", (5, 7))]);
    assert_eq!(markdown("---\ntitle: Guide\n---\n"), []);
    assert_eq!(markdown("+++\ntitle = \"Guide\"\n+++\n"), []);
    let rules = "One.\n\n---\n\nTwo.\n";
    assert_eq!(markdown(rules), [chunk("One.\n\n---\n\nTwo.", "", (1, 5))]);
}

#[test]
fn a_byte_order_mark_is_left_out() {
    assert_eq!(markdown("\u{feff}# Guide\n\nText."), [chunk("# Guide\n\nText.", "Guide", (1, 3))]);
    assert_eq!(markdown("\u{feff}---\na: b\n---\nText."), [chunk("Text.", "", (4, 4))]);
    assert_eq!(cut(Format::Plain, "\u{feff}Text.")[0].text, "Text.");
}

#[test]
fn blank_documents_have_no_chunks() {
    for blank in ["", "\n", " \r\n\t\n", "\u{feff}\n"] {
        assert_eq!(cut(Format::Markdown, blank), []);
        assert_eq!(cut(Format::Plain, blank), []);
    }
}

#[test]
fn the_indentation_of_code_stays() {
    let document = "# Guide\n\n    code\n      more\n";
    assert_eq!(markdown(document)[0].0, "# Guide\n\n    code\n      more");
    assert_eq!(markdown("\n\n    code\n"), [chunk("    code", "", (3, 3))]);
}

#[test]
fn long_sections_are_cut_at_sentences_and_keep_their_headings() {
    let paragraph = "Größe zählt — ein Satz über 世界 und 🦀. ".repeat(60);
    let document = format!("# Üben\n\n## 二\n\n{}\n", paragraph.trim_end());
    let chunks = cut(Format::Markdown, &document);
    assert!(chunks.len() > 2);
    assert!(chunks[0].text.starts_with("# Üben\n\n## 二\n\nGröße"));
    for (i, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.headings, ["Üben", "二"]);
        assert_eq!(chunk.lines, (if i == 0 { 1 } else { 5 }, 5));
        assert!(chunk.text.ends_with("🦀."), "{}", chunk.text);
    }
}

#[test]
fn a_heading_is_never_alone_in_front_of_its_text() {
    let document = format!("# Guide\n\n{}\n", "word ".repeat(400).trim_end());
    let chunks = cut(Format::Markdown, &document);
    assert!(chunks.len() > 1);
    assert!(chunks[0].text.starts_with("# Guide\n\nword word"));
}

#[test]
fn plain_text_is_cut_at_paragraphs() {
    let paragraphs = ["a ", "b ", "c "].map(|word| word.repeat(200).trim_end().to_owned());
    let document = paragraphs.join("\n\n");
    let lines: Vec<_> = cut(Format::Plain, &document).iter().map(|c| c.lines).collect();
    assert_eq!(lines, [(1, 3), (5, 5)]);
    assert_eq!(cut(Format::Plain, "# no heading\n")[0].headings, [""; 0]);
}

#[test]
fn only_markdown_and_text_files_are_documents() {
    use std::path::Path;
    for (name, format) in [
        ("a.md", Some(Format::Markdown)),
        ("A.MD", Some(Format::Markdown)),
        ("a.b.txt", Some(Format::Plain)),
        ("a.rs", None),
        ("md", None),
        (".md", None),
    ] {
        assert_eq!(Format::of(Path::new(name)), format, "{name}");
    }
}

/// Pieces of documents, chosen so that they disturb each other.
fn line() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "# One",
        "## Two",
        "###",
        "Under",
        "===",
        "---",
        "```",
        "~~~",
        "> # Quoted",
        "- # Item",
        "1. item",
        "",
        "",
        " ",
        "\t",
        "    # code",
        "<div>",
        "</div>",
        "<!--",
        "-->",
        "| a | b |",
        "|---|---|",
        "[^1]: note",
        ": definition",
        "$$",
        "+++",
        "\u{a0}",
        "🦀 世界。",
        "e\u{301}",
        "\\# no",
        "[a]: http://x",
        "\u{feff}",
        "\r",
        "* * *",
    ]);
    prop_oneof![
        3 => odd.prop_map(str::to_owned),
        2 => "[a-zA-Z ,.]{0,60}",
        1 => "[a-z.é ]{700,1900}",
    ]
}

fn document() -> impl Strategy<Value = String> {
    let newline = prop::sample::select(vec!["\n", "\r\n"]);
    (prop::collection::vec(line(), 0..30), newline, any::<bool>()).prop_map(|(lines, newline, ends)| {
        // A first word, so that nothing is front matter.
        let mut document = format!("first{newline}{}", lines.join(newline));
        if ends {
            document.push_str(newline);
        }
        document
    })
}

fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn nothing_is_lost_where_a_long_section_is_windowed() {
    let document = format!("# Log\n\n{}", "A line of the log.\n".repeat(10_000));
    for format in [Format::Markdown, Format::Plain] {
        let chunks = cut(format, &document);
        let together: String = chunks.iter().map(|c| visible(c.text)).collect();
        assert_eq!(together, visible(&document));
        assert_eq!(chunks.last().map(|c| c.lines.1), Some(10_002));
    }
    assert!(cut(Format::Markdown, &document).iter().all(|c| c.headings == ["Log"]));
}

proptest! {
    #[test]
    fn chunks_stand_at_their_lines_and_leave_nothing_out(document in document()) {
        for format in [Format::Markdown, Format::Plain] {
            let chunks = cut(format, &document);
            let together: String = chunks.iter().map(|c| visible(c.text)).collect();
            prop_assert_eq!(together, visible(&document));

            let lines: Vec<&str> = document.split('\n').collect();
            for chunk in &chunks {
                let (first, last) = chunk.lines;
                let claimed = lines[first as usize - 1..last as usize].join("\n");
                prop_assert!(claimed.contains(chunk.text), "{:?} is not in {:?}", chunk.text, claimed);
                prop_assert_eq!(chunk.text.matches('\n').count(), (last - first) as usize);
            }
        }
    }

    #[test]
    fn chunks_are_not_longer_than_they_may_be(document in document()) {
        for chunk in cut(Format::Plain, &document) {
            prop_assert!(chunk.text.chars().count() <= CHUNK_CHARS);
        }
        for chunk in cut(Format::Markdown, &document) {
            // The first piece of a section comes with its headings.
            let most = CHUNK_CHARS + 2 * markdown::LONGEST_HEADING;
            prop_assert!(visible(chunk.text).chars().count() <= most);
        }
    }
}
