//! Requests that are wrong, or that one server could read otherwise than another.
//!
//! Each is sent on a connection of its own. The server says what is wrong, closes the connection where it cannot know where the
//! next request begins, and answers others as before.

use hub_rig::{CHAT, PATIENCE, Raw, Rig, chat, count, get, post, status, until};
use orchestrator_config::file::Limits;
use orchestrator_core::testing::{MockWorker, Script};
use serde_json::json;
use tokio::time::timeout;

use crate::http2::Http2;

/// A form: what it is called, what is sent, and the status of each response.
struct Form {
    name: &'static str,
    bytes: Vec<u8>,
    statuses: &'static [u16],
    /// How often the model is asked.
    answers: u64,
}

fn form(name: &'static str, bytes: impl Into<Vec<u8>>, statuses: &'static [u16]) -> Form {
    Form {
        name,
        bytes: bytes.into(),
        statuses,
        answers: statuses.iter().filter(|status| **status == 200).count() as u64,
    }
}

/// A chat with these lines in its head, and this as its body.
fn head(lines: &str, body: &str) -> String {
    format!("POST {CHAT} HTTP/1.1\r\nhost: test\r\n{lines}\r\n{body}")
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// Where a message ends is told in two ways, or in none that is known.
fn smuggled() -> Vec<Form> {
    let body = chat(false);
    let length = body.len();
    let hidden = post(CHAT, &body);
    vec![
        form(
            "length and chunked: chunked counts",
            head("content-length: 4\r\ntransfer-encoding: chunked\r\n", &chunked(&body)),
            &[200],
        ),
        form(
            "chunked and length: chunked counts",
            head("transfer-encoding: chunked\r\ncontent-length: 4\r\n", &chunked(&body)),
            &[200],
        ),
        form(
            "length and chunked, and a request behind the shorter end",
            head("content-length: 4\r\ntransfer-encoding: chunked\r\n", &format!("0\r\n\r\n{hidden}")),
            &[400],
        ),
        form("two lengths", head(&format!("content-length: {length}\r\ncontent-length: 4\r\n"), &body), &[400]),
        form(
            "one length twice",
            head(&format!("content-length: {length}\r\ncontent-length: {length}\r\n"), &body),
            &[200],
        ),
        form("a list of lengths", head(&format!("content-length: {length}, {length}\r\n"), &body), &[400]),
        form("a length with a sign", head(&format!("content-length: +{length}\r\n"), &body), &[400]),
        form("a negative length", head("content-length: -1\r\n", &body), &[400]),
        form("a length beyond all numbers", head("content-length: 99999999999999999999\r\n", &body), &[400]),
        form("identity", head("transfer-encoding: identity\r\n", &body), &[400]),
        form("chunked, identity", head("transfer-encoding: chunked, identity\r\n", &chunked(&body)), &[400]),
        form(
            "chunked in two lines, identity last",
            head("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n", &chunked(&body)),
            &[400],
        ),
        form("a coding like chunked", head("transfer-encoding: xchunked\r\n", &chunked(&body)), &[400]),
        form("chunked behind a tab", head("transfer-encoding:\tchunked\r\n", &chunked(&body)), &[200]),
        form(
            "chunked in HTTP/1.0",
            head("transfer-encoding: chunked\r\n", &chunked(&body)).replace("HTTP/1.1", "HTTP/1.0"),
            &[400],
        ),
        form("a folded line", head("transfer-encoding:\r\n chunked\r\n", &chunked(&body)), &[400]),
        form("a space before the colon", head("content-length : 4\r\n", &body), &[400]),
        form("a line without a colon", head("content-length\r\n", &body), &[400]),
        form("a nought in a value", head("x: a\0b\r\ncontent-length: 4\r\n", &body), &[400]),
        form("a bare return in a value", head("x: a\rcontent-length: 4\r\n", &body), &[400]),
        form(
            "a chunk of no size",
            head("transfer-encoding: chunked\r\n", &format!("zz\r\n{body}\r\n0\r\n\r\n")),
            &[400],
        ),
        form(
            "a chunk of a size beyond all numbers",
            head("transfer-encoding: chunked\r\n", &format!("fffffffffffffffff\r\n{body}")),
            &[400],
        ),
        form("a chunk of a negative size", head("transfer-encoding: chunked\r\n", &format!("-1\r\n{body}")), &[400]),
        form(
            "a chunk that is longer than it says",
            head("transfer-encoding: chunked\r\n", &format!("2\r\n{body}\r\n0\r\n\r\n")),
            &[400],
        ),
        form("a request in the body", post(CHAT, &hidden), &[400]),
        form("a request behind the body", format!("{hidden}{hidden}"), &[200, 200]),
    ]
}

/// What is asked for, and of whom.
fn lines() -> Vec<Form> {
    let chat = post(CHAT, &chat(false));
    let without = |form: Form| Form { answers: 0, ..form };
    vec![
        form("lines that end with a line feed alone", chat.replacen("\r\n", "\n", 4), &[200]),
        form("absolute form", chat.replacen(CHAT, &format!("http://test{CHAT}"), 1), &[200]),
        form("no host", chat.replacen("host: test\r\n", "", 1), &[400]),
        form("two hosts", chat.replacen("host: test\r\n", "host: test\r\nhost: other\r\n", 1), &[400]),
        without(form("no host in HTTP/1.0", "GET /healthz HTTP/1.0\r\n\r\n", &[200])),
        form("another method", get(CHAT), &[405]),
        form("a method of one's own", get(CHAT).replacen("GET", "BREW", 1), &[405]),
        form("a method that is none", get(CHAT).replacen("GET", "G(T", 1), &[400]),
        form("asterisk form", get("*").replacen("GET", "OPTIONS", 1), &[404]),
        form("authority form", get("test:80").replacen("GET", "CONNECT", 1), &[404]),
        form("a path out of its root", get("/v1/../../etc/passwd"), &[404]),
        form("a version that is none", chat.replacen("HTTP/1.1", "HTTP/7.3", 1), &[400]),
        form("no version", "GET /healthz\r\n\r\n", &[400]),
        form("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".as_slice(), &[400]),
    ]
}

/// More than anybody needs. None of it is read to its end.
fn oversized() -> Vec<Form> {
    let long = "a".repeat(40 * 1024);
    let many: String = (0..500).map(|number| format!("x-{number}: y\r\n")).collect();
    let body = "a".repeat(BODY + 1);
    vec![
        form("a long header", format!("GET /healthz HTTP/1.1\r\nhost: test\r\nx: {long}\r\n\r\n"), &[431]),
        form("a header without an end", format!("GET /healthz HTTP/1.1\r\nhost: test\r\nx: {long}"), &[431]),
        form("many headers", format!("GET /healthz HTTP/1.1\r\nhost: test\r\n{many}\r\n"), &[431]),
        form("a long path", get(&format!("/{long}")), &[431]),
        form("a length beyond the limit, and no body", head(&format!("content-length: {}\r\n", BODY + 1), ""), &[413]),
        form(
            "such a length, and a client that asks first",
            head(&format!("content-length: {}\r\nexpect: 100-continue\r\n", BODY + 1), ""),
            &[413],
        ),
        form(
            "a long body in chunks, without an end",
            head("transfer-encoding: chunked\r\n", &format!("fffffff\r\n{body}")),
            &[413],
        ),
    ]
}

/// The longest body that is read here.
const BODY: usize = 1024 * 1024;

/// Bodies that are no request, or a costly one.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let message = |content: &str| format!(r#"{{"model":"mock","messages":[{{"role":"user","content":{content}}}]}}"#);
    let field = |field: &str| chat(false).replacen('{', &format!("{{{field},"), 1);
    vec![
        ("nothing", Vec::new()),
        ("no JSON", b"model=mock".to_vec()),
        ("half of it", chat(false).into_bytes()[..20].to_vec()),
        ("something behind it", format!("{}{{}}", chat(false)).into_bytes()),
        ("a list", b"[]".to_vec()),
        ("invalid UTF-8", [b"{\"model\":\"".as_slice(), b"\xff\xfe", b"\"}"].concat()),
        ("half of a pair", message(r#""\ud800""#).into_bytes()),
        ("deep lists", message(&"[".repeat(100_000)).into_bytes()),
        ("deep objects", message(&r#"{"a":"#.repeat(100_000)).into_bytes()),
        (
            "depth in a field of the server's",
            field(&format!(r#""x":{}1{}"#, "[".repeat(5_000), "]".repeat(5_000))).into_bytes(),
        ),
        ("many values", field(&format!(r#""x":[{}1]"#, "1,".repeat(300_000))).into_bytes()),
        ("a number beyond all numbers", field(r#""temperature":1e999"#).into_bytes()),
        ("a long number", field(&format!(r#""max_tokens":{}"#, "9".repeat(100_000))).into_bytes()),
        ("a negative number", field(r#""max_tokens":-1"#).into_bytes()),
        ("a fraction", field(r#""max_tokens":1.5"#).into_bytes()),
        ("a text for a number", field(r#""temperature":"hot""#).into_bytes()),
        ("a number for a truth", field(r#""stream":1"#).into_bytes()),
        ("an object for a text", message("{}").into_bytes()),
        ("a model twice", field(r#""model":"other""#).into_bytes()),
        ("messages twice", field(r#""messages":[]"#).into_bytes()),
        ("no model", json!({"messages": [{"role": "user", "content": "x"}]}).to_string().into_bytes()),
        ("a model that is none", chat(false).replace("\"mock\"", "7").into_bytes()),
    ]
}

async fn rig() -> (MockWorker, Rig) {
    let worker = MockWorker::new(Script::answering("to be"));
    let limits = Limits { body: count(BODY), ..Limits::default() };
    (worker.clone(), Rig::of(worker, limits).await)
}

/// The statuses of responses behind each other.
fn statuses(mut responses: &str) -> Vec<u16> {
    let mut found = Vec::new();
    while let Some(start) = responses.find("HTTP/1.1 ").or_else(|| responses.find("HTTP/1.0 ")) {
        responses = &responses[start + 9..];
        found.extend(responses.get(..3).and_then(|status| status.parse::<u16>().ok()));
    }
    found
}

/// Sends a form and then its own end, so that the server closes the connection in any case.
async fn responses(rig: &Rig, bytes: &[u8]) -> Vec<u16> {
    let mut client = Raw::connect(rig.address).await;
    client.send(bytes).await;
    client.stop_writing().await;
    statuses(&client.rest().await)
}

#[tokio::test]
async fn each_form_has_its_status_and_hides_nothing() {
    let (worker, rig) = rig().await;
    let mut complaints = Vec::new();
    for form in smuggled().into_iter().chain(lines()).chain(oversized()) {
        let before = worker.stats().calls;
        let mut client = Raw::connect(rig.address).await;
        client.send(&form.bytes).await;
        let mut found = Vec::new();
        for _ in form.statuses {
            found.push(status(&client.whole().await));
        }
        // What it hides would be answered now.
        client.stop_writing().await;
        found.extend(statuses(&client.rest().await));
        let answers = worker.stats().calls - before;
        if found != form.statuses || answers != form.answers {
            complaints.push(format!("{}: {found:?} and {answers} answers", form.name));
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_eq!(responses(&rig, get("/healthz").as_bytes()).await, [200], "the server is well");
    rig.end().await;
}

#[tokio::test]
async fn a_connection_on_which_the_next_request_cannot_be_found_is_closed() {
    let (_, rig) = rig().await;
    let body = chat(false);
    for (name, bytes) in [
        ("length and chunked", head("content-length: 4\r\ntransfer-encoding: chunked\r\n", &chunked(&body))),
        ("a bad chunk", head("transfer-encoding: chunked\r\n", "zz\r\n")),
        ("two lengths", head("content-length: 1\r\ncontent-length: 2\r\n", "x")),
        ("a body that is too long", head(&format!("content-length: {}\r\n", BODY + 1), "")),
    ] {
        let mut client = Raw::connect(rig.address).await;
        client.send(bytes + &get("/healthz")).await;
        assert_eq!(statuses(&client.rest().await).len(), 1, "{name}: what comes behind is not answered");
    }
}

#[tokio::test]
async fn wrong_bodies_are_the_clients_fault() {
    let (worker, rig) = rig().await;
    let client = reqwest::Client::new();
    for (name, body) in bodies() {
        let response = client.post(rig.url(CHAT)).body(body).send().await.expect("a response");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        assert_eq!(status, 400, "{name}: {text}");
        assert!(text.contains("invalid_request_error"), "{name}: {text}");
    }
    assert_eq!(worker.stats().calls, 0);
    rig.end().await;
}

#[tokio::test]
async fn a_client_that_sends_on_still_reads_that_its_body_is_too_long() {
    let (_, rig) = rig().await;
    let client = reqwest::Client::new();
    for _ in 0..5 {
        let response = client.post(rig.url(CHAT)).body(vec![b'x'; 4 * BODY]).send().await.expect("a response");
        assert_eq!(response.status().as_u16(), 413);
    }
}

/// The status of a chat of about half a megabyte.
async fn long_chat(rig: &Rig) -> u16 {
    let body = chat(false).replacen("hello", &"x".repeat(BODY / 2), 1);
    let mut client = Raw::connect(rig.address).await;
    client.send(post(CHAT, &body)).await;
    status(&client.whole().await)
}

async fn until_told(rig: &Rig, expected: u16) {
    let asking = async { while long_chat(rig).await != expected {} };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("nobody is told {expected}"));
}

#[tokio::test]
async fn bodies_that_are_too_much_together_are_refused_until_there_is_room_again() {
    let limits = Limits { body: count(BODY), bodies: count(BODY), ..Limits::default() };
    let rig = Rig::of(MockWorker::new(Script::answering("to be")), limits).await;
    let mut half = Raw::connect(rig.address).await;
    half.send(head(&format!("content-length: {BODY}\r\n"), &"x".repeat(BODY * 3 / 4))).await;
    until_told(&rig, 503).await;
    drop(half);
    until_told(&rig, 200).await;
    rig.end().await;
}

#[tokio::test]
async fn over_http2_long_headers_are_refused_and_the_connection_stays() {
    let (_, rig) = rig().await;
    let client = Http2::connect(rig.address).await;
    let mut request = crate::http2::post(chat(false));
    for number in 0..20 {
        let name = http::HeaderName::from_bytes(format!("x-{number}").as_bytes()).expect("a name");
        request.headers_mut().insert(name, "y".repeat(2_000).try_into().expect("a value"));
    }
    let refused = client.requests.clone().send_request(request).await;
    assert!(refused.is_ok_and(|response| response.status().as_u16() == 431));
    assert_eq!(client.ask(chat(false)).await.expect("an answer").status().as_u16(), 200);
}

#[tokio::test]
async fn over_http2_a_flood_of_resets_ends_its_connection_and_harms_nobody() {
    let (worker, rig) = rig().await;
    timeout(PATIENCE, flood_with_resets(&rig)).await.expect("the connection ends");
    let other = Http2::connect(rig.address).await;
    assert_eq!(other.ask(chat(false)).await.expect("an answer").status().as_u16(), 200);
    until("nothing is left of it", || rig.in_flight() == 0 && worker.stats().live == 0).await;
    rig.end().await;
}

/// Begins requests and takes them back until the server has had enough of that.
async fn flood_with_resets(rig: &Rig) {
    let flood = Http2::connect(rig.address).await;
    while flood.is_open() {
        let mut requests: Vec<_> =
            (0..50).map(|_| Box::pin(flood.requests.clone().send_request(crate::http2::post(chat(true))))).collect();
        for request in &mut requests {
            let _ = futures_util::poll!(request);
        }
        tokio::task::yield_now().await;
        drop(requests);
    }
}
