//! A made-up corpus that is distributed like a real one: Zipf's law, a vocabulary of 50,000, stop words in front.

use prompt_orchestrator::rag::{Document, Fingerprint};
use prompt_orchestrator::retrieval::{Passage, Source};

const VOCABULARY: usize = 50_000;
const PASSAGES_PER_DOCUMENT: usize = 10;

/// What comes most often in English, the most frequent first.
const STOP_WORDS: &str = "the of and to in a is that for it as was with be by on not he his but at are this have from \
                          or had an they which you were their been has will would if there can when who no what so";

pub(crate) struct Corpus {
    words: Vec<String>,
    /// Up to each word, the sum of the frequencies.
    frequencies: Vec<f64>,
    stop_words: usize,
    random: fastrand::Rng,
}

impl Corpus {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut words: Vec<String> = STOP_WORDS.split_whitespace().map(str::to_owned).collect();
        let stop_words = words.len();
        let mut known: std::collections::HashSet<String> = words.iter().cloned().collect();
        while words.len() < VOCABULARY {
            let word = word(&mut random);
            if known.insert(word.clone()) {
                words.push(word);
            }
        }
        let mut sum = 0.0;
        let frequencies = (1..=VOCABULARY).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self { words, frequencies: frequencies.collect(), stop_words, random }
    }

    /// Makes the next documents, numbered from `first`, with the metadata `tenant` (one of 20) and `kind` (one of 3).
    pub(crate) fn documents(&mut self, first: usize, count: usize) -> Vec<Document> {
        (first..first + count).map(|number| self.document(number)).collect()
    }

    fn document(&mut self, number: usize) -> Document {
        let name = format!("folder{}/document{number}.md", number % 100);
        let title = self.sentence(4);
        let passages = (0..PASSAGES_PER_DOCUMENT).map(|part| {
            let headings = vec![title.clone(), self.sentence(3)];
            let length = self.random.usize(100..=150);
            let line = 20 * part as u32 + 1;
            let source = Source::new(name.as_str()).headings(headings).lines(line, line + 18);
            Passage::new(self.sentence(length), source, 0.0)
                .with_metadata("tenant", format!("tenant{}", number % 20))
                .with_metadata("kind", ["guide", "reference", "note"][number % 3])
        });
        let passages = passages.collect();
        Document::new(name.as_str(), Fingerprint(number as u64), passages)
    }

    /// Makes a question of 2 to 8 words that say something, as frequent as they are in the texts.
    pub(crate) fn question(&mut self) -> String {
        let (length, stop_words) = (self.random.usize(2..=8), self.stop_words);
        let words: Vec<usize> =
            std::iter::repeat_with(|| self.draw()).filter(|word| *word >= stop_words).take(length).collect();
        let words: Vec<&str> = words.into_iter().map(|word| self.words[word].as_str()).collect();
        words.join(" ")
    }

    fn sentence(&mut self, words: usize) -> String {
        let mut text = String::with_capacity(words * 8);
        for place in 0..words {
            let word = self.draw();
            text.push_str(&self.words[word]);
            text.push_str(if place % 12 == 11 { ". " } else { " " });
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn draw(&mut self) -> usize {
        let all = self.frequencies[VOCABULARY - 1];
        let at = self.random.f64() * all;
        self.frequencies.partition_point(|sum| *sum < at)
    }
}

/// Makes a word of two to five syllables.
fn word(random: &mut fastrand::Rng) -> String {
    let mut word = String::new();
    for _ in 0..random.usize(2..=5) {
        word.push_str(
            random.choice(["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr"]).expect("some"),
        );
        word.push_str(random.choice(["a", "e", "i", "o", "u", "ea", "ing", "er"]).expect("some"));
    }
    word
}
