//! Keys: who has one is let in, and it is shown nowhere.

use std::fmt::Write as _;

use orchestrator_core::testing::server::{Reply, ScriptedServer};
use rustix::process::Signal;

use crate::process::{Served, folder, run};

/// The key of the server behind.
const UPSTREAM: &str = "sk-upstream-canary-5f1e7d";

/// A line of `orchestrator key`.
fn line<'a>(printed: &'a str, name: &str) -> &'a str {
    let line = printed.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
    line.trim()
}

#[tokio::test]
async fn a_key_lets_in_and_is_shown_nowhere() {
    let printed = run(&folder(&[]), &["key"]).await.out;
    let (key, digest) = (line(&printed, "key"), line(&printed, "sha256"));
    // It repeats what it was sent, as some servers do.
    let echo = |request: &orchestrator_core::testing::server::Request| {
        let said = request.header("authorization").unwrap_or_default();
        Reply::json(401, format!(r#"{{"error":{{"message":"bad key {said}"}}}}"#))
    };
    let backend = ScriptedServer::start(echo).await.expect("a server");
    let file = format!(
        "[workers.w]\nkind = 'openai-compatible'\nurl = '{}'\nkey = '${{UPSTREAM}}'\nmodel = 'm'\n\n\
         [[keys]]\nsha256 = '{digest}'\ntenant = 'acme'\n\n[telemetry]\nlevel = 'trace'\naccess_log = true\n",
        backend.base_url()
    );
    let folder = folder(&[("o.toml", &file)]);
    let served = Served::start(&folder, &["o.toml"], &[("UPSTREAM", UPSTREAM)]).await;

    let mut seen = String::new();
    for (presented, status) in [(None, 401), (Some(&key[1..]), 401), (Some(key), 502)] {
        let request = served.chat("w", false);
        let request = presented.into_iter().fold(request, |request, key| request.bearer_auth(key));
        let response = request.send().await.expect("a response");
        assert_eq!(response.status(), status, "{presented:?}");
        let headers = format!("{:?}", response.headers());
        write!(seen, "{headers}{}", response.text().await.expect("a body")).expect("a string takes all");
    }
    let metrics = reqwest::Client::new().get(format!("{}/metrics", served.url)).bearer_auth(key);
    let metrics = metrics.send().await.expect("a response").text().await.expect("a body");
    assert!(metrics.contains("orchestrator_http_requests_total"), "{metrics}");
    served.signal(Signal::TERM);
    let ended = served.ended().await;
    assert!(ended.err.contains("DEBUG") && ended.err.contains("request_id"), "the logs are there: {}", ended.err);
    for text in [&seen, &metrics, &ended.out, &ended.err] {
        for secret in [&key[4..24], &key[key.len() - 20..], UPSTREAM, digest] {
            assert!(!text.contains(secret), "`{secret}` in {text}");
        }
    }
}
