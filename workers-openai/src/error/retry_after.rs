//! How long a server asks to be left alone.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Reads `retry-after-ms` (OpenAI and its cloud's gateways) and `Retry-After`, in seconds or as a date. The finer one wins;
/// a date that has passed means at once; what is none of these says nothing.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let milliseconds = text(headers, "retry-after-ms").and_then(|text| scaled(text, 1e-3));
    milliseconds.or_else(|| {
        let said = text(headers, RETRY_AFTER.as_str())?;
        scaled(said, 1.0).or_else(|| until(said, now))
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// Some servers write fractions, which the standard does not know.
fn scaled(number: &str, unit: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

fn until(date: &str, now: SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a header's value")));
        // 1994-11-15 08:12:31 UTC
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_887_151);
        retry_after(&headers.collect(), now)
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        assert_eq!(read(&[("retry-after", "3")]), Some(Duration::from_secs(3)));
        assert_eq!(read(&[("retry-after", " 1.5 ")]), Some(Duration::from_millis(1500)));
        assert_eq!(read(&[("retry-after", "Tue, 15 Nov 1994 08:12:41 GMT")]), Some(Duration::from_secs(10)));
        assert_eq!(read(&[("retry-after", "Tue, 15 Nov 1994 08:00:00 GMT")]), Some(Duration::ZERO));
        assert_eq!(read(&[("retry-after", "1"), ("retry-after-ms", "250")]), Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_time_says_nothing() {
        for odd in ["", "soon", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(read(&[("retry-after", odd)]), None, "{odd}");
        }
        assert_eq!(read(&[("retry-after", "2"), ("retry-after-ms", "?")]), Some(Duration::from_secs(2)));
    }
}
