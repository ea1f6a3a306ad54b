/// Buckets per power of two.
const PER_OCTAVE: f64 = 4.0;
/// Powers of two on either side of 1 that are told apart.
const OCTAVES: f64 = 8.0;
const BUCKETS: usize = (2.0 * OCTAVES * PER_OCTAVE) as usize + 1;
/// Samples at which all counts are halved.
const MOST: u32 = 512;
/// Samples below which nothing is told.
const ENOUGH: u32 = 20;

/// How estimates turned out: recent ratios of what a request took to what it was thought to take.
#[derive(Debug)]
pub(super) struct Spread {
    counts: [u32; BUCKETS],
    total: u32,
    /// The tenth percentile, or 0 while there is too little.
    low: f64,
}

impl Spread {
    /// Knows nothing.
    pub(super) const fn new() -> Self {
        Self { counts: [0; BUCKETS], total: 0, low: 0.0 }
    }

    /// What nine in ten were not below, 0 while there are too few to tell; at most a fifth too low.
    pub(super) const fn low(&self) -> f64 {
        self.low
    }

    /// Learns one ratio.
    pub(super) fn add(&mut self, ratio: f64) {
        let bucket = ((ratio.log2() + OCTAVES) * PER_OCTAVE).clamp(0.0, (BUCKETS - 1) as f64);
        self.counts[bucket as usize] += 1;
        self.total += 1;
        if self.total >= MOST {
            self.counts.iter_mut().for_each(|c| *c /= 2);
            self.total = self.counts.iter().sum();
        }
        if self.total >= ENOUGH {
            self.low = self.tenth_percentile();
        }
    }

    fn tenth_percentile(&self) -> f64 {
        let mut below = 0;
        let bucket = self.counts.iter().position(|c| {
            below += c;
            below * 10 > self.total
        });
        bucket.filter(|b| *b > 0).map_or(0.0, |b| (b as f64 / PER_OCTAVE - OCTAVES).exp2())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_nine_in_ten_were_not_below() {
        let mut spread = Spread::new();
        for i in 0..19 {
            spread.add(f64::from(i % 10 + 1) / 10.0);
            assert_eq!(spread.low(), 0.0);
        }
        for _ in 0..100 {
            (1..=10).for_each(|i| spread.add(f64::from(i) / 10.0));
        }
        assert!(spread.low() <= 0.2 && spread.low() > 0.16, "{}", spread.low());
    }

    #[test]
    fn follows_a_change_and_takes_any_ratio() {
        let mut spread = Spread::new();
        (0..1_000).for_each(|_| spread.add(1.0));
        assert!((spread.low() - 1.0).abs() < 0.2);
        (0..2_000).for_each(|_| spread.add(4.0));
        assert!(spread.low() > 3.0);
        [0.0, f64::INFINITY, 1e-300].into_iter().for_each(|r| spread.add(r));
        (0..2_000).for_each(|_| spread.add(0.0));
        assert_eq!(spread.low(), 0.0);
    }
}
