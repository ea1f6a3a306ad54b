use siphasher::sip::SipHasher13;

/// The step of SplitMix64: 2^64 divided by the golden ratio, made odd.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of a session: SipHash-1-3 of its UTF-8 bytes, both keys zero.
///
/// Fixed, so that a session has the same home in every run, on every machine and in every version.
pub(super) fn hash(session: &str) -> u64 {
    SipHasher13::new().hash(session.as_bytes())
}

/// Returns which of `shards` ranks first for a session by its hash, among those that `suits` names.
///
/// Rendezvous hashing: each shard has a weight for the session, and the highest wins. A shard more takes from every other
/// its share, and nothing else moves; where the first may not take a session, the next in the same ranking does.
pub(super) fn first(hash: u64, shards: usize, mut suits: impl FnMut(usize) -> bool) -> Option<usize> {
    (0..shards).filter(|shard| suits(*shard)).max_by_key(|shard| weight(hash, *shard))
}

/// Returns the shard that ranks first among all of them; 0 where there are none.
pub(super) fn home(hash: u64, shards: usize) -> usize {
    first(hash, shards, |_| true).unwrap_or(0)
}

/// The weight of a shard for a session: number `shard` of what SplitMix64 gives out when it is seeded with the hash.
fn weight(hash: u64, shard: usize) -> u64 {
    let mut z = hash.wrapping_add(STEP.wrapping_mul(shard as u64 + 1));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSIONS: usize = 100_000;

    fn hashes() -> Vec<u64> {
        (0..SESSIONS).map(|n| hash(&format!("session-{n}"))).collect()
    }

    #[test]
    fn sessions_spread_evenly() {
        let hashes = hashes();
        for shards in [2, 3, 8, 64] {
            let mut at_home = vec![0_usize; shards];
            for hash in &hashes {
                at_home[home(*hash, shards)] += 1;
            }
            let even = SESSIONS as f64 / shards as f64;
            for (shard, sessions) in at_home.into_iter().enumerate() {
                let off = (sessions as f64 / even - 1.0).abs();
                assert!(off <= 0.10, "shard {shard} of {shards} has {sessions} sessions, {even} would be even");
            }
        }
    }

    #[test]
    fn a_shard_more_takes_its_share_and_moves_nothing_else() {
        let hashes = hashes();
        for shards in [1, 2, 3, 7, 8, 63] {
            let mut moved = 0;
            for hash in &hashes {
                let (before, after) = (home(*hash, shards), home(*hash, shards + 1));
                assert!(before == after || after == shards, "moved from {before} to {after} of {}", shards + 1);
                moved += usize::from(before != after);
            }
            let share = moved as f64 / SESSIONS as f64;
            assert!(share <= 1.0 / (shards + 1) as f64 + 0.01, "{share} moved from {shards} shards to one more");
        }
    }

    /// Reckoned by other means: CPython's SipHash-1-3 under `PYTHONHASHSEED=0`, and SplitMix64 on its integers.
    #[test]
    fn homes_are_the_same_in_every_version() {
        let homes = |shards| ["a", "anna", "session-1", "Grüße", "42"].map(|session| home(hash(session), shards));
        assert_eq!(hash("anna"), 3_014_722_829_449_627_029);
        assert_eq!(homes(2), [1, 0, 1, 0, 1]);
        assert_eq!(homes(64), [3, 61, 38, 33, 19]);
    }

    #[test]
    fn who_is_turned_away_goes_to_the_next_in_the_ranking() {
        let hash = hash("anna");
        let mut ranking = Vec::new();
        while let Some(next) = first(hash, 8, |shard| !ranking.contains(&shard)) {
            ranking.push(next);
        }
        assert_eq!(ranking.len(), 8);
        assert_eq!(ranking[0], home(hash, 8));
        assert!(ranking.is_sorted_by_key(|shard| std::cmp::Reverse(weight(hash, *shard))));
    }
}
