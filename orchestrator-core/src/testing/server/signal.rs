use tokio_util::sync::CancellationToken;

/// Something that a [`Reply`](crate::testing::server::Reply) waits for until the test [raises](Self::raise) it.
///
/// Clones are the same signal. Once raised it stays so.
#[derive(Debug, Clone, Default)]
pub struct Signal(CancellationToken);

impl Signal {
    /// Makes a signal that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody go on who waits for it.
    pub fn raise(&self) {
        self.0.cancel();
    }

    pub(in crate::testing) async fn raised(&self) {
        self.0.cancelled().await;
    }
}
