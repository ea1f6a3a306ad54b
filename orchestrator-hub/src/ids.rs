//! Ids of requests and answers.

use http::{HeaderMap, HeaderValue};

/// The header in which a client may name its request, and finds the name in the response.
pub(crate) const REQUEST_HEADER: &str = "x-request-id";

/// The longest name that is taken over from a client.
const LONGEST: usize = 128;

/// Returns the client's name for its request, or a new one; only letters, digits and `-_.:` are taken over, so that a name can
/// stand in any log.
pub(crate) fn of_request(headers: &HeaderMap) -> HeaderValue {
    headers.get(REQUEST_HEADER).filter(|id| is_plain(id.as_bytes())).cloned().unwrap_or_else(fresh)
}

fn is_plain(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(plain)
}

fn fresh() -> HeaderValue {
    HeaderValue::from_bytes(&digits::<32>()).expect("hexadecimal digits are a header's value")
}

/// Returns a new name for an answer, which begins as those of the API do.
pub(crate) fn of_answer(kind: &str) -> String {
    kind.chars().chain(digits::<24>().map(char::from)).collect()
}

/// Hexadecimal digits at random, up to thirty-two.
fn digits<const COUNT: usize>() -> [u8; COUNT] {
    const { assert!(COUNT <= 32) };
    let mut bits = fastrand::u128(..);
    std::array::from_fn(|_| {
        let digit = b"0123456789abcdef"[(bits & 15) as usize];
        bits >>= 4;
        digit
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_name_is_kept_where_it_is_plain() {
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_HEADER, HeaderValue::from_str(id).expect("a value"));
            super::of_request(&headers).to_str().expect("text").to_owned()
        };
        assert_eq!(of("req-1_a.b:c"), "req-1_a.b:c");
        for odd in ["", "a b", "a\"b", "é", &"a".repeat(129)] {
            assert_eq!(of(odd).len(), 32, "{odd:?}");
        }
        assert_ne!(super::of_request(&HeaderMap::new()), super::of_request(&HeaderMap::new()));
    }

    #[test]
    fn an_answers_name_begins_as_asked_and_is_new() {
        let id = of_answer("chatcmpl-");
        let digits = id.strip_prefix("chatcmpl-").expect("the kind");
        assert!(digits.len() == 24 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(id, of_answer("chatcmpl-"));
    }
}
