//! Writes small PDF files, right or wrong in every way that a test wants.

use std::fmt::Write;

/// A file of numbered objects, the first of them the catalog.
#[derive(Debug, Default)]
pub(crate) struct Pdf {
    objects: Vec<Vec<u8>>,
}

impl Pdf {
    /// A file with a catalog, a folder of pages, one font, and a page for each of the contents.
    pub(crate) fn of_pages(contents: &[&[u8]]) -> Self {
        let mut pdf = Self::default();
        let kids: String = (0..contents.len()).map(|i| format!("{} 0 R ", 4 + 2 * i)).collect();
        pdf.add("<</Type/Catalog/Pages 2 0 R>>");
        pdf.add(&format!("<</Type/Pages/Kids[{kids}]/Count {}/Resources<</Font<</F1 3 0 R>>>>>>", contents.len()));
        pdf.add("<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>");
        for (i, content) in contents.iter().enumerate() {
            let next = 5 + 2 * i;
            pdf.add(&format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {next} 0 R>>"));
            pdf.stream("", content);
        }
        pdf
    }

    /// One page with a line for each of the texts.
    pub(crate) fn of_lines(lines: &[&str]) -> Self {
        Self::of_pages(&[lines_content(lines).as_bytes()])
    }

    /// Adds an object, and returns its number.
    pub(crate) fn add(&mut self, body: &str) -> usize {
        self.add_bytes(body.as_bytes().to_vec())
    }

    pub(crate) fn add_bytes(&mut self, body: Vec<u8>) -> usize {
        self.objects.push(body);
        self.objects.len()
    }

    /// Adds a stream with further entries in its dictionary.
    pub(crate) fn stream(&mut self, entries: &str, content: &[u8]) -> usize {
        let mut body = format!("<<{entries}/Length {}>>stream\n", content.len()).into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\nendstream");
        self.add_bytes(body)
    }

    /// Puts another object in the place of one.
    pub(crate) fn replace(&mut self, number: usize, body: &str) {
        self.objects[number - 1] = body.as_bytes().to_vec();
    }

    pub(crate) fn replace_stream(&mut self, number: usize, entries: &str, content: &[u8]) {
        let new = self.stream(entries, content);
        let body = self.objects.remove(new - 1);
        self.objects[number - 1] = body;
    }

    /// The file, with a table of its objects.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.with_trailer("")
    }

    /// The file, with further entries in its trailer.
    pub(crate) fn with_trailer(&self, entries: &str) -> Vec<u8> {
        let mut bytes = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".to_vec();
        let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", self.objects.len() + 1);
        for (i, object) in self.objects.iter().enumerate() {
            writeln!(table, "{:010} 00000 n ", bytes.len()).expect("a string");
            bytes.extend_from_slice(format!("{} 0 obj\n", i + 1).as_bytes());
            bytes.extend_from_slice(object);
            bytes.extend_from_slice(b"\nendobj\n");
        }
        let at = bytes.len();
        let trailer =
            format!("trailer<</Size {}/Root 1 0 R{entries}>>\nstartxref\n{at}\n%%EOF\n", self.objects.len() + 1);
        bytes.extend_from_slice(table.as_bytes());
        bytes.extend_from_slice(trailer.as_bytes());
        bytes
    }
}

/// What draws lines of text below each other.
pub(crate) fn lines_content(lines: &[&str]) -> String {
    let shown: String = lines.iter().map(|line| format!("({line}) Tj T*\n")).collect();
    format!("BT /F1 12 Tf 14 TL 50 700 Td\n{shown}ET")
}

/// Packs bytes as `/FlateDecode` wants them.
pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(bytes, 6)
}
