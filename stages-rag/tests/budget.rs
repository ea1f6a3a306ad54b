//! The token budget: what is kept, what is said of the rest, and that it is never exceeded.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use orchestrator_core::prelude::*;
use orchestrator_core::request::{Tool, ToolCall};
use proptest::collection::vec;
use proptest::prelude::*;
use stages_rag::{AssembleStage, Assembly, GroundedPrompt, SessionKey, SessionMemory, SessionStore, Turn};

/// Ways to count that a tokenizer may have, and ways that none has.
#[derive(Debug, Clone, Copy)]
enum Counting {
    Estimate,
    /// A token for each word.
    Words,
    /// More than the sum of the parts.
    Square,
    /// The longer the fewer.
    Inverse,
    /// No rhyme or reason.
    Hash(u64),
    /// More than there are numbers for.
    Huge,
}

#[derive(Debug, Clone)]
struct Counter {
    counting: Counting,
    per_message: usize,
    calls: Arc<AtomicUsize>,
}

impl Counter {
    fn new(counting: Counting, per_message: usize) -> Self {
        Self { counting, per_message, calls: Arc::default() }
    }

    fn one(&self, text: &str) -> usize {
        match self.counting {
            Counting::Estimate => text.len().div_ceil(3),
            Counting::Words => text.split_whitespace().count(),
            Counting::Square => text.len() * text.len() / 64,
            Counting::Inverse => 1000 / (text.len() + 1),
            Counting::Hash(seed) => {
                let mut hasher = DefaultHasher::new();
                (seed, text).hash(&mut hasher);
                (hasher.finish() % 60) as usize
            }
            Counting::Huge => usize::MAX - text.len(),
        }
    }

    /// What a request needs, counted afresh.
    fn whole(&self, request: &InferenceRequest) -> usize {
        let messages = request.messages.iter().map(|m| self.one(&m.text()).saturating_add(self.per_message));
        let tools = request.tools.iter().flat_map(|tool| {
            [self.one(&tool.name), self.one(&tool.description), self.one(&tool.parameters.to_string())]
        });
        messages.chain(tools).fold(self.per_message, usize::saturating_add)
    }
}

#[async_trait]
impl TokenCounter for Counter {
    async fn count(&self, texts: &[&str]) -> Result<Vec<usize>, WorkerError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(texts.iter().map(|text| self.one(text)).collect())
    }

    fn per_message(&self) -> usize {
        self.per_message
    }

    fn is_exact(&self) -> bool {
        true
    }
}

/// A token for each word and none for a message, so that the tests can be read.
fn words() -> Counter {
    Counter::new(Counting::Words, 0)
}

/// Three passages of five words, with their number and source; the first one has the header as well.
fn passages() -> Vec<Passage> {
    ["one", "two", "three"].map(|text| Passage::new(format!("{text} x x"), Source::new("a.md"), 1.0)).into()
}

/// Four words in each earlier turn, and a question of two.
fn chat() -> PromptRequest {
    PromptRequest::from_messages([
        Message::user("first question"),
        Message::assistant("first answer"),
        Message::user("second question"),
        Message::new(Role::Tool, "its result"),
        Message::user("the question"),
    ])
}

async fn run(stage: &AssembleStage, prompt: PromptRequest) -> (Context, Result<InferenceRequest, BoxError>) {
    let cx = Context::standalone(RequestOptions::new().session("s"));
    let result = stage.run(&cx, GroundedPrompt::new(prompt, passages())).await;
    (cx, result)
}

fn texts(request: &InferenceRequest) -> Vec<String> {
    request.messages.iter().map(|m| m.text().into_owned()).collect()
}

/// How many earlier messages and how many passages are kept of `budget` words.
async fn kept(stage: AssembleStage, budget: usize) -> (usize, usize) {
    let stage = stage.system("Stage.").counter(words()).budget(budget);
    let (cx, result) = run(&stage, chat()).await;
    let request = result.expect("assembled");
    let shown = cx.get::<Passages>().expect("kept").0.clone();
    assert_eq!(shown, request.passages);
    let system = request.messages[0].text().into_owned();
    assert_eq!(system.matches("] a.md\n").count(), shown.len());
    (request.messages.len() - 2, shown.len())
}

#[tokio::test]
async fn the_newest_turns_come_first_and_then_the_best_passages() {
    let stage = AssembleStage::default;
    // The system text and the question are 3 words, a turn is 4, the first passage 6 with its header, the others 5.
    assert_eq!(kept(stage(), 3).await, (0, 0));
    assert_eq!(kept(stage(), 6).await, (0, 0));
    assert_eq!(kept(stage(), 7).await, (2, 0));
    assert_eq!(kept(stage(), 10).await, (2, 0), "a passage would fit only without the newer turn");
    assert_eq!(kept(stage(), 11).await, (4, 0));
    assert_eq!(kept(stage(), 17).await, (4, 1));
    assert_eq!(kept(stage(), 21).await, (4, 1));
    assert_eq!(kept(stage(), 22).await, (4, 2));
    assert_eq!(kept(stage(), 27).await, (4, 3));
}

#[tokio::test]
async fn a_budget_for_the_history_leaves_room_for_passages() {
    assert_eq!(kept(AssembleStage::default().history_budget(4), 14).await, (2, 1));
    assert_eq!(kept(AssembleStage::default().history_budget(0), 14).await, (0, 2));

    let alone = AssembleStage::default().counter(words()).history_budget(7);
    let (cx, request) = run(&alone, chat()).await;
    assert_eq!(request.expect("assembled").messages.len(), 4);
    assert_eq!(cx.report().notes[0].text, "left out 1 of 2 turns: 50 tokens");
    assert_eq!(cx.get::<Assembly>().expect("kept").budget, None);
}

#[tokio::test]
async fn what_was_left_out_is_said_and_kept() {
    let stage = AssembleStage::default().system("Stage.").counter(words()).budget(12);
    let (cx, request) = run(&stage, chat()).await;
    assert!(request.is_ok());
    assert_eq!(cx.report().notes[0].text, "left out 3 of 3 passages: 11 of 12 tokens");

    let (cx, request) = run(&stage.clone().budget(9), chat()).await;
    let request = request.expect("assembled");
    assert_eq!(texts(&request), ["Stage.", "second question", "its result", "the question"]);
    assert_eq!(cx.report().notes[0].text, "left out 3 of 3 passages and 1 of 2 turns: 7 of 9 tokens");
    assert_eq!(request.prompt_tokens, Some(7), "a worker need not count again");
    let assembly = *cx.get::<Assembly>().expect("kept");
    assert_eq!((assembly.tokens, assembly.budget, assembly.exact), (7, Some(9), true));
    assert_eq!((assembly.turns_left_out, assembly.passages_left_out), (1, 3));

    let (cx, _) = run(&stage.budget(1000), chat()).await;
    assert!(cx.report().notes.is_empty(), "nothing was left out");
    assert_eq!(cx.get::<Assembly>().expect("kept").tokens, 27);
}

#[tokio::test]
async fn an_estimate_is_called_one_and_large_numbers_are_set_apart() {
    let long = PromptRequest::from_messages([Message::user("x".repeat(9000)), Message::user("?")]);
    let stage = AssembleStage::default().system("").budget(3000);
    let (cx, request) = run(&stage, long).await;
    assert_eq!(request.expect("assembled").passages.len(), 3);
    let note = &cx.report().notes[0].text;
    assert!(note.starts_with("left out 1 of 1 turn: about ") && note.ends_with(" of 3,000 tokens"), "{note}");
    assert!(!cx.get::<Assembly>().expect("kept").exact);
}

#[tokio::test]
async fn the_system_text_and_the_question_alone_may_be_too_much() {
    let stage = AssembleStage::default().system("one two three").counter(words()).budget(4);
    let (cx, error) = run(&stage, chat()).await;
    let error = error.expect_err("too long");
    assert_eq!(
        error.to_string(),
        "`messages` need 5 tokens for the system text and the question alone, and the budget is 4"
    );
    let assembly = *cx.get::<Assembly>().expect("kept");
    assert_eq!((assembly.tokens, assembly.turns_left_out, assembly.passages_left_out), (5, 2, 3));

    let pipeline = Pipeline::<PromptRequest, _>::builder("tight").stage(stage).build().expect("a pipeline");
    let error = pipeline.submit(chat()).await.expect("admitted").output().await.expect_err("too long");
    assert_eq!(error.field(), Some("messages"));
}

#[tokio::test]
async fn the_model_is_not_told_of_passages_that_found_no_room() {
    let stage = AssembleStage::default().counter(words()).budget(25);
    let (_, request) = run(&stage, PromptRequest::new("the question")).await;
    let request = request.expect("assembled");
    assert!(request.passages.is_empty());
    assert!(request.messages[0].text().starts_with("The documents could not be consulted this time."));
}

#[tokio::test]
async fn a_budget_of_nothing_is_a_fault() {
    let stage = AssembleStage::default().budget(0);
    let error = Pipeline::<PromptRequest, _>::builder("zero").stage(stage).build().expect_err("zero");
    assert_eq!(
        error.to_string(),
        "pipeline `zero` cannot be built: stage `assemble`: `budget` must be at least 1 token"
    );
}

#[tokio::test]
async fn tools_count_and_so_do_messages_behind_the_question() {
    let tool = Tool { name: "a".into(), description: "b c".into(), parameters: "d".into() };
    let prompt =
        || PromptRequest::new("q").message(Message::assistant("calls it")).message(Message::new(Role::Tool, "r"));
    let stage = AssembleStage::default().system("").counter(Counter::new(Counting::Words, 10));
    // Four messages' worth for three messages, four words in them, four in the tool.
    let (_, fits) = run(&stage.clone().budget(48), prompt().tool(tool.clone())).await;
    assert_eq!(fits.expect("assembled").messages.len(), 3);
    let (_, too_long) = run(&stage.budget(47), prompt().tool(tool)).await;
    assert!(too_long.is_err());
}

#[tokio::test]
async fn tool_calls_count_as_their_text() {
    let call = ToolCall { id: "1".into(), name: "weather".into(), arguments: "in the north of Norway".into() };
    let prompt = PromptRequest::from_messages([
        Message::user("one two"),
        Message::assistant("three").tool_call(call),
        Message::tool_result("1", "four"),
        Message::user("five"),
    ]);
    let needs = 2 + (1 + 1 + 1 + 5) + 1 + 1;
    for (budget, turns) in [(needs, 4), (needs - 1, 1)] {
        let stage = AssembleStage::default().system("").budget(budget).counter(Counter::new(Counting::Words, 0));
        let messages = run(&stage, prompt.clone()).await.1.expect("assembled").messages;
        let said = messages.iter().filter(|message| message.role() != Role::System).count();
        assert_eq!(said, turns, "{budget}: {messages:?}");
    }
}

#[tokio::test]
async fn turns_of_the_memory_count_as_history() {
    let memory = SessionMemory::default();
    for number in 1..=3 {
        let turn = [Message::user(format!("question {number}")), Message::assistant("its answer")];
        memory.append(&SessionKey::new(None, "s"), Turn::new(turn)).await.expect("kept");
    }
    let stage = AssembleStage::default().system("Stage.").counter(words()).budget(12).memory(memory);
    let (cx, request) = run(&stage, PromptRequest::new("the question")).await;
    let request = request.expect("assembled");
    assert_eq!(texts(&request)[1..], ["question 2", "its answer", "question 3", "its answer", "the question"]);
    assert_eq!(cx.get::<Assembly>().expect("kept").turns_left_out, 1);
}

#[tokio::test]
async fn a_counter_is_asked_once_where_all_fits_and_three_times_where_it_adds_up() {
    let counter = Counter::new(Counting::Estimate, 5);
    let stage = AssembleStage::default().counter(counter.clone());
    for (budget, calls) in [(10_000, 1), (120, 3)] {
        counter.calls.store(0, Ordering::Relaxed);
        let (_, request) = run(&stage.clone().budget(budget), chat()).await;
        assert!(request.is_ok());
        assert_eq!(counter.calls.load(Ordering::Relaxed), calls);
    }
}

#[tokio::test]
async fn a_counter_that_fails_fails_the_request_with_its_kind() {
    /// Fails, or returns a count too few.
    struct Broken(bool);

    #[async_trait]
    impl TokenCounter for Broken {
        async fn count(&self, texts: &[&str]) -> Result<Vec<usize>, WorkerError> {
            match self.0 {
                true => Err(WorkerError::new(WorkerErrorKind::RateLimited, "busy")),
                false => Ok(vec![0; texts.len() - 1]),
            }
        }

        fn is_exact(&self) -> bool {
            true
        }
    }

    for (fails, kind) in [(true, WorkerErrorKind::RateLimited), (false, WorkerErrorKind::Protocol)] {
        let stage = AssembleStage::default().counter(Broken(fails)).budget(100);
        let (_, error) = run(&stage, chat()).await;
        assert_eq!(error.expect_err("broken").downcast_ref::<WorkerError>().expect("typed").kind(), kind);
    }
}

fn counting() -> impl Strategy<Value = Counting> {
    prop_oneof![
        3 => Just(Counting::Estimate),
        2 => Just(Counting::Words),
        2 => Just(Counting::Square),
        2 => Just(Counting::Inverse),
        3 => any::<u64>().prop_map(Counting::Hash),
        1 => Just(Counting::Huge),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![3 => Just(Role::User), 3 => Just(Role::Assistant), 1 => Just(Role::Tool), 1 => Just(Role::System)]
}

/// What is assembled, and how.
#[derive(Debug, Clone)]
struct Case {
    counter: Counter,
    budget: usize,
    history_budget: Option<usize>,
    messages: Vec<(Role, String)>,
    passages: Vec<String>,
    remembered: usize,
    templates: u8,
}

fn case() -> impl Strategy<Value = Case> {
    let text = "[a-z{}%ä漢 ]{0,40}";
    let counter = (counting(), 0_usize..8).prop_map(|(counting, per_message)| Counter::new(counting, per_message));
    (
        counter,
        1_usize..500,
        prop::option::of(0_usize..200),
        vec((role(), text), 1..12),
        vec(text, 0..8),
        0_usize..4,
        any::<u8>(),
    )
        .prop_map(|(counter, budget, history_budget, messages, passages, remembered, templates)| Case {
            counter,
            budget,
            history_budget,
            messages,
            passages,
            remembered,
            templates,
        })
}

fn remembered(number: usize) -> Vec<Message> {
    vec![Message::user(format!("remembered {number}")), Message::assistant("its answer")]
}

impl Case {
    /// The messages, told apart by a number in front.
    fn messages(&self) -> Vec<Message> {
        let numbered = self.messages.iter().enumerate();
        numbered.map(|(number, (role, text))| Message::new(*role, format!("{number}. {text}"))).collect()
    }

    fn stage(&self, memory: SessionMemory) -> AssembleStage {
        let mut stage = AssembleStage::default().counter(self.counter.clone()).budget(self.budget).memory(memory);
        stage = match self.history_budget {
            Some(tokens) => stage.history_budget(tokens),
            None => stage,
        };
        if self.templates & 1 > 0 {
            stage = stage.context_template("{% for p in passages %}{{ p.number }}: {{ p.text }}, {% endfor %}");
        }
        if self.templates & 2 > 0 {
            stage = stage.question_template("{{ context }} {{ question }} {{ turns | length }}");
        }
        if self.templates & 4 > 0 {
            stage = stage.system_template("{{ system }} {{ context }} {{ turns | length }} {{ passages | length }}");
        }
        if self.templates & 8 > 0 {
            stage = stage.history_template("{{ role }}: {{ text }}");
        }
        stage
    }

    async fn run(&self) -> (Context, Result<InferenceRequest, BoxError>) {
        let memory = SessionMemory::default();
        for number in 0..self.remembered {
            memory.append(&SessionKey::new(None, "s"), Turn::new(remembered(number))).await.expect("kept");
        }
        let passages: Vec<Passage> =
            self.passages.iter().map(|text| Passage::new(text.clone(), Source::new("d"), 1.0)).collect();
        let cx = Context::standalone(RequestOptions::new().session("s"));
        let grounded = GroundedPrompt::new(PromptRequest::from_messages(self.messages()), passages);
        let result = self.stage(memory).run(&cx, grounded).await;
        (cx, result)
    }
}

/// Whether a turn begins at a place: at a question, or at the notes in front of one.
fn begins(messages: &[Message], place: usize) -> bool {
    let is_note = |place: usize| messages[place].role() == Role::System;
    let asks = messages[place..].iter().find(|m| m.role() != Role::System).map(Message::role) == Some(Role::User);
    place == 0 || (asks && !is_note(place - 1))
}

/// The conversation as turns, the oldest first; the last one is to be answered.
fn turns(case: &Case) -> Vec<Vec<Message>> {
    let own = case.messages();
    let leading = own.iter().take_while(|m| m.role() == Role::System).count();
    let conversation = &own[leading..];
    let bare = conversation.iter().all(|m| matches!(m.role(), Role::System | Role::User));
    let mut turns: Vec<_> = (0..if bare { case.remembered } else { 0 }).map(remembered).collect();
    for (place, message) in conversation.iter().enumerate() {
        if begins(conversation, place) {
            turns.push(Vec::new());
        }
        turns.last_mut().expect("the first message begins one").push(message.clone());
    }
    if conversation.is_empty() {
        turns.push(Vec::new());
    }
    turns
}

/// Checks one case; returns what came out, for comparison.
fn check(case: &Case) -> Result<String, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (cx, result) = runtime.block_on(case.run());
    let assembly = *cx.get::<Assembly>().expect("kept, fits or not");
    let request = match result {
        Ok(request) => request,
        Err(error) => {
            prop_assert_eq!(error.downcast_ref::<InvalidInput>().map(InvalidInput::field), Some("messages"));
            prop_assert!(assembly.tokens > case.budget);
            return Ok(error.to_string());
        }
    };
    let tokens = case.counter.whole(&request);
    prop_assert!(tokens <= case.budget, "{} of {}", tokens, case.budget);
    prop_assert_eq!(tokens, assembly.tokens);

    // The passages are the best ones, and the same everywhere.
    let kept = case.passages.len() - assembly.passages_left_out;
    prop_assert!(request.passages.iter().map(|p| &p.text).eq(&case.passages[..kept]));
    prop_assert_eq!(&cx.get::<Passages>().expect("kept").0, &request.passages);

    // The turns are the newest ones, whole, and the last one is always there.
    let mut history = turns(case);
    let last = history.pop().expect("there is always one");
    let history: Vec<Message> = history.split_off(assembly.turns_left_out).concat();
    let system = request.messages.len() - history.len() - last.len();
    prop_assert!(system <= 1 && request.messages[..system].iter().all(|m| m.role() == Role::System));
    let (shown, answered) = request.messages[system..].split_at(history.len());
    for (shown, message) in shown.iter().zip(&history) {
        let rewritten = format!("{}: {}", message.role().as_str(), message.text());
        let text = if case.templates & 8 > 0 { rewritten.into() } else { message.text() };
        prop_assert_eq!((shown.role(), shown.text()), (message.role(), text));
    }
    let question = last.iter().rposition(|m| m.role() == Role::User);
    for (place, (shown, message)) in answered.iter().zip(&last).enumerate() {
        prop_assert_eq!(shown.role(), message.role());
        let wrapped = question == Some(place) && case.templates & 2 > 0;
        let as_it_should = if wrapped { shown.text().contains(&*message.text()) } else { shown == message };
        prop_assert!(as_it_should, "{:?} of {:?}", shown, message);
    }

    if let Some(most) = case.history_budget {
        let costs = shown.iter().map(|m| case.counter.one(&m.text()).saturating_add(case.counter.per_message));
        prop_assert!(costs.fold(0, usize::saturating_add) <= most);
    }
    Ok(format!("{:?} {:?}", request.messages, cx.report().notes))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_is_never_exceeded_and_the_same_input_gives_the_same_prompt(case in case()) {
        let first = check(&case)?;
        prop_assert_eq!(first, check(&case)?);
    }
}
