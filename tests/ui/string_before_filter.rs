//! A filter over tokens cannot stand behind a stage that hands on text.

use prompt_orchestrator::prelude::*;

struct Censor;

impl Stage<TokenStream> for Censor {
    type Out = TokenStream;
    type Error = std::convert::Infallible;

    async fn run(&self, _cx: &Context, stream: TokenStream) -> Result<TokenStream, Self::Error> {
        Ok(stream)
    }
}

fn main() {
    let _ = Pipeline::builder("wrong")
        .then("shout", |_cx, text: String| async move { Ok::<_, BoxError>(text) })
        .stage(Censor);
}
