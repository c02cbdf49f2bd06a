//! Requests with HTTP Message Signatures.

mod bases;
mod candidates;
mod digests;
mod keys;
mod problems;
mod times;
mod written;

use std::borrow::Cow;

use super::cause::{Cause, CauseKind};
use super::form::Form;
use super::incomplete;
use super::methods;
use super::presets;
use super::search::{Budget, Fit, KeyForm, Space};
use super::secrets;
use super::signatures::MIN_BYTES;
use super::{Capture, Diagnosis};
use crate::crypto::Algorithm;
use crate::crypto::wrong_mac::Method;
use crate::headers::{FieldName, Head, Occurrence};
use crate::message_signatures::{Inspection, Profile, Signed, algorithm_name};
use crate::scheme::Scheme;
use crate::time::Timestamp;
use zeroize::Zeroizing;

/// The profile of a scheme for message signatures.
pub(super) fn profile(scheme: &Scheme) -> Option<&Profile> {
    Profile::of(scheme)
}

impl<H: Head + ?Sized> Capture<'_, H> {
    /// Finds out why a request with message signatures does not verify.
    pub(super) fn explain_message(&self, profile: &Profile, diagnosis: &mut Diagnosis, now: Timestamp) {
        let inspection = profile.inspect(&self.head, !self.body.is_empty());
        let mut causes = problems::causes(profile, &inspection, &self.head);
        let Some(signed) = &inspection.signed else {
            let is_unsigned = self.head.header(&FieldName::preset("Signature-Input")) == Occurrence::Absent;
            if let Some(other) = presets::other(self, now).filter(|_| is_unsigned) {
                diagnosis.fitting_secret = other.secret;
                causes.insert(0, other.cause);
            }
            diagnosis.causes = causes;
            return;
        };
        diagnosis.timestamp = diagnosis.timestamp.or(signed.created);
        causes.extend(times::causes(profile, signed, self.tolerance, now));
        if let Some(incomplete) = incomplete::cause(self.head) {
            causes.push(incomplete);
            diagnosis.causes = causes;
            return;
        }
        let mut budget = Budget::new();
        let space = self.message_space(profile, &inspection, signed);
        let found = space.search(&mut budget);
        let is_found = matches!(found, Ok(Some(_)));
        let other = if is_found { None } else { self.other_key(&inspection, signed) };
        let body = self.other_body(&inspection, signed, is_found || other.is_some());
        diagnosis.tried = budget.tried;
        // The signature of another key verifies without a change.
        let found = match other {
            Some(secret) => Ok(Some(Fit { secret, causes: Vec::new() })),
            None => found,
        };
        match found {
            Ok(Some(Fit { secret, causes: proven })) => {
                diagnosis.fitting_secret = Some(secret);
                // The search says how `Signature` is written, and whether another digest was signed.
                let causes = causes.into_iter().filter(|cause| cause.header() != Some("Signature")).map(Cause::proven);
                let is_other_digest = proven.iter().any(|cause| {
                    cause.kind() == CauseKind::HeaderValueDiffers && cause.header() == Some(bases::CONTENT_DIGEST)
                });
                let body = body.into_iter().filter(|_| !is_other_digest);
                // An HMAC was not made with a key that `keyid` could name.
                let is_forged = proven.iter().any(is_public_key_as_secret);
                let key = if is_forged { None } else { self.refused_key(profile, signed, secret) };
                diagnosis.causes = causes.chain(proven.iter().cloned()).chain(body).chain(key).collect();
            }
            unfound => {
                causes.extend(written::probable_hex(profile, signed, &self.head));
                let is_complete = causes.is_empty() && body.is_empty();
                causes.extend(body);
                causes.extend(self.malformed_secret());
                causes.extend(
                    signed.signature.as_ref().filter(|bytes| bytes.len() < MIN_BYTES).map(|bytes| short(bytes)),
                );
                if inspection.base(signed, &Default::default()).is_some() {
                    causes.push(self.unknown_key(signed, &space, budget.tried, unfound.is_err(), is_complete));
                }
                diagnosis.causes = causes;
            }
        }
        if diagnosis.causes.is_empty() {
            let what = "the signature, the times and the body are right, and the request is still refused";
            let fix = "compare the settings of the receiver's profile with those of this one";
            diagnosis.causes.push(Cause::new(CauseKind::Unexplained, what, fix));
        }
    }

    fn message_space(&self, profile: &Profile, inspection: &Inspection<'_>, signed: &Signed) -> Space<'static> {
        let mut methods: Vec<Form<Method>> = Vec::new();
        let searched = self.searched_secrets();
        let is_pinned = searched.iter().any(|(_, text)| secrets::names_algorithm(text));
        for algorithm in self.scheme.algorithms() {
            let forms = methods::methods(*algorithm, if is_pinned { PINNED } else { PROFILE });
            match profile.may_use(signed, *algorithm) {
                true => methods.extend(forms),
                // The first form is the algorithm itself.
                false => methods
                    .extend(forms.into_iter().take(1).map(|form| Form::with_causes(form.value, [other_than_named()]))),
            }
        }
        let mut keys = secrets::keys(self.scheme, searched);
        if self.scheme.algorithm().uses_public_keys() {
            methods.push(Form::with_causes(Method::Hmac(Algorithm::HmacSha256), [public_key_as_secret()]));
            keys.extend(self.public_texts());
        }
        Space {
            keys,
            bodies: vec![Form::plain(Cow::Borrowed(b"".as_slice()))],
            omitted: Vec::new(),
            contents: bases::bases(profile, inspection, signed, &self.head, self.body),
            methods,
            candidates: candidates::candidates(profile, signed, &self.head),
        }
    }

    /// The texts of public keys, as an HMAC would use them.
    fn public_texts(&self) -> Vec<Form<KeyForm>> {
        let texts = self.searched_secrets().into_iter();
        texts
            .map(|(secret, text)| {
                Form::plain(KeyForm { bytes: Zeroizing::new(text.trim().as_bytes().to_vec()), secret })
            })
            .collect()
    }
}

/// A profile has its algorithms by their names in RFC 9421.
const PROFILE: methods::Settings = methods::Settings {
    name: "profile",
    fix: |algorithm, _, own| match (algorithm_name(algorithm), algorithm_name(own)) {
        (Some(name), Some(own_name)) => format!(
            "{}; or, if you trust it, replace {own_name} by {name} in `algorithms` of the receiver's profile (--algorithm of \
             the command)",
            sign_with(own)
        ),
        _ => format!("{}: a profile cannot permit an algorithm that has no name in RFC 9421", sign_with(own)),
    },
};

/// A JWK that names its algorithm cannot be used with another one.
const PINNED: methods::Settings = methods::Settings { name: "profile", fix: |_, _, own| sign_with(own) };

fn sign_with(algorithm: Algorithm) -> String {
    format!("on the sender, sign with {}", algorithm_name(algorithm).unwrap_or("an algorithm of the profile"))
}

fn other_than_named() -> Cause {
    Cause::new(
        CauseKind::AlgorithmDiffers,
        "the parameter alg names another algorithm than that of the key and the signature",
        "on the sender, write the name of the key's algorithm, or leave alg out if the profile permits it",
    )
    .at_header("Signature-Input")
}

fn short(signature: &[u8]) -> Cause {
    Cause::new(
        CauseKind::SignatureMalformed,
        format!("the signature has {} bytes, fewer than any algorithm makes", signature.len()),
        "on the sender, write the whole signature",
    )
    .at_header("Signature")
}

fn is_public_key_as_secret(cause: &Cause) -> bool {
    cause.kind() == CauseKind::AlgorithmDiffers && cause.what() == PUBLIC_KEY_AS_SECRET
}

fn public_key_as_secret() -> Cause {
    Cause::new(
        CauseKind::AlgorithmDiffers,
        PUBLIC_KEY_AS_SECRET,
        "on the sender, sign with the private key; if the request is not your sender's, it is an attack: never accept an \
         HMAC for a public key",
    )
}

const PUBLIC_KEY_AS_SECRET: &str =
    "the signature is an HMAC with the text of the public key as its secret, so anyone can make it";

/// The start of a text of the request: a label or the names of components.
fn shown(text: &str) -> String {
    let is_longer = text.chars().nth(MAX_SHOWN).is_some();
    text.chars().take(MAX_SHOWN).chain(is_longer.then_some('…')).collect()
}

/// The maximum length of a text of the request that is shown, in characters.
const MAX_SHOWN: usize = 200;
