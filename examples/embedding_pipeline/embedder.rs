//! A small embedder that needs no model, with the price list of one: a fixed price for a call, and one for each text.

use std::sync::atomic::{AtomicU64, Ordering};

use prompt_orchestrator::prelude::*;

/// Length of a vector.
const DIMENSIONS: usize = 64;

/// Trigrams are told apart by their hash, up to this many.
const BUCKETS: usize = 4096;

/// Adds up the random directions of a text's letter trigrams, so that texts that share many of them point the same way.
///
/// Every call makes the table of directions anew, a quarter of a million numbers. That is work, not waiting, and it
/// stands for what a real model does once per call, however many the texts: reading its weights.
#[derive(Default)]
pub(crate) struct Trigrams {
    calls: AtomicU64,
    texts: AtomicU64,
}

impl Trigrams {
    /// Returns how often it was called, and with how many texts in all.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Relaxed), self.texts.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl Embedder for Trigrams {
    fn name(&self) -> &str {
        "trigrams-64"
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.texts.fetch_add(texts.len() as u64, Ordering::Relaxed);
        let table = table();
        Ok(texts.iter().map(|text| vector(text, &table)).collect())
    }
}

/// The direction of each bucket, the same in every call.
fn table() -> Vec<[f32; DIMENSIONS]> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut number = || {
        // Marsaglia's xorshift, 64 bits.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..BUCKETS).map(|_| std::array::from_fn(|_| number())).collect()
}

fn vector(text: &str, table: &[[f32; DIMENSIONS]]) -> Vec<f32> {
    let letters: Vec<char> = format!(" {} ", text.to_lowercase()).chars().collect();
    let mut sum = vec![0.0; DIMENSIONS];
    for trigram in letters.windows(3) {
        let hash = trigram.iter().fold(0_u64, |hash, letter| (hash ^ *letter as u64).wrapping_mul(0x0100_0000_01b3));
        let direction = &table[(hash % BUCKETS as u64) as usize];
        sum.iter_mut().zip(direction).for_each(|(sum, part)| *sum += part);
    }
    let length = sum.iter().map(|part| part * part).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    sum.iter_mut().for_each(|part| *part /= length);
    sum
}
