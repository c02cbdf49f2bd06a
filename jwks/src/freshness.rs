//! How long a document is fresh ([RFC 9111](https://www.rfc-editor.org/rfc/rfc9111)).

use std::time::Duration;

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL};

/// Returns the time for which the server declares the document fresh, or `None` if it does not say.
pub(crate) fn declared(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let mut shortest: Option<u64> = None;
    for directive in lines.flat_map(|line| line.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        let seconds = match name.trim().to_ascii_lowercase().as_str() {
            "no-cache" | "no-store" => 0,
            "max-age" => seconds(value.trim().trim_matches('"')).unwrap_or(0),
            _ => continue,
        };
        shortest = Some(shortest.map_or(seconds, |other| other.min(seconds)));
    }
    let age = headers.get(AGE).and_then(|value| seconds(value.to_str().ok()?)).unwrap_or(0);
    shortest.map(|shortest| Duration::from_secs(shortest.saturating_sub(age)))
}

/// Reads a number that can be larger than any integer.
fn seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_declared(lines: &[(&'static str, &'static str)], expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        assert_eq!(declared(&headers), expected.map(Duration::from_secs), "{lines:?}");
    }

    #[test]
    fn declared_freshness_follows_cache_control_and_age() {
        assert_declared(&[], None);
        assert_declared(&[("cache-control", "public")], None);
        assert_declared(&[("cache-control", "public, Max-Age=90")], Some(90));
        assert_declared(&[("cache-control", "max-age=\"90\""), ("age", "30")], Some(60));
        assert_declared(&[("cache-control", "max-age=90"), ("age", "100")], Some(0));
        assert_declared(&[("cache-control", "max-age=90"), ("age", "soon")], Some(90));
        assert_declared(&[("cache-control", "max-age=90, max-age=60")], Some(60));
        assert_declared(&[("cache-control", "max-age=90"), ("cache-control", "no-cache")], Some(0));
        assert_declared(&[("cache-control", "no-store")], Some(0));
        assert_declared(&[("cache-control", "max-age=-1")], Some(0));
        assert_declared(&[("cache-control", "max-age=99999999999999999999")], Some(u64::MAX));
        assert_declared(&[("cache-control", "s-maxage=10")], None);
    }
}
