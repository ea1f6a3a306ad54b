//! From a file's text to a [`Config`]: one tree of values that know where they stand, whatever the format; the environment put
//! into it; its shape held against the schema; then read, and checked for what it means.

mod overrides;
mod sections;
mod shape;
mod toml;
mod tree;
mod variables;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path as FilePath;

use crate::fault::{Fault, Faults, Place, Problem};
use crate::file::Config;
use crate::path::Path;
use sections::Sections;
use tree::Node;

/// The longest file that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// In which language a configuration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TOML.
    Toml,
    /// YAML, one document.
    Yaml,
}

impl Format {
    /// Goes by a file's ending: `.yaml` and `.yml` are YAML, all else is TOML.
    #[must_use]
    pub fn of(file: &FilePath) -> Self {
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml") { Self::Yaml } else { Self::Toml }
    }
}

impl Config {
    /// Reads and checks a file, TOML or YAML by its ending.
    ///
    /// `${NAME}` in a text is the value of that variable, `${NAME:-other}` the other text where it is not set, `$${` a `${`.
    /// Variables `ORCHESTRATOR_SECTION__SETTING` go before the file. `environment` holds both kinds:
    /// [`std::env::vars`], or what a test makes up.
    ///
    /// # Errors
    ///
    /// Tells everything that is wrong at once: a file that cannot be read, or faults of its language, or else of its shape and
    /// of what it means, the latter as far as the sections concerned have the right shape.
    pub fn load(
        file: impl AsRef<FilePath>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        Self::load_with(file, environment, |_| {})
    }

    /// Reads and checks a file, as `change` would have it: it is called before what cannot be meant is looked for, with
    /// sections that have not the right shape left out. For what a command line says in place of the file.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_with(
        file: impl AsRef<FilePath>,
        environment: impl IntoIterator<Item = (String, String)>,
        change: impl FnOnce(&mut Self),
    ) -> Result<Self, Faults> {
        let file = file.as_ref();
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| whole(&name, format!("cannot be read: {error}")))?;
        Self::parse_with(&name, &text, Format::of(file), environment, change)
    }

    /// Reads and checks a configuration's text; `name` is what faults call it. See [`load`](Self::load).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse(
        name: &str,
        text: &str,
        format: Format,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Faults> {
        Self::parse_with(name, text, format, environment, |_| {})
    }

    /// Reads and checks a configuration's text, as `change` would have it. See [`load_with`](Self::load_with).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn parse_with(
        name: &str,
        text: &str,
        format: Format,
        environment: impl IntoIterator<Item = (String, String)>,
        change: impl FnOnce(&mut Self),
    ) -> Result<Self, Faults> {
        if text.len() > LONGEST {
            return Err(whole(name, format!("has {} bytes; no more than {LONGEST} are read", text.len())));
        }
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let parsed = match format {
            Format::Toml => toml::parse(text),
            Format::Yaml => yaml::parse(text),
        };
        let mut tree = parsed.map_err(|faults| Faults::new(name, faults))?;
        let mut faults = overrides::apply(&mut tree, &environment);
        let unset = variables::insert(&mut tree, &environment);
        let paths: Vec<_> = unset.iter().map(|(_, problem)| problem.path.clone()).collect();
        faults.extend(unset.into_iter().map(|(place, problem)| problem.at(place)));
        read(tree, faults, &paths, change).map_err(|faults| Faults::new(name, faults))
    }

    /// Checks what it means, of one that was made without a file; [`load`](Self::load) has done so already.
    ///
    /// # Errors
    ///
    /// Tells everything that is wrong at once.
    pub fn check(&self) -> Result<(), Faults> {
        let problems = crate::check::problems(self, &BTreeSet::new());
        if problems.is_empty() {
            return Ok(());
        }
        Err(Faults::new("", problems.into_iter().map(|problem| problem.at(Place::Code)).collect()))
    }
}

/// Reads a tree whose texts are final; `faults` are those that it has already, `unset` the texts that should be others: nothing
/// is said of what these are now.
fn read(
    mut tree: Node,
    mut faults: Vec<Fault>,
    unset: &[Path],
    change: impl FnOnce(&mut Config),
) -> Result<Config, Vec<Fault>> {
    let is_set = |problem: &Problem| !unset.contains(&problem.path);
    let (json, mut problems) = shape::check(&mut tree);
    problems.retain(is_set);
    let mut sections = Sections::read(&json, &problems);
    change(&mut sections.config);
    sections.problems.extend(crate::check::problems(&sections.config, &sections.broken));
    sections.problems.retain(is_set);
    faults.extend(located(&tree, problems));
    // What cannot be read because of a text that should be another needs no second word.
    let is_new = |problem: &Problem| !unset.iter().any(|path| path.starts_with(&problem.path));
    faults.extend(located(&tree, sections.problems.into_iter().filter(is_new).collect()));
    if faults.is_empty() { Ok(sections.config) } else { Err(faults) }
}

fn located(tree: &Node, problems: Vec<Problem>) -> Vec<Fault> {
    problems
        .into_iter()
        .map(|problem| {
            let place = tree.place_of(&problem.path);
            problem.at(place)
        })
        .collect()
}

/// A fault of a file as a whole.
fn whole(name: &str, problem: String) -> Faults {
    Faults::new(name, vec![Problem::new(Path::root(), problem).at(Place::File { line: 1, column: 1 })])
}
