//! The index over words in several languages, through the public API.

use std::num::NonZeroUsize;

use orchestrator_core::prelude::*;
use stages_rag::{Bm25Index, Document, Fingerprint, Index, Language, Languages};

/// A folder of one document for each language, named by it.
const MIXED: &[(&str, &str)] = &[
    ("en", "Pending requests are shed when the queue is full, and the caller hears about it at once."),
    ("de", "Die Katzen schlafen auf den warmen Dächern der alten Häuser, und niemand weckt sie."),
    ("fr", "Les chevaux traversaient les rivières gelées pendant que les enfants dormaient encore."),
    ("es", "Los niños cantaban canciones antiguas mientras sus abuelas preparaban la comida."),
    ("ru", "Старые корабли стояли в гавани, и моряки рассказывали друг другу длинные истории."),
    ("fi", "Kissat nukkuvat talojen katoilla, eikä kukaan herätä niitä ennen kuin aurinko nousee."),
    ("zh", "猫在温暖的屋顶上睡觉，谁也不去叫醒它们。"),
    ("ja", "東京の図書館では、子どもたちが静かに本を読んでいる。"),
    ("ko", "고양이들이 따뜻한 지붕 위에서 잠을 잔다. 아무도 깨우지 않는다."),
    ("th", "แมวนอนหลับอยู่บนหลังคาบ้านเก่าและไม่มีใครปลุกมัน"),
];

async fn index(languages: Languages, texts: &[(&str, &str)]) -> Bm25Index {
    let index = Bm25Index::builder().languages(languages).in_memory().expect("an index");
    let document = |(name, text): &(&str, &str)| {
        Document::new(*name, Fingerprint(0), vec![Passage::new(*text, Source::new(*name), 0.0)])
    };
    index.put(texts.iter().map(document).collect()).await.expect("put");
    index.commit().await.expect("committed");
    index
}

async fn search(index: &Bm25Index, query: &str) -> Vec<(String, f32)> {
    let limit = NonZeroUsize::new(100).expect("not zero");
    let found = index.retrieve(&Query::new(query, limit)).await.expect("a query never fails");
    found.into_iter().map(|passage| (passage.source.document, passage.score)).collect()
}

async fn names(index: &Bm25Index, query: &str) -> Vec<String> {
    search(index, query).await.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test]
async fn other_forms_of_a_word_are_found_in_its_language() {
    let index = index(Languages::Detect, MIXED).await;
    for (query, name) in [
        ("Is anything shedding?", "en"),
        ("Wo schläft die Katze?", "de"),
        ("altes Haus", "de"),
        ("le cheval traverse la rivière", "fr"),
        ("RIVIÈRE", "fr"),
        ("¿Qué canta el niño?", "es"),
        ("NINOS", "es"),
        ("какая история у моряка", "ru"),
        ("kissan talo", "fi"),
        ("屋顶", "zh"),
        ("猫在哪里？", "zh"),
        ("図書館", "ja"),
        ("ﾄｳｷｮｳ 東京", "ja"),
        ("本", "ja"),
        ("고양이", "ko"),
        ("지붕", "ko"),
        ("หลังคา", "th"),
    ] {
        assert_eq!(names(&index, query).await.first().map(String::as_str), Some(name), "{query}");
    }
    for query in ["was ist das", "¿Qué es?", "qu'est-ce que c'est", "что это", "what is it?", "Fahrrad", "自転車"]
    {
        assert_eq!(names(&index, query).await, [""; 0], "{query}");
    }
}

/// "Die" is an article in German and a verb in English; "war" was, or fights.
#[tokio::test]
async fn a_stop_word_of_one_language_is_a_word_in_another() {
    let texts = [
        ("en", "They fight a war because they would rather die than give in to what the others want of them."),
        ("de", "Es war einmal ein König, der hatte eine Tochter, und die war schöner als alle anderen."),
    ];
    let index = index(Languages::Detect, &texts).await;
    assert_eq!(names(&index, "die").await, ["en"]);
    assert_eq!(names(&index, "war").await, ["en"]);
    assert_eq!(names(&index, "Könige").await, ["de"]);
}

#[tokio::test]
async fn a_word_counts_once_however_many_languages_know_it() {
    let english = "The computer in the library is older than the building that it has been put into.";
    let german = "Der Computer in der Bibliothek ist älter als das Gebäude, in das man ihn gestellt hat.";
    let alone = index(Languages::Detect, &[("a", english), ("b", english)]).await;
    let mixed = index(Languages::Detect, &[("a", english), ("b", german)]).await;
    let (alone, mixed) = (search(&alone, "computer").await, search(&mixed, "computer").await);
    assert_eq!((alone.len(), mixed.len()), (2, 2));
    // Both hold it once, and it is as frequent as before.
    let close = |one: f32, other: f32| (one - other).abs() < 0.05 * one;
    assert!(close(alone[0].1, mixed[0].1) && close(mixed[0].1, mixed[1].1), "{alone:?} {mixed:?}");

    // A word that a single document of its language holds is not rare for that.
    let mut texts = vec![("de", german), ("en", english)];
    let many: Vec<_> = (0..20).map(|i| (format!("en{i}"), english)).collect();
    texts.extend(many.iter().map(|(name, text)| (name.as_str(), *text)));
    let index = index(Languages::Detect, &texts).await;
    let found = search(&index, "computer").await;
    assert_eq!(found.len(), 22);
    assert!(close(found[0].1, found[21].1), "{found:?}");
}

#[tokio::test]
async fn a_language_can_be_fixed_for_all_or_named_for_one() {
    let texts = [("a", "Katzen"), ("b", "Häuser")];
    let detected = index(Languages::Detect, &texts).await;
    assert_eq!(names(&detected, "Haus").await, [""; 0]);
    let german = index(Languages::Only(Language::German), &texts).await;
    assert_eq!(names(&german, "Haus").await, ["b"]);
    assert_eq!(names(&german, "Katze").await, ["a"]);
    let whole = index(Languages::Only(Language::Other), &texts).await;
    assert_eq!(names(&whole, "katze").await, [""; 0]);
    assert_eq!(names(&whole, "KATZEN").await, ["a"]);

    let named = Bm25Index::in_memory().expect("an index");
    let passage = Passage::new("Häuser", Source::new("a"), 0.0).with_metadata("language", "de-AT");
    named.put(vec![Document::new("a", Fingerprint(0), vec![passage])]).await.expect("put");
    named.commit().await.expect("committed");
    assert_eq!(names(&named, "Haus").await, ["a"]);
}

#[tokio::test]
async fn a_language_is_asked_in_as_long_as_the_index_holds_it() {
    let index = index(Languages::Detect, MIXED).await;
    assert_eq!(names(&index, "Häuser").await, ["de"]);
    let others = MIXED.iter().filter(|(name, _)| *name != "de").map(|(name, _)| (*name).to_owned()).collect();
    index.remove(others).await.expect("removed");
    index.commit().await.expect("committed");
    assert_eq!(names(&index, "Haus").await, ["de"]);
    assert_eq!(names(&index, "shedding").await, [""; 0]);
}
