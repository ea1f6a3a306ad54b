//! Assembly of twenty passages and twenty turns, against the bare template engine that writes the same text.

use std::time::{Duration, Instant};

use minijinja::{Environment, UndefinedBehavior, Value, context};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::rag::{Assembly, GroundedPrompt};

use crate::harness::{Goal, Harness};

const PASSAGES: usize = 20;
const TURNS: usize = 20;
const SYSTEM: &str = "Answer the question from the numbered passages below. Cite the passages that you use.";

/// What a prompt is made of: passages of some 800 bytes, turns of some 500.
struct Parts {
    passages: Vec<Passage>,
    turns: Vec<(String, String)>,
}

impl Parts {
    fn new() -> Self {
        let passages = (0..PASSAGES).map(|number| {
            let text = "A full queue makes the stage before it wait, and so on up to the door. ".repeat(11);
            let source = Source::new(format!("docs/guide-{number}.md")).lines(10, 24);
            Passage::new(text, source.headings(vec!["Overload".into(), "Shedding".into()]), 1.0)
        });
        let turn = |number| (format!("And what of the queue number {number}?"), "It waits for room. ".repeat(24));
        Self { passages: passages.collect(), turns: (0..TURNS).map(turn).collect() }
    }

    /// What a caller submits, and what retrieval has found.
    fn grounded(&self) -> GroundedPrompt {
        let turns = self.turns.iter().flat_map(|(asked, said)| [Message::user(&**asked), Message::assistant(&**said)]);
        let question = [Message::user("What does a full queue do?")];
        GroundedPrompt::new(PromptRequest::from_messages(turns.chain(question)), self.passages.clone())
    }
}

/// One template for the whole prompt: what somebody would write without the stage.
const WHOLE: &str = "{{ system }}\n\nPassages:\
    {% for p in passages %}\n\n[{{ p.number }}] {{ p.source }}\n{{ p.text }}{% endfor %}\
    {% for t in turns %}\n\nuser: {{ t.asked }}\n\nassistant: {{ t.said }}{% endfor %}\n\nuser: {{ question }}";

struct Bare(Environment<'static>);

impl Bare {
    fn new() -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.add_template("whole", WHOLE).expect("a template");
        Self(env)
    }

    fn render(&self, parts: &Parts) -> String {
        let passages: Value = (1..)
            .zip(&parts.passages)
            .map(|(number, p)| context! { number, source => p.source.to_string(), text => &p.text })
            .collect();
        let turns: Value = parts.turns.iter().map(|(asked, said)| context! { asked, said }).collect();
        let template = self.0.get_template("whole").expect("it was added");
        let scope = context! { system => SYSTEM, passages, turns, question => "What does a full queue do?" };
        template.render(scope).expect("rendered")
    }
}

/// The stage with its parts written by templates, as users would split the one above.
fn templated() -> AssembleStage {
    AssembleStage::default()
        .system(SYSTEM)
        .system_template("{{ system }}\n\n{{ context }}")
        .context_template(
            "Passages:{% for p in passages %}\n\n[{{ p.number }}] {{ p.source }}\n{{ p.text }}{% endfor %}",
        )
        .history_template("{{ text }}")
        .question_template("{{ question }}")
}

/// Nanoseconds for each of `rounds` assemblies; the requests are made beforehand.
fn ours(runtime: &tokio::runtime::Runtime, stage: &AssembleStage, parts: &Parts, rounds: usize) -> f64 {
    let cx = Context::standalone(RequestOptions::new().session("s"));
    let mut prompts: Vec<_> = (0..rounds).map(|_| parts.grounded()).collect();
    let mut requests = Vec::with_capacity(rounds);
    runtime.block_on(async {
        let started = Instant::now();
        while let Some(prompt) = prompts.pop() {
            requests.push(stage.run(&cx, prompt).await.expect("assembled"));
        }
        per_round(started.elapsed(), rounds)
    })
}

fn bare(bare: &Bare, parts: &Parts, rounds: usize) -> f64 {
    let mut texts = Vec::with_capacity(rounds);
    let started = Instant::now();
    for _ in 0..rounds {
        texts.push(bare.render(parts));
    }
    per_round(started.elapsed(), rounds)
}

fn per_round(elapsed: Duration, rounds: usize) -> f64 {
    elapsed.as_nanos() as f64 / rounds as f64
}

/// Checks that both sides write the same passages and turns, or, with a tighter budget, that something is left out.
fn check(runtime: &tokio::runtime::Runtime, stage: &AssembleStage, parts: &Parts, whole: bool) {
    let cx = Context::standalone(RequestOptions::new());
    let request = runtime.block_on(stage.run(&cx, parts.grounded())).expect("assembled");
    let assembly = cx.get::<Assembly>().expect("there is a budget");
    assert_eq!(assembly.turns_left_out == 0 && assembly.passages_left_out == 0, whole, "{assembly:?}");
    if whole {
        let texts = request.messages.iter().map(|m| m.text().into_owned());
        let rendered = Bare::new().render(parts).replace("\n\nuser: ", "").replace("\n\nassistant: ", "");
        assert_eq!(texts.collect::<String>(), rendered);
    }
}

pub(crate) fn run(harness: &mut Harness) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (parts, engine) = (Parts::new(), Bare::new());
    let stages = [
        ("assemble/default", AssembleStage::default().system(SYSTEM).budget(100_000), true),
        ("assemble/templates", templated().budget(100_000), true),
        ("assemble/cut", templated().budget(6_000), false),
    ];
    for (name, stage, whole) in stages {
        if !harness.wants(name) {
            continue;
        }
        check(&runtime, &stage, &parts, whole);
        // Few enough that what is made stays in the caches' reach on both sides.
        const BATCH: usize = 16;
        let time = harness.round_time() / 4;
        let batches = |run: &dyn Fn() -> f64| {
            let started = Instant::now();
            let (mut sum, mut count) = (0.0, 0.0);
            while started.elapsed() < time {
                sum += run();
                count += 1.0;
            }
            sum / count
        };
        let pairs = harness
            .pairs(|| batches(&|| bare(&engine, &parts, BATCH)), || batches(&|| ours(&runtime, &stage, &parts, BATCH)));
        harness.ratio(name, Goal::AtMost(3.0), pairs.iter().map(|(bare, ours)| ours / bare));
        let mut nanos: Vec<f64> = pairs.iter().map(|(_, ours)| *ours).collect();
        harness.line(&format!("{name} us"), crate::harness::median(&mut nanos) / 1e3, Goal::None, pairs.len());
    }
}
