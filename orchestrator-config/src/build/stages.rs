//! Stages of the file as stages of a pipeline.

use stages_post::{PostStage, Redaction};
use stages_rag::{AssembleStage, Bm25Index, RagStage, last_two_questions};

use crate::file::{Assemble, Post, Question, Rag, Redact};

pub(super) fn rag(settings: &Rag, index: Bm25Index) -> RagStage<Bm25Index> {
    let mut stage = RagStage::new(index).top_k(settings.top_k.get());
    if let Some(score) = settings.min_score {
        stage = stage.min_score(score);
    }
    if let Some(limit) = settings.time_limit {
        stage = stage.time_limit(limit.into());
    }
    if settings.optional {
        stage = stage.optional();
    }
    match settings.question {
        Question::Last => stage,
        Question::LastTwo => stage.query(last_two_questions),
    }
}

pub(super) fn assemble(settings: &Assemble) -> AssembleStage {
    let mut stage = AssembleStage::default();
    if let Some(text) = &settings.system {
        stage = stage.system(text.as_str());
    }
    if let Some(source) = &settings.system_template {
        stage = stage.system_template(source);
    }
    if let Some(source) = &settings.context_template {
        stage = stage.context_template(source);
    }
    if let Some(source) = &settings.history_template {
        stage = stage.history_template(source);
    }
    if let Some(source) = &settings.question_template {
        stage = stage.question_template(source);
    }
    if let Some(tokens) = settings.budget {
        stage = stage.budget(tokens.get());
    }
    if let Some(tokens) = settings.history_budget {
        stage = stage.history_budget(tokens.get());
    }
    stage
}

/// Redaction comes first, as what is behind may cut a secret so that it is no longer seen.
pub(super) fn post(settings: &Post) -> PostStage {
    let mut stage = PostStage::new();
    if settings.reasoning {
        stage = stage.split_reasoning();
    }
    if !settings.redact.is_empty() || !settings.redact_patterns.is_empty() {
        stage = stage.redact(redaction(settings));
    }
    if !settings.stop.is_empty() {
        stage = stage.stop_sequences(settings.stop.iter().map(String::as_str));
    }
    if settings.trim {
        stage = stage.trim();
    }
    if let Some(limit) = settings.max_bytes {
        stage = stage.max_bytes(limit.get());
    }
    stage
}

fn redaction(settings: &Post) -> Redaction {
    let presets = settings.redact.iter().fold(Redaction::new(), |redaction, kind| match kind {
        Redact::Secrets => redaction.secrets(),
        Redact::Emails => redaction.emails(),
        Redact::Phones => redaction.phones(),
        Redact::Cards => redaction.cards(),
    });
    settings.redact_patterns.iter().fold(presets, |redaction, (name, regex)| redaction.pattern(name, regex))
}
