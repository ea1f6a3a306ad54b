use test_peers::{LlamaServer, TestResult};
pub(crate) async fn sessions_find_their_caches_again(_shared: &LlamaServer) -> TestResult {
    Ok(())
}
