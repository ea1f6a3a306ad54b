/// A mean that forgets: each sample weighs a little less than the one after it. A prior stands in for samples until there
/// are enough, and is forgotten as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mean {
    sum: f64,
    weight: f64,
    /// What the prior still weighs, in samples.
    prior: f64,
    decay: f64,
}

impl Mean {
    /// A mean over the last `memory` samples or so, whose prior weighs as `prior` samples.
    pub(super) fn over(memory: f64, prior: f64) -> Self {
        Self { sum: 0.0, weight: 0.0, prior, decay: 1.0 - 1.0 / memory }
    }

    /// What the samples weigh; 0 where there was none.
    pub(super) const fn weight(&self) -> f64 {
        self.weight
    }

    /// The mean of the samples and the prior, of which one at least must weigh something.
    pub(super) fn with(&self, prior: f64) -> f64 {
        (self.sum + self.prior * prior) / (self.weight + self.prior)
    }

    /// Learns one sample.
    pub(super) fn add(&mut self, sample: f64) {
        self.sum = self.sum * self.decay + sample;
        self.weight = self.weight * self.decay + 1.0;
        self.prior *= self.decay;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prior_weighs_as_its_samples_and_is_forgotten() {
        let mut mean = Mean::over(64.0, 4.0);
        assert_eq!(mean.with(3.0), 3.0);
        (0..4).for_each(|_| mean.add(1.0));
        assert!((mean.with(3.0) - 2.0).abs() < 0.05, "{}", mean.with(3.0));
        (0..1_000).for_each(|_| mean.add(1.0));
        assert!((mean.with(1_000.0) - 1.0).abs() < 0.01, "{}", mean.with(1_000.0));
    }

    #[test]
    fn it_follows_a_change_within_its_memory() {
        let mut mean = Mean::over(16.0, 0.0);
        (0..100).for_each(|_| mean.add(1.0));
        (0..48).for_each(|_| mean.add(2.0));
        assert!(mean.with(0.0) > 1.9, "{}", mean.with(0.0));
    }
}
