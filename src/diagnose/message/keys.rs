//! The keys that a signature may name.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::shown;
use crate::crypto::Algorithm;
use crate::crypto::wrong_mac::Method;
use crate::diagnose::Capture;
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::form::Form;
use crate::diagnose::search::{Budget, Fit, Piece, Space};
use crate::diagnose::secrets;
use crate::diagnose::signatures::{MIN_BYTES, candidate};
use crate::headers::{FieldName, Head};
use crate::message_signatures::{Change, Inspection, Profile, Signed};
use crate::scheme::MAX_KEY_PAIRS;
use crate::secret::MAX_KEYS;

impl<H: Head + ?Sized> Capture<'_, H> {
    /// The secrets to verify with. A verifier has a limited number of keys. If every public key has a name, they are those
    /// that `keyid` names, as for a receiver that looks up keys by `keyid`. Otherwise they are the first ones, as they are
    /// without a `keyid`.
    pub(in crate::diagnose) fn named_secrets(&self, profile: &Profile) -> Vec<(usize, &Zeroizing<String>)> {
        let inspection = profile.inspect(&self.head, !self.body.is_empty());
        let signed = inspection.signed.as_ref();
        let keyid = signed.and_then(|signed| signed.keyid.clone()).or_else(|| profile.keyid(&self.head));
        let keyid = keyid.filter(|_| self.are_all_named(profile, signed));
        let is_chosen = |text: &str| keyid.as_deref().is_none_or(|keyid| self.is_name_of(keyid, text));
        self.listed_secrets().into_iter().filter(|(_, text)| is_chosen(text)).take(self.max_keys()).collect()
    }

    /// Whether every key has a name, so that `keyid` chooses the keys. Otherwise it is ignored.
    fn are_all_named(&self, profile: &Profile, signed: Option<&Signed>) -> bool {
        let needs_thumbprint = signed.is_some_and(|signed| profile.named_thumbprint(signed).is_some());
        let has_name = |text: &str| {
            (needs_thumbprint || !secrets::key_ids(text).is_empty()) && self.scheme.key_material(text).is_ok()
        };
        self.scheme.algorithm().uses_public_keys() && self.listed_secrets().iter().all(|(_, text)| has_name(text))
    }

    /// All secrets but the JWKs that the scheme cannot use: RFC 7517 section 5 demands to ignore them in a set. If it can use
    /// none, they are all kept.
    fn listed_secrets(&self) -> Vec<(usize, &Zeroizing<String>)> {
        let is_usable = |text: &str| self.scheme.key_material(text).is_ok();
        let has_usable = self.secrets.iter().any(|text| is_usable(text));
        let is_listed = |text: &str| !has_usable || !secrets::is_jwk(text) || is_usable(text);
        self.secrets.iter().enumerate().filter(|(_, text)| is_listed(text)).collect()
    }

    fn max_keys(&self) -> usize {
        if self.scheme.algorithm().uses_public_keys() { MAX_KEY_PAIRS } else { MAX_KEYS }
    }

    fn is_name_of(&self, keyid: &str, text: &str) -> bool {
        secrets::key_ids(text).iter().any(|id| id == keyid) || self.thumbprint(text).as_deref() == Some(keyid)
    }

    /// The secrets to search with: those to verify with, or the first ones if the signature names none.
    pub(super) fn searched_secrets(&self) -> Vec<(usize, &Zeroizing<String>)> {
        let chosen = self.chosen_secrets();
        if !chosen.is_empty() {
            return chosen;
        }
        self.listed_secrets().into_iter().take(self.max_keys()).collect()
    }

    /// Searches the keys that were not tried. Returns the one that made the signature.
    pub(super) fn other_key(&self, inspection: &Inspection<'_>, signed: &Signed) -> Option<usize> {
        let used: Vec<usize> = self.searched_secrets().into_iter().map(|(place, _)| place).collect();
        let others = self.secrets.iter().enumerate().filter(|(place, _)| !used.contains(place));
        let base = inspection.base(signed, &Change::default())?;
        let signature = signed.signature.as_ref().filter(|bytes| bytes.len() >= MIN_BYTES)?;
        let algorithms = self.scheme.algorithms().iter();
        let space = Space {
            keys: secrets::keys(self.scheme, others).into_iter().filter(|form| form.causes.is_empty()).collect(),
            bodies: vec![Form::plain(Cow::Borrowed(b"".as_slice()))],
            omitted: Vec::new(),
            contents: vec![Form::plain(vec![Piece::Bytes(base.into_bytes())])],
            methods: algorithms.map(|algorithm| Form::plain(method(*algorithm))).collect(),
            candidates: vec![Form::plain(candidate(signature.clone(), &FieldName::preset("Signature")))],
        };
        let Fit { secret, causes } = space.search(&mut Budget::new()).ok().flatten()?;
        causes.is_empty().then_some(secret)
    }

    /// Explains why a verifier does not accept the key that made the signature, if it does not.
    pub(super) fn refused_key(&self, profile: &Profile, signed: &Signed, secret: usize) -> Option<Cause> {
        let cause =
            self.other_thumbprint(profile, signed, secret).or_else(|| self.unused_key(profile, signed, secret))?;
        Some(cause.proven())
    }

    fn unused_key(&self, profile: &Profile, signed: &Signed, secret: usize) -> Option<Cause> {
        if self.chosen_secrets().iter().any(|(place, _)| *place == secret) {
            return None;
        }
        let text = self.secrets.get(secret)?;
        let names = secrets::key_ids(text);
        let keyid = signed.keyid.as_deref();
        let is_named = keyid.is_some_and(|keyid| self.is_name_of(keyid, text));
        // A `keyid` that does not choose the keys cannot be the cause.
        let is_surplus = is_named || !self.are_all_named(profile, Some(signed));
        let Some(name) = names.first().filter(|_| !is_surplus) else {
            return Some(self.surplus_key(secret));
        };
        let (named, or_sign) = match keyid {
            Some(keyid) => (format!("the key {:?}", shown(keyid)), ", or sign with the key that it names"),
            None => ("no key".to_owned(), ""),
        };
        let what = format!(
            "the signature names {named}, and was made with the key {:?}, which a receiver that looks up keys by keyid does \
             not use",
            shown(name)
        );
        let fix = format!(
            "on the sender, write the name of the key that signs into keyid{or_sign}; for a receiver with a fixed keyring, \
             which ignores keyid, remove kid from the JWK of this diagnosis"
        );
        Some(Cause::new(CauseKind::KeyUnknown, what, fix).at_header("Signature-Input"))
    }

    /// The cause for a key after those that a verifier uses.
    fn surplus_key(&self, secret: usize) -> Cause {
        let (kind, most, number) = (self.key_name(), self.max_keys(), secret.saturating_add(1));
        Cause::new(
            CauseKind::SecretList,
            format!(
                "the signature was made with {kind} {number}, and a verifier uses only the first {most} for a sender"
            ),
            format!("on the receiver, configure at most {most} for the sender: remove those that it no longer uses"),
        )
    }

    /// Explains a `keyid` that is the thumbprint of another key than the one that verifies.
    fn other_thumbprint(&self, profile: &Profile, signed: &Signed, secret: usize) -> Option<Cause> {
        let named = profile.named_thumbprint(signed)?;
        let thumbprint = self.thumbprint(self.secrets.get(secret)?)?;
        let cause = || {
            Cause::new(
                CauseKind::KeyUnknown,
                format!(
                    "keyid is {named:?}, and the thumbprint of the key that verifies the signature is {thumbprint:?}"
                ),
                "on the sender, write the JWK thumbprint (RFC 7638) of the key in keyid: the tag demands it",
            )
            .at_header("Signature-Input")
        };
        (named != thumbprint).then(cause)
    }

    fn thumbprint(&self, text: &str) -> Option<String> {
        Some(self.scheme.key_material(text).ok()?.public_key()?.thumbprint().to_owned())
    }

    /// Returns the cause for a request whose signature verifies with no key.
    pub(super) fn unknown_key(
        &self,
        signed: &Signed,
        space: &Space<'_>,
        tried: u32,
        cut: bool,
        is_complete: bool,
    ) -> Cause {
        let key = self.key_name();
        let names: Vec<String> = self.secrets.iter().flat_map(|text| secrets::key_ids(text)).collect();
        let keyid = signed.keyid.as_deref();
        let is_configured = |keyid: &str| self.secrets.iter().any(|text| self.is_name_of(keyid, text));
        if let Some(keyid) = keyid.filter(|keyid| !names.is_empty() && !is_configured(keyid)) {
            return Cause::new(
                CauseKind::KeyUnknown,
                format!(
                    "the signature names the key {:?}, and the configured keys are named {}: none of them verifies it",
                    shown(keyid),
                    listed(&names)
                ),
                "on the receiver, load the sender's keys again: it has probably rotated them",
            )
            .at_header("Signature-Input");
        }
        let named = keyid.map_or_else(String::new, |keyid| format!("; the signature names the key {:?}", shown(keyid)));
        let start = match (is_complete, cut) {
            (true, false) => format!("nothing else fits, so the sender probably signs with another {key}"),
            (_, false) => "no combination fits".to_owned(),
            (_, true) => "no combination fits, but the search reached its limit before it tried all".to_owned(),
        };
        let what = format!(
            "{start}{named}; tried {} forms of the {key}, {} of the signature base and {} of the algorithm, in all {tried} \
             signatures",
            space.keys.len(),
            space.contents.len(),
            space.methods.len(),
        );
        let fix = format!(
            "compare the {key} on both sides first: it may be that of another environment, endpoint or rotation; then have \
             the sender print its signature base, and compare it with RFC 9421 section 2.5"
        );
        Cause::new(CauseKind::Unexplained, what, fix)
    }
}

fn method(algorithm: Algorithm) -> Method {
    if algorithm.uses_public_keys() { Method::Signature(algorithm) } else { Method::Hmac(algorithm) }
}

/// The first names, in quotes.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().take(MAX_NAMES).map(|name| format!("{:?}", shown(name))).collect();
    match names.len().saturating_sub(MAX_NAMES) {
        0 => quoted.join(", "),
        more => format!("{} and {more} others", quoted.join(", ")),
    }
}

/// The maximum number of names that are shown.
const MAX_NAMES: usize = 8;
