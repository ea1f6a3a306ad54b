use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::stats::Distribution;

/// Sub-buckets per power of two: a value is known to within 1/16 of itself.
const SUB_BITS: u32 = 3;
const SUB: u64 = 1 << SUB_BITS;
/// Everything above 2^43 ns, 2.4 hours, counts as that.
const MAX_EXPONENT: u32 = 43;
const BUCKETS: usize = ((MAX_EXPONENT - SUB_BITS + 2) as u64 * SUB) as usize;

/// A log-linear histogram of durations in nanoseconds.
///
/// The layout is that of HdrHistogram with three bits of precision: eight equal buckets in each power of two.
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

fn bucket_of(value: u64) -> usize {
    if value < SUB {
        return value as usize;
    }
    let exponent = (63 - value.leading_zeros()).min(MAX_EXPONENT);
    let sub = if value >> MAX_EXPONENT > 1 { SUB - 1 } else { value >> (exponent - SUB_BITS) & (SUB - 1) };
    (u64::from(exponent - SUB_BITS + 1) * SUB + sub) as usize
}

/// The middle of a bucket.
fn value_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB {
        return bucket;
    }
    let exponent = bucket / SUB - 1;
    let low = (SUB + bucket % SUB) << exponent;
    low + (1 << exponent) / 2
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Records one value.
    pub(crate) fn record(&self, nanos: u64) {
        self.add(bucket_of(nanos), 1, nanos);
    }

    fn add(&self, bucket: usize, count: u64, sum: u64) {
        self.buckets[bucket].fetch_add(count, Ordering::Relaxed);
        self.sum.fetch_add(sum, Ordering::Relaxed);
    }

    /// The same where nobody else writes: readers see either value of each.
    fn add_alone(&self, bucket: usize, count: u64, sum: u64) {
        let bump = |a: &AtomicU64, by| a.store(a.load(Ordering::Relaxed) + by, Ordering::Relaxed);
        bump(&self.buckets[bucket], count);
        bump(&self.sum, sum);
    }

    /// Calls `each` with the middle and the count of every bucket that grew since `seen`, and brings `seen` up to date.
    ///
    /// Above `most` values in all it passes on an evenly thinned sample of about that many, of the same distribution.
    pub(crate) fn deltas(&self, seen: &mut [u64], most: u64, mut each: impl FnMut(f64, u64)) {
        let news = |(bucket, seen): (&AtomicU64, &mut u64)| {
            let now = bucket.load(Ordering::Relaxed);
            now - std::mem::replace(seen, now)
        };
        let new: Vec<u64> = self.buckets.iter().zip(seen).map(news).collect();
        let thin = new.iter().sum::<u64>().div_ceil(most).max(1);
        let mut owed = 0;
        for (index, new) in new.into_iter().enumerate() {
            // What does not make up a whole value is owed to the next bucket.
            owed += new;
            if owed >= thin {
                each(Duration::from_nanos(value_of(index)).as_secs_f64(), owed / thin);
                owed %= thin;
            }
        }
    }

    /// The `seen` of a reader that has seen nothing.
    pub(crate) fn unseen() -> Box<[u64]> {
        vec![0; BUCKETS].into()
    }

    pub(crate) fn distribution(&self) -> Distribution {
        Self::merged([self])
    }

    /// The distribution of everything that was recorded in any of them.
    pub(crate) fn merged<'a>(histograms: impl IntoIterator<Item = &'a Self>) -> Distribution {
        let mut counts = vec![0; BUCKETS];
        let mut sum = 0_u64;
        for histogram in histograms {
            for (count, bucket) in counts.iter_mut().zip(&histogram.buckets) {
                *count += bucket.load(Ordering::Relaxed);
            }
            sum = sum.wrapping_add(histogram.sum.load(Ordering::Relaxed));
        }
        distribution_of(&counts, sum)
    }
}

fn distribution_of(counts: &[u64], sum: u64) -> Distribution {
    let count: u64 = counts.iter().sum();
    let quantile = |q: f64| {
        let rank = ((count as f64 * q).ceil() as u64).max(1);
        let mut below = 0;
        let bucket = counts.iter().position(|c| {
            below += c;
            below >= rank
        });
        Duration::from_nanos(bucket.map_or(0, value_of))
    };
    let sum = Duration::from_nanos(sum);
    Distribution { count, sum, p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) }
}

impl std::fmt::Debug for Histogram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.distribution().fmt(f)
    }
}

/// Gathers neighbouring values of one bucket, so that a batch of like values costs one addition.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Nobody else writes to the histogram, which saves the locked instructions.
    alone: bool,
    bucket: usize,
    count: u64,
    sum: u64,
}

impl Tally {
    /// A tally for a histogram that only this one writes to.
    pub(crate) fn alone() -> Self {
        Self { alone: true, ..Self::default() }
    }

    pub(crate) fn record(&mut self, nanos: u64, into: &Histogram) {
        self.record_many(nanos, 1, into);
    }

    /// Records a value `count` times.
    pub(crate) fn record_many(&mut self, nanos: u64, count: u64, into: &Histogram) {
        let bucket = bucket_of(nanos);
        if bucket != self.bucket {
            self.flush(into);
            self.bucket = bucket;
        }
        self.count += count;
        self.sum += nanos * count;
    }

    pub(crate) fn flush(&mut self, into: &Histogram) {
        if self.count == 0 {
            return;
        }
        if self.alone {
            into.add_alone(self.bucket, self.count, self.sum);
        } else {
            into.add(self.bucket, self.count, self.sum);
        }
        (self.count, self.sum) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_known_to_a_sixteenth() {
        for value in (0..200_000).chain((10..43).map(|e| (1u64 << e) + 12_345 % (1 << e))) {
            let back = value_of(bucket_of(value));
            assert!(value.abs_diff(back) * 16 <= value.max(1), "{value} came back as {back}");
        }
        for huge in [1 << 44, 1 << 60, u64::MAX] {
            assert_eq!(bucket_of(huge), BUCKETS - 1);
        }
    }

    #[test]
    fn quantiles_and_deltas_agree_with_what_was_recorded() {
        let histogram = Histogram::new();
        let mut tally = Tally::default();
        (1..=1000).for_each(|ms| tally.record(ms * 1_000_000, &histogram));
        tally.flush(&histogram);
        let seen = histogram.distribution();
        assert_eq!(seen.count, 1000);
        assert_eq!(seen.sum, Duration::from_millis(500_500));
        let near = |d: Duration, ms: u64| d.as_millis().abs_diff(u128::from(ms)) * 12 <= u128::from(ms);
        assert!(near(seen.p50, 500) && near(seen.p95, 950) && near(seen.p99, 990), "{seen:?}");

        let mut marks = Histogram::unseen();
        let mut passed_on = 0;
        histogram.deltas(&mut marks, u64::MAX, |_, n| passed_on += n);
        histogram.record(5);
        histogram.deltas(&mut marks, u64::MAX, |_, n| passed_on += n);
        assert_eq!(passed_on, 1001);
    }

    #[test]
    fn merged_histograms_have_the_quantiles_of_all_their_values() {
        // Nine fast ones here, and one slow one there: the mean of the medians would be half a second.
        let (fast, slow, all) = (Histogram::new(), Histogram::new(), Histogram::new());
        for _ in 0..9 {
            fast.record(1_000_000);
            all.record(1_000_000);
        }
        slow.record(1_000_000_000);
        all.record(1_000_000_000);
        let merged = Histogram::merged([&fast, &slow]);
        assert_eq!(merged, all.distribution());
        assert_eq!((merged.count, merged.sum), (10, Duration::from_millis(1_009)));
        assert!(merged.p50 < Duration::from_millis(2) && merged.p95 > Duration::from_millis(900), "{merged:?}");
    }

    #[test]
    fn a_flood_is_thinned_to_a_sample_of_the_same_distribution() {
        let histogram = Histogram::new();
        for _ in 0..90_000 {
            histogram.record(1_000);
        }
        for _ in 0..10_000 {
            histogram.record(1_000_000);
        }
        let mut passed_on = Vec::new();
        histogram.deltas(&mut Histogram::unseen(), 1_000, |value, n| passed_on.push((value, n)));
        assert_eq!(passed_on.iter().map(|(_, n)| n).collect::<Vec<_>>(), [&900, &100]);
    }
}
