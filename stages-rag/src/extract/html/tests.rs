use proptest::prelude::*;

use super::*;
use crate::corpus::Limit;

fn read(html: &str) -> Extracted {
    extract(html.as_bytes(), &Limits::default()).expect("a page")
}

/// Text and headings of each piece.
fn pieces(html: &str) -> Vec<(String, String)> {
    read(html).pieces.into_iter().map(|piece| (piece.text, piece.headings.join(">"))).collect()
}

fn piece(text: &str, headings: &str) -> (String, String) {
    (text.to_owned(), headings.to_owned())
}

/// The text of a page without headings that fits one piece.
fn text(html: &str) -> String {
    let mut pieces = pieces(html);
    assert!(pieces.len() <= 1, "{pieces:?}");
    pieces.pop().map(|(text, _)| text).unwrap_or_default()
}

#[test]
fn headings_divide_a_page_as_they_divide_markdown() {
    let page = "<!doctype html><title>T</title><body>Before.<h1>Guide</h1><p>Intro.</p>\
        <h2>Over<em>load</em>\n now</h2>One.<h3>Empty</h3><h4>Deep</h4><p>Two.</p><h2>After</h2><h3></h3>End.<h5>Last";
    let expected = [
        piece("Before.", ""),
        piece("Guide\n\nIntro.", "Guide"),
        piece("Overload now\n\nOne.", "Guide>Overload now"),
        piece("Empty\n\nDeep\n\nTwo.", "Guide>Overload now>Empty>Deep"),
        piece("After\n\nEnd.", "Guide>After"),
        piece("Last", "Guide>After>Last"),
    ];
    assert_eq!(pieces(page), expected);
}

#[test]
fn blocks_lists_tables_and_code_stay_readable() {
    assert_eq!(text("<p>a\n  b<br>c<div>d</div> e"), "a b\nc\n\nd\n\ne");
    assert_eq!(text("x<ul><li>a<li><p>b</p><li></ul>y"), "x\n\n- a\n- b\n\ny");
    let table = "<table><caption>C</caption><tr><th>a<th>b</tr><tr><td>1<td>2<td>3</table>";
    assert_eq!(text(table), "C\n\n| a | b |\n|---|---|\n| 1 | 2 | 3 |");
    assert_eq!(text("<p>x</p><pre>fn a() {\n    b\n}</pre>y"), "x\n\nfn a() {\n    b\n}\n\ny");
    assert_eq!(text("in<b>li</b>ne <span>text</span>s"), "inline texts");
}

#[test]
fn tables_are_written_as_in_markdown() {
    let table = "x<table><thead><tr><th>code <th>a|b</thead>\n<tbody><tr> <td></td> <td>one<br>two</td></tr>\
        <tr><td><p>3</p><td><b>f</b>our</table>y<table><tr><td>a<td>b</table>";
    let expected = "x\n\n| code | a\\|b |\n|---|---|\n|  | one two |\n| 3 | four |\n\ny\n\n| a | b |\n|---|---|";
    assert_eq!(text(table), expected);
    // What is only laid out in a table is none.
    assert_eq!(text("<table><tr><td>a | b</table>"), "a | b");
    assert_eq!(text("<table><tr><td>menu<td><p>a<p>b</table>"), "menu\n\na\n\nb");
    let nested = "<table><tr><td>menu<td><table><tr><td>a<td>b</table></table>";
    assert_eq!(text(nested), "menu\n\n| a | b |\n|---|---|");
    assert_eq!(text(&format!("<table><tr>{}", "<td>a".repeat(65))).matches("---").count(), 0);
    assert_eq!(text("<table><tr><td><td></table>"), "");
    assert_eq!(text("a<td>b<td>c"), "ab | c");
}

#[test]
fn entities_are_decoded() {
    assert_eq!(
        text("a &lt;b&gt; &amp;amp; caf&eacute; &#x4e16;&#30028; &copy &notit; &#0; &unknown;"),
        "a <b> &amp; café 世界 © ¬it; \u{fffd} &unknown;"
    );
    assert_eq!(text("a&nbsp;b"), "a\u{a0}b");
}

#[test]
fn what_is_not_content_is_left_out() {
    let page = "<head><style>p{}</style><script>if (a<b) '<p>no</p>'</script></head><nav><a>no</a><nav>no</nav>no</nav>\
        <p>yes<noscript>no</noscript><template><p>no</p></template><svg><title>no</title><text>no</text></svg>\
        <svg/><!-- no --><select><option>no</select><textarea><b>raw</b></textarea>";
    assert_eq!(text(page), "yes<b>raw</b>");
    assert_eq!(text("<nav>menu<main>content</main>"), "content");
    assert_eq!(text("<nav>menu<h1>Title</h1>content"), "Title\n\ncontent");
}

#[test]
fn a_page_says_what_it_is() {
    let page = "<html LANG='de-AT'><head><title> A\n &amp; B </title><title>C</title><META NAME=Description CONTENT=' d '>\
        <meta name=author content=''><meta name=author content=Ann><meta name=author content=Bob>\
        <meta name=viewport content=x><body>text<svg><title>D</title></svg>";
    let metadata: Vec<_> = read(page).metadata.into_iter().collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        metadata,
        [pair("author", "Ann"), pair("description", "d"), pair("language", "de-AT"), pair("title", "A & B"),]
    );
    assert_eq!(text(page), "text");
    let endless = format!("<title>{}</title>x", "é".repeat(10_000));
    assert_eq!(read(&endless).metadata["title"], "é".repeat(150));
}

#[test]
fn what_is_unclosed_is_read_all_the_same() {
    assert_eq!(text("<p>a<div>b<b>c"), "a\n\nbc");
    assert_eq!(text("a<!-- never closed"), "a");
    assert_eq!(text("a<![CDATA[ b ]]>c"), "ac");
    assert_eq!(text("a<p title='never closed"), "a");
    assert_eq!(text("a </p></div></table></li></h1></nav> b"), "a\n\nb");
    assert_eq!(text("a < b <3 </> c"), "a < b <3 c");
    assert_eq!(pieces("<h1>a<p>b</p>")[0], piece("a b", "a b"));
}

#[test]
fn a_heading_that_goes_on_for_ever_is_text() {
    let page = format!("<h1>{}</h1>after", "word ".repeat(200));
    let pieces = pieces(&page);
    assert!(pieces.len() > 1 && pieces.iter().all(|(_, headings)| headings.is_empty()));
    let headings: String = (0..100).map(|i| format!("<h2>Heading number {i}</h2>")).collect();
    assert!(read(&headings).pieces.iter().all(|piece| piece.text.len() < 1_000));
}

#[test]
fn a_page_beyond_its_limits_is_too_large() {
    let limits = Limits::default().text_bytes(10_000);
    let beyond = Err(SkipReason::TooLarge(Limit::TextBytes));
    let read = |page: &str| extract(page.as_bytes(), &limits).map(|page| page.pieces.len());
    assert!(read(&"word ".repeat(1_900)).is_ok());
    assert_eq!(read(&"word ".repeat(2_100)), beyond);
    assert_eq!(read(&format!("<pre>{}", " ".repeat(10_100))), beyond);
    assert_eq!(read(&format!("<h1>{}", "a".repeat(10_100))), beyond);
    assert_eq!(read(&"<h2>a</h2>b".repeat(100)), beyond);
    assert!(read(&format!("<p title='{}'>a", "b".repeat(100_000))).is_ok());
}

/// A simple element, or text; what a reader sees of it is known without reading it.
#[derive(Debug, Clone)]
enum Node {
    Text(String),
    Element(&'static str, Vec<Node>),
    Unseen(&'static str, String),
    Void(&'static str),
    Comment(String),
}

impl Node {
    fn html(&self) -> String {
        let inner = |children: &[Self]| children.iter().map(Self::html).collect::<String>();
        match self {
            Self::Text(text) => text.replace('&', "&amp;").replace('<', "&lt;"),
            Self::Element(name, children) => format!("<{name} class=\"x > y\">{}</{name}>", inner(children)),
            Self::Unseen(name, text) => format!("<{name}>{text}</{name}>"),
            Self::Void(name) => format!("<{name}>"),
            Self::Comment(text) => format!("<!-- {text} -->"),
        }
    }

    fn seen(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Element(_, children) => children.iter().map(Self::seen).collect(),
            Self::Unseen(..) | Self::Void(_) | Self::Comment(_) => String::new(),
        }
    }
}

fn node() -> impl Strategy<Value = Node> {
    let elements =
        vec!["p", "div", "b", "span", "ul", "li", "table", "tr", "td", "h1", "h2", "h6", "pre", "blockquote"];
    let leaf = prop_oneof![
        6 => "[a-zA-Z<&>;#é世🦀 .\n]{1,40}".prop_map(Node::Text),
        1 => "[a-z ]{300,900}".prop_map(Node::Text),
        1 => (prop::sample::select(vec!["script", "style", "nav", "template"]), "[a-z ]{0,9}")
            .prop_map(|(name, text)| Node::Unseen(name, text)),
        1 => prop::sample::select(vec!["br", "hr", "img", "td", "li"]).prop_map(Node::Void),
        1 => "[a-z ]{0,9}".prop_map(Node::Comment),
    ];
    leaf.prop_recursive(6, 60, 8, move |inner| {
        (prop::sample::select(elements.clone()), prop::collection::vec(inner, 0..8))
            .prop_map(|(name, children)| Node::Element(name, children))
    })
}

/// Without white space, and without the marks of items and cells, which the texts above do not hold.
fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !"-|".contains(*c)).collect()
}

proptest! {
    #[test]
    fn nothing_that_can_be_seen_is_lost(nodes in prop::collection::vec(node(), 1..8)) {
        let html: String = nodes.iter().map(Node::html).collect();
        let seen: String = nodes.iter().map(Node::seen).collect();
        let pieces = read(&html).pieces;
        let together: String = pieces.iter().map(|piece| visible(&piece.text)).collect();
        prop_assert_eq!(together, visible(&seen));
        for piece in pieces {
            // The first piece of a section comes with its headings.
            prop_assert!(piece.text.chars().count() <= 800 + 2 * 400 + 4, "{}", piece.text.len());
        }
    }

    #[test]
    fn anything_at_all_is_read(bytes in prop::collection::vec(any::<u8>(), 0..300), tags in "[<>/!a-z\"'= &;#-]{0,300}") {
        let _ = extract(&bytes, &Limits::default());
        prop_assert!(extract(tags.as_bytes(), &Limits::default()).is_ok());
    }
}
