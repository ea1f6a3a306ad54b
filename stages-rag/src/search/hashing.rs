use std::num::NonZeroUsize;

use orchestrator_core::error::WorkerError;
use orchestrator_core::prelude::async_trait;
use orchestrator_core::retrieval::Embedder;

/// Dimensions unless the caller says otherwise.
const DIMENSIONS: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");

/// Letters of the pieces that words are cut into, so that "queues" is near to "queue".
const PIECE: usize = 3;

/// Embeds texts by hashing their words and pieces of words: for tests and demonstrations, because it knows no meanings.
///
/// Texts that share words are near to each other and synonyms are not. It needs no model and no server, and gives the
/// same vectors in every run and on every machine: of unit length, of 256 dimensions unless
/// [`with_dimensions`](Self::with_dimensions) says otherwise. Use the embedder of a model server for a product.
///
/// Words are compared in lower case. A text without any letter or digit is hashed as one word.
///
/// # Examples
///
/// ```
/// use orchestrator_core::prelude::*;
/// use stages_rag::HashingEmbedder;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let vectors = HashingEmbedder::default().embed(&["A full queue", "full queues", "blanks"]).await?;
/// let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
/// assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]));
/// # Ok::<_, BoxError>(())
/// # })?;
/// # Ok::<_, BoxError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HashingEmbedder {
    dimensions: NonZeroUsize,
    name: String,
}

impl HashingEmbedder {
    /// Makes vectors of so many dimensions; the fewer there are, the more words fall together.
    #[must_use]
    pub fn with_dimensions(dimensions: NonZeroUsize) -> Self {
        Self { dimensions, name: format!("hashing-{dimensions}") }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions.get()];
        let text = text.to_lowercase();
        let mut words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).peekable();
        if words.peek().is_none() {
            add(&mut vector, &text, 1.0);
        }
        words.for_each(|word| add_word(&mut vector, word));
        let length = vector.iter().map(|component| component * component).sum::<f32>().sqrt();
        if length == 0.0 {
            // The words have cancelled each other out.
            vector[0] = 1.0;
            return vector;
        }
        vector.into_iter().map(|component| component / length).collect()
    }
}

impl Default for HashingEmbedder {
    fn default() -> Self {
        Self::with_dimensions(DIMENSIONS)
    }
}

#[async_trait]
impl Embedder for HashingEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        Ok(texts.iter().map(|text| self.vector(text)).collect())
    }
}

/// Adds a word, and with less weight its pieces between its beginning and its end.
fn add_word(vector: &mut [f32], word: &str) {
    add(vector, word, 1.0);
    let bounded: Vec<char> = std::iter::once('<').chain(word.chars()).chain(std::iter::once('>')).collect();
    for piece in bounded.windows(PIECE) {
        add(vector, &piece.iter().collect::<String>(), 0.5);
    }
}

/// Adds a feature where its hash says, with the sign that its hash says, so that collisions cancel out on average.
fn add(vector: &mut [f32], feature: &str, weight: f32) {
    let hash = hash(feature);
    let dimensions = vector.len() as u64;
    let place = usize::try_from((hash >> 1) % dimensions).expect("less than the length of a slice");
    vector[place] += if hash & 1 == 0 { weight } else { -weight };
}

/// FNV-1a of 64 bits, and a last mixing, because its low bits alone are poor.
fn hash(feature: &str) -> u64 {
    let fnv = feature
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_on_every_machine() {
        assert_eq!(hash("queue"), 727_594_349_092_487_184);
    }

    #[test]
    fn every_text_has_a_vector_of_unit_length() {
        let embedder = HashingEmbedder::with_dimensions(NonZeroUsize::new(3).expect("not zero"));
        for text in ["", " ", "?!", "a", "queue queues", "ÄÖ ß", "a b c d e f g h i j k l m n o p"] {
            let length: f32 = embedder.vector(text).iter().map(|component| component * component).sum();
            assert!((length - 1.0).abs() < 1e-5, "{text:?}: {length}");
        }
    }

    #[test]
    fn case_and_signs_between_words_do_not_count() {
        let embedder = HashingEmbedder::default();
        assert_eq!(embedder.vector("Full, QUEUE"), embedder.vector("full queue"));
        assert_ne!(embedder.vector("full"), embedder.vector("queue"));
    }
}
