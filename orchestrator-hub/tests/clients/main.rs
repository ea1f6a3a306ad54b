//! The official Python clients, and one that leaves, against a server in front of the real llama-server; see `dev/clients/run`.

mod front;
mod leaving;
mod python;

use std::process::ExitCode;

use test_peers::Suite;

use crate::front::Front;

fn main() -> ExitCode {
    Suite::new("clients", python::missing(), Front::start)
        .one_by_one()
        .test("openai", async |front| python::run(front, "test_openai.py"))
        .test("anthropic", async |front| python::run(front, "test_anthropic.py"))
        .test("a client that leaves frees its slot", async |front| leaving::leaving_frees_the_slot(front).await)
        .test("schemathesis", async |front| python::explore(front))
        .run()
}
