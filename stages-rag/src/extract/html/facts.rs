use std::collections::BTreeMap;

use crate::extract::{LONGEST_FACT, fact, head};

/// What a page says about itself.
#[derive(Debug, Default)]
pub(super) struct Facts {
    title: String,
    place: Place,
    known: BTreeMap<String, String>,
}

/// Where the page's title is: the first counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Ahead,
    Here,
    Behind,
    /// In another title, which nobody sees.
    Again,
}

impl Facts {
    pub(super) fn start(&mut self, element: &[u8], lang: &str, meta: &str, content: &str) {
        match element {
            b"title" => self.place = if self.place == Place::Ahead { Place::Here } else { Place::Again },
            b"html" => self.say("language", lang),
            b"meta" => {
                let named = |key: &&str| meta.eq_ignore_ascii_case(key);
                if let Some(key) = ["description", "author", "keywords"].into_iter().find(named) {
                    self.say(key, content);
                }
            }
            _ => {}
        }
    }

    pub(super) fn end(&mut self, element: &[u8]) {
        if element == b"title" {
            self.place = Place::Behind;
        }
    }

    /// Takes the text if it is a title's.
    pub(super) fn take_title(&mut self, text: &str) -> bool {
        if self.place == Place::Here {
            self.title.push_str(head(text, 2 * LONGEST_FACT));
        }
        matches!(self.place, Place::Here | Place::Again)
    }

    pub(super) fn finish(mut self) -> BTreeMap<String, String> {
        let title = std::mem::take(&mut self.title);
        self.say("title", &title);
        self.known
    }

    /// The first word on a matter counts.
    fn say(&mut self, key: &str, value: &str) {
        if let Some(value) = fact(value) {
            self.known.entry(key.to_owned()).or_insert(value);
        }
    }
}
