//! How much of a draft fits into so many tokens.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use orchestrator_core::context::Context;
use orchestrator_core::error::{BoxError, InvalidInput, WorkerError, WorkerErrorKind};
use orchestrator_core::request::{Message, Tool};
use orchestrator_core::token::{EstimatedTokens, TokenCounter};

use crate::assemble::draft::{Draft, Selection, write_passage};
use crate::assemble::render::{HEADER, History, Written, is_left_out};

/// What became of a prompt under its budget; kept with the request: `answer.context().get::<Assembly>()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assembly {
    /// Tokens of the prompt, by the stage's counter.
    pub tokens: usize,
    /// Whether that counts as the model does.
    pub exact: bool,
    /// The budget; `None` where only the history has one.
    pub budget: Option<usize>,
    /// Earlier turns that were left out, those from the session's memory among them.
    pub turns_left_out: usize,
    /// Passages that were left out.
    pub passages_left_out: usize,
}

/// The limits of a prompt, and who counts.
#[derive(Clone)]
pub(super) struct Budget {
    pub(super) counter: Arc<dyn TokenCounter>,
    pub(super) tokens: Option<usize>,
    pub(super) history: Option<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { counter: Arc::new(EstimatedTokens), tokens: None, history: None }
    }
}

/// What fits, written.
pub(super) struct Fitted {
    pub(super) keep: Selection,
    pub(super) written: Written,
    pub(super) history: History,
    /// Tokens of the prompt, where they were counted.
    pub(super) tokens: Option<usize>,
}

impl Budget {
    pub(super) const fn is_set(&self) -> bool {
        self.tokens.is_some() || self.history.is_some()
    }

    pub(super) fn check(&self) -> Result<(), InvalidInput> {
        match self.tokens {
            Some(0) => Err(InvalidInput::new("budget", "must be at least 1 token")),
            _ => Ok(()),
        }
    }

    /// Finds what fits: the newest turns first, then the best passages.
    ///
    /// Everything is written and counted first, as it mostly fits. Where it does not, the parts are counted one by one, to
    /// choose among them; as parts need not add up, what was chosen is counted as it will stand, and cut further until
    /// it fits. It ends at the system text and the question.
    pub(super) async fn fit(&self, cx: &Context, draft: &Arc<Draft>, tools: &[Tool]) -> Result<Fitted, BoxError> {
        let history = draft.run(cx, Draft::write_history).await??;
        let all = draft.all();
        let mut written = draft.run(cx, move |draft| draft.write(all)).await??;
        let (fixed, turns, changing) = self.count_all(draft, &written, &history, tools).await?;
        let most_turns = turns.newest_within(self.history);
        let limit = self.tokens.unwrap_or(usize::MAX);

        let mut keep = Selection { turns: most_turns, ..all };
        let mut total = sum([fixed, changing, turns.tokens(keep)]);
        let stale = draft.shows_turns() && most_turns < all.turns;
        if stale || total > limit {
            let room = Room { fixed, turns: &turns, most_turns, limit };
            (keep, written, total) = self.choose(cx, draft, &room).await?;
        }
        self.report(cx, draft, keep, total);
        Ok(Fitted { keep, written, history, tokens: Some(total) })
    }

    /// Chooses what fits by what the parts need alone, and cuts until it fits as a whole.
    async fn choose(
        &self,
        cx: &Context,
        draft: &Arc<Draft>,
        room: &Room<'_>,
    ) -> Result<(Selection, Written, usize), BoxError> {
        let none = Selection { turns: 0, passages: 0 };
        let bare = draft.run(cx, move |draft| draft.write(none)).await??;
        let mut texts = changing(draft, &bare);
        let count = texts.len();
        // The text in front of passages is another one than that without.
        texts.extend([&draft.stage_text.text, &draft.stage_text.without_room].map(|text| Cow::Borrowed(&**text)));
        texts.extend(passage_texts(draft).into_iter().map(Cow::Owned));
        let mut counts = self.count(&texts).await?;
        drop(texts);
        let mut passages = counts.split_off(count + 2);
        let other_text = counts[count].saturating_sub(counts[count + 1]);
        counts.truncate(count);
        if let Some(first) = passages.first_mut() {
            *first = first.saturating_add(other_text);
        }
        let least = sum([room.fixed, self.messages(&counts)]);
        if least > room.limit {
            return Err(self.too_long(cx, draft, least).into());
        }
        let mut keep = room.choose(room.limit - least, &passages);
        while keep != none {
            let written = draft.run(cx, move |draft| draft.write(keep)).await??;
            let counts = self.count(&changing(draft, &written)).await?;
            let total = sum([room.fixed, self.messages(&counts), room.turns.tokens(keep)]);
            if total <= room.limit {
                return Ok((keep, written, total));
            }
            keep = room.cut(keep, total - room.limit, &passages);
        }
        Ok((none, bare, least))
    }

    /// Counts everything: what is always there, each turn, and what depends on the selection.
    async fn count_all(
        &self,
        draft: &Draft,
        written: &Written,
        history: &History,
        tools: &[Tool],
    ) -> Result<(usize, Turns, usize), BoxError> {
        let mut texts = changing(draft, written);
        let changes = texts.len();
        let others = draft.last.iter().enumerate().filter(|(place, _)| Some(*place) != draft.question);
        texts.extend(others.map(|(_, message)| with_calls(message, message.text())));
        let messages = texts.len();
        for tool in tools {
            let parameters = Cow::Owned(tool.parameters.to_string());
            texts.extend([Cow::Borrowed(&*tool.name), Cow::Borrowed(&*tool.description), parameters]);
        }
        let rest = texts.len();
        match history {
            None => texts.extend(draft.history.iter().map(|message| with_calls(message, message.text()))),
            Some(written) => texts.extend(draft.history.iter().zip(written).map(|(message, text)| {
                // What a template shows elsewhere counts as what it is.
                let text = if text.is_empty() { message.text() } else { Cow::Borrowed(&**text) };
                with_calls(message, text)
            })),
        }
        let counts = self.count(&texts).await?;
        // Once more than there are messages: see `TokenCounter::per_message`.
        let fixed = sum([
            self.messages(&counts[changes..messages]),
            sum(counts[messages..rest].iter().copied()),
            self.counter.per_message(),
        ]);
        let turns = self.turns(draft, history, &counts[rest..]);
        Ok((fixed, turns, self.messages(&counts[..changes])))
    }

    fn turns(&self, draft: &Draft, history: &History, counts: &[usize]) -> Turns {
        let stands = |place: usize| match history {
            None => true,
            Some(texts) => !is_left_out(&draft.history[place], &texts[place]),
        };
        let mut turns = Turns::default();
        for turn in draft.turns() {
            turns.costs.push(self.messages(&counts[turn.clone()]));
            let standing: Vec<usize> = turn.filter(|place| stands(*place)).map(|place| counts[place]).collect();
            turns.tokens.push(self.messages(&standing));
        }
        turns
    }

    /// What messages of these texts need.
    fn messages(&self, texts: &[usize]) -> usize {
        sum(texts.iter().map(|tokens| tokens.saturating_add(self.counter.per_message())))
    }

    async fn count(&self, texts: &[Cow<'_, str>]) -> Result<Vec<usize>, WorkerError> {
        let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
        let counts = self.counter.count(&texts).await?;
        if counts.len() != texts.len() {
            let message = format!("{} counts came back for {} texts", counts.len(), texts.len());
            return Err(WorkerError::new(WorkerErrorKind::Protocol, message));
        }
        Ok(counts)
    }

    /// Tells what was left out, and what is left.
    fn report(&self, cx: &Context, draft: &Draft, keep: Selection, tokens: usize) {
        let all = draft.all();
        let assembly = Assembly {
            tokens,
            exact: self.counter.is_exact(),
            budget: self.tokens,
            turns_left_out: all.turns - keep.turns,
            passages_left_out: all.passages - keep.passages,
        };
        let left_out =
            [(assembly.passages_left_out, all.passages, "passages"), (assembly.turns_left_out, all.turns, "turns")];
        let left_out: Vec<String> = left_out
            .into_iter()
            .filter(|(out, ..)| *out > 0)
            .map(|(out, of, what)| format!("{out} of {of} {}", if of == 1 { &what[..what.len() - 1] } else { what }))
            .collect();
        if !left_out.is_empty() {
            cx.note(format!("left out {}: {}", left_out.join(" and "), self.in_words(tokens)));
        }
        cx.insert(assembly);
    }

    /// Such as `about 2,041 of 2,048 tokens`.
    fn in_words(&self, tokens: usize) -> String {
        let about = if self.counter.is_exact() { "" } else { "about " };
        match self.tokens {
            Some(budget) => format!("{about}{} of {} tokens", Grouped(tokens), Grouped(budget)),
            None => format!("{about}{} tokens", Grouped(tokens)),
        }
    }

    fn too_long(&self, cx: &Context, draft: &Draft, tokens: usize) -> InvalidInput {
        let Selection { turns, passages } = draft.all();
        let exact = self.counter.is_exact();
        cx.insert(Assembly { tokens, exact, budget: self.tokens, turns_left_out: turns, passages_left_out: passages });
        let about = if exact { "" } else { "about " };
        let budget = self.tokens.unwrap_or(usize::MAX);
        let problem = format!(
            "need {about}{} tokens for the system text and the question alone, and the budget is {}",
            Grouped(tokens),
            Grouped(budget)
        );
        InvalidInput::new("messages", problem)
    }
}

/// What the earlier turns need, the oldest first.
#[derive(Default)]
struct Turns {
    /// By what is said in them.
    costs: Vec<usize>,
    /// By the messages that stand in the prompt for them.
    tokens: Vec<usize>,
}

impl Turns {
    fn newest_within(&self, limit: Option<usize>) -> usize {
        limit.map_or(self.costs.len(), |limit| fitting(self.costs.iter().rev(), limit).0)
    }

    fn tokens(&self, keep: Selection) -> usize {
        sum(self.tokens.iter().rev().take(keep.turns).copied())
    }
}

/// What there is room for.
struct Room<'a> {
    fixed: usize,
    turns: &'a Turns,
    most_turns: usize,
    limit: usize,
}

impl Room<'_> {
    fn choose(&self, room: usize, passages: &[usize]) -> Selection {
        let (turns, left) = fitting(self.turns.costs.iter().rev().take(self.most_turns), room);
        let (passages, _) = fitting(passages.iter(), left);
        Selection { turns, passages }
    }

    /// Leaves out the worst passages, then the oldest turns, until as much is gone as it was too much, but at least one.
    fn cut(&self, keep: Selection, mut excess: usize, passages: &[usize]) -> Selection {
        let mut next = keep;
        while next == keep || excess > 0 {
            let gone = if next.passages > 0 {
                next.passages -= 1;
                passages[next.passages]
            } else if next.turns > 0 {
                next.turns -= 1;
                self.turns.costs[self.turns.costs.len() - 1 - next.turns]
            } else {
                break;
            };
            excess = excess.saturating_sub(gone);
        }
        next
    }
}

/// How many fit one after the other, and what is left then.
fn fitting<'a>(costs: impl Iterator<Item = &'a usize>, mut room: usize) -> (usize, usize) {
    let mut count = 0;
    for cost in costs {
        match room.checked_sub(*cost) {
            Some(left) => room = left,
            None => break,
        }
        count += 1;
    }
    (count, room)
}

/// The text of a message and of the tool calls in it, which the model sees as well.
fn with_calls<'a>(message: &Message, text: Cow<'a, str>) -> Cow<'a, str> {
    let calls = message.tool_calls().iter().flat_map(|call| [call.id.as_str(), &call.name, &call.arguments]);
    calls.fold(text, |text, part| Cow::Owned(format!("{text}\n{part}")))
}

/// The texts of the messages that depend on the selection.
fn changing<'a>(draft: &'a Draft, written: &'a Written) -> Vec<Cow<'a, str>> {
    let mut texts = Vec::with_capacity(2);
    if !written.system.is_empty() || !draft.attachments.is_empty() {
        texts.push(Cow::Borrowed(&*written.system));
    }
    if let Some(question) = draft.question {
        texts.push(match &written.question {
            Some(text) => Cow::Borrowed(&**text),
            None => draft.last[question].text(),
        });
    }
    texts
}

/// What each passage adds to a prompt, with the header at the first: exactly so without templates, else roughly.
fn passage_texts(draft: &Draft) -> Vec<String> {
    let write = |(place, passage)| {
        let mut text = if place == 0 { format!("\n\n{HEADER}") } else { String::new() };
        write_passage(&mut text, place + 1, passage);
        text
    };
    draft.passages.iter().enumerate().map(write).collect()
}

fn sum(counts: impl IntoIterator<Item = usize>) -> usize {
    counts.into_iter().fold(0, usize::saturating_add)
}

/// A number with its thousands set apart by commas.
struct Grouped(usize);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
