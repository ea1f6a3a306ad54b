use std::num::NonZeroU32;

use serde_json::{Map, Value};

use crate::error::InvalidInput;

/// How the model picks its tokens. Whatever is `None` is left to the server.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Sampling {
    /// The most tokens to generate.
    pub max_tokens: Option<NonZeroU32>,
    /// Softmax temperature, 0.0 (greedy) to 2.0.
    pub temperature: Option<f32>,
    /// Nucleus sampling: the smallest set of tokens whose probability reaches this, above 0.0 up to 1.0.
    pub top_p: Option<f32>,
    /// Texts at which the model stops; the stop text is not part of the answer.
    pub stop: Vec<String>,
    /// Seed of the sampler, where the server can be made deterministic.
    pub seed: Option<u64>,
    /// Fields of one vendor, handed on to the server as they are.
    pub vendor: Map<String, Value>,
}

impl Sampling {
    /// Checks that every parameter lies in its documented range.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn validate(&self) -> Result<(), InvalidInput> {
        if self.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
            return Err(InvalidInput::new("temperature", "must lie between 0.0 and 2.0"));
        }
        if self.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
            return Err(InvalidInput::new("top_p", "must lie above 0.0 and at most at 1.0"));
        }
        if self.stop.iter().any(String::is_empty) {
            return Err(InvalidInput::new("stop", "must not hold an empty text"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(sampling: &Sampling) -> Option<&'static str> {
        sampling.validate().err().map(|e| e.field())
    }

    #[test]
    fn names_the_field_that_is_out_of_range() {
        let ok = Sampling::default();
        assert_eq!(field(&ok), None);
        for bad in [-0.1, 2.1, f32::NAN, f32::INFINITY] {
            assert_eq!(field(&Sampling { temperature: Some(bad), ..ok.clone() }), Some("temperature"));
        }
        for bad in [0.0, 1.01, f32::NAN] {
            assert_eq!(field(&Sampling { top_p: Some(bad), ..ok.clone() }), Some("top_p"));
        }
        assert_eq!(field(&Sampling { stop: vec![String::new()], ..ok }), Some("stop"));
    }
}
