//! A worker's streamed call of 64 tokens, beside the bare HTTP client that reads the same bytes: processor time of the client's
//! thread for each request.
//!
//! The server is a thread of its own and writes as model servers do, each token flushed by itself; in the second figure
//! everything in one write, for orientation: what is the worker's own weighs more there beside the system's part.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use prompt_orchestrator::context::Context;
use prompt_orchestrator::request::{PromptRequest, RequestOptions};
use prompt_orchestrator::worker::{InferenceRequest, ModelWorker as _};
use tokio::runtime::Runtime;
use workers_openai::OpenAi;

use crate::harness::{Goal, Harness, median};

const TOKENS: usize = 64;
const PATH: &str = "/v1/chat/completions";
const REST: &str = r#""created":1795219531,"id":"chatcmpl-beS1J8c57Xh4VBccGRt6KCSIVPZ5st5y","model":"tiny","object":"chat.completion.chunk""#;

/// What the server writes, one element per write.
fn writes() -> Vec<Vec<u8>> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |event: String| format!("{:x}\r\n{event}\r\n", event.len()).into_bytes();
    let choice = |delta: &str, reason: &str| {
        chunk(format!(
            "data: {{\"choices\":[{{\"finish_reason\":{reason},\"index\":0,\"delta\":{delta}}}],{REST}}}\n\n"
        ))
    };
    let usage = r#""usage":{"completion_tokens":64,"prompt_tokens":17,"total_tokens":81}"#;
    let mut writes = vec![head.as_bytes().to_vec(), choice(r#"{"role":"assistant","content":null}"#, "null")];
    writes.extend((0..TOKENS).map(|_| choice(r#"{"content":" word"}"#, "null")));
    writes.push(choice("{}", "\"length\""));
    writes.push(chunk(format!("data: {{\"choices\":[],{REST},{usage}}}\n\n")));
    writes.push([chunk("data: [DONE]\n\n".to_owned()), b"0\r\n\r\n".to_vec()].concat());
    writes
}

/// Answers every request with `writes` until its last client has left; returns its address.
fn serve(writes: Vec<Vec<u8>>) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            // A client that leaves ends its connection, and nothing else.
            let _left = answer(connection, &writes);
        }
    });
    Ok(address)
}

fn answer(mut connection: TcpStream, writes: &[Vec<u8>]) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if line == "\r\n" {
                break;
            }
        }
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        for bytes in writes {
            connection.write_all(bytes)?;
        }
    }
}

/// Processor time of this thread, which the client's runtime runs on.
pub(crate) fn cpu() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(stat.split(' ').next()?.parse().ok()?))
}

/// Processor time of a request, in seconds, over many of them.
fn per_request(runtime: &Runtime, time: Duration, mut call: impl AsyncFnMut()) -> f64 {
    runtime.block_on(async {
        let (started, before) = (Instant::now(), cpu().expect("it was there before"));
        let mut requests = 0;
        while started.elapsed() < time {
            call().await;
            requests += 1;
        }
        (cpu().expect("it was there before") - before).as_secs_f64() / f64::from(requests)
    })
}

fn prompt() -> PromptRequest {
    PromptRequest::new("hello world").system("system prompt").temperature(0.0)
}

fn bare(runtime: &Runtime, client: &reqwest::Client, url: &str, time: Duration) -> f64 {
    let body = r#"{"messages":[{"role":"system","content":"system prompt"},{"role":"user","content":"hello world"}],"temperature":0,"stream":true,"stream_options":{"include_usage":true}}"#;
    per_request(runtime, time, async || {
        let request = client.post(url).header("content-type", "application/json").body(body);
        let mut response = request.send().await.expect("it answers");
        while let Some(chunk) = response.chunk().await.expect("it goes on") {
            std::hint::black_box(chunk);
        }
    })
}

fn ours(runtime: &Runtime, worker: &OpenAi, time: Duration) -> f64 {
    per_request(runtime, time, async || {
        let request = InferenceRequest::new(prompt(), Context::standalone(RequestOptions::new()));
        let mut stream = worker.infer(request).await.expect("it answers");
        let mut events = 0;
        while let Some(event) = stream.next().await {
            std::hint::black_box(event.expect("it goes on"));
            events += 1;
        }
        assert_eq!(events, TOKENS + 1);
    })
}

fn compare(harness: &mut Harness, name: &str, goal: Goal, writes: &[Vec<u8>]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // Each side has a server to itself, which answers one connection at a time.
    let [theirs, own] = [(); 2].map(|()| serve(writes.to_vec()).expect("a port"));
    let url = theirs + PATH;
    let client = reqwest::Client::new();
    let worker = OpenAi::builder().base_url(own).build().expect("a worker");
    let time = harness.round_time();
    let pairs = harness.pairs(|| bare(&runtime, &client, &url, time), || ours(&runtime, &worker, time));
    let mut bare: Vec<f64> = pairs.iter().map(|(bare, _)| bare * 1e6).collect();
    harness.line(&format!("{name}, bare us"), median(&mut bare), Goal::None, pairs.len());
    harness.ratio(name, goal, pairs.iter().map(|(bare, ours)| ours / bare));
}

pub(crate) fn run(harness: &mut Harness) {
    if cpu().is_none() {
        println!("the system does not tell the processor time of a thread: no figures of workers");
        return;
    }
    let writes = writes();
    if harness.wants("worker/token by token") {
        compare(harness, "worker/token by token", Goal::AtMost(1.25), &writes);
    }
    if harness.wants("worker/one write") {
        compare(harness, "worker/one write", Goal::None, &[writes.concat()]);
    }
}
