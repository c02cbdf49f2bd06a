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
    /// The secrets to verify with. A verifier has a limited number of keys. Of more than that, only those with the `keyid` of
    /// the signature are returned, and without a `keyid` the first ones.
    pub(in crate::diagnose) fn named_secrets(&self, profile: &Profile) -> Vec<(usize, &Zeroizing<String>)> {
        let most = if self.scheme.algorithm().uses_public_keys() { MAX_KEY_PAIRS } else { MAX_KEYS };
        let all = || self.secrets.iter().enumerate();
        if self.secrets.len() > most
            && let Some(keyid) = profile.keyid(&self.head)
        {
            let is_named =
                |text: &str| secrets::key_ids(text).contains(&keyid) || self.thumbprint(text).as_ref() == Some(&keyid);
            return all().filter(|(_, text)| is_named(text)).take(most).collect();
        }
        all().take(most).collect()
    }

    /// Returns the key that made the signature, if it is one that the signature does not name and that was not used.
    pub(super) fn other_key(&self, inspection: &Inspection<'_>, signed: &Signed) -> Option<(usize, Cause)> {
        let used: Vec<usize> = self.chosen_secrets().into_iter().map(|(place, _)| place).collect();
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
        let name = secrets::key_ids(self.secrets.get(secret)?).into_iter().next();
        let what = format!(
            "the signature names the key {:?}, and was made with the key {}",
            shown(signed.keyid.as_deref().unwrap_or_default()),
            name.map_or_else(
                || format!("{} of the configured ones", secret.saturating_add(1)),
                |name| format!("{:?}", shown(&name))
            )
        );
        let fix = "on the sender, write the name of the key that signs into keyid, or sign with the key that it names";
        let cause = Cause::new(CauseKind::KeyUnknown, what, fix).at_header("Signature-Input");
        causes.is_empty().then(|| (secret, cause.proven()))
    }

    /// Explains a `keyid` that is the thumbprint of another key than the one that verifies.
    pub(super) fn other_thumbprint(&self, profile: &Profile, signed: &Signed, secret: usize) -> Option<Cause> {
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
        (named != thumbprint).then(cause).map(Cause::proven)
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
        if let Some(keyid) = keyid.filter(|keyid| !names.is_empty() && !names.iter().any(|name| name == keyid)) {
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
