//! Texts that end an answer.

use std::sync::Arc;

use orchestrator_core::error::InvalidInput;
use orchestrator_core::token::FinishReason;

use crate::filter::{Filtered, TextFilter};
use crate::scan::{Pattern, Patterns, Scan};

pub(crate) fn compile(sequences: &[String]) -> Result<Arc<Patterns>, InvalidInput> {
    let fault = |problem: String| InvalidInput::new("stop_sequences", problem);
    if sequences.is_empty() || sequences.iter().any(String::is_empty) {
        return Err(fault("needs sequences, none of them empty".to_owned()));
    }
    let patterns: Vec<Pattern> = sequences.iter().map(|sequence| Pattern::literal(sequence)).collect();
    Ok(Arc::new(Patterns::at_once(&patterns).map_err(|error| fault(error.to_string()))?))
}

/// Ends the answer before the first sequence.
#[derive(Debug)]
pub(crate) struct Stop {
    scan: Scan,
    passed: usize,
}

impl Stop {
    pub(crate) fn new(sequences: Arc<Patterns>) -> Self {
        Self { scan: Scan::new(sequences), passed: 0 }
    }
}

impl TextFilter for Stop {
    fn push(&mut self, text: &str, out: &mut String) -> Filtered {
        let nothing_held = self.passed == self.scan.end();
        self.scan.push(text);
        if let Some(found) = self.scan.found.iter().min_by_key(|found| (found.end, found.start)) {
            out.push_str(self.scan.text(self.passed, found.start));
            return Filtered::End(FinishReason::Stop);
        }
        self.scan.let_go(&mut self.passed, nothing_held, out)
    }

    fn flush(&mut self, out: &mut String) {
        out.push_str(self.scan.text(self.passed, self.scan.end()));
    }

    fn reset(&mut self) {
        self.scan.reset();
        self.passed = 0;
    }
}
