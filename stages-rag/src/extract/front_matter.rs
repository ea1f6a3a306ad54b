use std::collections::BTreeMap;

use super::fact;

/// The most lines of front matter that are looked at, and the most fields that are kept: they go with every passage.
const LINES: usize = 200;
const FIELDS: usize = 16;
/// The most bytes of a key.
const LONGEST_KEY: usize = 64;

/// Reads the plain fields of YAML or TOML front matter: a key, and one value on the same line.
///
/// Lists, tables, texts over several lines and values with escapes are left out rather than guessed at.
pub(super) fn fields(document: &str) -> BTreeMap<String, String> {
    let document = document.strip_prefix('\u{feff}').unwrap_or(document);
    let mut lines = document.lines();
    let (fence, separator) = match lines.next().map(str::trim_end) {
        Some("---") => ("---", ':'),
        Some("+++") => ("+++", '='),
        _ => return BTreeMap::new(),
    };
    let mut fields = BTreeMap::new();
    for line in lines.take(LINES) {
        if line.trim_end() == fence {
            return fields;
        }
        // What follows the head of a table belongs to the table.
        if separator == '=' && line.starts_with('[') {
            break;
        }
        if fields.len() < FIELDS {
            fields.extend(field(line, separator));
        }
    }
    // Without a closing fence it is no front matter; after the head of a table only what stands before counts.
    if document.lines().skip(1).any(|line| line.trim_end() == fence) { fields } else { BTreeMap::new() }
}

fn field(line: &str, separator: char) -> Option<(String, String)> {
    let (key, value) = line.split_once(separator)?;
    let key = if separator == '=' { key.trim_end() } else { key };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    // In YAML the space after the colon is what makes it a key.
    let spaced = separator == '=' || value.starts_with([' ', '\t']);
    if key.is_empty() || key.len() > LONGEST_KEY || !key.chars().all(plain) || !spaced {
        return None;
    }
    Some((key.to_owned(), fact(&scalar(value.trim())?)?))
}

/// A value without escapes, out of its quotes.
fn scalar(value: &str) -> Option<String> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            let inner = rest.strip_suffix(quote)?;
            return (!inner.contains([quote, '\\'])).then(|| inner.to_owned());
        }
    }
    // YAML gives these a meaning at the start of a value, and # one behind a space.
    let odd = value.starts_with(['[', '{', '|', '>', '&', '*', '!', '%', '@', '`', '#', '-', '?', ',', ']', '}']);
    let negative = value.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let known = !value.is_empty() && (!odd || negative) && !value.contains(" #") && !value.contains(": ");
    known.then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Vec<(String, String)> {
        fields(document).into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn plain_fields_are_read() {
        let yaml = "---\ntitle: \"A: guide\"\nauthor: 'Ann'\nversion: 1.2\ndraft: false\n---\n\nText: no field\n";
        let expected =
            [pair("author", "Ann"), pair("draft", "false"), pair("title", "A: guide"), pair("version", "1.2")];
        assert_eq!(read(yaml), expected);
        assert_eq!(read(&format!("\u{feff}{}", yaml.replace('\n', "\r\n"))), expected);
        let toml = "+++\ntitle = \"Guide\"\nweight = 3\n[extra]\ntag = \"x\"\n+++\n";
        assert_eq!(read(toml), [pair("title", "Guide"), pair("weight", "3")]);
    }

    #[test]
    fn what_is_not_plain_is_left_out() {
        let yaml = "---\ntags: [a, b]\nlist:\n  - a\n  nested: b\ntext: |\n  more: c\nurl: http://x/#y\nnote: a # b\n\
            quoted: \"a \\\" b\"\n\"key\": a\ntime:12\n---\n";
        assert_eq!(read(yaml), [pair("url", "http://x/#y")]);
    }

    #[test]
    fn what_only_looks_like_front_matter_has_no_fields() {
        for document in ["", "---", "---\ntitle: x\n", "title: x\n---\n", "\n---\ntitle: x\n---\n", "+++\n[a]\nb = 1\n"]
        {
            assert_eq!(read(document), [], "{document:?}");
        }
    }
}
