/// Buckets per power of two, as a number of bits.
const SUB_BITS: u32 = 2;
/// Bits of a number that are behind those which name its bucket.
const SHIFT: u32 = f64::MANTISSA_DIGITS - 1 - SUB_BITS;
/// Ratios from 1/256 to 256 are told apart, those beyond belong to the first and the last bucket.
const OCTAVES: u64 = 8;
const FIRST: u64 = (1023 - OCTAVES) << SUB_BITS;
const BUCKETS: usize = ((2 * OCTAVES) << SUB_BITS) as usize;
/// Samples at which all counts are halved.
const MOST: u32 = 512;
/// Samples below which nothing is told.
const ENOUGH: u32 = 20;
/// Figures are renewed when a sixteenth of the samples is new, which costs a request less than each time would.
const RENEWED: u32 = 16;
/// The part that must have been seen to last so long, for what is left to be told from it.
const SEEN: f64 = 0.01;

/// How estimates turned out: recent ratios of what a request took to what it was thought to take.
#[derive(Debug)]
pub(super) struct Spread {
    counts: [u32; BUCKETS],
    total: u32,
    /// Samples that the figures below do not know of.
    fresh: u32,
    /// The tenth percentile, or 0 while there is too little.
    low: f64,
    /// By bucket, where it begins.
    curve: [Point; BUCKETS + 1],
}

/// The curve of survival at one ratio.
#[derive(Debug, Clone, Copy, Default)]
struct Point {
    /// The part that took longer.
    left: f64,
    /// The area under that so far: the mean where no ratio counts for more.
    mean: f64,
}

/// The least ratio of a bucket.
fn lower_end(bucket: usize) -> f64 {
    f64::from_bits((bucket as u64 + FIRST) << SHIFT)
}

fn bucket_of(ratio: f64) -> usize {
    let ratio = ratio.clamp(lower_end(0), lower_end(BUCKETS));
    (((ratio.to_bits() >> SHIFT) - FIRST) as usize).min(BUCKETS - 1)
}

impl Spread {
    /// Knows nothing.
    pub(super) fn new() -> Self {
        Self { counts: [0; BUCKETS], total: 0, fresh: 0, low: 0.0, curve: [Point::default(); BUCKETS + 1] }
    }

    /// What nine in ten were not below, 0 while there are too few to tell; at most a fifth too low.
    pub(super) const fn low(&self) -> f64 {
        self.low
    }

    /// The mean of what is left of a request that has lasted for `age` so far, where no more than `most` counts; in parts of
    /// its estimate, as these are. `None` where too few lasted so long.
    ///
    /// This is the restricted mean residual life: the area under the curve of survival from `age` on, over its height there.
    pub(super) fn left(&self, age: f64, most: f64) -> Option<f64> {
        let now = self.at(age);
        if self.total < ENOUGH || now.left < SEEN {
            return None;
        }
        Some((self.at(age + most).mean - now.mean) / now.left)
    }

    /// Learns one ratio.
    pub(super) fn add(&mut self, ratio: f64) {
        self.counts[bucket_of(ratio)] += 1;
        self.total += 1;
        if self.total >= MOST {
            self.counts.iter_mut().for_each(|c| *c /= 2);
            self.total = self.counts.iter().sum();
        }
        self.fresh += 1;
        if self.total >= ENOUGH && self.fresh * RENEWED >= self.total {
            self.fresh = 0;
            self.low = self.tenth_percentile();
            self.draw();
        }
    }

    fn tenth_percentile(&self) -> f64 {
        let mut below = 0;
        let bucket = self.counts.iter().position(|c| {
            below += c;
            below * 10 > self.total
        });
        bucket.filter(|b| *b > 0).map_or(0.0, lower_end)
    }

    fn draw(&mut self) {
        let mut point = Point { left: 1.0, mean: lower_end(0) };
        for bucket in 0..BUCKETS {
            self.curve[bucket] = point;
            let left = point.left - f64::from(self.counts[bucket]) / f64::from(self.total);
            point.mean += (lower_end(bucket + 1) - lower_end(bucket)) * (point.left + left) / 2.0;
            point.left = left;
        }
        self.curve[BUCKETS] = Point { left: 0.0, ..point };
    }

    /// The curve at any ratio, straight within a bucket.
    fn at(&self, ratio: f64) -> Point {
        if ratio < lower_end(0) {
            return Point { left: 1.0, mean: ratio };
        }
        if ratio >= lower_end(BUCKETS) {
            return self.curve[BUCKETS];
        }
        let bucket = bucket_of(ratio);
        let (from, to, into) = (self.curve[bucket], self.curve[bucket + 1], ratio - lower_end(bucket));
        let left = from.left + (to.left - from.left) * into / (lower_end(bucket + 1) - lower_end(bucket));
        Point { left, mean: from.mean + into * (from.left + left) / 2.0 }
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
            (1..=20).for_each(|i| spread.add(f64::from(i) / 20.0));
        }
        assert!(spread.low() <= 0.15 && spread.low() > 0.08, "{}", spread.low());
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

    #[test]
    fn what_is_left_is_the_mean_of_how_others_went_on() {
        let mut spread = Spread::new();
        (0..400).for_each(|i| spread.add(if i % 4 == 0 { 4.0 } else { 0.5 }));
        let near = |left: Option<f64>, right: f64| left.is_some_and(|l| (l / right - 1.0).abs() < 0.2);
        assert!(
            near(spread.left(0.0, f64::INFINITY), 0.25 * 4.0 + 0.75 * 0.5),
            "{:?}",
            spread.left(0.0, f64::INFINITY)
        );
        assert!(near(spread.left(0.0, 1.0), 0.25 + 0.75 * 0.5), "{:?}", spread.left(0.0, 1.0));
        assert!(near(spread.left(2.0, f64::INFINITY), 2.3), "only the long ones last so long");
        assert!(near(spread.left(2.0, 1.0), 1.0));
        assert_eq!(spread.left(9.0, 1.0), None, "nothing lasted so long");
    }
}
