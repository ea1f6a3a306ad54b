//! The bodies that fuzzing begins with, and what it has found.

#[path = "../common/body_model.rs"]
mod model;

#[test]
fn each_body_of_the_corpus_is_answered_or_the_clients_fault() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/body");
    let files: Vec<_> = std::fs::read_dir(corpus).expect("the corpus is there").collect();
    assert!(files.len() >= 10, "there are hardly any");
    for file in files {
        let path = file.expect("an entry").path();
        model::check_input(&std::fs::read(path).expect("a file"));
    }
}
