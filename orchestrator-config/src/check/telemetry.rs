use crate::fault::Problem;
use crate::file::Telemetry;
use crate::path::Path;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What is logged: a level that is none would be taken for a module, and mute all others.
pub(super) fn problems(telemetry: &Telemetry) -> Option<Problem> {
    let level = |filter: &'_ str| filter.split_once('=').map_or(filter, |(_, level)| level).to_owned();
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let wrong = telemetry.level.split(',').map(level).find(|word| !is_level(word))?;
    let levels: Vec<_> = LEVELS.map(str::to_owned).into();
    let expected = crate::words::one_of_or_near(&wrong, &levels);
    let problem = Problem::new(Path::root().key("telemetry").key("level"), format!("`{wrong}` is no level"));
    Some(problem.expected(format!("levels, or `module=level`, with commas between them: {expected}")))
}
