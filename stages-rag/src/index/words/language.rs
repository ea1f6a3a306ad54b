use orchestrator_core::retrieval::Passage;
use tantivy::tokenizer::Language as Stemmer;
use whatlang::{Lang, Script};

use super::terms::beginning;

/// The metadata key that says which language a document is in, as an ISO 639-1 code: `de`, or `de-AT`.
const METADATA_KEY: &str = "language";

/// How much of a document is looked at to tell its language, in bytes; it costs about 0.1 ms.
const SAMPLE: usize = 800;

/// A language whose words are found in all their forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say it")]
pub enum Language {
    Arabic,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
    /// Any other: words are found as they stand.
    Other,
}

/// Which languages the documents of an index are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Languages {
    /// Each document in its own: the one that the metadata `language` of its first passage names by its ISO 639-1 code,
    /// else the one that its text shows. A text that is too short to tell counts as English where it is written in Latin
    /// letters, as Russian, Greek, Arabic or Tamil where it is written in theirs.
    #[default]
    Detect,
    /// All in one.
    Only(Language),
}

/// The languages with the codes that stand before their terms, in the order of [`Language`].
const CODES: [(Language, &str); 19] = [
    (Language::Arabic, "ar"),
    (Language::Danish, "da"),
    (Language::Dutch, "nl"),
    (Language::English, "en"),
    (Language::Finnish, "fi"),
    (Language::French, "fr"),
    (Language::German, "de"),
    (Language::Greek, "el"),
    (Language::Hungarian, "hu"),
    (Language::Italian, "it"),
    (Language::Norwegian, "no"),
    (Language::Portuguese, "pt"),
    (Language::Romanian, "ro"),
    (Language::Russian, "ru"),
    (Language::Spanish, "es"),
    (Language::Swedish, "sv"),
    (Language::Tamil, "ta"),
    (Language::Turkish, "tr"),
    (Language::Other, "xx"),
];

impl Language {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        CODES.iter().map(|&(language, _)| language)
    }

    /// Returns its ISO 639-1 code, two letters; `xx` for [`Other`](Self::Other).
    pub(super) const fn code(self) -> &'static str {
        CODES[self as usize].1
    }

    pub(super) fn from_code(code: &str) -> Option<Self> {
        CODES.iter().find(|(_, known)| *known == code).map(|&(language, _)| language)
    }

    /// Reads a language tag as users write it: `de`, `de-AT`, `DE`, `nb`.
    fn from_tag(tag: &str) -> Self {
        let code = tag.split(['-', '_']).next().unwrap_or(tag).to_ascii_lowercase();
        match code.as_str() {
            "nb" | "nn" => Self::Norwegian,
            code => Self::from_code(code).unwrap_or(Self::Other),
        }
    }

    /// Returns the stemmer among tantivy's.
    pub(super) const fn stemmer(self) -> Option<Stemmer> {
        Some(match self {
            Self::Arabic => Stemmer::Arabic,
            Self::Danish => Stemmer::Danish,
            Self::Dutch => Stemmer::Dutch,
            Self::English => Stemmer::English,
            Self::Finnish => Stemmer::Finnish,
            Self::French => Stemmer::French,
            Self::German => Stemmer::German,
            Self::Greek => Stemmer::Greek,
            Self::Hungarian => Stemmer::Hungarian,
            Self::Italian => Stemmer::Italian,
            Self::Norwegian => Stemmer::Norwegian,
            Self::Portuguese => Stemmer::Portuguese,
            Self::Romanian => Stemmer::Romanian,
            Self::Russian => Stemmer::Russian,
            Self::Spanish => Stemmer::Spanish,
            Self::Swedish => Stemmer::Swedish,
            Self::Tamil => Stemmer::Tamil,
            Self::Turkish => Stemmer::Turkish,
            Self::Other => return None,
        })
    }

    const fn detected(lang: Lang) -> Self {
        match lang {
            Lang::Ara => Self::Arabic,
            Lang::Dan => Self::Danish,
            Lang::Nld => Self::Dutch,
            Lang::Eng => Self::English,
            Lang::Fin => Self::Finnish,
            Lang::Fra => Self::French,
            Lang::Deu => Self::German,
            Lang::Ell => Self::Greek,
            Lang::Hun => Self::Hungarian,
            Lang::Ita => Self::Italian,
            Lang::Nob => Self::Norwegian,
            Lang::Por => Self::Portuguese,
            Lang::Ron => Self::Romanian,
            Lang::Rus => Self::Russian,
            Lang::Spa => Self::Spanish,
            Lang::Swe => Self::Swedish,
            Lang::Tam => Self::Tamil,
            Lang::Tur => Self::Turkish,
            _ => Self::Other,
        }
    }

    /// The most likely one where only the script is certain.
    const fn of_script(script: Script) -> Self {
        match script {
            Script::Latin => Self::English,
            Script::Cyrillic => Self::Russian,
            Script::Greek => Self::Greek,
            Script::Arabic => Self::Arabic,
            Script::Tamil => Self::Tamil,
            _ => Self::Other,
        }
    }

    /// Tells the language of a text by its letters.
    fn of_text(text: &str) -> Self {
        match whatlang::detect(text) {
            Some(found) if found.is_reliable() => Self::detected(found.lang()),
            Some(found) => Self::of_script(found.script()),
            None => Self::English,
        }
    }
}

impl Languages {
    /// Returns the language of a document of these passages.
    pub(super) fn of<'a>(self, passages: impl Iterator<Item = &'a Passage>) -> Language {
        if let Self::Only(language) = self {
            return language;
        }
        let mut passages = passages.peekable();
        if let Some(tag) = passages.peek().and_then(|first| first.metadata.get(METADATA_KEY)) {
            return Language::from_tag(tag);
        }
        let mut sample = String::new();
        for passage in passages {
            sample.push_str(beginning(&passage.text, SAMPLE.saturating_sub(sample.len())));
            sample.push('\n');
            if sample.len() >= SAMPLE {
                break;
            }
        }
        Language::of_text(&sample)
    }
}

#[cfg(test)]
mod tests {
    use orchestrator_core::retrieval::Source;

    use super::*;

    fn detected(text: &str) -> Language {
        Languages::Detect.of([Passage::new(text, Source::new("a"), 0.0)].iter())
    }

    #[test]
    fn each_code_stands_at_its_language() {
        for (place, (language, code)) in CODES.into_iter().enumerate() {
            assert_eq!(language as usize, place, "{code}");
            assert_eq!(code.len(), 2);
            assert_eq!(Language::from_code(code), Some(language));
        }
    }

    #[test]
    fn a_text_shows_its_language() {
        for (text, language) in [
            ("Pending requests are dropped when nobody is left to read what they would have said.", Language::English),
            ("Die Katzen schlafen auf dem warmen Dach.", Language::German),
            ("Les chats dorment sur le toit.", Language::French),
            ("Los gatos duermen en el tejado caliente.", Language::Spanish),
            ("Кошки спят на тёплой крыше.", Language::Russian),
            ("猫は暖かい屋根の上で眠る。", Language::Other),
        ] {
            assert_eq!(detected(text), language, "{text}");
        }
    }

    #[test]
    fn a_text_too_short_to_tell_goes_by_its_script() {
        for text in ["", "42", "needle", "The queue sheds.", "Queue, queue, shed.", "cargo bench --bench ratios"] {
            assert_eq!(detected(text), Language::English, "{text}");
        }
        assert_eq!(detected("мыши"), Language::Russian);
    }

    #[test]
    fn metadata_names_the_language_before_the_text_does() {
        let named = |tag: &str| {
            let passage = Passage::new("Les chats dorment sur le toit.", Source::new("a"), 0.0);
            Languages::Detect.of([passage.with_metadata("language", tag)].iter())
        };
        assert_eq!(named("de"), Language::German);
        assert_eq!(named("DE-at"), Language::German);
        assert_eq!(named("nb_NO"), Language::Norwegian);
        assert_eq!(named("pl"), Language::Other);
    }

    #[test]
    fn a_sample_ends_between_characters_and_crosses_passages() {
        let passage = |text: String| Passage::new(text, Source::new("a"), 0.0);
        let long = passage("ж".repeat(3 * SAMPLE));
        assert_eq!(Languages::Detect.of([long].iter()), Language::Russian);
        let pieces = "Die Katzen schlafen auf dem warmen Dach, und der Hund liegt daneben.".split(' ');
        let pieces: Vec<_> = pieces.map(|word| passage(word.to_owned())).collect();
        assert_eq!(Languages::Detect.of(pieces.iter()), Language::German);
    }
}
