use http::{HeaderMap, HeaderValue};

/// The header in which a client may name its request, and finds the name in the response.
pub(crate) const HEADER: &str = "x-request-id";

/// The longest name that is taken over from a client.
const LONGEST: usize = 128;

/// Returns the client's name for its request, or a new one; only letters, digits and `-_.:` are taken over, so that a name can
/// stand in any log.
pub(crate) fn of(headers: &HeaderMap) -> HeaderValue {
    headers.get(HEADER).filter(|id| is_plain(id.as_bytes())).cloned().unwrap_or_else(fresh)
}

fn is_plain(id: &[u8]) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte);
    (1..=LONGEST).contains(&id.len()) && id.iter().all(plain)
}

/// Thirty-two hexadecimal digits at random.
fn fresh() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut bits = fastrand::u128(..);
    let id: [u8; 32] = std::array::from_fn(|_| {
        let digit = DIGITS[(bits & 15) as usize];
        bits >>= 4;
        digit
    });
    HeaderValue::from_bytes(&id).expect("hexadecimal digits are a header's value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_name_is_kept_where_it_is_plain() {
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_str(id).expect("a value"));
            super::of(&headers).to_str().expect("text").to_owned()
        };
        assert_eq!(of("req-1_a.b:c"), "req-1_a.b:c");
        for odd in ["", "a b", "a\"b", "é", &"a".repeat(129)] {
            assert_eq!(of(odd).len(), 32, "{odd:?}");
        }
        assert_ne!(super::of(&HeaderMap::new()), super::of(&HeaderMap::new()));
    }
}
