use sha2::{Digest, Sha256};

/// Longer keys are kept as their digest; tantivy takes up to 65,530 bytes.
const LONGEST: usize = 1_000;

const WHOLE: u8 = 0;
const DIGEST: u8 = 1;

/// Returns the key of a document's name in the index.
pub(super) fn of_name(name: &str) -> Vec<u8> {
    bounded(name.as_bytes().to_vec())
}

/// Returns the name behind a key; none where the key is its digest.
pub(super) fn name_of(key: &[u8]) -> Option<&str> {
    match key.split_first() {
        Some((&WHOLE, name)) => std::str::from_utf8(name).ok(),
        _ => None,
    }
}

/// Returns the key of a fact: one for each pair of key and value, whatever is in them.
pub(super) fn of_fact(key: &str, value: &str) -> Vec<u8> {
    let mut fact = Vec::with_capacity(8 + key.len() + value.len());
    // The length parts the key from the value: no character could.
    fact.extend_from_slice(&(key.len() as u64).to_be_bytes());
    fact.extend_from_slice(key.as_bytes());
    fact.extend_from_slice(value.as_bytes());
    bounded(fact)
}

fn bounded(mut bytes: Vec<u8>) -> Vec<u8> {
    let kind = if bytes.len() > LONGEST {
        bytes = Sha256::digest(&bytes).to_vec();
        DIGEST
    } else {
        WHOLE
    };
    bytes.insert(0, kind);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_separates_is_no_character() {
        let pairs = [("a", "b"), ("ab", ""), ("", "ab"), ("a\0", "b"), ("a", "\0b"), ("", "\0ab"), ("\u{1}a", "b")];
        for left in pairs {
            for right in pairs {
                assert_eq!(of_fact(left.0, left.1) == of_fact(right.0, right.1), left == right, "{left:?} {right:?}");
            }
        }
    }

    #[test]
    fn long_ones_are_bounded_and_differ() {
        let long = "x".repeat(1_000_000);
        let (one, two) = (of_fact("k", &long), of_fact("k", &format!("{long}y")));
        assert!(one.len() < 100 && one != two);
        assert_eq!(name_of(&of_name(&long)), None);
    }

    proptest! {
        #[test]
        fn a_name_comes_back(name in any::<String>()) {
            let key = of_name(&name);
            prop_assert_eq!(name_of(&key), Some(name.as_str()));
        }
    }
}
