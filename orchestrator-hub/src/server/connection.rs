use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::listen::Shared;
use super::response::CountedBody;
use super::socket::Socket;
use super::traffic::Traffic;

/// Serves one connection to its end.
pub(super) async fn serve(stream: TcpStream, shared: Shared) {
    let _connected = shared.gateway.connected();
    let traffic = Traffic::new();
    let socket = Socket::new(stream, traffic.clone(), shared.times);
    let service = service_fn(|request| {
        let (shared, traffic) = (shared.clone(), traffic.clone());
        async move { Ok::<_, Infallible>(answer(request, &shared, &traffic).await) }
    });
    let mut connection = pin!(shared.http.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        // Whoever is told to end now is told to leave as well.
        () = shared.leave.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                biased;
                () = shared.kill.cancelled() => return,
                ended = connection.as_mut() => ended,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection broke");
    }
}

async fn answer(request: Request<Incoming>, shared: &Shared, traffic: &Arc<Traffic>) -> Response<CountedBody> {
    // It counts before it is asked whether the server ends: an ending server sees it, or it sees that the server ends.
    let (of_connection, of_server) = (traffic.enter(), shared.work.token());
    let of_server = (!shared.gateway.is_closed()).then_some(of_server);
    let version = request.version();
    let mut response = if names_a_host(&request) {
        shared.way.call(&shared.gateway, request).await
    } else {
        status(StatusCode::BAD_REQUEST)
    };
    if version < Version::HTTP_2 && (shared.gateway.is_closed() || leaves_body(response.status())) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| CountedBody::new(body, of_connection, of_server))
}

/// HTTP/1.1 asks for one host, by which servers in between may have gone.
fn names_a_host(request: &Request<Incoming>) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(HOST).iter().count() == 1
}

/// Whether what the client still sends is not read any more.
const fn leaves_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT)
}

fn status(status: StatusCode) -> axum::response::Response {
    let mut response = axum::response::Response::default();
    *response.status_mut() = status;
    response
}
