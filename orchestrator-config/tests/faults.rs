//! What is said of files that are wrong: each fault with its place, its setting, and what was expected.

use orchestrator_config::Format;
use orchestrator_config::file::Config;

/// What there must be in every file for nothing else to be wrong.
const WORKER: &str = "[workers.w]\nkind = \"extractive\"\n";

fn said(text: &str, format: Format, environment: &[(&str, &str)]) -> Vec<String> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    match Config::parse("f", text, format, environment) {
        Ok(config) => panic!("nothing is wrong with {text}: {config:?}"),
        Err(faults) => faults.to_string().lines().map(str::to_owned).collect(),
    }
}

fn toml(text: &str) -> Vec<String> {
    said(text, Format::Toml, &[])
}

/// A file with a worker, whose first line is the fourth.
fn with_worker(text: &str) -> Vec<String> {
    toml(&format!("{WORKER}\n{text}"))
}

#[test]
fn a_file_that_is_no_toml_is_said_to_be_none_where_it_breaks_off() {
    let said = toml("[limits]\ngrace = \n");
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("f:2:9: is no TOML: "), "{said:?}");
    let said = toml("a = 1\na = 2\n");
    assert!(said[0].starts_with("f:2:1: is no TOML: duplicate key"), "{said:?}");
}

#[test]
fn a_file_that_is_no_yaml_is_said_to_be_none_where_it_breaks_off() {
    let yaml = |text: &str| said(text, Format::Yaml, &[]);
    let broken = yaml("workers: [\n");
    assert!(broken[0].starts_with("f:2:1: is no YAML: "), "{broken:?}");
    assert_eq!(yaml("limits: {}\nlimits: {}\n"), ["f:2:1: limits: stands there twice"]);
    assert_eq!(
        yaml("pools: {p: {members: [{worker: w, worker: w}]}}\n"),
        ["f:1:35: pools.p.members[0].worker: stands there twice"]
    );
    assert_eq!(yaml("a: &a [*a]\n"), ["f:1:8: repeats what it is part of"]);
    assert_eq!(yaml("? [a]\n: b\n"), ["f:1:3: is a key that is no text"]);
    assert_eq!(yaml("a: 1\n---\nb: 2\n"), ["f:3:1: is a second document; there can be one"]);
    let bomb = (1..8).fold("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let aliases = vec![format!("*a{}", n - 1); 10].join(",");
        format!("{text}a{n}: &a{n} [{aliases}]\n")
    });
    let said = yaml(&bomb);
    assert!(said[0].contains("aliases"), "{said:?}");
    let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
    assert_eq!(yaml(&deep), ["f:1:68: lies deeper than 64 lists and maps"]);
}

#[test]
fn values_of_the_wrong_kind_are_told_from_what_was_expected() {
    for (text, expected) in [
        (
            "[limits]\ngrace = \"10\"",
            "f:5:1: limits.grace: `10` is not a length of time; expected a number and its unit, such as 250ms, 10s or 2m 30s",
        ),
        ("[limits]\ngrace = 10", "f:5:1: limits.grace: is a number; expected a text"),
        ("[limits]\nheaders = 8191", "f:5:1: limits.headers: is too small; expected at least 8192"),
        ("[limits]\nbody = 0", "f:5:1: limits.body: is too small; expected at least 1"),
        ("[limits]\nbody = 1.5", "f:5:1: limits.body: is a number with a fraction; expected a whole number"),
        (
            "[[listeners]]\naddress = \"localhost\"",
            "f:5:1: listeners[0].address: `localhost` is not an address; expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080",
        ),
        (
            "[[keys]]\nsha256 = \"abc\"",
            "f:5:1: keys[0].sha256: its value is not a SHA-256; expected 64 hexadecimal digits",
        ),
        ("[telemetry]\nlogs = \"xml\"", "f:5:1: telemetry.logs: `xml` is not known; expected one of `pretty`, `json`"),
        ("[tenants.a]\nburst = 4294967296", "f:5:1: tenants.a.burst: is too large; expected at most 4294967295"),
        ("[pools.p]\nmembers = []", "f:5:1: pools.p.members: is empty; expected at least 1"),
        ("[pools.p]\nmembers = [1]", "f:5:12: pools.p.members[0]: is a number; expected a text, or a table"),
        ("[[models]]\nworker = \"w\"", "f:4:1: models[0]: `name` is missing; expected `name`, what it is asked for by"),
        (
            "[workers.x]\nurl = \"http://127.0.0.1:1\"",
            "f:4:10: workers.x: `kind` is missing; expected one of `extractive`, `llamacpp`, `vllm`, `auto`, `openai-compatible`, `openai`, `tgi`, `ollama`, `lm-studio`, `openrouter`, `mistral`",
        ),
        (
            "[workers.x]\nkind = \"openai-compatible\"",
            "f:4:10: workers.x: `url` is missing; expected `url`, where it is",
        ),
        (
            "[workers.x]\nkind = \"llamacpp\"\nurl = \"gpu:80\"",
            "f:6:1: workers.x.url: its value is not a URL; expected http:// or https:// and a host, such as http://127.0.0.1:8081",
        ),
    ] {
        assert_eq!(with_worker(text), [expected], "{text}");
    }
}

#[test]
fn unknown_names_bring_the_known_ones_with_them() {
    let said = with_worker("[limits]\ngrase = \"1s\"");
    assert_eq!(said.len(), 1);
    assert!(said[0].starts_with("f:5:1: limits.grase: is not known; expected one of `bodies`, `body`, "), "{said:?}");
    assert!(said[0].ends_with("; did you mean `grace`?"), "{said:?}");
    let said = with_worker("[workers.x]\nkind = \"lamacpp\"");
    assert!(
        said[0].starts_with("f:5:1: workers.x.kind: `lamacpp` is not known; expected one of `extractive`, `llamacpp`"),
        "{said:?}"
    );
    assert!(said[0].ends_with("did you mean `llamacpp`?"), "{said:?}");
    let said = with_worker("[workers.x]\nkind = \"openai\"\nweight = 2");
    assert!(
        said[0].starts_with("f:6:1: workers.x.weight: is not known; expected one of `connect_timeout`"),
        "{said:?}"
    );
    let said = with_worker("[pipelines.a]\nstages = [{ stage = \"infr\", worker = \"w\" }]");
    assert!(said[0].starts_with("f:5:13: pipelines.a.stages[0].stage: `infr` is not known"), "{said:?}");
    let said = with_worker("[pools.p]\nmembers = [{ worker = \"w\", wieght = 2 }]");
    assert!(said[0].starts_with("f:5:28: pools.p.members[0].wieght: is not known"), "{said:?}");
}

#[test]
fn what_cannot_be_meant_is_told_where_it_stands() {
    for (text, expected) in [
        (
            "[[models]]\nname = \"a\"\nworker = \"v\"",
            "f:6:1: models[0].worker: there is no worker or pool `v`; expected `w`",
        ),
        (
            "[[models]]\nname = \"a\"\npipeline = \"p\"",
            "f:6:1: models[0].pipeline: there is no pipeline `p`; expected nothing here",
        ),
        (
            "[[models]]\nname = \"a\"",
            "f:4:1: models[0]: nothing answers for it; expected `pipeline`, `worker` or `embeddings`",
        ),
        (
            "[[models]]\nname = \"a*b*\"\nworker = \"w\"",
            "f:5:1: models[0].name: `a*b*` has more than one `*`; expected a name, or a pattern with one `*`",
        ),
        (
            "[[models]]\nname = \"a\"\nworker = \"w\"\n[[models]]\nname = \"a\"\nworker = \"w\"",
            "f:8:1: models[1].name: there is a model `a` already; expected a name of its own",
        ),
        (
            "[[models]]\nname = \"a\"\nworker = \"w\"\nfallback = [\"a\"]",
            "f:7:13: models[0].fallback[0]: `a` is the model itself",
        ),
        (
            "[[models]]\nname = \"a\"\nworker = \"w\"\nfallback = [\"b\"]",
            "f:7:13: models[0].fallback[0]: there is no model `b`; expected `a`",
        ),
        (
            "[[models]]\nname = \"a\"\nembeddings = \"w\"",
            "f:6:1: models[0].embeddings: `w` does not embed; expected a worker with `embeddings`, or a pool of such",
        ),
        ("[pools.w]\nmembers = [\"w\"]", "f:4:8: pools.w: has the name of a worker; expected a name of its own"),
        ("[pools.p]\nmembers = [\"w\", \"w\"]", "f:5:17: pools.p.members[1]: `w` is a member already"),
        ("[pools.p]\nmembers = [\"v\"]", "f:5:12: pools.p.members[0]: there is no worker `v`; expected `w`"),
        (
            "[pools.p]\nmembers = [{ worker = \"w\", weight = 0 }]",
            "f:5:28: pools.p.members[0].weight: is 0; expected a number above zero",
        ),
        (
            "[pools.p]\nmembers = [\"w\"]\ngoal = \"1s\"",
            "f:6:1: pools.p.goal: has no meaning for this policy; expected `policy = \"cheapest\"`",
        ),
        (
            "[[listeners]]\naddress = \"0.0.0.0:80\"",
            "f:5:1: listeners[0].address: `0.0.0.0:80` is reached by others, who need no key; expected `[[keys]]`, or `public = true` for everybody",
        ),
        (
            "[tenants.a]\nburst = 5",
            "f:5:1: tenants.a.burst: limits nothing by itself; expected `requests_per_second` beside it",
        ),
        (
            "[[models]]\nname = \"gpt-*\"\nworker = \"w\"\nupstream = \"large-*\"",
            "f:7:1: models[0].upstream: `large-*` would be asked for with its `*`; expected one name for all, or nothing for the names as they were asked for",
        ),
        (
            "[telemetry]\nlevel = \"inof\"",
            "f:5:1: telemetry.level: `inof` is no level; expected levels, or `module=level`, with commas between them: one of `off`, `error`, `warn`, `info`, `debug`, `trace`; did you mean `info`?",
        ),
        (
            "[pools.p]\nmembers = [\"w\"]\nbreaker = { window = \"0s\" }",
            "f:6:13: pools.p.breaker.window: is zero; expected a time above zero",
        ),
        (
            "[pools.p]\nmembers = [{ worker = \"w\", breaker = { failure_rate = 0.0 } }]",
            "f:5:40: pools.p.members[0].breaker.failure_rate: is 0; expected a share above 0, and at most 1",
        ),
        (
            "[pools.p]\nmembers = [\"w\"]\nbreaker = { in_a_row = 0 }",
            "f:6:13: pools.p.breaker.in_a_row: is 0; expected a number above zero",
        ),
        (
            "[pools.p]\nmembers = [\"w\"]\nbreaker = { first_pause = \"20s\" }",
            "f:6:13: pools.p.breaker.first_pause: is longer than `longest_pause`; expected at most `longest_pause`, which may be set, too",
        ),
        (
            "[pools.p]\nmembers = [\"w\"]\nretry = { pause = \"11s\" }",
            "f:6:11: pools.p.retry.pause: is longer than `longest_pause`; expected at most `longest_pause`, which may be set, too",
        ),
        ("[limits]\nbodies = 1", "f:5:1: limits.bodies: is 1; expected at least `body`, the longest one"),
        ("[limits]\nidle_time = \"0s\"", "f:5:1: limits.idle_time: is zero; expected a time above zero"),
        (
            "[workers.x]\nkind = \"vllm\"\nurl = \"http://h\"\ncache_salt = \"short\"",
            "f:7:1: workers.x.cache_salt: must have 16 bytes at least",
        ),
        (
            "[workers.x]\nkind = \"openai-compatible\"\nurl = \"http://h\"\nheaders = { \"a b\" = \"c\" }",
            "f:7:1: workers.x.headers: `a b` is not a header's name",
        ),
    ] {
        assert_eq!(with_worker(text), [expected], "{text}");
    }
}

#[test]
fn levels_are_those_that_logs_know() {
    for level in ["off", "INFO", "info,workers_pool=debug", "orchestrator_core=trace"] {
        let text = format!("{WORKER}[telemetry]\nlevel = \"{level}\"");
        assert!(Config::parse("f", &text, Format::Toml, []).is_ok(), "{level}");
    }
    for level in ["", "loud", "info,", "info, debug", "info,workers_pool", "workers_pool=inof"] {
        let said = with_worker(&format!("[telemetry]\nlevel = \"{level}\""));
        assert!(said.len() == 1 && said[0].contains("is no level"), "{level}: {said:?}");
    }
}

#[test]
fn stages_that_do_not_fit_are_both_named() {
    let stages = |stages: &str| with_worker(&format!("[pipelines.p]\nstages = [{stages}]"));
    let infer = "{ stage = \"infer\", worker = \"w\" }";
    assert_eq!(
        stages(&format!("{infer}, {{ stage = \"assemble\" }}")),
        ["f:5:46: pipelines.p.stages[1]: `assemble` cannot stand behind `infer`; expected `post` or `stream` there"]
    );
    assert_eq!(
        stages("{ stage = \"post\" }"),
        [
            "f:5:11: pipelines.p.stages[0]: `post` cannot be the first stage; expected `rag`, `assemble` or `infer` there"
        ]
    );
    assert_eq!(
        stages(&format!("{{ stage = \"rag\", docs = \"d\" }}, {infer}")),
        ["f:5:42: pipelines.p.stages[1]: `infer` cannot stand behind `rag`; expected `assemble` there"]
    );
    let said =
        stages(&format!("{{ stage = \"post\" }}, {{ stage = \"stream\" }}, {infer}, {{ stage = \"assemble\" }}"));
    let places: Vec<_> = said.iter().map(|line| line.split(": ").nth(2).expect("what is wrong").to_owned()).collect();
    assert_eq!(
        places,
        [
            "`post` cannot be the first stage; expected `rag`, `assemble` or `infer` there",
            "`stream` cannot stand before a model is asked; expected `rag`, `assemble` or `infer` there",
            "`assemble` cannot stand behind `infer`; expected `post` or `stream` there",
        ]
    );
    let said = stages(&format!("{{ stage = \"rag\", docs = \"d\" }}, {infer}, {{ stage = \"post\" }}"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(
        stages("{ stage = \"assemble\" }"),
        ["f:5:1: pipelines.p.stages: end before a model is asked; expected `infer` there"]
    );
}

#[test]
fn what_the_stages_say_of_themselves_is_told_where_it_stands() {
    let stages = |stages: &str| with_worker(&format!("[pipelines.p]\nstages = [\n{stages}\n]"));
    let infer = "{ stage = \"infer\", worker = \"w\" },";
    let said = stages(&format!(
        "{infer}\n{{ stage = \"post\" }},\n{{ stage = \"post\", redact_patterns = {{ a = \"x+\" }} }}"
    ));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("f:8:3: pipelines.p.stages[2].redact: ")
            || said[0].starts_with("f:8:1: pipelines.p.stages[2].redact: "),
        "{said:?}"
    );
    let said = stages(&format!("{{ stage = \"assemble\", question_template = \"{{{{ nobody }}}}\" }},\n{infer}"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("f:6:23: pipelines.p.stages[0].question_template: "), "{said:?}");
    let said = stages("{ stage = \"infer\", worker = \"w\", queue = { shed = \"predictive\" } }");
    assert_eq!(said, ["f:6:44: pipelines.p.stages[0].queue.shed: predicts nothing where no stage takes slots"]);
}

#[test]
fn all_faults_come_at_once_and_in_the_order_of_the_file() {
    let said = with_worker("[limits]\ngrace = \"x\"\nbody = 0\n[telemetry]\nlogs = 1\n[[models]]\nname = \"\"\n");
    let places: Vec<_> = said.iter().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(places, ["f:5:1 limits.grace", "f:6:1 limits.body", "f:8:1 telemetry.logs", "f:10:1 models[0].name"]);
}

#[test]
fn a_fault_of_shape_hides_none_of_meaning_in_other_sections() {
    let text = "[limits]\ngrace = \"x\"\n[telemetry]\nlevel = \"inof\"\n[workers.w]\nkind = \"ollama\"\nurl = \"${NOBODY}\"\n\
        key = \"${NOBODY}\"\n[[models]]\nname = \"a\"\nworker = \"v\"";
    let places = |said: Vec<String>| -> Vec<_> {
        said.iter().map(|line| line.split(": ").nth(1).expect("a setting").to_owned()).collect()
    };
    assert_eq!(
        places(toml(text)),
        ["limits.grace", "telemetry.level", "workers.w.url", "workers.w.key", "models[0].worker"]
    );
    // What goes by a section of the wrong shape is not judged.
    let text = text.replace("kind = \"ollama\"", "kind = \"olama\"");
    assert_eq!(
        places(toml(&text)),
        ["limits.grace", "telemetry.level", "workers.w.kind", "workers.w.url", "workers.w.key"]
    );
    let text = format!(
        "{WORKER}[pools.p]\nmembers = [\"w\"]\nhealth_every = \"${{NOBODY}}\"\n[[models]]\nname = \"a\"\nworker = \"v\""
    );
    assert_eq!(places(toml(&text)), ["pools.p.health_every"]);
}

#[test]
fn variables_are_to_blame_for_what_they_say() {
    let with = |name, value| said(WORKER, Format::Toml, &[(name, value)]);
    assert_eq!(
        with("ORCHESTRATOR_LIMITS__GRACE", "soon"),
        [
            "ORCHESTRATOR_LIMITS__GRACE: limits.grace: its value is not a length of time; expected a number and its unit, such as 250ms, 10s or 2m 30s"
        ]
    );
    let said = with("ORCHESTRATOR_LIMIT__GRACE", "1s");
    assert!(said[0].starts_with("ORCHESTRATOR_LIMIT__GRACE: limit: is not known"), "{said:?}");
    assert!(said[0].ends_with("did you mean `limits`?"), "{said:?}");
    assert_eq!(
        with("ORCHESTRATOR_LISTENERS__4__ADDRESS", "127.0.0.1:0"),
        ["ORCHESTRATOR_LISTENERS__4__ADDRESS: listeners: `4` is no place in the list; expected a number from 0 to 0"]
    );
}

#[test]
fn a_variable_that_is_not_set_is_a_fault_where_it_is_named() {
    assert_eq!(
        with_worker("[workers.x]\nkind = \"ollama\"\nkey = \"${NOBODY}\""),
        [
            "f:6:7: workers.x.key: the variable `NOBODY` is not set; expected it in the environment, or `${NAME:-a default}`"
        ]
    );
}

#[test]
fn a_file_that_is_not_there_is_a_fault() {
    let faults = Config::load("/nowhere/at/all.toml", []).expect_err("it is not there");
    assert!(faults.to_string().starts_with("/nowhere/at/all.toml:1:1: cannot be read: "), "{faults}");
}
