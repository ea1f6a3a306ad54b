//! What becomes of a configuration: which worker answers for which model, and what it is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orchestrator_config::file::{Config, Rag};
use orchestrator_config::{ConnectError, Format, Parts, Service, Texts};
use orchestrator_core::request::PromptRequest;
use orchestrator_core::testing::server::{Reply, Request, ScriptedServer, Signal};
use orchestrator_core::worker::Slots;
use serde_json::json;

async fn parts(text: &str) -> Parts {
    let config = Config::parse("f", text, Format::Toml, []).unwrap_or_else(|faults| panic!("{faults}"));
    Parts::connect(&config).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn service(text: &str) -> Service {
    parts(text).await.service().expect("it was checked")
}

/// Asks as a server does: with the name that the model has upstream, or was asked for by.
async fn ask(service: &Service, asked: &str) -> Result<String, String> {
    let model = service.model(asked).ok_or("there is no such model")?;
    let upstream = model.upstream.as_deref().unwrap_or(asked);
    let chat = model.chat.as_ref().ok_or("it answers no prompts")?;
    let mut answer = chat.submit(PromptRequest::new("?").model(upstream)).await.map_err(|error| error.to_string())?;
    answer.text().await.map_err(|error| error.to_string())
}

/// A server that answers with its name and the model that it was asked for.
async fn echo(name: &'static str) -> ScriptedServer {
    let script = move |request: &Request| match request.path() {
        "/v1/models" => Reply::json(200, r#"{"data": [{"id": "m"}]}"#),
        "/v1/embeddings" => {
            Reply::json(200, r#"{"data": [{"index": 0, "embedding": [0.5, 1.0]}], "usage": {"prompt_tokens": 7}}"#)
        }
        _ => {
            let model = request.json()["model"].as_str().unwrap_or("none").to_owned();
            stream(&format!("{name}:{model}"))
        }
    };
    ScriptedServer::start(script).await.expect("a port")
}

fn stream(text: &str) -> Reply {
    let delta = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let body = format!("data: {delta}\n\ndata: {last}\n\ndata: [DONE]\n\n");
    Reply::chunked(200, "text/event-stream").chunk(body).last_chunk()
}

fn worker(name: &str, server: &ScriptedServer, more: &str) -> String {
    format!("[workers.{name}]\nkind = \"openai-compatible\"\nurl = \"{}\"\n{more}\n", server.base_url())
}

#[tokio::test]
async fn a_worker_is_a_model_by_itself() {
    let service = service("[workers.quotes]\nkind = \"extractive\"").await;
    assert_eq!(ask(&service, "quotes").await.as_deref(), Ok("I found nothing about that in the documents."));
    assert!(service.model("other").is_none());
}

#[tokio::test]
async fn a_model_is_asked_for_by_the_name_that_it_has_at_its_server() {
    let server = echo("a").await;
    let models = "[[models]]\nname = \"own\"\nworker = \"a\"\n[[models]]\nname = \"renamed\"\nworker = \"a\"\nupstream = \"u\"\n\
        [[models]]\nname = \"gpt-*\"\nworker = \"a\"";
    let service = service(&(worker("a", &server, "model = \"m\"") + models)).await;
    assert_eq!(ask(&service, "own").await.as_deref(), Ok("a:m"));
    assert_eq!(ask(&service, "renamed").await.as_deref(), Ok("a:u"));
    assert_eq!(ask(&service, "gpt-4").await.as_deref(), Ok("a:gpt-4"));
}

#[tokio::test]
async fn models_whose_requests_go_the_same_way_share_a_pipeline() {
    let server = echo("a").await;
    let models = "[[models]]\nname = \"x\"\nworker = \"a\"\n[[models]]\nname = \"y\"\nworker = \"a\"\n\
        [[models]]\nname = \"z-*\"\nworker = \"a\"";
    let service = service(&(worker("a", &server, "model = \"m\"") + models)).await;
    let name = |asked| service.model(asked).and_then(|model| model.chat.as_ref()).map(|chat| chat.name().to_owned());
    assert_eq!((name("x"), name("y")), (Some("a".to_owned()), Some("a".to_owned())));
    assert_eq!(name("z-1").as_deref(), Some("a/z-*"));
}

#[tokio::test]
async fn a_pipeline_and_a_worker_of_one_name_are_two() {
    let server = echo("a").await;
    let more = "[pipelines.a]\nstages = [{ stage = \"infer\", worker = \"a\" }, { stage = \"post\", max_bytes = 1 }]\n\
        [[models]]\nname = \"bare\"\nworker = \"a\"\n[[models]]\nname = \"short\"\npipeline = \"a\"\n\
        [[models]]\nname = \"same\"\npipeline = \"a\"";
    let service = service(&(worker("a", &server, "model = \"m\"") + more)).await;
    assert_eq!(ask(&service, "bare").await.as_deref(), Ok("a:m"));
    assert_eq!(ask(&service, "short").await.as_deref(), Ok("a"));
    let name = |asked| service.model(asked).and_then(|model| model.chat.as_ref()).map(|chat| chat.name().to_owned());
    assert_eq!((name("bare").as_deref(), name("short").as_deref()), (Some("a"), Some("a/short")));
    assert_eq!(name("same"), name("short"));
}

#[tokio::test]
async fn a_fallback_answers_under_its_own_name_while_the_first_cannot() {
    let broken =
        ScriptedServer::start(|_| Reply::json(503, r#"{"error": {"message": "down"}}"#)).await.expect("a port");
    let cloud = echo("cloud").await;
    let models = "[[models]]\nname = \"first\"\nworker = \"a\"\nfallback = [\"second\", \"gpt-9\"]\n\
        [[models]]\nname = \"second\"\nworker = \"cloud\"\n[[models]]\nname = \"gpt-*\"\nworker = \"cloud\"\n\
        [[models]]\nname = \"p-*\"\nworker = \"a\"\nfallback = [\"gpt-9\"]";
    let text = worker("a", &broken, "model = \"m\"") + &worker("cloud", &cloud, "model = \"large\"") + models;
    let service = service(&text).await;
    assert_eq!(ask(&service, "first").await.as_deref(), Ok("cloud:large"));
    assert_eq!(ask(&service, "p-1").await.as_deref(), Ok("cloud:gpt-9"));
    let asked =
        broken.seen().exchanges.iter().map(|exchange| exchange.request.json()["model"].clone()).collect::<Vec<_>>();
    assert!(asked.contains(&json!("m")) && asked.contains(&json!("p-1")), "{asked:?}");
    let retries: Vec<_> = service.retries.iter().map(|(name, meter)| (&**name, meter.stats().retries > 0)).collect();
    assert_eq!(retries, [("a", true), ("a/p-*", true)]);
    let names: Vec<_> = service.pools.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["first/fallbacks", "p-*/fallbacks"]);
    let members = |model: &str| service.model(model)?.pool.as_ref().map(|pool| pool.stats().members.len());
    assert_eq!((members("first"), members("second")), (Some(3), None), "by them it is known whether a model is served");
}

#[tokio::test]
async fn a_pool_answers_with_its_members() {
    let (one, two) = (echo("one").await, echo("two").await);
    let text = worker("a", &one, "")
        + &worker("b", &two, "")
        + "[pools.p]\nmembers = [\"a\", { worker = \"b\", in_flight = 4 }]\npolicy = \"round-robin\"";
    let service = service(&text).await;
    let mut answers = [ask(&service, "p").await.expect("a"), ask(&service, "p").await.expect("b")];
    answers.sort();
    assert_eq!(answers, ["one:none", "two:none"]);
    assert!(service.model("p").is_some_and(|model| model.pool.is_some()));
}

#[tokio::test]
async fn texts_are_embedded_and_counted() {
    let server = echo("a").await;
    let models = "[[models]]\nname = \"vectors\"\nembeddings = \"a\"";
    let service = service(&(worker("a", &server, "embeddings = \"e\"") + models)).await;
    let model = service.model("vectors").expect("there");
    assert!(model.chat.is_none());
    let pipeline = model.embeddings.as_ref().expect("it embeds");
    let mut answer = pipeline.submit(Texts(vec!["a".to_owned()])).await.expect("room");
    let embedded = answer.output().await.expect("an answer");
    assert_eq!((embedded.vectors, embedded.tokens), (vec![vec![0.5, 1.0]], 7));
}

#[tokio::test]
async fn documents_are_searched() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("q.md"), "# Queues\n\nA full queue sheds its oldest request.\n")
        .expect("written");
    let text = format!(
        "[workers.w]\nkind = \"extractive\"\n[pipelines.p]\nstages = [{{ stage = \"rag\", docs = {:?} }}, \
         {{ stage = \"assemble\" }}, {{ stage = \"infer\", worker = \"w\" }}, {{ stage = \"post\", trim = true }}]",
        folder.path().display().to_string()
    );
    let parts = parts(&text).await;
    let (one, two) = (parts.service().expect("built"), parts.service().expect("built again"));
    for service in [one, two] {
        let chat = service.model("p").and_then(|model| model.chat.clone()).expect("it answers");
        let mut answer = chat.submit(PromptRequest::new("What does a full queue shed?")).await.expect("room");
        assert_eq!(answer.text().await.expect("an answer"), "A full queue sheds its oldest request. [1]");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let mut config = Config::parse("f", "[workers.w]\nkind = \"extractive\"", Format::Toml, []).expect("right");
    let stages = vec![
        orchestrator_config::file::Stage::Rag(Rag::new("/nowhere/at/all")),
        orchestrator_config::file::Stage::Assemble(Box::default()),
        orchestrator_config::file::Stage::Infer(orchestrator_config::file::Infer {
            worker: "w".to_owned(),
            queue: None,
        }),
    ];
    config.pipelines.insert("p".to_owned(), orchestrator_config::file::Pipeline { deadline: None, stages });
    let error = Parts::connect(&config).await.expect_err("there is no folder");
    assert_eq!(error.to_string(), "the documents in /nowhere/at/all cannot be indexed");
}

#[tokio::test]
async fn a_configuration_made_by_hand_is_checked() {
    let error = Parts::connect(&Config::default()).await.expect_err("nothing is served");
    assert_eq!(
        error.to_string(),
        "the configuration cannot be used: workers: there is none; expected at least one, such as `[workers.local]`"
    );
}

/// A port at which nothing listens, until somebody does.
fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

#[tokio::test]
async fn a_server_that_is_down_at_first_is_taken_in_when_it_is_there() {
    let go = Signal::new();
    let (up, embed) = (Arc::new(AtomicBool::new(false)), go.clone());
    let is_up = up.clone();
    let script = move |request: &Request| match (is_up.load(Ordering::SeqCst), request.path()) {
        (false, _) => Reply::json(503, r#"{"error": {"message": "not yet"}}"#),
        (true, "/v1/models") => Reply::json(200, r#"{"data": [{"id": "m", "owned_by": "vllm"}]}"#),
        (true, "/version") => Reply::json(200, r#"{"version": "0.32.0"}"#),
        (true, "/v1/embeddings") => {
            let body = r#"{"data": [{"index": 0, "embedding": [0.5, 1.0]}], "usage": {"prompt_tokens": 7}}"#;
            Reply::chunked(200, "application/json").until(&embed).chunk(body).last_chunk()
        }
        (true, _) => stream("here"),
    };
    let server = ScriptedServer::start(script).await.expect("a port");
    let url = server.base_url();
    let service = service(&format!("[workers.a]\nkind = \"auto\"\nurl = \"{url}\"\nembeddings = \"e\"")).await;
    let refused = ask(&service, "a").await.expect_err("it is down");
    assert!(!refused.is_empty());
    up.store(true, Ordering::SeqCst);
    server
        .wait_for("its version", |seen| {
            seen.exchanges.iter().any(|ask| ask.request.path() == "/version" && ask.outcome.is_some())
        })
        .await;
    assert_eq!(once_it_is_there(&service, "a").await, "here");

    // As many as the server takes now, and not as many as it was thought to.
    let pipeline = service.model("a").and_then(|model| model.embeddings.clone()).expect("it embeds");
    let mut asked = Vec::new();
    for text in ["one", "two", "three"] {
        asked.push(pipeline.submit(Texts(vec![text.to_owned()])).await.expect("room"));
    }
    server.wait_for("all at once", |seen| seen.on("/v1/embeddings").count() == 3).await;
    go.raise();
    for mut answer in asked {
        assert_eq!(answer.output().await.expect("an answer").tokens, 7);
    }
}

/// Asks until it is answered.
async fn once_it_is_there(service: &Service, asked: &str) -> String {
    let answered = async {
        loop {
            match ask(service, asked).await {
                Ok(text) => break text,
                // It is about to read what the server has said.
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("it is taken in")
}

#[tokio::test]
async fn what_a_server_tells_that_comes_late_is_not_forgotten() {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = up.clone();
    let script = move |request: &Request| match (is_up.load(Ordering::SeqCst), request.path()) {
        (false, _) => Reply::json(503, r#"{"error": {"message": "not yet"}}"#),
        (true, "/v1/models") => Reply::json(200, r#"{"data": [{"id": "m", "owned_by": "llamacpp"}]}"#),
        (true, "/props") => Reply::json(200, r#"{"total_slots": 4, "default_generation_settings": {"n_ctx": 2048}}"#),
        (true, _) => stream("here"),
    };
    let server = ScriptedServer::start(script).await.expect("a port");
    let url = server.base_url();
    let service = service(&format!("[workers.a]\nkind = \"auto\"\nurl = \"{url}\"")).await;
    up.store(true, Ordering::SeqCst);
    assert_eq!(once_it_is_there(&service, "a").await, "here");
    assert_eq!(Slots::known(&url).map(|slots| slots.total()), Some(4));
}

#[tokio::test]
async fn a_llamacpp_that_has_another_model_than_it_shall_is_refused() {
    let props = r#"{"total_slots": 1, "model_alias": "m", "default_generation_settings": {"n_ctx": 2048}}"#;
    let script = move |request: &Request| match request.path() {
        "/v1/models" => Reply::json(200, r#"{"data": [{"id": "m", "owned_by": "llamacpp"}]}"#),
        "/props" => Reply::json(200, props),
        _ => stream("here"),
    };
    let server = ScriptedServer::start(script).await.expect("a port");
    let file = |model: &str| format!("[workers.a]\nkind = \"auto\"\nurl = \"{}\"\n{model}", server.base_url());
    for model in ["", "model = \"m\""] {
        assert_eq!(ask(&service(&file(model)).await, "a").await.as_deref(), Ok("here"), "{model}");
    }
    let config = Config::parse("f", &file("model = \"other\""), Format::Toml, []).expect("it is well written");
    let Err(ConnectError::Worker { source, .. }) = Parts::connect(&config).await else { panic!("it is taken") };
    assert!(source.message().contains("`other`") && source.message().contains("only model is `m`"), "{source}");
}

#[tokio::test]
async fn a_server_that_nobody_reaches_does_not_keep_the_others_waiting() {
    let there = echo("b").await;
    let text =
        format!("[workers.a]\nkind = \"llamacpp\"\nurl = \"http://{}\"\n", free_port()) + &worker("b", &there, "");
    let service = service(&text).await;
    assert_eq!(ask(&service, "b").await.as_deref(), Ok("b:none"));
    assert!(ask(&service, "a").await.is_err());
}
