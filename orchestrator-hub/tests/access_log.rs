//! The access log. A target of its own, as it looks at all that its process logs and counts.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use hub_rig::{CHAT, Gated, Logs, chat, patient, until};
use metrics_exporter_prometheus::PrometheusBuilder;
use orchestrator_config::file::Limits;
use orchestrator_hub::{Gateway, Key, Keys};
use sha2::{Digest, Sha256};

fn asked(id: &str) -> Request<Body> {
    let request = Request::post(CHAT).header("x-request-id", id).header("authorization", "Bearer key");
    request.body(chat(false).into()).expect("a request")
}

#[tokio::test]
async fn each_request_is_a_line_with_its_name_and_its_end_also_where_the_client_left() {
    let (logs, metrics) = (Logs::of_this_process(), PrometheusBuilder::new().install_recorder().expect("the only one"));
    let worker = Gated::default();
    let service = patient(worker.clone(), &Limits::default());
    let key = Key { sha256: Sha256::digest("key").into(), tenant: Some("acme".into()), priority: Default::default() };
    let gateway = Gateway::new(service.clone(), Keys::from_iter([key]), Limits::default(), None).access_log();
    let working = || service.models[0].chat.as_ref().is_some_and(|chat| chat.stats().in_flight == 1);
    tokio::select! {
        _ = gateway.call(asked("who-leaves")) => panic!("nothing answers yet"),
        () = until("it is worked on", working) => {}
    }
    worker.open();
    let response = gateway.call(asked("who-stays")).await;
    assert_eq!(response.headers()["x-request-id"], "who-stays", "it comes back as it was sent");
    response.into_body().collect().await.expect("a whole body");

    let text = logs.text();
    for (id, status) in [("who-leaves", "status=499"), ("who-stays", "status=200")] {
        let id = format!("request_id=\"{id}\" route");
        let lines: Vec<&str> =
            text.lines().filter(|line| line.contains("journal: request ") && line.contains(&id)).collect();
        assert_eq!(lines.len(), 1, "{text}");
        for field in [status, "route=\"/v1/chat/completions\"", "model=\"mock\"", "tenant=\"acme\"", " ms="] {
            assert!(lines[0].contains(field), "{field} is not in {}", lines[0]);
        }
    }
    let counted = "orchestrator_http_requests_total{route=\"/v1/chat/completions\",status=\"499\"} 1";
    assert!(metrics.render().contains(counted), "{}", metrics.render());
}
