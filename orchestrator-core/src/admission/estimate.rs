use super::ask::{Size, Tokens};
use super::line::Line;
use super::mean::Mean;
use super::outputs::Outputs;
use super::spread::Spread;

/// Finished requests that a prior weighs as.
const PRIOR_SAMPLES: f64 = 4.0;
/// Requests over which the mean time in a slot goes.
const SERVICE_MEMORY: f64 = 128.0;
/// Answers over which the time per token goes.
const TOKEN_MEMORY: f64 = 32.0;
/// Requests over which the correction goes, and what a correction of 1 weighs as at first.
const FACTOR_MEMORY: f64 = 32.0;
const FACTOR_PRIOR: f64 = 8.0;
/// Between these a correction is believed.
const FACTORS: (f64, f64) = (0.125, 8.0);
/// The ratios that are learned from; what lies outside is a fault and no estimate, and all of a kind share what is learned.
const RATIOS: (f64, f64) = (1.0 / 64.0, 64.0);

/// Seconds that a request needs its slot for, learned from those before.
#[derive(Debug)]
pub(super) struct Estimates {
    /// Time in a slot, whatever the size.
    service: Mean,
    /// Time to the first token by the tokens of the prompt that were not cached.
    prompt: Line,
    /// Time per token behind the first.
    token: Mean,
    outputs: Outputs,
    kinds: [Accuracy; 3],
}

/// How estimates for one kind of size turned out.
#[derive(Debug)]
struct Accuracy {
    /// What they are multiplied by.
    factor: Mean,
    /// How what was multiplied turned out.
    spread: Spread,
}

impl Accuracy {
    fn new() -> Self {
        Self { factor: Mean::over(FACTOR_MEMORY, FACTOR_PRIOR), spread: Spread::new() }
    }

    fn factor(&self) -> f64 {
        self.factor.with(1.0).clamp(FACTORS.0, FACTORS.1)
    }
}

/// What a finished request teaches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lesson {
    /// What it had said of its size.
    pub(super) size: Size,
    /// The prior that was told with it.
    pub(super) expected: f64,
    /// What it was thought to take, in seconds.
    pub(super) estimate: f64,
    /// What it took.
    pub(super) actual: f64,
    /// What the server said.
    pub(super) tokens: Option<Tokens>,
}

/// Sizes whose estimates err alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unknown,
    Time,
    Tokens,
}

impl From<Size> for Kind {
    fn from(size: Size) -> Self {
        match size {
            Size::Unknown => Self::Unknown,
            Size::Time(_) => Self::Time,
            Size::Tokens { .. } => Self::Tokens,
        }
    }
}

impl Estimates {
    /// Knows nothing but priors.
    pub(super) fn new() -> Self {
        Self {
            service: Mean::over(SERVICE_MEMORY, PRIOR_SAMPLES),
            prompt: Line::default(),
            token: Mean::over(TOKEN_MEMORY, 0.0),
            outputs: Outputs::default(),
            kinds: std::array::from_fn(|_| Accuracy::new()),
        }
    }

    /// The seconds that a request of this size will take; `expected` stands in for what was not learned.
    pub(super) fn estimate(&mut self, size: Size, expected: f64) -> f64 {
        let base = self.base(size, expected);
        base * self.factor(size)
    }

    /// What a request of this size takes at the least, as a part of its estimate: nine in ten took more. 0 until that is known.
    pub(super) fn least(&self, size: Size) -> f64 {
        self.kinds[Kind::from(size) as usize].spread.low()
    }

    /// What is left of a request that was thought to take `work` and has lasted for `age`, where no more than `most` counts;
    /// all of one unit.
    ///
    /// It is the mean of how others went on that had lasted as long. Where that is not known: what is left of its work, and
    /// half of its age once it is overdue, so that a server that stands still makes its own figures worse.
    pub(super) fn left(&self, kind: Kind, work: f64, age: f64, most: f64) -> f64 {
        let known = self.kinds[kind as usize].spread.left(age / work, most / work);
        let plain = || if age > work { age / 2.0 } else { work - age };
        known.map_or_else(|| plain().min(most), |left| left * work)
    }

    /// The seconds in a slot that these tokens are worth; `None` while that is not known.
    pub(super) fn cost(&self, size: Size, tokens: Tokens) -> Option<f64> {
        let cost = self.formula(tokens.prompt as f64, tokens.completion as f64)?;
        Some(cost * self.factor(size))
    }

    /// Learns from one request.
    pub(super) fn learn(&mut self, lesson: &Lesson) {
        let base = self.base(lesson.size, lesson.expected);
        let accuracy = &mut self.kinds[Kind::from(lesson.size) as usize];
        if let Some(ratio) = ratio(lesson.actual, base) {
            accuracy.factor.add(ratio);
        }
        if let Some(ratio) = ratio(lesson.actual, lesson.estimate) {
            accuracy.spread.add(ratio);
        }
        self.service.add(lesson.actual);
        if let Some(tokens) = lesson.tokens {
            self.learn_tokens(lesson, tokens);
        }
    }

    fn learn_tokens(&mut self, lesson: &Lesson, tokens: Tokens) {
        let first = tokens.first_token.clamp(0.0, lesson.actual);
        self.prompt.add(tokens.prompt.saturating_sub(tokens.cached) as f64, first);
        if tokens.completion > 1 {
            self.token.add((lesson.actual - first) / (tokens.completion - 1) as f64);
        }
        if let Size::Tokens { limit, model, .. } = lesson.size {
            self.outputs.learn(model, limit, tokens.completion);
        }
    }

    /// A mean over all sizes follows its errors by itself; correcting them twice would overshoot.
    fn factor(&self, size: Size) -> f64 {
        if size == Size::Unknown { 1.0 } else { self.kinds[Kind::from(size) as usize].factor() }
    }

    fn base(&mut self, size: Size, expected: f64) -> f64 {
        match size {
            Size::Unknown => self.service.with(expected),
            Size::Time(seconds) => seconds,
            Size::Tokens { prompt, limit, model } => {
                let output = self.outputs.expect(model, limit);
                self.blend(self.formula(prompt as f64, output), expected)
            }
        }
    }

    /// The formula where it rests on enough answers, the mean of all sizes where there was none.
    fn blend(&self, formula: Option<f64>, expected: f64) -> f64 {
        let mean = self.service.with(expected);
        let weight = self.prompt.weight();
        formula.map_or(mean, |f| (PRIOR_SAMPLES * mean + weight * f) / (PRIOR_SAMPLES + weight))
    }

    /// `a + b * prompt + c * output`; `None` until all three are known.
    fn formula(&self, prompt: f64, output: f64) -> Option<f64> {
        if self.prompt.weight() == 0.0 || self.token.weight() == 0.0 {
            return None;
        }
        let (a, b) = self.prompt.fit();
        Some(a + b * prompt + self.token.with(0.0) * output)
    }
}

/// `actual` in parts of `estimate`, where that can have been meant as one.
fn ratio(actual: f64, estimate: f64) -> Option<f64> {
    Some(actual / estimate).filter(|ratio| (RATIOS.0..=RATIOS.1).contains(ratio))
}
