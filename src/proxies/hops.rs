//! The headers that proxies append to.

use std::net::{IpAddr, SocketAddr};

use arrayvec::ArrayVec;

use crate::error::ConfigError;

/// A number of proxies, and the header that each of them appends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hops {
    header: HopHeader,
    count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HopHeader {
    XForwardedFor,
    Forwarded,
}

impl Hops {
    pub(super) fn x_forwarded_for(count: usize) -> Result<Self, ConfigError> {
        Self::new(HopHeader::XForwardedFor, count)
    }

    pub(super) fn forwarded(count: usize) -> Result<Self, ConfigError> {
        Self::new(HopHeader::Forwarded, count)
    }

    fn new(header: HopHeader, count: usize) -> Result<Self, ConfigError> {
        if (1..=MAX_HOPS).contains(&count) {
            Ok(Self { header, count })
        } else {
            Err(ConfigError::new("proxies.hops", format!("must be within 1..={MAX_HOPS}, not {count}")))
        }
    }

    /// The header with the addresses, in lower case.
    pub(super) const fn header_name(&self) -> &'static str {
        match self.header {
            HopHeader::XForwardedFor => "x-forwarded-for",
            HopHeader::Forwarded => "forwarded",
        }
    }

    /// Returns the client's address from all `values` of the header. `None` if the header has fewer entries than
    /// proxies, or if the client's entry is not an address.
    pub(super) fn client<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>) -> Option<IpAddr> {
        match self.header {
            HopHeader::XForwardedFor => {
                let last = self.last(listed(values));
                let entry = if last.len() == self.count { last.first()? } else { return None };
                address(std::str::from_utf8(entry).ok()?.trim())
            }
            HopHeader::Forwarded => address(&self.parameter(values, "for")?),
        }
    }

    /// Returns a parameter of the element of `Forwarded` that the first proxy appended.
    fn parameter<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>, name: &str) -> Option<String> {
        let last = self.last(values.into_iter().flat_map(|value| Split { rest: Some(value), separator: b',' }));
        // An unterminated quoted string may contain other elements.
        let last: ArrayVec<&[u8], MAX_HOPS> = last.into_iter().collect::<Option<_>>()?;
        if last.len() == self.count { parameter(last.first()?, name) } else { None }
    }

    /// Returns the last entries, as many as there are proxies, in their order.
    fn last<T>(&self, entries: impl Iterator<Item = T>) -> ArrayVec<T, MAX_HOPS> {
        let mut last = ArrayVec::new();
        for entry in entries {
            if last.len() == self.count {
                last.remove(0);
            }
            last.push(entry);
        }
        last
    }
}

/// Whether the client connected to the first proxy over TLS.
#[cfg(feature = "harden")]
impl Hops {
    /// Returns the header that reports whether the client used TLS, in lower case: `x-forwarded-proto` with
    /// `X-Forwarded-For`, otherwise `forwarded`.
    pub(super) const fn protocol_header_name(&self) -> &'static str {
        match self.header {
            HopHeader::XForwardedFor => "x-forwarded-proto",
            HopHeader::Forwarded => "forwarded",
        }
    }

    /// Returns whether all `values` of that header report that the client used TLS.
    ///
    /// Each proxy appends an element to `Forwarded`, and the `proto` of the N-th element from the right decides. Some
    /// proxies append to `X-Forwarded-Proto`, others replace it. So the last entries, as many as there are proxies and
    /// at least one, must all be `https`. If there are several proxies, only the outermost may replace the header: an
    /// inner proxy would report the connection of another proxy.
    pub(super) fn is_https<'v>(&self, values: impl IntoIterator<Item = &'v [u8]>) -> bool {
        match self.header {
            HopHeader::XForwardedFor => {
                let last = self.last(listed(values));
                !last.is_empty() && last.iter().all(|entry| entry.trim_ascii().eq_ignore_ascii_case(b"https"))
            }
            HopHeader::Forwarded => {
                self.parameter(values, "proto").is_some_and(|value| value.eq_ignore_ascii_case("https"))
            }
        }
    }
}

/// Returns the entries of `X-Forwarded-…`, which has no quoted strings.
fn listed<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> impl Iterator<Item = &'v [u8]> {
    values.into_iter().flat_map(|value| value.split(|byte| *byte == b','))
}

/// Returns the value of a parameter of one element of `Forwarded`, if it occurs once.
fn parameter(element: &[u8], wanted: &str) -> Option<String> {
    let mut found = None;
    for pair in (Split { rest: Some(element), separator: b';' }) {
        let Some((name, value)) = std::str::from_utf8(pair?).ok()?.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case(wanted) && found.replace(unquoted(value.trim())?).is_some() {
            return None;
        }
    }
    found
}

/// Returns a value without its quotes and escapes (RFC 9110 section 5.6.4).
fn unquoted(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else { return Some(value.to_owned()) };
    let mut is_escaped = false;
    let is_text = |character: &char| {
        is_escaped = *character == '\\' && !is_escaped;
        !is_escaped
    };
    Some(quoted.strip_suffix('"')?.chars().filter(is_text).collect())
}

/// Splits a text at separators outside quoted strings. Yields `None` for a part with an unterminated string.
struct Split<'t> {
    rest: Option<&'t [u8]>,
    separator: u8,
}

impl<'t> Iterator for Split<'t> {
    type Item = Option<&'t [u8]>;

    fn next(&mut self) -> Option<Option<&'t [u8]>> {
        let rest = self.rest.take()?;
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = rest.iter().position(|byte| {
            let is_text = std::mem::take(&mut is_escaped);
            match byte {
                _ if is_text => {}
                b'\\' if is_quoted => is_escaped = true,
                b'"' => is_quoted = !is_quoted,
                byte => return *byte == self.separator && !is_quoted,
            }
            false
        });
        let (part, more) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        self.rest = more.get(1..);
        Some((!is_quoted).then_some(part))
    }
}

/// Parses an address with or without brackets, and with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

const MAX_HOPS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_client(hops: Result<Hops, ConfigError>, values: &[&str], client: Option<&str>) {
        let found = hops.unwrap().client(values.iter().map(|value| value.as_bytes()));
        assert_eq!(found, client.map(|text| text.parse().unwrap()), "{values:?}");
    }

    #[test]
    fn client_is_the_nth_from_the_right() {
        let values = ["1.1.1.1, 2.2.2.2", "3.3.3.3,4.4.4.4"];
        for (count, client) in [(1, Some("4.4.4.4")), (2, Some("3.3.3.3")), (4, Some("1.1.1.1")), (5, None)] {
            assert_client(Hops::x_forwarded_for(count), &values, client);
        }
        assert_client(Hops::x_forwarded_for(1), &[], None);
    }

    #[test]
    fn entries_written_by_the_client_are_ignored() {
        assert_client(Hops::x_forwarded_for(1), &["127.0.0.1, 203.0.113.9"], Some("203.0.113.9"));
        assert_client(Hops::x_forwarded_for(1), &["127.0.0.1, unknown"], None);
        assert_client(Hops::x_forwarded_for(1), &["127.0.0.1,"], None);
    }

    #[test]
    fn every_address_form_of_proxies_is_parsed() {
        for (text, client) in [
            ("203.0.113.9:4711", "203.0.113.9"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
        ] {
            assert_client(Hops::x_forwarded_for(1), &[text], Some(client));
            let forwarded = format!("for=10.0.0.1, proto=https;For=\"{text}\";by=10.0.0.2");
            assert_client(Hops::forwarded(1), &[&forwarded], Some(client));
        }
        assert_client(Hops::forwarded(1), &["for=_hidden"], None);
        assert_client(Hops::forwarded(1), &["proto=https"], None);
    }

    #[cfg(feature = "harden")]
    #[test]
    fn https_counts_only_if_every_proxy_reports_it() {
        let x_forwarded_proto =
            ["https", "http, https", "https, http", "https, https, http", "http, https, https", "", "HTTPS"];
        for (count, expected) in
            [(1, [true, true, false, false, true, false, true]), (2, [true, false, false, false, true, false, true])]
        {
            let hops = Hops::x_forwarded_for(count).unwrap();
            let found = x_forwarded_proto.map(|value| hops.is_https([value.as_bytes()]));
            assert_eq!(found, expected, "{count} proxies");
            assert!(!hops.is_https([]), "{count} proxies");
            assert!(!hops.is_https([b"https".as_slice(), b"http"]), "{count} proxies");
        }
        for (count, value, is_https) in [
            (1, "for=1.1.1.1;proto=https", true),
            (1, "proto=https, for=1.1.1.1;Proto=\"HTTPS\"", true),
            (1, "for=1.1.1.1;proto=https, for=2.2.2.2;proto=http", false),
            (1, "for=1.1.1.1;proto=https, for=2.2.2.2", false),
            (2, "for=1.1.1.1;proto=https, for=2.2.2.2;proto=http", true),
            (2, "for=1.1.1.1;proto=https", false),
            (1, "for=1.1.1.1;host=\"a, proto=https\";proto=http", false),
            (2, "host=\"a, proto=https, b\";proto=http", false),
            (2, "host=\"a, proto=https, b\";proto=http, for=2.2.2.2;proto=https", false),
            (1, "https", false),
            (1, "for=1.1.1.1;host=\"a;proto=https;b\";proto=http", false),
            (1, "host=\"a\\\", proto=https;b=\\\"\";proto=http", false),
            (1, "host=\"a\\\\\";proto=https", true),
            (1, "proto=https;host=\"a, for=1.1.1.1;proto=http", false),
            (1, "for=1.1.1.1;host=a;proto=https;proto=http", false),
            (1, "proto=\"https", false),
            (1, "proto=\"ht\\tps\"", true),
        ] {
            let hops = Hops::forwarded(count).unwrap();
            assert_eq!(hops.is_https([value.as_bytes()]), is_https, "{count} proxies, {value}");
        }
    }

    #[test]
    fn quoted_text_adds_no_forwarded_element_or_parameter() {
        for (value, client) in [
            ("proto=https;host=\"a;for=6.6.6.6;b\";for=1.2.3.4", Some("1.2.3.4")),
            ("for=1.2.3.4;host=\"a,for=6.6.6.6\"", Some("1.2.3.4")),
            ("for=6.6.6.6;host=\"a\\\", for=1.2.3.4", None),
            ("for=6.6.6.6;host=\"a, for=1.2.3.4;proto=http", None),
            ("for=6.6.6.6;for=1.2.3.4", None),
            ("host=a;for=\"[2001:db8::7]:4711\"", Some("2001:db8::7")),
        ] {
            assert_client(Hops::forwarded(1), &[value], client);
        }
        // An unterminated string ends with its header line.
        assert_client(Hops::forwarded(1), &["host=\"a", "for=1.2.3.4"], Some("1.2.3.4"));
    }
}
