use axum::body::Body;
use http::Request;
use orchestrator_config::file::Limits;
use orchestrator_config::{Model, Service};
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_hub::{Gateway, Keys};
use workers_pool::{Member, Pool};

fn pool(member: &str) -> Pool {
    let worker = MockWorker::new(Script::answering("x"));
    Pool::builder("pool").member(Member::new(member, worker)).build().expect("a pool")
}

fn model(name: &str, pool: Option<&Pool>) -> Model {
    let mut model = Model::new(name);
    model.pool = pool.cloned();
    model
}

async fn readiness(models: Vec<Model>) -> u16 {
    let gateway = Gateway::new(Service::new(models, Vec::new()), Keys::default(), Limits::default(), None);
    gateway.call(Request::get("/readyz").body(Body::empty()).expect("a request")).await.status().as_u16()
}

#[tokio::test]
async fn a_service_is_ready_while_any_model_is_served() {
    let (well, gone) = (pool("well"), pool("gone"));
    gone.drain("gone").await.expect("a member");
    assert_eq!(readiness(vec![model("a", Some(&well)), model("b", Some(&gone))]).await, 200);
    assert_eq!(readiness(vec![model("a", None), model("b", Some(&gone))]).await, 200);
    assert_eq!(readiness(vec![model("a", Some(&gone)), model("b", Some(&gone))]).await, 503);
    gone.resume("gone").expect("a member");
    assert_eq!(readiness(vec![model("a", Some(&gone))]).await, 200);
}
