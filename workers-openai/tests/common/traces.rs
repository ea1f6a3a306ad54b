//! Recorded exchanges, as they went over the wire: see `tests/traces/README.md`.
//!
//! Tests of other crates in this workspace include this file by its path.
#![allow(dead_code, reason = "each test uses some of it")]

use std::path::{Path, PathBuf};

use bytes::Bytes;

/// One request and its response.
pub(crate) struct Trace {
    /// The server, a slash, and what was tried.
    pub(crate) name: String,
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) event_stream: bool,
    /// What the response's body is made of: the chunks of the chunked encoding, or the whole.
    pub(crate) chunks: Vec<Bytes>,
}

impl Trace {
    pub(crate) fn response(&self) -> Bytes {
        self.chunks.concat().into()
    }
}

fn folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    // From the root package, or from beside `workers-openai`.
    let folders = ["workers-openai/tests/traces", "../workers-openai/tests/traces"].map(|folder| package.join(folder));
    folders.into_iter().find(|folder| folder.is_dir()).expect("the traces")
}

/// All exchanges, in the order of their names.
pub(crate) fn all() -> Vec<Trace> {
    let mut names: Vec<String> = ["llamacpp", "vllm"].iter().flat_map(|server| names(server)).collect();
    names.sort();
    assert!(names.len() > 100, "{} exchanges", names.len());
    names.iter().map(|name| load(name)).collect()
}

fn names(server: &str) -> impl Iterator<Item = String> {
    let files = std::fs::read_dir(folder().join(server)).expect("a folder");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("ASCII"));
    names.filter_map(move |name| Some(format!("{server}/{}", name.strip_suffix(".resp")?)))
}

/// One exchange, such as `vllm/chat_stream`.
pub(crate) fn load(name: &str) -> Trace {
    let read = |suffix: &str| std::fs::read(folder().join(format!("{name}.{suffix}"))).expect("a trace");
    let (request, response) = (read("req"), read("resp"));

    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut fields);
    let body = head.parse(&request).expect("a request").unwrap();
    let (method, path) = (head.method.expect("a method").to_owned(), head.path.expect("a path").to_owned());
    let request = request[body..].to_vec();

    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let body = head.parse(&response).expect("a response").unwrap();
    let field = |name: &str| head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|f| f.value);
    let status = head.code.expect("a status");
    let event_stream = field("content-type").is_some_and(|value| value.starts_with(b"text/event-stream"));
    let chunked = field("transfer-encoding") == Some(b"chunked");
    let body = Bytes::copy_from_slice(&response[body..]);
    let chunks = if chunked { unchunk(&body) } else { vec![body] };
    Trace { name: name.to_owned(), method, path, request, status, event_stream, chunks }
}

/// Undoes the chunked encoding; of a chunk that was cut off, what came of it.
fn unchunk(mut body: &[u8]) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    while let Ok(httparse::Status::Complete((head, length))) = httparse::parse_chunk_size(body) {
        let rest = &body[head..];
        let length = usize::try_from(length).expect("a chunk").min(rest.len());
        if length == 0 {
            break;
        }
        chunks.push(Bytes::copy_from_slice(&rest[..length]));
        body = rest[length..].strip_prefix(b"\r\n").unwrap_or_default();
    }
    chunks
}
