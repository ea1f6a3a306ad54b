use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::fault::Problem;
use crate::file::Config;
use crate::path::{Path, Step};

/// What of a file can be read, section by section.
pub(super) struct Sections {
    /// Sections of the wrong shape are as if they were not there.
    pub(super) config: Config,
    /// Their names.
    pub(super) broken: BTreeSet<String>,
    /// What keeps a section from being read that has the shape which the schema says.
    pub(super) problems: Vec<Problem>,
}

impl Sections {
    /// Reads those in which there is no problem of shape.
    pub(super) fn read(json: &Json, problems: &[Problem]) -> Self {
        let mut sections = Self { config: Config::default(), broken: BTreeSet::new(), problems: Vec::new() };
        sections.broken.extend(problems.iter().filter_map(|problem| section(&problem.path)));
        let mut whole = Map::new();
        for (name, value) in json.as_object().into_iter().flatten() {
            if !sections.broken.contains(name) && sections.is_read(name, value) {
                whole.insert(name.clone(), value.clone());
            }
        }
        match Config::deserialize(Json::Object(whole)) {
            Ok(config) => sections.config = config,
            Err(error) => sections.problems.push(unreadable(Path::root(), &error)),
        }
        sections
    }

    fn is_read(&mut self, name: &str, value: &Json) -> bool {
        let alone = Json::Object(Map::from_iter([(name.to_owned(), value.clone())]));
        let Err(error) = Config::deserialize(alone) else { return true };
        self.broken.insert(name.to_owned());
        self.problems.push(unreadable(Path::root().key(name), &error));
        false
    }
}

fn unreadable(path: Path, error: &serde_json::Error) -> Problem {
    Problem::new(path, format!("cannot be read: {error}"))
}

fn section(path: &Path) -> Option<String> {
    match path.steps().first()? {
        Step::Key(name) => Some(name.clone()),
        Step::Index(_) => None,
    }
}
