//! Many workers as one, over genuine servers.
//!
//! - `killed`: two servers, of which one is killed again and again while hundreds of answers stream;
//! - `affinity`: what conversations find of themselves in the servers' caches, by policy;
//! - `rig`: servers, and how they are asked;
//! - `watched`: whether a server has an answer in mid-stream.

mod affinity;
mod killed;
mod rig;
#[path = "../../examples/shared/watched.rs"]
mod watched;

use std::process::ExitCode;

use test_peers::{LlamaServer, Suite};

fn main() -> ExitCode {
    Suite::new("pool", LlamaServer::missing(), || LlamaServer::builder().start())
        // They measure time, and the machine may have few cores.
        .one_by_one()
        .test("answers_outlive_their_servers", killed::answers_outlive_their_servers)
        .test("sessions_find_their_caches_again", affinity::sessions_find_their_caches_again)
        .run()
}
