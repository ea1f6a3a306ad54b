//! Prompts written by templates.

use orchestrator_core::prelude::*;
use orchestrator_core::request::{Content, Image, ToolCall};
use stages_rag::{AssembleStage, GroundedPrompt, TemplateError};

fn passages() -> Vec<Passage> {
    vec![
        Passage::new(
            "First.",
            Source::new("a.md").headings(vec!["Overload".into(), "Shedding".into()]).lines(3, 9),
            2.5,
        )
        .with_metadata("language", "en"),
        Passage::new("Second.", Source::new("b.pdf").page(4), 1.0),
    ]
}

fn chat() -> PromptRequest {
    PromptRequest::from_messages([
        Message::system("Be brief."),
        Message::user("One?"),
        Message::assistant("Yes."),
        Message::user("Two?"),
    ])
    .metadata("name", "Anna")
}

async fn assembled(stage: AssembleStage, prompt: PromptRequest) -> Result<Vec<String>, BoxError> {
    let cx = Context::standalone(RequestOptions::new().session("s1").tenant("acme"));
    let request = stage.run(&cx, GroundedPrompt::new(prompt, passages())).await?;
    Ok(request.messages.iter().map(|m| format!("{}: {}", m.role().as_str(), m.text())).collect())
}

#[tokio::test]
async fn each_part_is_written_by_its_template() {
    let stage = AssembleStage::default()
        .system("Stage.")
        .system_template("{{ system }}|{{ context }}|{{ passages | length }}|{{ question }}")
        .context_template("{% for p in passages %}({{ p.number }} {{ p.text }}){% endfor %}")
        .history_template("<{{ role }}>{{ text }}")
        .question_template("Q: {{ question }}");
    assert_eq!(
        assembled(stage, chat()).await.expect("assembled"),
        [
            "system: Be brief.\n\nStage.|(1 First.)(2 Second.)|2|Two?",
            "user: <user>One?",
            "assistant: <assistant>Yes.",
            "user: Q: Two?",
        ]
    );
}

#[tokio::test]
async fn a_passage_shows_all_that_is_known_of_it() {
    let stage = AssembleStage::default().system("").context_template(
        "{% for p in passages %}{{ p.number }};{{ p.source }};{{ p.document }};{{ p.headings | join('/') }};{{ p.lines }};\
         {{ p.page }};{{ p.text }};{{ p.score }};{{ p.metadata.language | default('?') }}\n{% endfor %}",
    );
    let system = assembled(stage, PromptRequest::new("What?")).await.expect("assembled").remove(0);
    let lines: Vec<&str> = system.lines().collect();
    assert_eq!(
        lines,
        [
            "system: 1;a.md:3-9 (Overload > Shedding);a.md;Overload/Shedding;3-9;None;First.;2.5;en",
            "2;b.pdf, page 4;b.pdf;;None;4;Second.;1.0;?",
        ]
    );
}

#[tokio::test]
async fn every_template_sees_the_session_and_what_the_caller_attached() {
    let facts = "{{ session }} {{ tenant }} {{ metadata.name }}";
    let stage = AssembleStage::default()
        .system_template(facts)
        .history_template(facts)
        .question_template(format!("{facts} {{{{ context }}}}"))
        .context_template(facts);
    assert_eq!(
        assembled(stage, chat()).await.expect("assembled"),
        ["system: s1 acme Anna", "user: s1 acme Anna", "assistant: s1 acme Anna", "user: s1 acme Anna s1 acme Anna"]
    );

    let nobody = Context::standalone(RequestOptions::new());
    let stage = AssembleStage::default().system_template("{% if session %}{{ session }}{% else %}nobody{% endif %}");
    let request = stage.run(&nobody, PromptRequest::new("What?")).await.expect("assembled");
    assert_eq!(request.messages[0].text(), "nobody");
}

#[tokio::test]
async fn passages_stand_in_the_question_where_its_template_asks_for_them() {
    for question in ["{{ context }}\n{{ question }}", "{% for p in passages %}{{ p.text }}{% endfor %} {{ question }}"]
    {
        let stage = AssembleStage::default().system("Stage.").question_template(question);
        let messages = assembled(stage, PromptRequest::new("What?")).await.expect("assembled");
        assert_eq!(messages[0], "system: Stage.", "and not in the system message as well");
        assert!(messages[1].contains("First.") && messages[1].ends_with("What?"), "{}", messages[1]);
    }
}

#[tokio::test]
async fn turns_may_be_shown_elsewhere_than_as_messages() {
    let stage = AssembleStage::default()
        .system_template("{% for t in turns %}{% for m in t %}{{ m.role }} said {{ m.text }} {% endfor %}{% endfor %}")
        .history_template("");
    assert_eq!(
        assembled(stage, chat()).await.expect("assembled"),
        ["system: user said One? assistant said Yes. ", "user: Two?"]
    );
}

/// What is no text is not for templates to write, and is kept where they write nothing.
#[tokio::test]
async fn pictures_and_tool_calls_stay_with_their_messages() {
    let call = ToolCall { id: "1".into(), name: "weather".into(), arguments: "{}".into() };
    let messages = [
        Message::user("What is the weather?"),
        Message::assistant("Wait.").tool_call(call.clone()),
        Message::tool_result("1", "Rain."),
        Message::user("And here?").part(Image::new("data:image/png;base64,AA==")),
    ];
    for (template, said) in [("<{{ text }}>", "<Wait.>"), ("{% if role == 'user' %}{{ text }}{% endif %}", "")] {
        let stage =
            AssembleStage::default().system("").history_template(template).question_template("Q: {{ question }}");
        let cx = Context::standalone(RequestOptions::new());
        let prompt = PromptRequest::from_messages(messages.clone());
        let assembled = stage.run(&cx, prompt).await.expect("assembled").messages;
        let asked = assembled.iter().find(|message| message.role() == Role::Assistant).expect("kept");
        assert_eq!((asked.text().as_ref(), asked.tool_calls()), (said, [call.clone()].as_slice()));
        let question = assembled.last().expect("a question");
        assert_eq!(question.text(), "Q: And here?");
        assert!(matches!(question.parts(), [Content::Text(_), Content::Image(_)]), "{question:?}");
        let result = assembled.iter().find(|message| message.role() == Role::Tool).expect("kept");
        assert_eq!(result.answers(), Some("1"));
    }
}

#[tokio::test]
async fn a_system_template_that_writes_nothing_makes_no_message() {
    let stage = AssembleStage::default().system_template("{% if not passages %}Nothing.{% endif %}");
    assert_eq!(assembled(stage, PromptRequest::new("What?")).await.expect("assembled"), ["user: What?"]);
}

#[tokio::test]
async fn what_callers_and_documents_say_is_never_a_template_and_never_escaped() {
    let hostile = "{{ 1 + 1 }} {% raw %}<b>&{# gone #}{{ question }}";
    let stage = AssembleStage::default()
        .system(hostile)
        .system_template("{{ system }}|{{ context }}|{{ metadata.x }}")
        .context_template("{% for p in passages %}{{ p.text }}{{ p.document }}{{ p.metadata.k }}{% endfor %}")
        .history_template("{{ text }}")
        .question_template("{{ question }}");
    let passage = Passage::new(hostile, Source::new(hostile), 1.0).with_metadata("k", hostile);
    let prompt =
        PromptRequest::from_messages([Message::user(hostile), Message::assistant(hostile), Message::user(hostile)])
            .metadata("x", hostile);
    let cx = Context::standalone(RequestOptions::new());
    let request = stage.run(&cx, GroundedPrompt::new(prompt, vec![passage])).await.expect("assembled");
    let texts: Vec<_> = request.messages.iter().map(Message::text).collect();
    assert_eq!(texts[0], format!("{hostile}|{hostile}{hostile}{hostile}|{hostile}"));
    assert!(texts[1..].iter().all(|text| text == hostile));
}

/// What is wrong with a pipeline that assembles with `stage`.
fn faults(stage: AssembleStage) -> Vec<String> {
    let built = Pipeline::<PromptRequest, _>::builder("wrong").stage(stage).build();
    built.err().map(|error| error.faults().iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[test]
fn a_bad_template_is_a_fault_that_names_it_and_the_line() {
    let stage = AssembleStage::default;
    let wrong = [
        (stage().system_template("fine\n{{ system"), "`system_template` has an error in line 2: "),
        (stage().context_template("{% for p in %}"), "`context_template` has an error in line 1: "),
        (stage().history_template("{% if text %}"), "`history_template` has an error in line 1: "),
        (stage().question_template("\n\n{% frobnicate %}"), "`question_template` has an error in line 3: "),
    ];
    for (stage, fault) in wrong {
        let found = faults(stage);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with(&format!("stage `assemble`: {fault}")), "{}", found[0]);
    }
}

#[test]
fn a_variable_that_does_not_exist_is_a_fault_before_any_request_comes() {
    let stage =
        AssembleStage::default().context_template("The pasages:\n{{ question }}\n{% for p in pasages %}{% endfor %}");
    assert_eq!(
        faults(stage.clone()),
        ["stage `assemble`: `context_template` has an error in line 3: there is no variable `pasages`"]
    );
    // Another template in its place, and all is well; what Jinja brings along is no variable of ours.
    assert!(faults(stage.context_template("{% for i in range(2) %}{{ i }}{% endfor %}")).is_empty());
    assert!(!faults(AssembleStage::default().history_template("{{ question }}")).is_empty());
}

#[tokio::test]
async fn a_stage_with_a_bad_template_does_not_run_by_hand_either() {
    let error = assembled(AssembleStage::default().system_template("{{"), PromptRequest::new("What?")).await;
    assert_eq!(error.expect_err("a fault").downcast_ref::<InvalidInput>().expect("named").field(), "system_template");
}

#[tokio::test]
async fn a_value_that_is_missing_fails_the_request_and_names_the_template_and_the_line() {
    let stage = AssembleStage::default().question_template("\n{{ metadata.name }}: {{ question }}");
    assert!(assembled(stage.clone(), chat()).await.is_ok());
    let error = assembled(stage, PromptRequest::new("What?")).await.expect_err("missing");
    let error = error.downcast_ref::<TemplateError>().expect("typed");
    assert_eq!((error.template(), error.line()), ("question_template", Some(2)));
    assert_eq!(error.to_string(), "the `question_template` cannot be rendered: line 2");
    assert!(std::error::Error::source(error).is_some());
}

#[tokio::test]
async fn a_prompt_too_long_to_be_rendered_in_passing_comes_out_the_same() {
    let long = "word ".repeat(40_000);
    let stage = AssembleStage::default().system_template("{{ system }}").question_template("{{ question }}!");
    let messages = assembled(stage, PromptRequest::new(long.clone())).await.expect("assembled");
    assert_eq!(messages[1], format!("user: {long}!"));
}
