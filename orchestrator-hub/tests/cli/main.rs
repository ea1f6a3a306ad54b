//! The command `orchestrator`, run as a process.

#![cfg(unix)]

mod backend;
mod commands;
mod ending;
mod process;
mod secrets;
mod serve;
