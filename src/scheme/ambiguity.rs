//! Whether the signed content can be split into its parts in one way only. The rule is documented on [`SignedPart`].

use alloc::format;
use alloc::string::String;

use super::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, Scheme, SignedPart, TimestampSource};
use crate::error::ConfigError;
use crate::headers::is_token_byte;

impl Scheme {
    /// Checks that two different messages cannot have the same signed content.
    pub(super) fn check_unambiguous(&self) -> Result<(), ConfigError> {
        match self.signed.iter().enumerate().find(|(index, part)| !self.is_separated(*index, part)) {
            None => Ok(()),
            Some((index, part)) => {
                let problem = match part {
                    SignedPart::ListedHeaders(_) => LISTED.into(),
                    SignedPart::Url { decode, .. } if !decode.is_empty() => DECODED.into(),
                    part => {
                        let side = if self.is_before_body(index) { "after" } else { "before" };
                        format!("must have a literal directly {side} {}, {SEPARATOR}", describe(part))
                    }
                };
                Err(ConfigError::new("signed", problem))
            }
        }
    }

    /// Whether the signed content shows where `part` ends, if it is before the body, or where it begins, if it is after
    /// the body.
    fn is_separated(&self, index: usize, part: &SignedPart) -> bool {
        if !self.is_variable(part) || *part == SignedPart::Body {
            return true;
        }
        // Decoded, the paths `/a%2Fb` and `/a/b` have the same content.
        if matches!(part, SignedPart::Url { decode, .. } if !decode.is_empty()) {
            return false;
        }
        let separator = match (self.is_before_body(index), part) {
            (true, _) => index.checked_add(1).and_then(|next| self.signed.get(next)).and_then(fixed_start),
            (false, SignedPart::Url { base, .. }) => Some(base.as_bytes()),
            (false, _) => self.separator(index, false),
        };
        // `contains_separator` refuses a header whose value contains the literal.
        let next_to_literal =
            |text: &[u8]| text.iter().any(|byte| !self.can_contain(part, *byte)) || self.refuses_separator(index, part);
        let is_separated = separator.is_some_and(next_to_literal) || self.is_remaining(part);
        is_separated && self.is_list_fixed(part)
    }

    /// Whether the length of `part` differs between fresh messages.
    fn is_variable(&self, part: &SignedPart) -> bool {
        let is_fixed = matches!(part, SignedPart::Literal(_) | SignedPart::Timestamp | SignedPart::BodyDigest { .. });
        !is_fixed && !self.is_timestamp(part)
    }

    /// Whether `part` is all that remains of the content without the parts of fixed length. The body is always
    /// variable, so this needs a digest in its place.
    fn is_remaining(&self, part: &SignedPart) -> bool {
        self.is_variable(part) && self.signed.iter().filter(|other| self.is_variable(other)).count() == 1
    }

    /// Whether a value of `part` that was received over HTTP can contain `byte`.
    fn can_contain(&self, part: &SignedPart, byte: u8) -> bool {
        let in_value = byte == b'\t' || !byte.is_ascii_control();
        match part {
            SignedPart::Method => is_token_byte(byte),
            SignedPart::Path | SignedPart::Url { .. } => !byte.is_ascii_control() && byte != b' ',
            SignedPart::Field(_) => {
                let cuts = matches!(&self.layout, Layout::Fields { separator, .. } if *separator == char::from(byte));
                in_value && !cuts
            }
            SignedPart::ListedHeaders(listed) => in_value || listed.join.as_bytes().contains(&byte),
            _ => in_value,
        }
    }

    /// Whether the boundaries between listed headers can be found within the part.
    fn is_list_fixed(&self, part: &SignedPart) -> bool {
        let SignedPart::ListedHeaders(listed) = part else { return true };
        match listed.pair {
            ListedHeaderForm::NameAndValue => {
                listed.splits_pairs() && (self.signs_list(listed) || listed.requires_itself())
            }
            ListedHeaderForm::Value => listed.join.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()),
        }
    }

    /// Whether another part signs the list of names.
    pub(super) fn signs_list(&self, listed: &ListedHeaders) -> bool {
        match &listed.names_in {
            NamesIn::Header(name) => self.signed.contains(&SignedPart::Header(name.clone())),
            NamesIn::Field(key) => self.signed.contains(&SignedPart::Field(key.clone())),
        }
    }

    /// Whether the literal that separates a signed header from other signed content also occurs at another offset, so
    /// that one MAC would fit two messages. Standard Webhooks forbids `.` in ids for this reason.
    pub(super) fn contains_separator(&self, index: usize, value: &[u8]) -> bool {
        let Some(part @ SignedPart::Header(_)) = self.signed.get(index) else { return false };
        if self.is_timestamp(part) {
            return false;
        }
        let is_before_body = self.is_before_body(index);
        let Some(literal) = self.separator(index, is_before_body) else { return false };
        if is_before_body {
            // An occurrence may begin within the value and end within the literal.
            let at = |start: usize| value.iter().skip(start).chain(literal).take(literal.len()).eq(literal);
            (0..value.len()).any(at)
        } else {
            let at = |start: usize| literal.iter().chain(value).skip(start).take(literal.len()).eq(literal);
            (1..=value.len()).any(at)
        }
    }

    /// Whether [`contains_separator`](Self::contains_separator) checks the values of `part`.
    fn refuses_separator(&self, index: usize, part: &SignedPart) -> bool {
        matches!(part, SignedPart::Header(_)) && self.separator(index, self.is_before_body(index)).is_some()
    }

    fn is_before_body(&self, index: usize) -> bool {
        self.signed.iter().skip(index).any(SignedPart::is_body)
    }

    /// Returns the literal after a part before the body, or the literal before a part after the body.
    fn separator(&self, index: usize, is_before_body: bool) -> Option<&[u8]> {
        let index = if is_before_body { index.checked_add(1)? } else { index.checked_sub(1)? };
        match self.signed.get(index)? {
            SignedPart::Literal(text) if !text.is_empty() => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// Whether `part` names the header or field of the timestamp.
    fn is_timestamp(&self, part: &SignedPart) -> bool {
        match (self.timestamp.as_ref().map(|place| &place.source), part) {
            (Some(TimestampSource::Header(name)), SignedPart::Header(signed)) => name == signed,
            (Some(TimestampSource::Field(key)), SignedPart::Field(signed)) => key == signed,
            _ => false,
        }
    }
}

impl ListedHeaders {
    /// Whether the list must name its own header.
    fn requires_itself(&self) -> bool {
        matches!(&self.names_in, NamesIn::Header(name) if self.require.contains(name))
    }

    /// Whether [`join`](Self::join) cannot occur in a name and its colon.
    fn splits_pairs(&self) -> bool {
        !self.join.is_empty() && !self.join.bytes().any(|byte| is_token_byte(byte) || byte == b':')
    }

    /// Whether a value contains [`join`](Self::join), then a name, then a colon. It then looks as if another header starts.
    pub(super) fn embeds_header(&self, value: &[u8]) -> bool {
        let starts_header = |rest: &[u8]| {
            let name = rest.iter().take_while(|byte| is_token_byte(**byte)).count();
            name > 0 && rest.get(name) == Some(&b':')
        };
        let rest_at = |at: usize| value.get(at..).and_then(|rest| rest.strip_prefix(self.join.as_bytes()));
        self.pair == ListedHeaderForm::NameAndValue
            && self.splits_pairs()
            && (0..value.len()).filter_map(rest_at).any(starts_header)
    }
}

/// Returns the fixed text that a part starts with.
fn fixed_start(part: &SignedPart) -> Option<&[u8]> {
    match part {
        SignedPart::Literal(text) => Some(text.as_bytes()),
        SignedPart::Url { base, .. } => Some(base.as_bytes()),
        _ => None,
    }
}

fn describe(part: &SignedPart) -> String {
    match part {
        SignedPart::Method => "the method".into(),
        SignedPart::Path => "the path".into(),
        SignedPart::Url { .. } => "the URL".into(),
        SignedPart::Header(name) => format!("the header {}", name.as_str()),
        SignedPart::Field(key) => format!("the field {key}"),
        _ => "a part".into(),
    }
}

const SEPARATOR: &str = "with a character that this part cannot contain; otherwise one signature is valid for two \
                         messages. If the provider signs without such a literal, set `danger_ambiguous_content`";

const DECODED: &str = "must not decode a URL: two paths would have the same signature; set \
                       `danger_ambiguous_content` for a provider that signs that way";

const LISTED: &str = "must separate the listed headers: as `name:value`, with their own list in `require`, a `join` \
                      that no name contains, and a line break or another control character before the body; without \
                      these, a signature fits two messages; set `danger_ambiguous_content` for a provider that signs \
                      that way";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::HashAlgorithm;
    use crate::encoding::Encoding;
    use crate::headers::FieldName;
    use crate::scheme::SchemeBuilder;
    use crate::time::TimestampFormat;
    use alloc::vec::Vec;

    fn builder(parts: impl IntoIterator<Item = SignedPart>) -> SchemeBuilder {
        Scheme::builder("acme").signature_header("X-Sig").signed(parts)
    }

    fn fields(separator: char, parts: impl IntoIterator<Item = SignedPart>) -> SchemeBuilder {
        builder(parts).layout(Layout::fields(separator, "v1"))
    }

    fn header(name: &str) -> SignedPart {
        SignedPart::header(name).unwrap()
    }

    fn listed(pair: ListedHeaderForm, join: &'static str, require: &[&str]) -> SignedPart {
        SignedPart::ListedHeaders(ListedHeaders {
            names_in: NamesIn::Header(FieldName::new("X-Names").unwrap()),
            separator: ',',
            pair,
            join: join.into(),
            require: require.iter().map(|name| FieldName::new(*name).unwrap()).collect(),
        })
    }

    fn lit(text: &'static str) -> SignedPart {
        SignedPart::literal(text)
    }

    /// Asserts that the scheme is refused with an error that names `what`, unless ambiguity is accepted.
    #[track_caller]
    fn assert_ambiguous(builder: &SchemeBuilder, what: &str) {
        let error = builder.clone().build().unwrap_err();
        assert_eq!(error.field(), "signed");
        assert!(alloc::string::ToString::to_string(&error).contains(what), "{error}");
        assert!(builder.clone().danger_ambiguous_content().build().unwrap().has_ambiguous_content());
    }

    #[track_caller]
    fn assert_unambiguous(builder: SchemeBuilder) {
        assert!(!builder.build().unwrap().has_ambiguous_content());
    }

    #[test]
    fn parts_without_a_separator_are_a_config_error() {
        use SignedPart::{Body, Method, Path};
        let url = || SignedPart::url("https://a.example");
        assert_ambiguous(&builder([Method, Body]), "the method");
        assert_ambiguous(&builder([Path, Body]), "the path");
        assert_ambiguous(&builder([Body, Path]), "the path");
        assert_ambiguous(&builder([url(), Body]), "the URL");
        assert_ambiguous(&builder([Body, url()]), "the URL");
        assert_ambiguous(&builder([header("X-A"), Body]), "the header X-A");
        assert_ambiguous(&builder([header("X-A"), header("X-B"), lit("."), Body]), "the header X-A");
        assert_ambiguous(&builder([header("X-A"), lit(""), lit("."), Body]), "the header X-A");
        assert_ambiguous(&builder([Body, lit("."), header("X-A"), header("X-B")]), "the header X-B");
        assert_ambiguous(&fields(',', [SignedPart::field("h"), Body]), "the field h");
    }

    #[test]
    fn separator_a_part_can_contain_is_refused() {
        use SignedPart::{Body, Method, Path};
        assert_ambiguous(&builder([Method, lit("."), Body]), "the method");
        assert_ambiguous(&builder([Path, lit(":"), Body]), "the path");
        assert_ambiguous(&builder([Path, lit(":"), Method, lit(":"), Body]), "the path");
        assert_ambiguous(&fields(',', [SignedPart::field("h"), lit("."), Body]), "the field h");
        assert_ambiguous(&fields(',', [Body, lit("."), SignedPart::field("h")]), "the field h");
        for decode in ["\n", "/", " "] {
            let decoded = SignedPart::Url { base: "https://a.example".into(), decode: decode.into() };
            assert_ambiguous(&builder([decoded, lit("\n"), Body]), "decode a URL");
        }
    }

    #[test]
    fn separator_that_no_part_can_contain_is_accepted() {
        use SignedPart::{Body, Method, Path, Timestamp};
        assert_unambiguous(builder([Method, lit("\n"), Path, lit("\n"), Body]));
        assert_unambiguous(builder([Method, lit(":"), Body]));
        assert_unambiguous(builder([Method, SignedPart::url("https://a.example"), lit("\n"), Body]));
        assert_unambiguous(builder([header("X-A"), lit("."), header("X-B"), lit("."), Body, lit("."), header("X-C")]));
        assert_unambiguous(fields(',', [SignedPart::field("h"), lit(","), Body, lit("\n"), SignedPart::field("g")]));
        use TimestampFormat::{HttpDate, Milliseconds, Rfc3339, Seconds};
        for format in [Seconds, Milliseconds, Rfc3339, HttpDate] {
            for parts in [[Timestamp, Body], [Body, Timestamp], [header("X-Time"), Body], [Body, header("X-Time")]] {
                assert_unambiguous(builder(parts).timestamp_header("X-Time", format));
            }
            let by_field = fields(';', [SignedPart::field("t"), Body]).timestamp_field("t", format);
            assert_unambiguous(by_field);
        }
    }

    #[test]
    fn digest_of_the_body_has_a_fixed_length() {
        use SignedPart::{Method, Path, Timestamp};
        let digest = || SignedPart::body_digest(HashAlgorithm::Sha256, Encoding::Hex);
        let url = || SignedPart::url("https://a.example");
        for single in [[Path, digest()], [digest(), Method], [header("X-A"), digest()], [digest(), url()]] {
            assert_unambiguous(builder(single));
        }
        let stamped = |parts: [SignedPart; 3]| builder(parts).timestamp_header("X-Time", TimestampFormat::Seconds);
        assert_unambiguous(stamped([Path, Timestamp, digest()]));
        assert_unambiguous(stamped([digest(), header("X-Time"), Path]));
        assert_unambiguous(builder([Method, lit("\n"), Path, lit("\n"), digest()]));
        assert_ambiguous(&builder([Method, Path, digest()]), "the method");
        assert_ambiguous(&builder([Path, digest(), Method]), "the path");
        assert_ambiguous(&builder([Path, digest(), lit("."), header("X-A")]), "the path");
        assert_ambiguous(&builder([digest(), header("X-A"), header("X-B")]), "the header X-A");
        let decoded = SignedPart::Url { base: "https://a.example".into(), decode: "/".into() };
        assert_ambiguous(&builder([decoded, digest()]), "decode a URL");
        assert_ambiguous(&builder([listed(ListedHeaderForm::NameAndValue, ";", &[]), digest()]), "listed headers");
    }

    #[test]
    fn listed_headers_that_can_merge_are_refused() {
        use ListedHeaderForm::{NameAndValue, Value};
        let before_body = |part| builder([part, lit("\n"), SignedPart::Body]);
        assert_unambiguous(before_body(listed(NameAndValue, ";", &["x-names"])));
        assert_ambiguous(&before_body(listed(NameAndValue, ";", &[])), "`require`");
        assert_ambiguous(&before_body(listed(NameAndValue, ";", &["X-Other"])), "`require`");
        for join in ["", "a", ":", "-"] {
            assert_ambiguous(&before_body(listed(NameAndValue, join, &["x-names"])), "`join`");
        }
        assert_ambiguous(&before_body(listed(NameAndValue, "\n", &["x-names"])), "before the body");
        let names = || [header("X-Names"), lit("\n")];
        let signed_list = |part, end| builder(names().into_iter().chain([part, lit(end), SignedPart::Body]));
        assert_unambiguous(signed_list(listed(NameAndValue, ";", &[]), "\n"));
        assert_unambiguous(signed_list(listed(Value, "\r", &[]), "\n"));
        assert_ambiguous(&signed_list(listed(Value, ".", &[]), "\n"), "listed headers");
        assert_ambiguous(&signed_list(listed(NameAndValue, ";", &[]), "."), "listed headers");
    }

    #[test]
    fn value_that_embeds_a_listed_header_is_detected() {
        let SignedPart::ListedHeaders(listed) = listed(ListedHeaderForm::NameAndValue, ";", &["x-names"]) else {
            panic!()
        };
        for (value, embeds) in [
            ("text/plain;charset=utf-8", false),
            ("text/plain; charset:utf-8", false),
            ("a;:", false),
            ("a;b", false),
            ("a;b:", true),
            (";x-b:2", true),
            ("a;;b:c", true),
        ] {
            assert_eq!(listed.embeds_header(value.as_bytes()), embeds, "{value}");
        }
        let values: Vec<u8> = core::iter::repeat_n(b";a".iter().copied(), 4_000).flatten().collect();
        assert!(!listed.embeds_header(&values));
    }
}
