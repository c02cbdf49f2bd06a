//! The checks of a scheme's description.

use smallvec::{SmallVec, smallvec};

use super::limits::{MAX_CANDIDATES_RANGE, MAX_PARTS};
use super::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, Scheme, SecretFormat, SignedPart, TimestampSource};
use crate::crypto::Algorithm;
use crate::encoding::Encoding;
use crate::error::ConfigError;
use crate::time::TimestampFormat;

impl Scheme {
    pub(super) fn checked(self) -> Result<Self, ConfigError> {
        let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        demand(
            (1..=64).contains(&self.name.len()) && self.name.bytes().all(name_byte),
            "name",
            "must be 1 to 64 characters of A-Z a-z 0-9 . _ -",
        )?;
        if self.is_custom() {
            self.check_custom()?;
            self.check_algorithm()?;
            self.delivery_id.as_ref().map_or(Ok(()), |id| id.check(&self.signed, self.coverage().body))?;
            return Ok(self);
        }
        self.check_signature_headers()?;
        self.check_algorithm()?;
        self.check_layout()?;
        self.check_signed()?;
        self.check_timestamp()?;
        self.delivery_id.as_ref().map_or(Ok(()), |id| id.check(&self.signed, self.coverage().body))?;
        if !self.danger_ambiguous_content {
            self.check_unambiguous()?;
        }
        Ok(self)
    }

    /// Returns an error if a setting has no effect, because the application verifies itself.
    fn check_custom(&self) -> Result<(), ConfigError> {
        let settings = [
            // The first of several algorithms, or the only one.
            ("algorithm", self.algorithms().first() == Some(&self.algorithm)),
            ("layout", self.layout == Layout::plain("")),
            ("encoding", self.encoding == Encoding::default()),
            ("timestamp", self.timestamp.is_none()),
            ("signed", self.signed.is_empty()),
            ("repeated_signature_headers", !self.repeated_signature_headers),
            ("danger_ambiguous_content", !self.danger_ambiguous_content),
        ];
        let problem = "must not be set for a custom scheme, whose code reads the request: remove it";
        settings.into_iter().try_for_each(|(field, is_default)| demand(is_default, field, problem))?;
        if self.uses_tokens() {
            let is_default = self.algorithm == Algorithm::default();
            demand(is_default, "algorithm", "must not be set for a token, which signs nothing: remove it")?;
            let is_literal = self.secret_format == SecretFormat::Literal;
            demand(is_literal, "secret", "must be literal, because a request contains the token as it is")?;
        }
        self.check_signature_counts()
    }

    fn check_signature_counts(&self) -> Result<(), ConfigError> {
        let is_valid = self.max_signatures.is_none_or(|count| MAX_CANDIDATES_RANGE.contains(&count));
        demand(is_valid, "max_signatures", "must be 8 to 128")?;
        let problem = "must be at most 32, or at most `max_signatures`";
        demand(self.signature_headers.len() <= usize::from(self.max_signatures()), "signature_headers", problem)?;
        demand(are_distinct(&self.signature_headers), "signature_headers", "must be different headers")
    }

    fn check_algorithm(&self) -> Result<(), ConfigError> {
        if let Some(feature) = self.algorithm.missing_feature() {
            return Err(ConfigError::new(
                "algorithm",
                alloc::format!("must be an algorithm of an enabled feature: enable the feature `{feature}`"),
            ));
        }
        if self.algorithm.uses_public_keys() {
            demand(
                self.max_signatures.is_none(),
                "max_signatures",
                "must not be set with public keys, for which it is always 4: remove it",
            )?;
            let is_default = self.secret_format == SecretFormat::default();
            demand(is_default, "secret", "must not be set with public keys, whose form is recognized: remove it")?;
        }
        Ok(())
    }

    fn check_signature_headers(&self) -> Result<(), ConfigError> {
        let headers = &self.signature_headers;
        demand(!headers.is_empty(), "signature_headers", "must be at least one")?;
        self.check_signature_counts()?;
        let is_bare = matches!(self.layout, Layout::Plain { .. } | Layout::List { .. });
        let single = headers.len() == 1 || is_bare;
        demand(single, "signature_headers", "must be one header in the layouts with fields")?;
        let problem = "must not be set with the layout fields, field_groups or positional: remove it, or set the layout plain or list";
        demand(is_bare || !self.repeated_signature_headers, "repeated_signature_headers", problem)
    }

    fn check_layout(&self) -> Result<(), ConfigError> {
        if let Layout::List { separator, .. }
        | Layout::Fields { separator, .. }
        | Layout::FieldGroups { separator, .. }
        | Layout::Positional { separator, .. } = &self.layout
        {
            demand(self.can_separate(*separator), "layout.separator", NOT_A_SEPARATOR)?;
        }
        match &self.layout {
            Layout::Plain { prefix } => demand(is_prefix(prefix), "layout.prefix", NOT_A_PREFIX),
            Layout::List { separator, prefix } => {
                demand(is_prefix(prefix), "layout.prefix", NOT_A_PREFIX)?;
                demand(!prefix.contains(*separator), "layout.prefix", "must not contain the separator")
            }
            Layout::Fields { separator, signature } => {
                demand(is_key(signature, *separator), "layout.signature", NOT_A_KEY)
            }
            Layout::FieldGroups { group_separator, separator, signature } => {
                let separates = self.can_separate(*group_separator) && group_separator != separator;
                demand(separates, "layout.group_separator", NOT_A_GROUP_SEPARATOR)?;
                demand(
                    is_key(signature, *separator) && is_key(signature, *group_separator),
                    "layout.signature",
                    NOT_A_KEY,
                )?;
                let in_field =
                    matches!(&self.timestamp, Some(place) if matches!(place.source, TimestampSource::Field(_)));
                demand(in_field, "timestamp", "must be a field, because each group of fields has its own timestamp")
            }
            Layout::Positional { fields, .. } => {
                demand((1..=MAX_POSITIONS).contains(&fields.len()), "layout.fields", "must be 1 to 8 names")?;
                let named = fields.iter().all(|name| !name.is_empty());
                demand(named && are_distinct(fields), "layout.fields", "must be different names, none of them empty")
            }
        }
    }

    fn can_separate(&self, separator: char) -> bool {
        (separator.is_ascii_graphic() || separator == ' ') && !self.encoding.can_write(separator)
    }

    fn check_signed(&self) -> Result<(), ConfigError> {
        demand(
            self.signed.iter().filter(|part| part.is_body()).count() == 1,
            "signed",
            "must contain the body or its digest, exactly once",
        )?;
        demand(self.signed.len() <= MAX_PARTS, "signed", "must be at most 16 parts")?;
        for part in &self.signed {
            match part {
                SignedPart::Header(name) => {
                    demand(!self.signature_headers.contains(name), "signed.header", SIGNS_ITSELF)?;
                }
                SignedPart::Field(key) => self.check_field("signed.field", key)?,
                SignedPart::Url { base, decode } => {
                    let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
                    let well_formed =
                        host.is_some_and(|host| !host.is_empty() && !host.ends_with('/') && is_header_text(host));
                    demand(well_formed, "signed.url.base", "must be http(s)://host without a slash at the end")?;
                    demand(decode.is_ascii(), "signed.url.decode", "must be ASCII")?;
                }
                SignedPart::ListedHeaders(listed) => self.check_listed(listed)?,
                SignedPart::Timestamp => {
                    demand(
                        self.timestamp.is_some(),
                        "signed.timestamp",
                        "must not be signed without a timestamp: set `timestamp` too",
                    )?;
                }
                SignedPart::Literal(_)
                | SignedPart::Body
                | SignedPart::BodyDigest { .. }
                | SignedPart::Method
                | SignedPart::Path => {}
            }
        }
        Ok(())
    }

    fn check_listed(&self, listed: &ListedHeaders) -> Result<(), ConfigError> {
        let (names_in, separator) = ("signed.listed_headers.names_in", "signed.listed_headers.separator");
        let list_source = match &listed.names_in {
            NamesIn::Field(key) => {
                self.check_field(names_in, key)?;
                let cut = self.field_separators().contains(&listed.separator);
                demand(!cut, separator, "must differ from the separator of the layout")?;
                TimestampSource::Field(key.clone())
            }
            NamesIn::Header(name) => {
                demand(!self.signature_headers.contains(name), names_in, SIGNS_ITSELF)?;
                TimestampSource::Header(name.clone())
            }
        };
        let is_timestamp = self.timestamp.as_ref().is_some_and(|place| place.source == list_source);
        demand(!is_timestamp, names_in, "must not be the header or field of the timestamp")?;
        demand(
            listed.pair == ListedHeaderForm::NameAndValue || self.signs_list(listed),
            names_in,
            "must also be signed by another part, because the form `value` does not sign the names",
        )?;
        let separates =
            listed.separator.is_ascii() && !listed.separator.is_ascii_alphanumeric() && listed.separator != '-';
        demand(separates, separator, "must be ASCII that cannot be part of a header's name")?;
        let require = "signed.listed_headers.require";
        let mut same_list = self.lists().filter(|other| other.names_in == listed.names_in);
        let consistent = same_list.all(|other| other.require == listed.require);
        demand(consistent, require, "must be the same in all parts that read one list")?;
        let itself = listed.require.iter().any(|name| self.signature_headers.contains(name));
        demand(!itself, require, SIGNS_ITSELF)
    }

    fn check_timestamp(&self) -> Result<(), ConfigError> {
        let Some(place) = &self.timestamp else { return Ok(()) };
        let signed_by_name = match &place.source {
            TimestampSource::Field(key) => {
                if let Layout::FieldGroups { group_separator, separator, signature } = &self.layout {
                    let is_key = is_key(key, *separator) && is_key(key, *group_separator);
                    demand(is_key, "timestamp.field", NOT_A_KEY)?;
                    demand(key != signature, "timestamp.field", "must not be the key of the signature")?;
                } else {
                    self.check_field("timestamp.field", key)?;
                }
                let cuts = |separator: &char| match place.format {
                    TimestampFormat::Seconds | TimestampFormat::Milliseconds => false,
                    TimestampFormat::Rfc3339 => matches!(separator, '-' | ':' | '.'),
                    TimestampFormat::HttpDate => matches!(separator, ',' | ' ' | ':'),
                };
                demand(
                    !self.field_separators().iter().any(cuts),
                    "timestamp.format",
                    "must not contain the separator of the layout",
                )?;
                self.signed.contains(&SignedPart::Field(key.clone()))
            }
            TimestampSource::Header(name) => {
                let problem = "must not be a signature header: set timestamp.field to a field or position in it";
                demand(!self.signature_headers.contains(name), "timestamp.header", problem)?;
                self.signed.iter().any(|part| match part {
                    SignedPart::Header(signed) => signed == name,
                    SignedPart::ListedHeaders(listed) => listed.require.contains(name),
                    _ => false,
                })
            }
        };
        demand(signed_by_name || self.signed.contains(&SignedPart::Timestamp), "timestamp", "must be signed")
    }

    fn check_field(&self, field: &'static str, key: &str) -> Result<(), ConfigError> {
        match &self.layout {
            Layout::Fields { separator, signature } => {
                demand(is_key(key, *separator), field, NOT_A_KEY)?;
                demand(key != signature.as_ref(), field, "must not be the key of the signature")
            }
            Layout::Positional { fields, .. } => {
                demand(fields.iter().any(|name| name == key), field, "must be one of the layout's fields")
            }
            _ => Err(ConfigError::new(field, "must not be set with this layout: set the layout fields or positional")),
        }
    }

    /// Returns the characters that a field cannot contain.
    fn field_separators(&self) -> SmallVec<[char; 2]> {
        match &self.layout {
            Layout::Fields { separator, .. } | Layout::Positional { separator, .. } => smallvec![*separator],
            Layout::FieldGroups { group_separator, separator, .. } => smallvec![*group_separator, *separator],
            Layout::Plain { .. } | Layout::List { .. } => SmallVec::new(),
        }
    }
}

pub(super) fn demand(holds: bool, field: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    debug_assert!(problem.contains("must"), "{problem}");
    if holds { Ok(()) } else { Err(ConfigError::new(field, problem)) }
}

fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether a value can start with the text. White space at its start would be trimmed before the comparison.
pub(super) fn is_prefix(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') && !text.starts_with(' ')
}

fn is_key(text: &str, separator: char) -> bool {
    !text.is_empty() && is_header_text(text) && !text.contains(['=', separator])
}

fn are_distinct<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().all(|(index, item)| !items.iter().skip(index.saturating_add(1)).any(|other| other == item))
}

const NOT_A_SEPARATOR: &str = "must be a space or visible ASCII that cannot be part of a signature";
const NOT_A_GROUP_SEPARATOR: &str =
    "must be a space or visible ASCII that cannot be part of a signature, and not the separator of the fields";
pub(super) const NOT_A_PREFIX: &str = "must be visible ASCII and spaces, without a space at its start";
const NOT_A_KEY: &str = "must be visible ASCII without `=` and the separator, and not empty";
const SIGNS_ITSELF: &str = "must not be a signature header, because a signature cannot sign itself";

/// The maximum number of fields in the layout positional.
const MAX_POSITIONS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::HashAlgorithm;
    use crate::encoding::Encoding;
    use crate::headers::FieldName;
    use crate::scheme::SchemeBuilder;
    use alloc::vec;

    fn good() -> SchemeBuilder {
        Scheme::builder("acme").signature_header("X-Sig").signed([SignedPart::Body])
    }

    #[track_caller]
    fn assert_fault(builder: SchemeBuilder, field: &str) {
        assert_eq!(builder.build().unwrap_err().field(), field);
    }

    fn listed(pair: ListedHeaderForm, require: &[&str]) -> SignedPart {
        SignedPart::ListedHeaders(ListedHeaders {
            names_in: NamesIn::Header(FieldName::new("X-Signed").unwrap()),
            separator: ',',
            pair,
            join: ";".into(),
            require: require.iter().map(|name| FieldName::new(*name).unwrap()).collect(),
        })
    }

    #[test]
    fn presets_pass_the_builder_checks() {
        for scheme in
            [Scheme::timestamped(), Scheme::standard_webhooks(), Scheme::stripe(), Scheme::github(), Scheme::slack()]
        {
            assert!(scheme.clone().into_builder().build().is_ok(), "{}", scheme.name());
            for name in scheme.signature_headers() {
                assert_eq!(FieldName::new(name.as_str()).unwrap(), *name);
            }
        }
    }

    #[test]
    fn body_not_exactly_once_is_a_config_error() {
        assert_fault(good().signed([]), "signed");
        assert_fault(good().signed([SignedPart::literal("x")]), "signed");
        assert_fault(good().signed([SignedPart::Body, SignedPart::Body]), "signed");
        let digest = || SignedPart::body_digest(HashAlgorithm::Sha256, Encoding::Hex);
        assert!(good().signed([digest()]).build().is_ok());
        assert_fault(good().signed([digest(), SignedPart::Body]), "signed");
        assert_fault(good().signed([digest(), digest()]), "signed");
        assert_fault(
            good().signed((0..17).map(|n| if n == 0 { SignedPart::Body } else { SignedPart::literal("x") })),
            "signed",
        );
    }

    #[test]
    fn timestamp_that_is_not_signed_is_refused() {
        let stamped = || good().timestamp_header("X-Time", TimestampFormat::Seconds);
        assert_fault(stamped(), "timestamp");
        assert_fault(stamped().signed([listed(ListedHeaderForm::NameAndValue, &[]), SignedPart::Body]), "timestamp");
        assert!(stamped().signed([SignedPart::Timestamp, SignedPart::Body]).build().is_ok());
        assert!(
            stamped()
                .signed([
                    listed(ListedHeaderForm::NameAndValue, &["x-time", "X-Signed"]),
                    SignedPart::literal("\n"),
                    SignedPart::Body
                ])
                .build()
                .is_ok()
        );
        assert_fault(good().signed([SignedPart::Timestamp, SignedPart::Body]), "signed.timestamp");
        assert_fault(
            good()
                .timestamp_header("x-sig", TimestampFormat::Seconds)
                .signed([SignedPart::Timestamp, SignedPart::Body]),
            "timestamp.header",
        );
        assert_fault(good().timestamp_format(TimestampFormat::Seconds), "timestamp.format");
    }

    #[test]
    fn invalid_signature_headers_are_a_config_error() {
        assert_fault(good().signature_headers([""; 0]), "signature_headers");
        assert_fault(good().signature_headers(["X-A", "x-a"]), "signature_headers");
        assert_fault(good().signature_headers(["bad name"]), "signature_headers");
        let numbered = |count| good().signature_headers((0..count).map(|n| alloc::format!("X-{n}")));
        assert!(numbered(32).build().is_ok());
        assert_fault(numbered(33), "signature_headers");
        assert!(numbered(128).max_signatures(128).build().is_ok());
        assert_fault(numbered(128).max_signatures(127), "signature_headers");
        for count in [0, 7, 129, 255] {
            assert_fault(good().max_signatures(count), "max_signatures");
        }
        // With public keys, a request has at most 4 signatures.
        let ed25519 = |builder: SchemeBuilder| builder.algorithm(crate::crypto::Algorithm::Ed25519);
        if cfg!(feature = "ed25519") {
            assert_eq!(ed25519(good()).build().unwrap().max_signatures(), 4);
            assert!(ed25519(numbered(4)).build().is_ok());
            assert_fault(ed25519(numbered(5)), "signature_headers");
            assert_fault(ed25519(good()).max_signatures(8), "max_signatures");
            assert_fault(ed25519(good()).secret_format(SecretFormat::Hex), "secret");
        } else {
            let error = ed25519(good()).build().unwrap_err();
            assert_eq!(
                alloc::format!("{error}"),
                "algorithm: must be an algorithm of an enabled feature: enable the feature `ed25519`"
            );
        }
        assert_fault(good().signature_headers(["X-A", "X-B"]).layout(Layout::fields(',', "v1")), "signature_headers");
        assert_fault(good().signed([SignedPart::header("X-SIG").unwrap(), SignedPart::Body]), "signed.header");
        assert_fault(
            good().signed([listed(ListedHeaderForm::NameAndValue, &["X-Sig"]), SignedPart::Body]),
            "signed.listed_headers.require",
        );
    }

    #[test]
    fn repeated_header_with_fields_is_refused() {
        let repeated = |layout| good().repeated_signature_headers().layout(layout);
        assert!(repeated(Layout::plain("v1=")).build().unwrap().repeats_signature_headers());
        assert!(repeated(Layout::list(',', "v1=")).build().is_ok());
        assert_fault(repeated(Layout::fields(',', "v1")), "repeated_signature_headers");
        assert_fault(repeated(Layout::positional(',', ["t"])), "repeated_signature_headers");
        assert_fault(repeated(Layout::field_groups(' ', ',', "v1")), "repeated_signature_headers");
        assert!(!good().build().unwrap().repeats_signature_headers());
    }

    #[test]
    fn ambiguous_layout_is_a_config_error() {
        for separator in ['a', '0', '+', '/', '=', '\n', 'é'] {
            assert_fault(good().layout(Layout::list(separator, "v1")), "layout.separator");
            assert_fault(good().layout(Layout::fields(separator, "v1")), "layout.separator");
        }
        for separator in ['-', '_'] {
            let list = || good().layout(Layout::list(separator, "v1"));
            assert!(list().encoding(Encoding::Base64).build().is_ok());
            assert_fault(list().encoding(Encoding::Base64Url), "layout.separator");
            assert_fault(list().encoding(Encoding::Base64UrlUnpadded), "layout.separator");
        }
        for prefix in [" ", " sha256=", "HMAC\t", "HMAC\n", "é"] {
            assert_fault(good().layout(Layout::plain(prefix)), "layout.prefix");
            assert_fault(good().layout(Layout::list(',', prefix)), "layout.prefix");
        }
        for prefix in ["HMAC ", "sha256 = "] {
            assert!(good().layout(Layout::plain(prefix)).build().is_ok());
            assert!(good().layout(Layout::list(',', prefix)).build().is_ok());
            assert_fault(good().layout(Layout::list(' ', prefix)), "layout.prefix");
        }
        assert_fault(good().layout(Layout::list(',', "v1,")), "layout.prefix");
        assert_fault(good().layout(Layout::fields(',', "")), "layout.signature");
        assert_fault(good().layout(Layout::fields(',', "v=1")), "layout.signature");
    }

    #[test]
    fn invalid_positional_layout_is_a_config_error() {
        let positional =
            |separator, fields: &[&'static str]| good().layout(Layout::positional(separator, fields.to_vec()));
        for separator in ['a', '0', '+', '/', '=', '\n', 'é'] {
            assert_fault(positional(separator, &["t"]), "layout.separator");
        }
        for fields in [&[][..], &[""], &["t", "t"], &["1", "2", "3", "4", "5", "6", "7", "8", "9"]] {
            assert_fault(positional(',', fields), "layout.fields");
        }
        let stamped = |separator, key: &'static str, format| {
            let parts = [SignedPart::Timestamp, SignedPart::literal("."), SignedPart::Body];
            positional(separator, &["t"]).timestamp_field(key, format).signed(parts)
        };
        assert!(stamped('.', "t", TimestampFormat::Milliseconds).build().is_ok());
        assert_fault(stamped('.', "t", TimestampFormat::Rfc3339), "timestamp.format");
        assert_fault(stamped(',', "x", TimestampFormat::Seconds), "timestamp.field");
        assert_fault(
            stamped(',', "t", TimestampFormat::Seconds).signature_headers(["X-A", "X-B"]),
            "signature_headers",
        );
        let unsigned = positional(',', &["t"]).timestamp_field("t", TimestampFormat::Seconds);
        assert_fault(unsigned, "timestamp");
    }

    #[test]
    fn invalid_groups_of_fields_are_refused() {
        use TimestampFormat::{HttpDate, Rfc3339, Seconds};
        let groups = |groups, fields, signature| {
            let stamped = good().layout(Layout::field_groups(groups, fields, signature));
            stamped.timestamp_field("t", Seconds).signed([SignedPart::Timestamp, SignedPart::Body])
        };
        assert!(groups(' ', ',', "v1").build().is_ok());
        for separator in ['a', '0', '+', '/', '=', '\n', 'é'] {
            assert_fault(groups(' ', separator, "v1"), "layout.separator");
            assert_fault(groups(separator, ',', "v1"), "layout.group_separator");
        }
        assert_fault(groups(',', ',', "v1"), "layout.group_separator");
        for signature in ["", "v=1", "v,1", "v;1"] {
            assert_fault(groups(';', ',', signature), "layout.signature");
        }
        assert_fault(groups(' ', ',', "v1").signature_headers(["X-A", "X-B"]), "signature_headers");
        let good = || groups(';', ',', "v1");
        assert_fault(good().timestamp_header("X-Time", Seconds), "timestamp");
        for field in ["", "v1", "t,", "t;", "t="] {
            assert_fault(good().timestamp_field(field, Seconds), "timestamp.field");
        }
        assert_fault(good().timestamp_format(HttpDate), "timestamp.format");
        assert!(good().timestamp_format(Rfc3339).build().is_ok());
        assert_fault(groups('-', ',', "v1").timestamp_format(Rfc3339), "timestamp.format");
        // Each group has its own fields, so only the timestamp can be one of them.
        assert_fault(good().signed([SignedPart::field("h"), SignedPart::Timestamp, SignedPart::Body]), "signed.field");
        assert_fault(good().signed([SignedPart::field("t"), SignedPart::Body]), "signed.field");
        assert_fault(good().signed([SignedPart::Body]), "timestamp");
    }

    #[test]
    fn field_without_the_layout_fields_is_refused() {
        assert_fault(
            good().timestamp_field("t", TimestampFormat::Seconds).signed([SignedPart::Timestamp, SignedPart::Body]),
            "timestamp.field",
        );
        assert_fault(good().signed([SignedPart::field("h"), SignedPart::Body]), "signed.field");
        let fields = || good().layout(Layout::fields(',', "v1"));
        assert_fault(fields().signed([SignedPart::field("v1"), SignedPart::Body]), "signed.field");
        assert_fault(
            fields().timestamp_field("v1", TimestampFormat::Seconds).signed([SignedPart::Timestamp, SignedPart::Body]),
            "timestamp.field",
        );
    }

    #[test]
    fn field_containing_the_layout_separator_is_refused() {
        let in_field = |separator, key: &'static str| {
            SignedPart::ListedHeaders(ListedHeaders {
                names_in: NamesIn::Field(key.into()),
                separator,
                pair: ListedHeaderForm::NameAndValue,
                join: ";".into(),
                require: vec![],
            })
        };
        let fields = |separator| good().layout(Layout::fields(separator, "v1"));
        assert_fault(fields(' ').signed([in_field(' ', "h"), SignedPart::Body]), "signed.listed_headers.separator");
        let cut = fields(',').signed([in_field(' ', "h"), SignedPart::Body]);
        assert!(cut.danger_ambiguous_content().build().is_ok());
        for separator in ['-', ':', '.'] {
            let stamped = |format| {
                fields(separator).timestamp_field("t", format).signed([SignedPart::Timestamp, SignedPart::Body])
            };
            assert_fault(stamped(TimestampFormat::Rfc3339), "timestamp.format");
            assert!(stamped(TimestampFormat::Milliseconds).build().is_ok());
        }
        for separator in [',', ' ', ':', ';', '-', '.'] {
            let parts = [SignedPart::Timestamp, SignedPart::Body];
            let dated = fields(separator).timestamp_field("t", TimestampFormat::HttpDate).signed(parts);
            match separator {
                ',' | ' ' | ':' => assert_fault(dated, "timestamp.format"),
                _ => assert!(dated.build().is_ok(), "{separator}"),
            }
        }
        let timestamp = fields(',').timestamp_field("t", TimestampFormat::Seconds);
        assert_fault(
            timestamp.signed([SignedPart::Timestamp, in_field(' ', "t"), SignedPart::Body]),
            "signed.listed_headers.names_in",
        );
    }

    #[test]
    fn listed_values_without_signed_names_are_refused() {
        assert_fault(
            good().signed([listed(ListedHeaderForm::Value, &[]), SignedPart::Body]),
            "signed.listed_headers.names_in",
        );
        let names = SignedPart::header("X-Signed").unwrap();
        let signed = good().signed([names, listed(ListedHeaderForm::Value, &[]), SignedPart::Body]);
        assert!(signed.danger_ambiguous_content().build().is_ok());
    }

    #[test]
    fn lists_requiring_different_names_are_refused() {
        let (one, other) =
            (listed(ListedHeaderForm::NameAndValue, &["X-A"]), listed(ListedHeaderForm::NameAndValue, &["X-B"]));
        assert_fault(good().signed([one.clone(), other, SignedPart::Body]), "signed.listed_headers.require");
        assert!(good().signed([one.clone(), one, SignedPart::Body]).danger_ambiguous_content().build().is_ok());
    }

    #[test]
    fn url_without_a_fixed_host_is_refused() {
        for base in ["", "hooks.example.com", "https://", "https://a/", "ftp://a", "https://a b"] {
            assert_fault(good().signed([SignedPart::url(base), SignedPart::Body]), "signed.url.base");
        }
        let url = SignedPart::url("https://hooks.example.com:8443");
        assert!(good().signed(vec![url, SignedPart::literal("\n"), SignedPart::Body]).build().is_ok());
    }

    #[test]
    fn name_unfit_for_a_label_is_refused() {
        for name in ["", "a b", "a\n", "é"] {
            assert_fault(good().name(name), "name");
        }
    }
}
