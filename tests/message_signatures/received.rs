//! A request of a published vector, as a server receives it.

use hookwarden::event::RefusalReason;
use hookwarden::headers::RequestHead;
use hookwarden::message_signatures::{Problem, Profile};
use hookwarden::warden::{Admitted, WardenBuilder};
use hookwarden::{IdSource, Warden};

use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// Adds `Host` as a client does, unless it is given.
    pub(crate) fn new(method: &str, url: &str, headers: &BTreeMap<String, String>, body: &str) -> Self {
        let (origin, target) = split(url);
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        if !headers.iter().any(|(name, _)| name == "Host") {
            let host = origin.split_once("://").unwrap().1;
            headers.push(("Host".into(), host.into()));
        }
        Self { method: method.into(), target, headers, body: body.into() }
    }

    pub(crate) fn head(&self) -> RequestHead<'_, Vec<(String, String)>> {
        RequestHead::new(&self.method, &self.target, &self.headers)
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        &self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).unwrap().1
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub(crate) fn replacing(self, name: &str, from: &str, to: &str) -> Self {
        let value = self.get(name).to_owned();
        assert!(value.contains(from), "{name}: {value} has no {from}");
        self.with(name, &value.replace(from, to))
    }

    pub(crate) fn problem(&self, profile: &Profile, now: i64) -> Option<Problem> {
        profile.explain_at(&self.head(), &self.body, hookwarden::Timestamp::from_unix(now))
    }

    /// Delivers the request, and commits it.
    pub(crate) fn deliver(&self, warden: &Warden) -> Result<(), RefusalReason> {
        let head = self.head();
        let receive = || {
            let mut receiving = warden.examine(&head, None)?.identify_from_head(&head)?;
            self.body.chunks(7).try_for_each(|chunk| receiving.update(chunk))?;
            receiving.finish()
        };
        receive().map(Admitted::commit).map_err(|refused| refused.reason())
    }
}

/// Splits a URL into its origin and what a client sends of it.
pub(crate) fn split(url: &str) -> (String, String) {
    let start = url.find("://").unwrap() + 3;
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |end| start + end);
    let target = url[end..].split('#').next().unwrap();
    (url[..end].into(), target.into())
}

/// A Warden that finds keys by `keyid`.
pub(crate) fn by_keyid(builder: WardenBuilder, profile: &Profile) -> WardenBuilder {
    let profile = profile.clone();
    builder.webhook_id(IdSource::closure(move |head| profile.keyid(head)))
}
