//! What tells numbers from numbers.

use crate::scan::Candidate;

/// Whether the candidate is not part of a longer run of digits.
fn stands_alone(candidate: &Candidate<'_>) -> bool {
    let digit = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_digit());
    !digit(candidate.before) && !digit(candidate.after)
}

fn count(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether it stands alone and has the checksum of a card number: ISO/IEC 7812-1, Luhn's.
pub(super) fn card(candidate: &Candidate<'_>) -> bool {
    stands_alone(candidate) && luhn(candidate.text)
}

/// Every second digit from the right counts twice, the digits of its double added up.
fn luhn(text: &str) -> bool {
    let digits = text.bytes().rev().filter(u8::is_ascii_digit).map(|b| u32::from(b - b'0'));
    let sum: u32 = digits.enumerate().map(|(i, d)| if i % 2 == 0 { d } else { d * 2 % 10 + d / 5 }).sum();
    sum.is_multiple_of(10)
}

/// Whether it stands alone and is as long as an international telephone number: ITU-T E.164.
pub(super) fn international(candidate: &Candidate<'_>) -> bool {
    let digits = count(candidate.text.trim_start_matches("00"));
    stands_alone(candidate) && (8..=15).contains(&digits)
}

pub(super) fn north_american(candidate: &Candidate<'_>) -> bool {
    stands_alone(candidate)
}

/// Whether it stands alone, is as long as a national number, and is no date with a time behind it.
pub(super) fn national(candidate: &Candidate<'_>) -> bool {
    let text = candidate.text;
    let mixed = text.contains('.') && text.contains([' ', '/', '-']);
    stands_alone(candidate) && !mixed && (9..=13).contains(&count(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_known_numbers() {
        for good in ["4111111111111111", "5500 0000 0000 0004", "3400-000000-00009", "79927398713"] {
            assert!(luhn(good), "{good}");
        }
        for bad in ["4111111111111112", "4111111111111101", "79927398710"] {
            assert!(!luhn(bad), "{bad}");
        }
    }
}
