//! What files say, in either language, with an environment.

use orchestrator_config::file::{Config, Listener, Member, Shards, Stage, Time, Worker};
use orchestrator_config::{Fault, Format, Place};
use proptest::prelude::*;

const CANARY: &str = "canary-5b1f0c";

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn toml(text: &str, pairs: &[(&str, &str)]) -> Config {
    Config::parse("f", text, Format::Toml, variables(pairs)).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn both_languages_say_the_same() {
    let written = toml(
        r#"
        shards = "per-core"
        [limits]
        grace = "5s"
        [workers.mac]
        kind = "llamacpp"
        url = "http://127.0.0.1:8081"
        headers = { x-team = "core" }
        timeouts = { first_token = "30s" }
        [pools.fleet]
        members = ["mac"]
        policy = "session-affinity"
        bound = 1.5
        [pipelines.chat]
        stages = [{ stage = "infer", worker = "fleet", queue = { depth = 8 } }, { stage = "post", stop = ["END"] }]
        [[models]]
        name = "*"
        pipeline = "chat"
        "#,
        &[],
    );
    let yaml = r#"
shards: per-core
limits: {grace: 5s}
telemetry:
workers:
  mac: &mac
    kind: llamacpp
    url: "http://127.0.0.1:8081"
    headers: {x-team: core}
    timeouts: {first_token: 30s}
pools:
  fleet: {members: [mac], policy: session-affinity, bound: 1.5}
pipelines:
  chat:
    stages:
      - {stage: infer, worker: fleet, queue: {depth: 0x8}}
      - {stage: post, stop: [END]}
models:
  - name: "*"
    pipeline: chat
"#;
    let same = Config::parse("f", yaml, Format::Yaml, []).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(written, same);
    assert_eq!((same.shards, same.limits.grace), (Shards::PerCore, Time::secs(5)));
    let other = Config::parse("f", &yaml.replace("1.5", "1.6"), Format::Yaml, []).expect("as good");
    assert_ne!(written, other);
}

#[test]
fn what_is_left_out_is_as_it_is_without_a_file() {
    let config = toml("[workers.w]\nkind = \"extractive\"", &[]);
    assert_eq!(config.listeners, [Listener::new("127.0.0.1:8080".parse().expect("an address"))]);
    assert_eq!(Config { workers: config.workers.clone(), ..Config::default() }, config);
}

#[test]
fn variables_go_before_the_file_whatever_the_kind_of_their_setting() {
    let file = "[limits]\ngrace = \"5s\"\n[workers.my-mac]\nkind = \"openai-compatible\"\nurl = \"http://127.0.0.1:1\"\nkey = \"a\"\n[pools.p]\nmembers = [\"my-mac\"]";
    let config = toml(
        file,
        &[
            ("ORCHESTRATOR_LIMITS__GRACE", "7s"),
            ("ORCHESTRATOR_LIMITS__BODY", "4096"),
            ("ORCHESTRATOR_TELEMETRY__METRICS", "false"),
            ("orchestrator_shards", "per-core"),
            ("ORCHESTRATOR_WORKERS__MY_MAC__KEY", "12345"),
            ("ORCHESTRATOR_WORKERS__MY_MAC__SLOTS", "4"),
            ("ORCHESTRATOR_WORKERS__CLOUD__KIND", "ollama"),
            ("ORCHESTRATOR_LISTENERS__0__ADDRESS", "127.0.0.1:9000"),
            ("ORCHESTRATOR_POOLS__P__MEMBERS", "[\"my-mac\", { worker = \"cloud\", weight = 2 }]"),
            ("ORCHESTRATOR_PORT", "tcp://10.0.0.1:80"),
            ("OTHER_LIMITS__GRACE", "9s"),
        ],
    );
    assert_eq!((config.limits.grace, config.limits.body.get()), (Time::secs(7), 4096));
    assert!(!config.telemetry.metrics);
    assert_eq!(config.shards, Shards::PerCore);
    assert_eq!(config.listeners[0].address.port(), 9000);
    let Worker::OpenAiCompatible(mac) = &config.workers["my-mac"] else { panic!("it is of that kind") };
    assert_eq!((mac.served.slots.map(usize::from), mac.access.key.clone()), (Some(4), Some("12345".to_owned().into())));
    assert!(matches!(config.workers["cloud"], Worker::Ollama(_)));
    let [first, second] = &*config.pools["p"].members else { panic!("there are two") };
    assert_eq!(first, &Member::Name("my-mac".to_owned()));
    assert_eq!(second.settings().and_then(|more| more.weight), Some(2.0));
}

#[test]
fn a_variable_for_a_part_stands_behind_one_for_the_whole() {
    let file = "[workers.w]\nkind = \"extractive\"";
    let config = toml(
        file,
        &[
            ("orchestrator_limits", "{ grace = \"7s\", body = 1 }"),
            ("ORCHESTRATOR_LIMITS__BODY", "4096"),
            ("ORCHESTRATOR_POOLS__P", "{ members = [{ worker = \"w\" }] }"),
            ("ORCHESTRATOR_POOLS__P__MEMBERS__0__WEIGHT", "2"),
        ],
    );
    assert_eq!((config.limits.grace, config.limits.body.get()), (Time::secs(7), 4096));
    let member = config.pools["p"].members[0].settings().expect("a table");
    assert_eq!((member.worker.as_str(), member.weight), ("w", Some(2.0)));
    let environment = [("ORCHESTRATOR_LIMITS", "all"), ("ORCHESTRATOR_LIMITS__BODY", "4096")];
    let faults = Config::parse("f", file, Format::Toml, variables(&environment)).expect_err("it has no parts");
    assert!(faults.to_string().contains("ORCHESTRATOR_LIMITS__BODY: limits: has no parts by"), "{faults}");
}

#[test]
fn places_of_a_list_are_set_in_the_order_of_their_numbers() {
    let names: Vec<_> = (0..12).map(|n| (format!("ORCHESTRATOR_MODELS__{n}__NAME"), format!("m{n}"))).collect();
    let workers: Vec<_> = (0..12).map(|n| (format!("ORCHESTRATOR_MODELS__{n}__WORKER"), "w".to_owned())).collect();
    let file = "[workers.w]\nkind = \"extractive\"";
    let config = Config::parse("f", file, Format::Toml, names.into_iter().chain(workers)).expect("right");
    assert_eq!(config.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>()[9..], ["m9", "m10", "m11"]);
}

#[test]
fn what_is_said_in_place_of_the_file_counts_before_that_is_judged() {
    let file = "[[listeners]]\naddress = \"0.0.0.0:80\"\n[workers.w]\nkind = \"extractive\"";
    assert!(Config::parse("f", file, Format::Toml, []).is_err(), "it is reached by others");
    let make_public = |config: &mut Config| config.listeners[0].public = true;
    let config =
        Config::parse_with("f", file, Format::Toml, [], make_public).unwrap_or_else(|faults| panic!("{faults}"));
    assert!(config.listeners[0].public);
    let open = |config: &mut Config| config.listeners[0].public = false;
    let public = format!("{file}\n").replace("80\"", "80\"\npublic = true");
    assert!(Config::parse_with("f", &public, Format::Toml, [], open).is_err(), "what is changed is judged, too");
}

#[test]
fn what_is_replaced_needs_no_variables() {
    let file = "[workers.w]\nkind = \"ollama\"\nkey = \"${NOBODY}\"\nmodel = \"m\"";
    let config = toml(file, &[("ORCHESTRATOR_WORKERS__W__KEY", "a"), ("ORCHESTRATOR_WORKERS__W__MODEL", "${m}")]);
    let Worker::Ollama(worker) = &config.workers["w"] else { panic!("it is of that kind") };
    assert_eq!(worker.access.key, Some("a".to_owned().into()));
    assert_eq!(worker.served.model.as_deref(), Some("${m}"), "a variable of the environment is final");
}

#[test]
fn variables_in_texts_may_mean_numbers() {
    let file = "[workers.w]\nkind = \"ollama\"\nkey = \"${KEY}\"\nslots = \"${SLOTS:-4}\"\nmodel = \"$${m}-${N}\"";
    let config = toml(file, &[("KEY", "007"), ("N", "1")]);
    let Worker::Ollama(worker) = &config.workers["w"] else { panic!("it is of that kind") };
    assert_eq!(worker.access.key, Some("007".to_owned().into()));
    assert_eq!(worker.served.slots.map(usize::from), Some(4));
    assert_eq!(worker.served.model.as_deref(), Some("${m}-1"));
}

#[test]
fn no_secret_is_shown() {
    let file = "[workers.a]\nkind = \"ollama\"\nkey = \"${SECRET}\"\nheaders = { x-key = \"${SECRET}\" }\n\
        [workers.b]\nkind = \"vllm\"\nurl = \"http://127.0.0.1:1\"\ncache_salt = \"${SECRET}-0123456789\"\n\
        [workers.c]\nkind = \"auto\"\nurl = \"http://127.0.0.1:1/?key=${SECRET}\"";
    let config = toml(file, &[("SECRET", CANARY)]);
    assert!(!format!("{config:?} {config:#?}").contains(CANARY));
    // Whatever a secret is put in place of: it is in no message.
    for setting in [
        "LIMITS__GRACE",
        "LIMITS__BODY",
        "SHARDS",
        "LISTENERS__0__ADDRESS",
        "KEYS",
        "WORKERS__A__URL",
        "WORKERS__A__KIND",
        "WORKERS__A",
        "MODELS__0__WORKER",
    ] {
        let name = format!("ORCHESTRATOR_{setting}");
        let environment = variables(&[("SECRET", "s"), (&name, CANARY)]);
        if let Err(faults) = Config::parse("f", file, Format::Toml, environment) {
            assert!(!format!("{faults} {faults:?}").contains(CANARY), "{faults}");
        }
    }
}

#[test]
fn no_key_is_shown_that_stands_in_the_file_in_a_wrong_place() {
    for wrong in [
        format!("[[keys]]\nsha256 = \"{CANARY}\""),
        format!("[[keys]]\nsha256 = [\"{CANARY}\"]"),
        format!("[workers.a]\nkind = \"auto\"\nurl = \"host/?key={CANARY}\""),
        format!("[workers.a]\nkind = \"auto\"\nurl = \"http://host/?key={CANARY} \""),
        format!("[workers.a]\nkind = \"auto\"\nurl = \"http://host:x/?key={CANARY}\""),
        format!("[workers.a]\nkind = \"auto\"\nurl = \"http://me:{CANARY}@host\""),
        format!("[workers.a]\nkind = \"ollama\"\nkey = [\"{CANARY}\"]"),
        format!("[workers.a]\nkind = \"ollama\"\nkey = \"{CANARY}\\u0001x\""),
        format!("[workers.a]\nkind = \"ollama\"\nheaders = {{ x-key = \"{CANARY}\\u0001x\" }}"),
        format!("[workers.a]\nkind = \"ollama\"\nheaders = \"{CANARY}\""),
    ] {
        let faults = Config::parse("f", &wrong, Format::Toml, []).expect_err(&wrong);
        assert!(!format!("{faults} {faults:?}").contains(CANARY), "{faults}");
    }
}

#[test]
fn the_examples_of_the_repository_can_be_used() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/config");
    let environment = [
        ("MAC_URL", "http://127.0.0.1:1"),
        ("GPU_URL", "http://127.0.0.1:2"),
        ("CLOUD_URL", "http://127.0.0.1:3"),
        ("CLOUD_KEY", "k"),
        ("DOCS", "docs"),
    ];
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("they are there")
        .map(|entry| entry.expect("it can be listed").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["fleet.toml", "llamacpp.toml", "rag.yaml"]);
    for name in names {
        let loaded = Config::load(folder.join(&name), variables(&environment));
        let config = loaded.unwrap_or_else(|faults| panic!("{faults}"));
        assert!(!config.models.is_empty(), "{name}");
    }
}

#[test]
fn a_stage_is_read_with_what_is_set() {
    let file = "[workers.w]\nkind = \"extractive\"\n[pipelines.p]\nstages = [{ stage = \"rag\", docs = \"d\", top_k = 2 }, { stage = \"assemble\" }, { stage = \"infer\", worker = \"w\" }]";
    let config = toml(file, &[]);
    let Stage::Rag(rag) = &config.pipelines["p"].stages[0] else { panic!("it is the first") };
    assert_eq!((rag.top_k.get(), rag.watch, rag.optional), (2, true, false));
}

/// Pieces of files, so that what is put together of them gets further than nonsense does.
const PIECES: &[&str] = &[
    "[workers.w]\n",
    "kind = \"extractive\"\n",
    "[limits]\n",
    "grace = \"",
    "10s\"\n",
    "[[models]]\n",
    "name = \"a\"\n",
    "= ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "workers:\n",
    "  w:\n",
    "    kind: extractive\n",
    "- ",
    "&a ",
    "*a",
    "? ",
    ": ",
    "${",
    "A",
    "}",
    "$",
    "\n",
    " ",
    "ö",
    "\t",
    "---\n",
    "!!str ",
    "|\n",
    "# x\n",
    "''",
    "1e999",
    "0x",
    "shards",
    "pipelines",
    "stages",
    "1",
    "-",
    ",",
    "\u{feff}",
    "\r\n",
    "nan",
];

fn lies_within(fault: &Fault, text: &str) -> bool {
    match fault.place() {
        Place::File { line, column } => {
            let lines: Vec<&str> = text.split('\n').collect();
            lines.get(line - 1).is_some_and(|line| (1..=line.chars().count() + 1).contains(column))
        }
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused_within_itself(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40),
        junk in ".{0,20}",
        at in 0_usize..40,
    ) {
        let mut pieces: Vec<&str> = pieces;
        pieces.insert(at.min(pieces.len()), &junk);
        let text = pieces.concat();
        for format in [Format::Toml, Format::Yaml] {
            if let Err(faults) = Config::parse("f", &text, format, []) {
                prop_assert!(!faults.faults().is_empty());
                for fault in faults.faults() {
                    prop_assert!(lies_within(fault, &text), "{:?} of {:?}", fault, text);
                }
            }
        }
    }
}
