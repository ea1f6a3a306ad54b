use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

use super::answers::{Answer, Answers, PACE, PACED};

/// Answers the requests of a connection, one after the other, until its client closes it.
pub(super) async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(8 * 1024);
    loop {
        let Some(request) = next(&mut stream, &mut received).await? else { return Ok(()) };
        let answer = answers.to(&request.path, &received[request.head..request.end]);
        received.drain(..request.end);
        send(&mut stream, &answer).await?;
    }
}

/// Where a request's parts lie among the bytes received.
#[derive(Debug)]
struct Request {
    path: String,
    head: usize,
    end: usize,
}

/// Waits for a whole request; `None` where the client has closed the connection between two.
async fn next(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<Option<Request>> {
    loop {
        if let Some(request) = parse(received)?.filter(|request| request.end <= received.len()) {
            return Ok(Some(request));
        }
        if stream.read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(received: &[u8]) -> io::Result<Option<Request>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(received).map_err(io::Error::other)? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial => return Ok(None),
    };
    let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| str::from_utf8(header.value).ok()?.parse().ok()).unwrap_or(0);
    let path = request.path.unwrap_or_default().to_owned();
    Ok(Some(Request { path, head, end: head + length }))
}

async fn send(stream: &mut TcpStream, answer: &Answer<'_>) -> io::Result<()> {
    match answer {
        Answer::Whole(bytes) => stream.write_all(bytes).await,
        Answer::Paced { first, text, last } => {
            stream.write_all(first).await?;
            let mut ticks = interval(PACE);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for _ in 0..PACED {
                ticks.tick().await;
                stream.write_all(text).await?;
            }
            stream.write_all(last).await
        }
    }
}
