//! The checks that make a description a scheme.

use super::limits::MAX_PARTS;
use super::{Layout, ListedHeaderForm, ListedHeaders, NamesIn, Scheme, SignedPart, TimestampSource};
use crate::error::ConfigError;
use crate::time::TimestampFormat;

impl Scheme {
    pub(super) fn checked(self) -> Result<Self, ConfigError> {
        let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        demand(
            (1..=64).contains(&self.name.len()) && self.name.bytes().all(name_byte),
            "name",
            "takes 1 to 64 characters of A-Z a-z 0-9 . _ -",
        )?;
        self.check_signature_headers()?;
        self.check_layout()?;
        self.check_signed()?;
        self.check_timestamp()?;
        Ok(self)
    }

    fn check_signature_headers(&self) -> Result<(), ConfigError> {
        let headers = &self.signature_headers;
        demand(!headers.is_empty(), "signature_headers", "there is none")?;
        demand(headers.len() <= MAX_SIGNATURE_HEADERS, "signature_headers", "more than 32")?;
        let distinct = headers
            .iter()
            .enumerate()
            .all(|(index, name)| !headers.iter().skip(index.saturating_add(1)).any(|other| other == name));
        demand(distinct, "signature_headers", "one is named twice")?;
        let single = headers.len() == 1 || !matches!(self.layout, Layout::Fields { .. });
        demand(single, "signature_headers", "the layout fields has one signature header")
    }

    fn check_layout(&self) -> Result<(), ConfigError> {
        let separates = |separator: char| separator.is_ascii_graphic() || separator == ' ';
        let in_tags = |separator: char| separator.is_ascii_alphanumeric() || matches!(separator, '+' | '/' | '=');
        match &self.layout {
            Layout::Plain { prefix } => demand(is_header_text(prefix), "layout.prefix", "is not visible ASCII"),
            Layout::List { separator, prefix } => {
                demand(
                    separates(*separator) && !in_tags(*separator),
                    "layout.separator",
                    "can be part of a signature",
                )?;
                demand(is_header_text(prefix), "layout.prefix", "is not visible ASCII")?;
                demand(!prefix.contains(*separator), "layout.prefix", "contains the separator")
            }
            Layout::Fields { separator, signature } => {
                demand(
                    separates(*separator) && !in_tags(*separator),
                    "layout.separator",
                    "can be part of a signature",
                )?;
                demand(is_key(signature, *separator), "layout.signature", "is not a field's key")
            }
        }
    }

    fn check_signed(&self) -> Result<(), ConfigError> {
        demand(
            self.signed.iter().filter(|part| **part == SignedPart::Body).count() == 1,
            "signed",
            "the body must be in it exactly once",
        )?;
        demand(self.signed.len() <= MAX_PARTS, "signed", "more than 16 parts")?;
        for part in &self.signed {
            match part {
                SignedPart::Header(name) => {
                    demand(!self.signature_headers.contains(name), "signed.header", "a signature cannot sign itself")?;
                }
                SignedPart::Field(key) => self.check_field("signed.field", key)?,
                SignedPart::Url { base, decode } => {
                    let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
                    let well_formed =
                        host.is_some_and(|host| !host.is_empty() && !host.ends_with('/') && is_header_text(host));
                    demand(well_formed, "signed.url.base", "is not http(s)://host without a slash at its end")?;
                    demand(decode.is_ascii(), "signed.url.decode", "is not ASCII")?;
                }
                SignedPart::ListedHeaders(listed) => self.check_listed(listed)?,
                SignedPart::Timestamp => {
                    demand(self.timestamp.is_some(), "signed.timestamp", "the scheme has no timestamp")?;
                }
                SignedPart::Literal(_) | SignedPart::Body | SignedPart::Method | SignedPart::Path => {}
            }
        }
        Ok(())
    }

    fn check_listed(&self, listed: &ListedHeaders) -> Result<(), ConfigError> {
        let (field, names_signed) = match &listed.names_in {
            NamesIn::Field(key) => {
                self.check_field("signed.listed_headers.names_in", key)?;
                let whole = !matches!(&self.layout, Layout::Fields { separator, .. } if *separator == listed.separator);
                demand(whole, "signed.listed_headers.separator", "separates the layout's fields, too")?;
                let stamp = self.timestamp.as_ref().map(|place| &place.source);
                let other = stamp != Some(&TimestampSource::Field(key.clone()));
                demand(other, "signed.listed_headers.names_in", "is the field of the timestamp")?;
                ("signed.listed_headers.names_in", self.signed.contains(&SignedPart::Field(key.clone())))
            }
            NamesIn::Header(name) => {
                let unsigned = !self.signature_headers.contains(name);
                demand(unsigned, "signed.listed_headers.names_in", "a signature cannot sign itself")?;
                let stamp = self.timestamp.as_ref().map(|place| &place.source);
                let other = stamp != Some(&TimestampSource::Header(name.clone()));
                demand(other, "signed.listed_headers.names_in", "is the header of the timestamp")?;
                ("signed.listed_headers.names_in", self.signed.contains(&SignedPart::Header(name.clone())))
            }
        };
        demand(
            listed.pair == ListedHeaderForm::NameAndValue || names_signed,
            field,
            "values alone are signed, so the list of names must be signed too",
        )?;
        let separates =
            listed.separator.is_ascii() && !listed.separator.is_ascii_alphanumeric() && listed.separator != '-';
        demand(separates, "signed.listed_headers.separator", "can be part of a header's name")?;
        let twin =
            self.lists().filter(|other| other.names_in == listed.names_in && other.require != listed.require).count();
        demand(twin == 0, "signed.listed_headers.require", "two parts read one list and require other names of it")?;
        let itself = listed.require.iter().any(|name| self.signature_headers.contains(name));
        demand(!itself, "signed.listed_headers.require", "a signature cannot sign itself")
    }

    fn check_timestamp(&self) -> Result<(), ConfigError> {
        let Some(place) = &self.timestamp else { return Ok(()) };
        let signed_by_name = match &place.source {
            TimestampSource::Field(key) => {
                self.check_field("timestamp.field", key)?;
                let cut = matches!(&self.layout, Layout::Fields { separator: '-' | ':' | '.', .. });
                let whole = place.format != TimestampFormat::Rfc3339 || !cut;
                demand(whole, "timestamp.format", "contains what separates the layout's fields")?;
                self.signed.contains(&SignedPart::Field(key.clone()))
            }
            TimestampSource::Header(name) => {
                demand(!self.signature_headers.contains(name), "timestamp.header", "is a signature header")?;
                self.signed.iter().any(|part| match part {
                    SignedPart::Header(signed) => signed == name,
                    SignedPart::ListedHeaders(listed) => listed.require.contains(name),
                    _ => false,
                })
            }
        };
        demand(signed_by_name || self.signed.contains(&SignedPart::Timestamp), "timestamp", "is checked but not signed")
    }

    fn check_field(&self, field: &'static str, key: &str) -> Result<(), ConfigError> {
        match &self.layout {
            Layout::Fields { separator, signature } => {
                demand(is_key(key, *separator), field, "is not a field's key")?;
                demand(key != signature.as_ref(), field, "is the key of the signature")
            }
            _ => Err(ConfigError::new(field, "needs the layout fields")),
        }
    }
}

fn demand(holds: bool, field: &'static str, problem: &'static str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::new(field, problem)) }
}

fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_key(text: &str, separator: char) -> bool {
    !text.is_empty() && is_header_text(text) && !text.contains(['=', separator])
}

/// The maximum number of signature headers; equal to the maximum number of candidates.
const MAX_SIGNATURE_HEADERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
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
    fn presets_pass_the_check_that_others_pass() {
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
        assert_fault(
            good().signed((0..17).map(|n| if n == 0 { SignedPart::Body } else { SignedPart::literal("x") })),
            "signed",
        );
    }

    #[test]
    fn timestamp_checked_but_not_signed_is_a_config_error() {
        let stamped = || good().timestamp_header("X-Time", TimestampFormat::Seconds);
        assert_fault(stamped(), "timestamp");
        assert_fault(stamped().signed([listed(ListedHeaderForm::NameAndValue, &[]), SignedPart::Body]), "timestamp");
        assert!(stamped().signed([SignedPart::Timestamp, SignedPart::Body]).build().is_ok());
        assert!(
            stamped().signed([listed(ListedHeaderForm::NameAndValue, &["x-time"]), SignedPart::Body]).build().is_ok()
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
    fn signature_headers_that_cannot_be_right_are_a_config_error() {
        assert_fault(good().signature_headers([""; 0]), "signature_headers");
        assert_fault(good().signature_headers(["X-A", "x-a"]), "signature_headers");
        assert_fault(good().signature_headers(["bad name"]), "signature_headers");
        assert_fault(good().signature_headers((0..33).map(|n| alloc::format!("X-{n}"))), "signature_headers");
        assert_fault(good().signature_headers(["X-A", "X-B"]).layout(Layout::fields(',', "v1")), "signature_headers");
        assert_fault(good().signed([SignedPart::header("X-SIG").unwrap(), SignedPart::Body]), "signed.header");
        assert_fault(
            good().signed([listed(ListedHeaderForm::NameAndValue, &["X-Sig"]), SignedPart::Body]),
            "signed.listed_headers.require",
        );
    }

    #[test]
    fn layout_that_cannot_be_taken_apart_is_a_config_error() {
        for separator in ['a', '0', '+', '/', '=', '\n', 'é'] {
            assert_fault(good().layout(Layout::list(separator, "v1")), "layout.separator");
            assert_fault(good().layout(Layout::fields(separator, "v1")), "layout.separator");
        }
        assert_fault(good().layout(Layout::plain("sha256 = ")), "layout.prefix");
        assert_fault(good().layout(Layout::list(',', "v1,")), "layout.prefix");
        assert_fault(good().layout(Layout::fields(',', "")), "layout.signature");
        assert_fault(good().layout(Layout::fields(',', "v=1")), "layout.signature");
    }

    #[test]
    fn fields_outside_the_layout_fields_are_a_config_error() {
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
    fn fields_that_the_layout_would_cut_are_a_config_error() {
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
        assert!(fields(',').signed([in_field(' ', "h"), SignedPart::Body]).build().is_ok());
        for separator in ['-', ':', '.'] {
            let stamped = |format| {
                fields(separator).timestamp_field("t", format).signed([SignedPart::Timestamp, SignedPart::Body])
            };
            assert_fault(stamped(TimestampFormat::Rfc3339), "timestamp.format");
            assert!(stamped(TimestampFormat::Milliseconds).build().is_ok());
        }
        let one_for_two = fields(',').timestamp_field("t", TimestampFormat::Seconds);
        assert_fault(
            one_for_two.signed([SignedPart::Timestamp, in_field(' ', "t"), SignedPart::Body]),
            "signed.listed_headers.names_in",
        );
    }

    #[test]
    fn values_without_their_names_are_a_config_error() {
        assert_fault(
            good().signed([listed(ListedHeaderForm::Value, &[]), SignedPart::Body]),
            "signed.listed_headers.names_in",
        );
        let names = SignedPart::header("X-Signed").unwrap();
        assert!(good().signed([names, listed(ListedHeaderForm::Value, &[]), SignedPart::Body]).build().is_ok());
    }

    #[test]
    fn one_list_read_with_two_demands_is_a_config_error() {
        let (one, other) =
            (listed(ListedHeaderForm::NameAndValue, &["X-A"]), listed(ListedHeaderForm::NameAndValue, &["X-B"]));
        assert_fault(good().signed([one.clone(), other, SignedPart::Body]), "signed.listed_headers.require");
        assert!(good().signed([one.clone(), one, SignedPart::Body]).build().is_ok());
    }

    #[test]
    fn url_without_a_fixed_host_is_a_config_error() {
        for base in ["", "hooks.example.com", "https://", "https://a/", "ftp://a", "https://a b"] {
            assert_fault(good().signed([SignedPart::url(base), SignedPart::Body]), "signed.url.base");
        }
        assert!(
            good().signed(vec![SignedPart::url("https://hooks.example.com:8443"), SignedPart::Body]).build().is_ok()
        );
    }

    #[test]
    fn name_that_would_not_fit_a_label_is_a_config_error() {
        for name in ["", "a b", "a\n", "é"] {
            assert_fault(good().name(name), "name");
        }
    }
}
