//! The settings that say which requests are challenges.

use std::sync::Arc;

use super::Handshake;
use super::parts::{Condition, Expected, field_name};

impl Handshake {
    /// Requires that the delivery's JSON body has the string `value` at `pointer`.
    pub fn when(self, pointer: impl Into<String>, value: impl Into<String>) -> Self {
        self.on(Condition::Body { pointer: pointer.into(), expected: Expected::Text(value.into()) })
    }

    /// Requires that the delivery's JSON body has the integer `value` at `pointer`.
    pub fn when_number(self, pointer: impl Into<String>, value: i64) -> Self {
        self.on(Condition::Body { pointer: pointer.into(), expected: Expected::Number(value) })
    }

    /// Requires that the delivery has the header `name` exactly once, with this value. If the scheme does not
    /// sign the header, another condition or the challenge must be in the body.
    pub fn when_header(mut self, name: &str, value: impl Into<String>) -> Self {
        match field_name(name) {
            (Some(name), _) => self.on(Condition::Header { name, value: value.into() }),
            (None, fault) => {
                self.fault = self.fault.or(fault);
                self
            }
        }
    }

    /// Asks the application before each answer, with the webhook id and the challenge. If `decide` returns `false` or
    /// panics, the request is not a handshake and goes on to the usual checks. It must not block.
    ///
    /// The webhook id is the one in the request, and may be unknown. It is `None` if the request has no readable id: the
    /// route lacks the parameter, the header is missing, or the id is not valid UTF-8. Such a request belongs to no
    /// sender, so return `false`. With [`only_sender`](crate::warden::WardenBuilder::only_sender) the id is always the
    /// scheme's name.
    ///
    /// For an unsigned handshake each call counts against [`Quotas::handshakes`](crate::warden::Quotas::handshakes), also if
    /// it returns `false`.
    ///
    /// With Asana the challenge is the secret of the deliveries:
    ///
    /// ```
    /// use hookwarden::handshake::Handshake;
    ///
    /// let (secrets, stored) = std::sync::mpsc::channel();
    /// let asana = Handshake::header("X-Hook-Secret").method("POST").same_header().accept_if(move |id, secret| {
    ///     let is_registering = id == Some("the-webhook-that-is-being-created"); // and has no secret yet
    ///     is_registering && secrets.send(secret.to_owned()).is_ok()
    /// });
    /// ```
    pub fn accept_if(self, decide: impl Fn(Option<&str>, &str) -> bool + Send + Sync + 'static) -> Self {
        Self { decide: Some(Arc::new(decide)), ..self }
    }

    fn on(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }
}
