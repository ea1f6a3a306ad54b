use sha2::{Digest, Sha256};

use super::failure::{Failure, out};

/// Bytes that nobody guesses.
const RANDOM: usize = 32;

/// Makes a key, and prints it beside its digest: the key lies nowhere else.
///
/// # Errors
///
/// Where the system gives no random bytes, or the standard output takes nothing.
pub(super) fn print() -> Result<(), Failure> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(|error| Failure::of(format!("no random bytes: {error}")))?;
    let key = format!("sk-{}", hex(&random));
    out(&format!("key     {key}\nsha256  {}\n", hex(&Sha256::digest(&key))))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
