//! Conversations of which the caller sends the last question only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::{Check, TextDelta, Verdict};
use stages_rag::{
    AssembleStage, Bm25Index, MemoryLimits, RagStage, RememberStage, SessionKey, SessionMemory, SessionStore, Turn,
    last_two_questions,
};
use tokio::time::Instant;

type Chat = Pipeline<PromptRequest, Tokens>;

/// A pipeline that assembles, answers and remembers.
fn chat(assemble: AssembleStage, worker: MockWorker, store: impl SessionStore + Clone) -> Chat {
    Pipeline::builder("chat")
        .stage(assemble.memory(store.clone()))
        .stage(InferenceStage::new(worker))
        .stage(RememberStage::new(store))
        .stage(StreamStage::default())
        .build()
        .expect("a pipeline")
}

/// Answers with what it was asked, message by message.
fn echo() -> MockWorker {
    MockWorker::with(|request| {
        let said: Vec<String> =
            request.messages.iter().map(|m| format!("{}={}", m.role().as_str(), m.text())).collect();
        Script::new().streaming().text(&said.join("|")).finish()
    })
}

fn bare() -> AssembleStage {
    AssembleStage::default().system("")
}

fn ask(question: &str) -> PromptRequest {
    PromptRequest::new(question).session("s")
}

async fn answer(chat: &Chat, prompt: PromptRequest) -> String {
    chat.submit(prompt).await.expect("admitted").text().await.expect("answered")
}

async fn remembered(memory: &SessionMemory) -> Vec<Vec<String>> {
    let turns = memory.turns(&SessionKey::new(None, "s")).await.expect("in memory");
    let texts = |turn: &Turn| turn.messages().iter().map(|m| m.text().into_owned()).collect();
    turns.iter().map(texts).collect()
}

#[tokio::test]
async fn a_bare_question_is_put_behind_the_turns_before_it() {
    let memory = SessionMemory::default();
    let chat = chat(bare(), echo(), memory.clone());
    assert_eq!(answer(&chat, ask("One?")).await, "user=One?");
    assert_eq!(
        answer(&chat, ask("Two?").system("Be brief.")).await,
        "system=Be brief.|user=One?|assistant=user=One?|user=Two?"
    );
    let turns = remembered(&memory).await;
    assert_eq!(turns.len(), 2);
    assert_eq!(turns[0], ["One?", "user=One?"]);
    assert_eq!(turns[1][0], "Two?", "system messages are not remembered");
}

#[tokio::test]
async fn two_tenants_never_see_each_others_turns() {
    let memory = SessionMemory::default();
    let chat = chat(bare(), echo(), memory.clone());
    answer(&chat, ask("Our secret?").tenant("acme")).await;
    assert_eq!(answer(&chat, ask("What was it?").tenant("other")).await, "user=What was it?");
    assert_eq!(answer(&chat, ask("What was it?")).await, "user=What was it?");
    // Names that would be the same if they were just joined.
    assert_eq!(answer(&chat, PromptRequest::new("?").session("").tenant("acmes")).await, "user=?");
    assert!(answer(&chat, ask("What was it?").tenant("acme")).await.starts_with("user=Our secret?|"));
    assert_eq!(memory.stats().sessions, 4);
}

#[tokio::test]
async fn a_conversation_that_the_caller_sends_is_neither_read_nor_remembered() {
    let memory = SessionMemory::default();
    let chat = chat(bare(), echo(), memory.clone());
    answer(&chat, ask("One?")).await;
    let own = [Message::user("Mine?"), Message::assistant("Yes."), Message::user("Two?")];
    let said = answer(&chat, PromptRequest::from_messages(own).session("s")).await;
    assert_eq!(said, "user=Mine?|assistant=Yes.|user=Two?");
    assert_eq!(remembered(&memory).await.len(), 1);

    assert_eq!(answer(&chat, PromptRequest::new("Nobody's?")).await, "user=Nobody's?");
    assert_eq!(memory.stats().sessions, 1, "nor is a request without a session");
}

#[tokio::test]
async fn what_the_caller_asked_is_remembered_and_not_what_a_template_made_of_it() {
    let memory = SessionMemory::default();
    let wrapped = bare().question_template("Answer this: {{ question }}");
    let chat = chat(wrapped, echo(), memory.clone());
    assert_eq!(answer(&chat, ask("One?")).await, "user=Answer this: One?");
    assert_eq!(remembered(&memory).await[0][0], "One?");
}

/// What is remembered of an answer that goes by a script.
async fn remembered_of(script: Script) -> Vec<Vec<String>> {
    let memory = SessionMemory::default();
    let chat = chat(bare(), MockWorker::new(script), memory.clone());
    let _ = chat.submit(ask("?")).await.expect("admitted").text().await;
    remembered(&memory).await
}

fn finish(reason: FinishReason) -> TokenEvent {
    TokenEvent::finish(reason, Usage::default())
}

#[tokio::test]
async fn only_a_whole_answer_is_remembered() {
    let begun = || Script::new().streaming().text("a ").text("b");
    assert_eq!(remembered_of(begun().finish()).await, [["?", "a b"]]);
    assert_eq!(remembered_of(begun().event(finish(FinishReason::Length))).await, [["?", "a b"]]);

    let refused = |verdict| {
        let TokenEvent::Finish(mut end) = finish(FinishReason::Stop) else { unreachable!("it is a terminal event") };
        end.checks.push(Check::new("policy", verdict));
        TokenEvent::Finish(end)
    };
    assert_eq!(remembered_of(begun().event(refused(Verdict::Failed(Vec::new())))).await.len(), 1);
    let not = [
        begun(),
        begun().fail(WorkerError::stream_cut()),
        Script::new().fail(WorkerError::stream_cut()),
        begun().panic("in the middle"),
        begun().event(finish(FinishReason::ToolCalls)),
        begun().event(finish(FinishReason::ContentFilter)),
        begun().event(refused(Verdict::Refused("secret".into()))),
        Script::new().streaming().text(" \n").finish(),
    ];
    for script in not {
        let what = format!("{script:?}");
        assert!(remembered_of(script).await.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_reset_is_obeyed_and_reasoning_is_not_remembered() {
    let reasoning = TokenEvent::Reasoning(TextDelta::new("hm"));
    let script = Script::new().streaming().text("void").event(TokenEvent::Reset).event(reasoning).text("new").finish();
    assert_eq!(remembered_of(script).await, [["?", "new"]]);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_delivered_and_not_remembered() {
    let long = "x".repeat(600 << 10);
    let script = Script::new().streaming().text(&long).text(&long).finish();
    assert!(remembered_of(script.clone()).await.is_empty());
    let chat = chat(bare(), MockWorker::new(script), SessionMemory::default());
    assert_eq!(answer(&chat, ask("?")).await.len(), 2 * long.len());
    // Unless that was void.
    let script = Script::new().streaming().text(&long).text(&long).event(TokenEvent::Reset).text("short").finish();
    assert_eq!(remembered_of(script).await, [["?", "short"]]);
}

#[tokio::test]
async fn a_cancelled_answer_is_not_remembered_and_a_detached_one_is() {
    let memory = SessionMemory::default();
    let script = Script::new().streaming().text("a").delay(Duration::from_millis(5)).finish();
    let chat = chat(bare(), MockWorker::new(script), memory.clone());
    let mut left = chat.submit(ask("left?")).await.expect("admitted");
    assert!(left.next().await.expect("an event").is_ok());
    drop(left);
    chat.submit(ask("detached?")).await.expect("admitted").detach();
    let idle = chat.drain(Duration::from_secs(10)).await;
    assert_eq!(remembered(&memory).await, [["detached?", "a"]], "{idle:?}");
}

#[tokio::test]
async fn events_pass_untouched() {
    let delta = TextDelta::new("a").with_token_ids(&[7]).with_raw("data: a".into());
    let events = [
        TokenEvent::Text(delta),
        TokenEvent::Reasoning(TextDelta::new("b")),
        TokenEvent::Reset,
        finish(FinishReason::Stop),
    ];
    let script = events.iter().cloned().fold(Script::new(), Script::event);
    let chat = chat(bare(), MockWorker::new(script), SessionMemory::default());
    let mut answer = chat.submit(ask("?")).await.expect("admitted");
    for event in events {
        let mut passed = answer.next().await.expect("as many").expect("no error");
        if let TokenEvent::Finish(finish) = &mut passed {
            // The inference stage said who answered.
            assert!(finish.origin.take().is_some());
        }
        assert_eq!(passed, event);
    }
    assert!(answer.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn turns_of_one_session_are_remembered_in_the_order_in_which_they_end() {
    let memory = SessionMemory::default();
    let worker = MockWorker::with(|request| {
        let seconds = request.question().parse().expect("a number");
        Script::new().streaming().delay(Duration::from_secs(seconds)).text("done").finish()
    });
    let chat = chat(bare(), worker, memory.clone());
    let mut slow = chat.submit(ask("9")).await.expect("admitted");
    let mut fast = chat.submit(ask("3")).await.expect("admitted");
    slow.text().await.expect("answered");
    fast.text().await.expect("answered");
    assert_eq!(remembered(&memory).await, [["3", "done"], ["9", "done"]]);
}

#[tokio::test]
async fn a_remembering_stage_alone_says_that_it_has_nothing_to_do() {
    let pipeline = Pipeline::builder("alone")
        .stage(InferenceStage::new(echo()))
        .stage(RememberStage::new(SessionMemory::default()))
        .stage(StreamStage::default())
        .build()
        .expect("a pipeline");
    let mut answer = pipeline.submit(ask("?")).await.expect("admitted");
    answer.text().await.expect("answered");
    let notes = answer.report().notes;
    assert_eq!(notes[0].stage, "remember");
    assert_eq!(notes[0].text, "nothing is remembered: no stage in front reads the session's memory");
}

/// A store that fails or hangs.
#[derive(Clone, Default)]
struct Bad {
    hangs: bool,
    /// A call that waits is dropped.
    dropped: Arc<AtomicBool>,
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Bad {
    async fn call<T>(&self) -> Result<T, BoxError> {
        if self.hangs {
            let _waiting = SetOnDrop(self.dropped.clone());
            std::future::pending::<()>().await;
        }
        Err("no connection".into())
    }
}

#[async_trait]
impl SessionStore for Bad {
    async fn turns(&self, _session: &SessionKey) -> Result<Vec<Turn>, BoxError> {
        self.call().await
    }

    async fn append(&self, _session: &SessionKey, _turn: Turn) -> Result<(), BoxError> {
        self.call().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_hangs_costs_the_memory_and_not_the_answer() {
    for (hangs, why) in [(false, "no connection"), (true, "the store took longer than 2s")] {
        let bad = Bad { hangs, ..Bad::default() };
        let chat = chat(bare(), echo(), bad.clone());
        let started = Instant::now();
        let mut answer = chat.submit(ask("One?")).await.expect("admitted");
        assert_eq!(answer.text().await.expect("answered"), "user=One?");
        // Two seconds for reading, two for adding.
        assert_eq!(started.elapsed().as_secs(), if hangs { 4 } else { 0 });
        assert_eq!(bad.dropped.load(Ordering::SeqCst), hangs);
        let notes: Vec<String> = answer.report().notes.into_iter().map(|note| note.text).collect();
        assert_eq!(
            notes,
            [format!("went on without the session's earlier turns: {why}"), format!("not remembered: {why}")]
        );
    }
}

/// Adds after a while.
#[derive(Clone)]
struct Slow(SessionMemory);

#[async_trait]
impl SessionStore for Slow {
    async fn turns(&self, session: &SessionKey) -> Result<Vec<Turn>, BoxError> {
        self.0.turns(session).await
    }

    async fn append(&self, session: &SessionKey, turn: Turn) -> Result<(), BoxError> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.append(session, turn).await
    }
}

/// Counts how often it is read.
#[derive(Clone, Default)]
struct Counting {
    memory: SessionMemory,
    reads: Arc<AtomicUsize>,
}

#[async_trait]
impl SessionStore for Counting {
    async fn turns(&self, session: &SessionKey) -> Result<Vec<Turn>, BoxError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.memory.turns(session).await
    }

    async fn append(&self, session: &SessionKey, turn: Turn) -> Result<(), BoxError> {
        self.memory.append(session, turn).await
    }
}

#[tokio::test]
async fn a_store_is_read_once_for_retrieval_and_assembly() {
    let store = Counting::default();
    let index =
        Bm25Index::from_passages([Passage::new("Goods go back.", Source::new("faq.md"), 0.0)]).expect("an index");
    let pipeline = Pipeline::builder("chat")
        .stage(RagStage::new(index).query(last_two_questions).memory(store.clone()))
        .stage(bare().memory(store.clone()))
        .stage(InferenceStage::new(echo()))
        .stage(RememberStage::new(store.clone()))
        .stage(StreamStage::default())
        .build()
        .expect("a pipeline");
    for question in ["May goods go back?", "How long?"] {
        let mut answer = pipeline.submit(ask(question)).await.expect("admitted");
        let text = answer.text().await.expect("answered");
        assert!(text.contains("Goods go back."), "the second finds it by the question before it: {text}");
    }
    assert_eq!(store.reads.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_remembered_before_its_caller_sees_the_end() {
    let memory = SessionMemory::default();
    let chat = chat(bare(), echo(), Slow(memory.clone()));
    let mut answer = chat.submit(ask("One?")).await.expect("admitted");
    assert_eq!(answer.next().await.expect("an event").expect("text").text(), "user=One?");
    assert_eq!(memory.stats().turns, 0);
    assert!(answer.next().await.expect("an event").expect("the end").is_terminal());
    assert_eq!(memory.stats().turns, 1);
}

fn idle_after(seconds: u64) -> SessionMemory {
    SessionMemory::with(MemoryLimits::new().idle(Duration::from_secs(seconds))).expect("above zero")
}

async fn add(memory: &SessionMemory, session: &str) {
    let turn = Turn::new([Message::user("?"), Message::assistant("!")]);
    memory.append(&SessionKey::new(None, session), turn).await.expect("in memory");
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_forgotten_without_any_traffic() {
    let memory = idle_after(60);
    add(&memory, "a").await;
    add(&memory, "b").await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(memory.turns(&SessionKey::new(None, "b")).await.expect("in memory").len(), 1);
    tokio::time::sleep(Duration::from_secs(21)).await;
    assert_eq!((memory.stats().sessions, memory.stats().sessions_expired), (1, 1), "reading keeps a session");
    tokio::time::sleep(Duration::from_secs(40)).await;
    let stats = memory.stats();
    assert_eq!((stats.sessions, stats.turns, stats.bytes, stats.sessions_expired), (0, 0, 0, 2));

    // The task has ended, and comes again with the next session.
    tokio::task::yield_now().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    add(&memory, "c").await;
    tokio::time::sleep(Duration::from_secs(62)).await;
    assert_eq!(memory.stats().sessions, 0);
}

#[tokio::test(start_paused = true)]
async fn many_idle_sessions_are_all_forgotten() {
    let memory = idle_after(60);
    for number in 0..2_000 {
        add(&memory, &number.to_string()).await;
    }
    tokio::time::sleep(Duration::from_secs(62)).await;
    assert_eq!(memory.stats().sessions_expired, 2_000);
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_memory() {
    let memory = idle_after(60);
    add(&memory, "a").await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 1);
    drop(memory);
    tokio::task::yield_now().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[test]
fn a_memory_outlives_the_runtime_that_it_was_used_on() {
    let runtime = || {
        let builder = &mut tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().expect("a runtime")
    };
    let memory = idle_after(60);
    runtime().block_on(add(&memory, "a"));
    runtime().block_on(async {
        add(&memory, "b").await;
        assert_eq!(memory.stats().sessions, 2);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(memory.stats().sessions, 0);
    });
}

#[tokio::test]
async fn limits_of_nothing_are_named() {
    for (limits, field) in [
        (MemoryLimits::new().idle(Duration::ZERO), "idle"),
        (MemoryLimits::new().session_bytes(0), "session_bytes"),
        (MemoryLimits::new().total_bytes(0), "total_bytes"),
    ] {
        assert_eq!(SessionMemory::with(limits).expect_err("zero").field(), field);
    }
}

#[tokio::test]
async fn a_forgotten_session_begins_anew() {
    let memory = SessionMemory::default();
    let chat = chat(bare(), echo(), memory.clone());
    answer(&chat, ask("One?")).await;
    memory.forget(&SessionKey::new(None, "s"));
    assert_eq!(answer(&chat, ask("Two?")).await, "user=Two?");
}
