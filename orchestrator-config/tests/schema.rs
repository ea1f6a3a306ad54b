//! The published schema, and the guide, say what the types say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use orchestrator_config::file::Config;
use orchestrator_config::{Format, schema};
use serde_json::Value;

fn docs(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(docs(file)).unwrap_or_else(|error| panic!("docs/{file}: {error}"))
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let made = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(docs("config.schema.json"), &made).expect("it can be written");
    }
    assert!(
        read("config.schema.json") == made,
        "write it anew: UPDATE_SCHEMA=1 cargo test -p orchestrator-config --test schema"
    );
}

#[test]
fn nothing_in_the_schema_may_be_null() {
    let text = schema().to_string();
    assert!(!text.contains("\"null\"") && !text.contains(":null"), "{text}");
}

/// What each table of the guide names: by the definition of the schema that stands above it as `<!-- schema: Name -->`.
fn tables(guide: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut current = None;
    for line in guide.lines() {
        if let Some(name) = line.strip_prefix("<!-- schema: ").and_then(|rest| rest.strip_suffix(" -->")) {
            current = Some(name.to_owned());
            tables.entry(name.to_owned()).or_default();
        } else if let (Some(name), Some(row)) = (&current, line.strip_prefix("| `")) {
            let mut cells = row.split(" | ");
            let setting = cells.next().unwrap_or_default().trim_end_matches('`').to_owned();
            let default = cells.next().unwrap_or_default().trim_matches('`').to_owned();
            tables.entry(name.clone()).or_default().push((setting, default));
        } else if !line.starts_with('|') {
            current = None;
        }
    }
    tables
}

fn properties(schema: &Value, name: &str) -> BTreeMap<String, String> {
    let part = if name == "Config" { schema } else { &schema["$defs"][name] };
    let properties = part["properties"].as_object().unwrap_or_else(|| panic!("the schema has no `{name}`"));
    let default = |property: &Value| match &property["default"] {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("{}", number.as_f64().unwrap_or_default() as f32),
        Value::Null | Value::Object(_) | Value::Array(_) => String::new(),
        other => other.to_string(),
    };
    properties.iter().map(|(name, property)| (name.clone(), default(property))).collect()
}

#[test]
fn the_tables_of_the_guide_name_every_setting_and_its_default() {
    let (schema, guide) = (schema(), read("configuration.md"));
    let tables = tables(&guide);
    let sections = [
        "Config",
        "Listener",
        "Limits",
        "Telemetry",
        "Pool",
        "MemberSettings",
        "Retry",
        "Breaker",
        "Pipeline",
        "Queue",
        "CoDel",
        "Model",
        "Key",
        "Tenant",
        "RateLimit",
        "Timeouts",
    ];
    for section in sections {
        let written = tables.get(section).unwrap_or_else(|| panic!("the guide has no table of `{section}`"));
        let known = properties(&schema, section);
        let names: Vec<_> = written.iter().map(|(name, _)| name).collect();
        assert_eq!(
            known.keys().collect::<Vec<_>>(),
            {
                let mut sorted = names.clone();
                sorted.sort();
                sorted
            },
            "{section}"
        );
        for (name, default) in written {
            if !known[name].is_empty() {
                assert_eq!(&known[name], default, "{section}.{name}");
            }
        }
    }
    for (table, tag) in [("Worker", "kind"), ("Stage", "stage")] {
        let written: Vec<_> = tables[table].iter().map(|(name, _)| name.clone()).collect();
        for choice in schema["$defs"][table]["oneOf"].as_array().expect("kinds") {
            for name in choice["properties"].as_object().expect("settings").keys().filter(|name| *name != tag) {
                assert!(written.contains(name), "the guide's table of `{table}` has no `{name}`");
            }
        }
    }
}

#[test]
fn the_files_in_the_guide_can_be_used() {
    let guide = read("configuration.md");
    let blocks: Vec<_> = guide.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        Config::parse("guide", block, Format::Toml, []).unwrap_or_else(|faults| panic!("{faults}\n{block}"));
    }
}
