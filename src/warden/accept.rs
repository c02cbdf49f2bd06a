//! Step 0: which methods and content types an endpoint accepts.

use std::sync::Arc;

use http::header::{ACCEPT, ALLOW, HeaderName, HeaderValue};

use crate::error::ConfigError;
use crate::event::RefusalReason;
use crate::headers::{FieldName, Head, Occurrence, is_token_byte};

/// The methods and content types that an endpoint accepts.
pub(super) struct Accept {
    methods: Listed,
    /// `None` accepts any.
    content_types: Option<Listed>,
    content_type: FieldName,
}

/// Accepted names, and the header that lists them in a refusal.
struct Listed {
    names: Vec<String>,
    /// In an `Arc`, so that an answer that carries it stays small.
    header: Arc<(HeaderName, HeaderValue)>,
}

impl Accept {
    pub(super) fn set_methods(&mut self, names: Vec<String>) -> Result<(), ConfigError> {
        // Standardized methods are uppercase, and methods are case-sensitive (RFC 9110 section 9.1).
        let is_method = |name: &str| is_token(name) && !name.bytes().any(|byte| byte.is_ascii_lowercase());
        self.methods = Listed::new("methods", names, is_method, "uppercase tokens such as POST", ALLOW)?;
        Ok(())
    }

    pub(super) fn set_content_types(&mut self, names: Vec<String>) -> Result<(), ConfigError> {
        let is_media_type =
            |name: &str| name.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub));
        let form = "media types without parameters, such as application/json";
        self.content_types = Some(Listed::new("content_types", names, is_media_type, form, ACCEPT)?);
        Ok(())
    }

    /// Checks the method and the content type. A head without a method passes the method check.
    pub(super) fn check<H: Head + ?Sized>(&self, head: &H) -> Result<(), RefusalReason> {
        // Media types are case-insensitive (RFC 9110 section 8.3.1), methods are not.
        if head.method().is_some_and(|method| !self.has_method(method)) {
            return Err(RefusalReason::MethodNotAllowed);
        }
        let Some(content_types) = &self.content_types else { return Ok(()) };
        let Occurrence::Once(value) = head.header(&self.content_type) else {
            return Err(RefusalReason::UnsupportedMediaType);
        };
        let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let is_listed = content_types.names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(media_type));
        if is_listed { Ok(()) } else { Err(RefusalReason::UnsupportedMediaType) }
    }

    pub(super) fn has_method(&self, method: &str) -> bool {
        self.methods.names.iter().any(|name| name == method)
    }

    /// Returns the header that lists the accepted values (RFC 9110 sections 15.5.6 and 15.5.16).
    pub(super) fn header_for(&self, reason: RefusalReason) -> Option<Arc<(HeaderName, HeaderValue)>> {
        match reason {
            RefusalReason::MethodNotAllowed => Some(Arc::clone(&self.methods.header)),
            RefusalReason::UnsupportedMediaType => Some(Arc::clone(&self.content_types.as_ref()?.header)),
            _ => None,
        }
    }
}

impl Default for Accept {
    fn default() -> Self {
        let methods =
            Listed { names: vec!["POST".to_owned()], header: Arc::new((ALLOW, HeaderValue::from_static("POST"))) };
        Self { methods, content_types: None, content_type: FieldName::preset("Content-Type") }
    }
}

impl Listed {
    fn new(
        field: &'static str,
        names: Vec<String>,
        is_name: impl Fn(&str) -> bool,
        form: &str,
        header: HeaderName,
    ) -> Result<Self, ConfigError> {
        if names.is_empty() {
            return Err(ConfigError::new(field, "must list at least one"));
        }
        if let Some(name) = names.iter().find(|name| !is_name(name)) {
            return Err(ConfigError::new(field, format!("must be {form}, not {name:?}")));
        }
        let value = HeaderValue::try_from(names.join(", "));
        let value = value.map_err(|_| ConfigError::new(field, "must fit into one header"))?;
        Ok(Self { names, header: Arc::new((header, value)) })
    }
}

fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token_byte)
}

#[cfg(test)]
mod tests {
    use crate::error::Reason;
    use crate::event::RefusalReason;
    use crate::headers::{NoHeaders, RequestHead};
    use crate::scheme::Scheme;
    use crate::secret::Keyring;
    use crate::warden::{Warden, WardenBuilder};

    fn warden() -> WardenBuilder {
        let scheme = Scheme::timestamped();
        let keys = Keyring::new(scheme.secret("a-secret-of-this-test").unwrap());
        Warden::builder(scheme).sender("acme", keys)
    }

    #[test]
    fn empty_or_malformed_list_is_a_config_error() {
        for (built, field) in [
            (warden().methods([""; 0]).build(), "methods"),
            (warden().methods(["POST", ""]).build(), "methods"),
            (warden().methods(["POST, GET"]).build(), "methods"),
            (warden().methods(["PO\r\nST"]).build(), "methods"),
            (warden().methods(["post"]).build(), "methods"),
            (warden().content_types([""; 0]).build(), "content_types"),
            (warden().content_types(["json"]).build(), "content_types"),
            (warden().content_types(["application/"]).build(), "content_types"),
            (warden().content_types(["application/json; charset=utf-8"]).build(), "content_types"),
            (warden().content_types(["a/b\r\nc"]).build(), "content_types"),
        ] {
            assert_eq!(built.unwrap_err().field(), field);
        }
    }

    #[test]
    fn head_without_a_method_passes_the_method_check() {
        let warden = warden().build().unwrap();
        let reason = |refused: Option<crate::warden::Refused>| refused.map(|refused| refused.reason());
        assert_eq!(
            reason(warden.examine(&NoHeaders, None).err()),
            Some(RefusalReason::Unverified(Reason::MissingHeader))
        );
        let head = RequestHead::new("GET", "/", &NoHeaders);
        assert_eq!(reason(warden.examine(&head, None).err()), Some(RefusalReason::MethodNotAllowed));
        let head = RequestHead::new("POST", "/", &NoHeaders);
        assert_eq!(reason(warden.examine(&head, None).err()), Some(RefusalReason::Unverified(Reason::MissingHeader)));
    }
}
