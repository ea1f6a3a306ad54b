//! A multiset of amounts of work that answers "how much of it is there, if none counts for more than this?" in a few steps.

/// Buckets per power of two, as a number of bits.
const SUB_BITS: u32 = 2;
const SUB: u64 = 1 << SUB_BITS;

/// Amounts of work in quarter-octave buckets, of which only those are kept that hold something.
///
/// All sums are exact: what was added can be taken away again without a rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pile {
    sum: u64,
    count: u64,
    /// In order of size.
    buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bucket {
    index: u16,
    count: u64,
    sum: u64,
}

/// Powers of two below the smallest bucket's end are one bucket: nothing is gained by telling microseconds apart.
const FLOOR: u64 = 1 << 16;

fn index_of(work: u64) -> u16 {
    let work = work.max(FLOOR);
    let exponent = work.ilog2();
    let sub = (work >> (exponent - SUB_BITS)) & (SUB - 1);
    (u64::from(exponent) * SUB + sub) as u16
}

/// No amount in a bucket is below this, but for those below the floor.
#[cfg(test)]
fn lower_end(index: u16) -> u64 {
    let (exponent, sub) = (u64::from(index) / SUB, u64::from(index) % SUB);
    (SUB + sub) << (exponent - u64::from(SUB_BITS))
}

impl Pile {
    /// All of it.
    pub(super) const fn sum(&self) -> u64 {
        self.sum
    }

    /// How many amounts.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Adds one amount.
    pub(super) fn add(&mut self, work: u64) {
        self.sum += work;
        self.count += 1;
        let index = index_of(work);
        match self.buckets.binary_search_by_key(&index, |b| b.index) {
            Ok(at) => {
                self.buckets[at].count += 1;
                self.buckets[at].sum += work;
            }
            Err(at) => self.buckets.insert(at, Bucket { index, count: 1, sum: work }),
        }
    }

    /// Takes away one amount that was added.
    ///
    /// # Panics
    ///
    /// May panic where it was not.
    pub(super) fn remove(&mut self, work: u64) {
        self.sum -= work;
        self.count -= 1;
        let at = self.buckets.binary_search_by_key(&index_of(work), |b| b.index).expect("what is taken away was added");
        let bucket = &mut self.buckets[at];
        bucket.count -= 1;
        bucket.sum -= work;
        if bucket.count == 0 {
            self.buckets.remove(at);
        }
    }

    /// The sum where each amount counts for at most `most`; within a fifth for those amounts that are within a fifth of it, and
    /// exact for all others.
    pub(super) fn capped(&self, most: u64) -> u64 {
        if self.count == 1 {
            return self.sum.min(most);
        }
        let edge = index_of(most);
        let mut over = 0;
        for bucket in self.buckets.iter().rev().take_while(|b| b.index >= edge) {
            over += bucket.sum.saturating_sub(bucket.count.saturating_mul(most));
        }
        self.sum - over
    }

    /// Whether the sums are those of the buckets, and the buckets those of what they hold.
    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        let in_order = self.buckets.windows(2).all(|w| w[0].index < w[1].index);
        let filled = self
            .buckets
            .iter()
            .all(|b| b.count > 0 && (b.index == index_of(0) || b.sum / b.count >= lower_end(b.index)));
        in_order
            && filled
            && self.sum == self.buckets.iter().map(|b| b.sum).sum::<u64>()
            && self.count == self.buckets.iter().map(|b| b.count).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_exact_and_capped_ones_within_a_fifth(amounts in vec(1_u64..40_000_000_000, 0..60), most in 1_000_000_u64..20_000_000_000, kept in 0_usize..60) {
            let mut pile = Pile::default();
            amounts.iter().for_each(|a| pile.add(*a));
            let kept = kept.min(amounts.len());
            amounts[kept..].iter().for_each(|a| pile.remove(*a));
            prop_assert!(pile.is_sound());
            prop_assert_eq!((pile.sum(), pile.count()), (amounts[..kept].iter().sum(), kept as u64));
            let exact: u64 = amounts[..kept].iter().map(|a| *a.min(&most)).sum();
            let capped = pile.capped(most);
            prop_assert!(capped >= exact && capped - exact <= exact / 5, "{} {}", capped, exact);
            prop_assert_eq!(pile.capped(u64::MAX), pile.sum());
        }
    }

    #[test]
    fn a_bucket_ends_where_the_next_begins() {
        for index in index_of(0)..index_of(u64::MAX) {
            let next = lower_end(index + 1);
            assert_eq!((index_of(next), index_of(next - 1)), (index + 1, index));
        }
    }
}
