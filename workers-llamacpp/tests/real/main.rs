//! The worker against the genuine server.
//!
//! What the server answers was recorded with the same model; what it does at the same time as something else is asked of it
//! through its own routes.

mod answers;
mod cancel;
mod continuing;
mod counting;
mod embedding;
mod faults;
mod formats;
mod health;
mod rig;
mod sessions;
mod slots;

use std::process::ExitCode;

use test_peers::{LlamaServer, Suite};

fn main() -> ExitCode {
    Suite::new("llamacpp", LlamaServer::missing(), || LlamaServer::builder().start())
        // They measure time, and the machine may have few cores.
        .one_by_one()
        .test("greedy_tokens_are_those_recorded", answers::greedy_tokens_are_those_recorded)
        .test("text_completions_say_the_same", answers::text_completions_say_the_same)
        .test("a_chat_is_answered_as_recorded", answers::a_chat_is_answered_as_recorded)
        .test("both_routes_say_the_same", answers::both_routes_say_the_same)
        .test("stop_texts_and_limits_end_an_answer", answers::stop_texts_and_limits_end_an_answer)
        .test("a_prompt_that_is_too_long_says_by_how_much", answers::a_prompt_that_is_too_long_says_by_how_much)
        .test("a_wrong_key_is_told_at_once", answers::a_wrong_key_is_told_at_once)
        .test("the_contract_holds_with_the_genuine_server", answers::the_contract_holds_with_the_genuine_server)
        .test("schemas_hold_on_both_routes", formats::schemas_hold_on_both_routes)
        .test("grammars_hold_on_both_routes", formats::grammars_hold_on_both_routes)
        .test("ids_go_on_where_an_answer_broke_off", continuing::ids_go_on_where_an_answer_broke_off)
        .test("a_chat_is_gone_on_with_by_ids", continuing::a_chat_is_gone_on_with_by_ids)
        .test("text_goes_on_where_ids_are_not_known", continuing::text_goes_on_where_ids_are_not_known)
        .test("counts_are_those_of_the_server", counting::counts_are_those_of_the_server)
        .test("a_conversation_is_not_counted_too_short", counting::a_conversation_is_not_counted_too_short)
        .test("a_second_turn_finds_the_first", sessions::a_second_turn_finds_the_first)
        .test("turns_of_other_sessions_come_in_between", sessions::turns_of_other_sessions_come_in_between)
        .test("a_server_that_empties_idle_slots_chooses", sessions::a_server_that_empties_idle_slots_chooses)
        .test("cancelled_streams_free_their_slots", cancel::cancelled_streams_free_their_slots)
        .test("streams_cancelled_in_prefill_free_their_slots", cancel::streams_cancelled_in_prefill_free_their_slots)
        .test("two_pipelines_keep_to_the_slots", slots::two_pipelines_keep_to_the_slots)
        .test("callers_that_leave_do_not_hold_slots", slots::callers_that_leave_do_not_hold_slots)
        .test("a_killed_server_cuts_the_stream", faults::a_killed_server_cuts_the_stream)
        .test("a_server_that_ends_is_given_up", faults::a_server_that_ends_is_given_up)
        .test("a_frozen_server_is_given_up", faults::a_frozen_server_is_given_up)
        .test("health_is_what_the_server_says", health::health_is_what_the_server_says)
        .test("vectors_come_from_a_server_for_them", embedding::vectors_come_from_a_server_for_them)
        .test("a_server_without_vectors_says_so", embedding::a_server_without_vectors_says_so)
        .run()
}
