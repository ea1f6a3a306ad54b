use std::collections::HashMap;

use super::mean::Mean;

/// Tokens that an answer is thought to have while nothing is known.
const PRIOR: f64 = 256.0;
/// Samples below which a mean is not used.
const ENOUGH: u32 = 4;
/// Answers over which a mean goes.
const MEMORY: f64 = 64.0;
/// Means that are kept.
const MOST: usize = 256;

/// How long the answers of a model are, by the limit that they were given.
///
/// One mean per model would take an answer that may have 800 tokens, and mostly has them, for one of 100 where most requests
/// ask for little. So there is one for each power of two of the limit as well. The means used least recently are forgotten.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    means: HashMap<(u64, Limits), Output>,
    /// Counts uses.
    clock: u64,
}

/// Which limits a mean is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Limits {
    /// All.
    Any,
    /// None was given.
    Unlimited,
    /// From this power of two up to the next.
    From(u32),
}

impl Limits {
    fn of(limit: Option<u64>) -> Self {
        limit.map_or(Self::Unlimited, |l| Self::From(l.max(1).ilog2()))
    }
}

#[derive(Debug)]
struct Output {
    mean: Mean,
    samples: u32,
    used: u64,
}

impl Outputs {
    /// The expected tokens of an answer of `model` under `limit`.
    pub(super) fn expect(&mut self, model: u64, limit: Option<u64>) -> f64 {
        let mean = self.mean((model, Limits::of(limit))).or_else(|| self.mean((model, Limits::Any))).unwrap_or(PRIOR);
        limit.map_or(mean, |l| mean.min(l as f64))
    }

    /// Learns the length of an answer.
    pub(super) fn learn(&mut self, model: u64, limit: Option<u64>, tokens: u64) {
        for limits in [Limits::of(limit), Limits::Any] {
            self.add((model, limits), tokens as f64);
        }
    }

    fn mean(&mut self, key: (u64, Limits)) -> Option<f64> {
        self.clock += 1;
        let output = self.means.get_mut(&key)?;
        output.used = self.clock;
        (output.samples >= ENOUGH).then(|| output.mean.with(PRIOR))
    }

    fn add(&mut self, key: (u64, Limits), tokens: f64) {
        self.clock += 1;
        if self.means.len() >= MOST && !self.means.contains_key(&key) {
            self.forget_one();
        }
        let new = || Output { mean: Mean::over(MEMORY, 0.0), samples: 0, used: 0 };
        let output = self.means.entry(key).or_insert_with(new);
        output.mean.add(tokens);
        output.samples = output.samples.saturating_add(1);
        output.used = self.clock;
    }

    fn forget_one(&mut self) {
        let oldest = self.means.iter().min_by_key(|(_, o)| o.used).map(|(key, _)| *key);
        if let Some(key) = oldest {
            self.means.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(outputs: &mut Outputs, model: u64, limit: Option<u64>, tokens: u64) {
        (0..ENOUGH).for_each(|_| outputs.learn(model, limit, tokens));
    }

    #[test]
    fn a_large_limit_is_not_judged_by_what_small_ones_gave() {
        let mut outputs = Outputs::default();
        assert_eq!(outputs.expect(1, Some(100)), 100.0);
        assert_eq!(outputs.expect(1, None), PRIOR);
        learn(&mut outputs, 1, Some(100), 40);
        assert!((outputs.expect(1, Some(800)) - 40.0).abs() < 1e-9, "all that is known of the model");
        learn(&mut outputs, 1, Some(800), 700);
        assert!((outputs.expect(1, Some(800)) - 700.0).abs() < 1e-9);
        assert!((outputs.expect(1, Some(100)) - 40.0).abs() < 1e-9);
        assert_eq!(outputs.expect(1, Some(30)), 30.0, "never above the limit");
        assert_eq!(outputs.expect(2, None), PRIOR, "another model");
    }

    #[test]
    fn three_answers_are_not_enough() {
        let mut outputs = Outputs::default();
        (0..3).for_each(|_| outputs.learn(1, None, 10));
        assert_eq!(outputs.expect(1, None), PRIOR);
        outputs.learn(1, None, 10);
        assert!((outputs.expect(1, None) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_used_stays_and_the_table_is_bounded() {
        let mut outputs = Outputs::default();
        learn(&mut outputs, 1, None, 10);
        for other in 2..2_000 {
            outputs.learn(other, None, 99);
            outputs.expect(1, None);
            assert!(outputs.means.len() <= MOST);
        }
        assert!((outputs.expect(1, None) - 10.0).abs() < 1e-9);
        assert_eq!(outputs.expect(2, None), PRIOR);
    }
}
