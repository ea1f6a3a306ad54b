use std::collections::HashSet;
use std::fmt;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use orchestrator_core::error::InvalidInput;

/// Which part of a prompt a template writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    System,
    Context,
    History,
    Question,
}

/// What every template sees.
const EVERYWHERE: [&str; 3] = ["metadata", "session", "tenant"];

impl Part {
    const ALL: [Self; 4] = [Self::System, Self::Context, Self::History, Self::Question];

    /// The name of the setting, of the template and of the fault.
    const fn name(self) -> &'static str {
        match self {
            Self::System => "system_template",
            Self::Context => "context_template",
            Self::History => "history_template",
            Self::Question => "question_template",
        }
    }

    /// What it sees beside what every template sees.
    const fn variables(self) -> &'static [&'static str] {
        match self {
            Self::System => &["system", "context", "passages", "turns", "question"],
            Self::Context => &["passages", "turns", "question"],
            Self::History => &["role", "text"],
            Self::Question => &["question", "context", "passages", "turns"],
        }
    }
}

/// The templates that a user has set, compiled.
#[derive(Debug, Clone)]
pub(super) struct Templates {
    env: Environment<'static>,
    /// The variables of each part's template; `None` where there is no template.
    parts: [Option<HashSet<String>>; 4],
    faults: Vec<InvalidInput>,
}

impl Default for Templates {
    fn default() -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|_| AutoEscape::None);
        Self { env, parts: [const { None }; 4], faults: Vec::new() }
    }
}

impl Templates {
    /// Compiles a template, or keeps what is wrong with it.
    pub(super) fn set(&mut self, part: Part, source: String) {
        self.faults.retain(|fault| fault.field() != part.name());
        let variables = match self.compile(part, source) {
            Ok(variables) => variables,
            Err(fault) => {
                self.faults.push(fault);
                HashSet::new()
            }
        };
        self.parts[part as usize] = Some(variables);
    }

    fn compile(&mut self, part: Part, source: String) -> Result<HashSet<String>, InvalidInput> {
        let name = part.name();
        self.env.add_template_owned(name, source).map_err(|error| {
            let line = error.line().unwrap_or(1);
            let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            InvalidInput::new(name, format!("has an error in line {line}: {what}"))
        })?;
        let template = self.env.get_template(name).expect("it was added");
        let mut used = template.undeclared_variables(false);
        let globals: HashSet<&str> = self.env.globals().map(|(name, _)| name).collect();
        used.retain(|name| !globals.contains(name.as_str()));
        let known = |name: &str| EVERYWHERE.contains(&name) || part.variables().contains(&name);
        let mut unknown: Vec<&String> = used.iter().filter(|name| !known(name)).collect();
        unknown.sort();
        match unknown.first() {
            Some(variable) => {
                let line = line_of(template.source(), variable);
                Err(InvalidInput::new(name, format!("has an error in line {line}: there is no variable `{variable}`")))
            }
            None => Ok(used),
        }
    }

    /// Returns the first thing that is wrong.
    pub(super) fn check(&self) -> Result<(), InvalidInput> {
        let fault = Part::ALL.iter().find_map(|part| self.faults.iter().find(|fault| fault.field() == part.name()));
        fault.map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Returns whether no part has a template.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.iter().all(Option::is_none)
    }

    /// Returns whether a part has a template.
    pub(super) const fn has(&self, part: Part) -> bool {
        self.parts[part as usize].is_some()
    }

    /// Returns whether a part has a template that uses a variable.
    pub(super) fn uses(&self, part: Part, variable: &str) -> bool {
        self.parts[part as usize].as_ref().is_some_and(|variables| variables.contains(variable))
    }

    /// Returns whether any template uses a variable.
    pub(super) fn any_uses(&self, variable: &str) -> bool {
        Part::ALL.iter().any(|part| self.uses(*part, variable))
    }

    pub(super) fn render(&self, part: Part, scope: Value) -> Result<String, TemplateError> {
        let name = part.name();
        let template = self.env.get_template(name).map_err(|source| TemplateError::new(name, source))?;
        template.render(scope).map_err(|source| TemplateError::new(name, source))
    }
}

/// The line of the first tag that holds a name as a word, from 1.
fn line_of(source: &str, name: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    // What stands between `{` and `}` is a tag, or text that happens to have braces.
    for tag in source.split_inclusive('}') {
        let open = tag.find("{{").or_else(|| tag.find("{%")).unwrap_or(tag.len());
        let mut words = tag[open..].split(|c| !is_word(c));
        if let Some(word) = words.find(|word| *word == name) {
            // `word` is a part of `source`.
            let place = word.as_ptr() as usize - source.as_ptr() as usize;
            return 1 + source[..place].matches('\n').count();
        }
    }
    1
}

/// A template that could not be rendered for a request: a metadata key that the caller did not attach, a filter on the
/// wrong kind of value.
///
/// What is wrong with a template by itself is a fault of the [`BuildError`](orchestrator_core::error::BuildError).
#[derive(Debug)]
pub struct TemplateError {
    template: &'static str,
    source: minijinja::Error,
}

impl TemplateError {
    const fn new(template: &'static str, source: minijinja::Error) -> Self {
        Self { template, source }
    }

    /// Returns the setting that holds the template: `context_template`.
    #[must_use]
    pub const fn template(&self) -> &'static str {
        self.template
    }

    /// Returns the line that failed, from 1, where it is known.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.source.line()
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the `{}` cannot be rendered", self.template)?;
        match self.line() {
            Some(line) => write!(f, ": line {line}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TemplateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
