use std::num::NonZeroU32;

use orchestrator_core::error::WorkerErrorKind;
use orchestrator_core::prelude::*;
use orchestrator_core::request::{Image, Tool};
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::worker::Prefix;
use workers_pool::policy::Ordered;
use workers_pool::{Member, Pool};

use crate::common::{Told, fails, finish, of, pool, told, who};

type Kind = WorkerErrorKind;

fn of_two(one: WorkerInfo, other: WorkerInfo) -> Pool {
    let pool = pool([Member::new("one", told(one)), Member::new("other", told(other))]);
    pool.set_policy(Ordered::new());
    pool
}

fn info() -> WorkerInfo {
    WorkerInfo::new("mock")
}

async fn kind(pool: &Pool, request: InferenceRequest) -> WorkerErrorKind {
    who(pool, request).await.expect_err("nobody takes it").kind()
}

fn tool() -> Tool {
    Tool { name: "weather".into(), description: String::new(), parameters: serde_json::json!({}) }
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_to_who_has_its_model() {
    let pool = of_two(info().model("small"), info().model("large"));
    let ask = |model: &str| of(PromptRequest::new("?").model(model));
    assert_eq!(who(&pool, ask("large")).await.expect("answered"), "other");
    assert_eq!(who(&pool, ask("small")).await.expect("answered"), "one");
    assert_eq!(who(&pool, of(PromptRequest::new("?"))).await.expect("answered"), "one");
    let error = who(&pool, ask("huge")).await.expect_err("nobody has it");
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(error.message(), "no member has the model `huge`; there are: large, small");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_serves_a_name_is_asked_for_its_own_model() {
    let seen = MockWorker::with(|request| Script::answering(request.model.as_deref().unwrap_or("none")));
    let named = Told { worker: seen.clone(), info: info().model("llama-70b") };
    let unnamed = Told { worker: seen, info: info() };
    let pool =
        pool([Member::new("one", named).serves("large").serves("huge"), Member::new("two", unnamed).serves("tiny")]);
    for (asked, reaches) in
        [("large", "llama-70b"), ("huge", "llama-70b"), ("llama-70b", "llama-70b"), ("tiny", "none")]
    {
        let mut stream = pool.infer(of(PromptRequest::new("?").model(asked))).await.expect("taken");
        assert_eq!(stream.next().await.expect("an event").expect("a text").text(), reaches, "{asked}");
    }
    assert_eq!(kind(&pool, of(PromptRequest::new("?").model("other"))).await, Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_says_nothing_of_models_takes_any() {
    let pool = of_two(info().model("small"), info());
    assert_eq!(who(&pool, of(PromptRequest::new("?").model("any"))).await.expect("answered"), "other");
}

#[tokio::test(start_paused = true)]
async fn tools_and_pictures_go_to_who_takes_them() {
    let pool = of_two(info().tools(false).images(true), info().tools(true).images(false));
    let picture = || of(PromptRequest::new(Image::new("data:image/png;base64,AA==")));
    assert_eq!(who(&pool, of(PromptRequest::new("?").tool(tool()))).await.expect("answered"), "other");
    assert_eq!(who(&pool, picture()).await.expect("answered"), "one");
    pool.remove("one").expect("it is there");
    let error = who(&pool, picture()).await.expect_err("nobody sees");
    assert_eq!((error.kind(), error.message()), (Kind::InvalidRequest, "no member that could answer takes pictures"));
    let unknown = of_two(info(), info());
    assert_eq!(who(&unknown, picture()).await.expect("nobody says no"), "one");
}

#[tokio::test(start_paused = true)]
async fn a_long_prompt_goes_to_a_long_context() {
    let pool = of_two(info().context_length(1_000), info().context_length(10_000));
    let ask = |prompt: u64, most: u32| {
        let mut request = of(PromptRequest::new("?").max_tokens(NonZeroU32::new(most).expect("not zero")));
        request.prompt_tokens = Some(prompt);
        request
    };
    assert_eq!(who(&pool, ask(900, 100)).await.expect("answered"), "one");
    assert_eq!(who(&pool, ask(901, 100)).await.expect("answered"), "other");
    assert_eq!(who(&pool, ask(20_000, 1)).await.expect("estimates err"), "other", "the longest there is");
}

#[tokio::test(start_paused = true)]
async fn behind_a_context_that_was_too_short_only_a_longer_one_is_asked() {
    let too_long = Kind::ContextLength { prompt_tokens: Some(1_200), limit: None };
    let short = |context| Told { worker: fails(too_long), info: info().context_length(context) };
    let pool = pool([
        Member::new("short", short(1_000)),
        Member::new("same", told(info().context_length(1_000))),
        Member::new("long", short(2_000)),
    ]);
    pool.set_policy(Ordered::new());
    let request = of(PromptRequest::new("?"));
    let (second, third) = (request.clone(), request.clone());
    assert_eq!(kind(&pool, request).await, too_long);
    assert!(second.attempts.last().expect("noted").elsewhere);
    assert_eq!(kind(&pool, second).await, too_long);
    let attempts = third.attempts.all();
    let asked: Vec<_> = attempts.iter().map(|attempt| (attempt.worker.as_str(), attempt.elsewhere)).collect();
    assert_eq!(asked, [("short", true), ("long", false)]);
    assert_eq!(kind(&pool, third).await, too_long, "and the call says so without asking anybody");
    assert_eq!(pool.stats().members.iter().map(|member| member.calls).sum::<u64>(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_begun_answer_goes_to_who_goes_on_with_it() {
    let ids = MockWorker::with(|request| {
        let prefix = request.prefix.as_ref().expect("it is begun");
        Script::answering(if prefix.token_ids.is_empty() { "text" } else { "ids" })
    });
    let goes_on = |model: Option<&str>| {
        let mut info = info().continues();
        info.model = model.map(str::to_owned);
        Told { worker: ids.clone(), info }
    };
    let ask = |prefix: Prefix| {
        let mut request = of(PromptRequest::new("?"));
        request.prefix = Some(prefix);
        request
    };
    let whole = || Prefix::new("to ").token_ids(vec![1]).model("small");
    let first = async |pool: &Pool, prefix| {
        let mut stream = pool.infer(ask(prefix)).await?;
        Ok::<_, orchestrator_core::error::WorkerError>(stream.next().await.expect("an event")?.text().to_owned())
    };
    let same = pool([Member::new("never", told(info().model("small"))), Member::new("same", goes_on(Some("small")))]);
    assert_eq!(first(&same, whole()).await.expect("taken"), "ids");
    let unknown = pool([Member::new("unknown", goes_on(None))]);
    assert_eq!(
        first(&unknown, whole()).await.expect("taken"),
        "text",
        "ids of a model that may be another are dropped"
    );
    let other = pool([Member::new("other", goes_on(Some("large")))]);
    assert_eq!(first(&other, whole()).await.expect_err("another model").kind(), Kind::InvalidRequest);
    let only_ids = Prefix::new("").token_ids(vec![1]);
    assert_eq!(first(&unknown, only_ids).await.expect_err("nothing to go on with").kind(), Kind::InvalidRequest);
    let nobody = pool([Member::new("never", told(info()))]);
    assert_eq!(first(&nobody, whole()).await.expect_err("it begins anew").kind(), Kind::InvalidRequest);
    assert_eq!((same.info().continues, nobody.info().continues), (true, false));
}

#[tokio::test(start_paused = true)]
async fn a_pool_says_what_its_members_are_together() {
    let one = info().model("small").context_length(1_000).tools(false).images(true);
    let pool = of_two(one, info().model("small").context_length(4_000).tools(false));
    let together = WorkerInfo::new("fleet").model("small").context_length(4_000).tools(false).images(true);
    assert_eq!(pool.info(), together);
    pool.add(Member::new("third", told(info().model("large").tools(true)))).expect("it is fine");
    assert_eq!(pool.info(), WorkerInfo::new("fleet").tools(true).images(true));
    finish(&pool, of(PromptRequest::new("?"))).await.expect("answered");
}
