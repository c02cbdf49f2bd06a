//! Requests with HTTP Message Signatures.

mod bases;
mod candidates;
mod problems;
mod times;

use std::borrow::Cow;

use super::bodies;
use super::cause::{Cause, CauseKind};
use super::form::Form;
use super::head;
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
use crate::message_signatures::{Inspection, Profile, Signed};
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
        let body = self.other_body(&inspection, signed, matches!(found, Ok(Some(_))), &mut budget);
        diagnosis.tried = budget.tried;
        match found {
            Ok(Some(Fit { secret, causes: proven })) => {
                diagnosis.fitting_secret = Some(secret);
                // The search says how `Signature` is written, and whether another digest was signed.
                let causes = causes.into_iter().filter(|cause| cause.header() != Some("Signature")).map(Cause::proven);
                let is_other_digest = proven.iter().any(|cause| {
                    cause.kind() == CauseKind::HeaderValueDiffers && cause.header() == Some(bases::CONTENT_DIGEST)
                });
                let body = body.into_iter().filter(|_| !is_other_digest);
                let name = self.other_thumbprint(profile, signed, secret);
                diagnosis.causes = causes.chain(proven.iter().cloned()).chain(body).chain(name).collect();
            }
            unfound => {
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
        for algorithm in self.scheme.algorithms() {
            let forms = methods::methods(*algorithm);
            match profile.may_use(signed, *algorithm) {
                true => methods.extend(forms),
                // The first form is the algorithm itself.
                false => methods
                    .extend(forms.into_iter().take(1).map(|form| Form::with_causes(form.value, [other_than_named()]))),
            }
        }
        let mut keys = secrets::keys(self.scheme, &self.secrets);
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
        let texts = self.secrets.iter().enumerate();
        texts
            .map(|(secret, text)| {
                Form::plain(KeyForm { bytes: Zeroizing::new(text.trim().as_bytes().to_vec()), secret })
            })
            .collect()
    }

    /// Explains a digest that is not that of the captured body.
    fn other_body(
        &self,
        inspection: &Inspection<'_>,
        signed: &Signed,
        is_signed: bool,
        budget: &mut Budget,
    ) -> Vec<Cause> {
        if inspection.is_digest_of(signed, self.body) != Some(false) {
            return Vec::new();
        }
        let proven = |causes: Vec<Cause>| match is_signed {
            true => causes.into_iter().map(Cause::proven).collect(),
            false => causes,
        };
        let bodies = bodies::bodies(self.body, head::declared_length(self.head));
        let mut forms: Vec<_> = bodies.forms.iter().skip(1).collect();
        forms.sort_by_key(|form| form.weight);
        let is_original = |form: &&&Form<Cow<'_, [u8]>>| {
            budget.spend(form.value.len()) && inspection.is_digest_of(signed, &form.value) == Some(true)
        };
        if let Some(form) = forms.iter().find(is_original) {
            return proven(form.causes.clone());
        }
        let mut causes = head::suspicions(self);
        causes.extend(proven(vec![
            Cause::new(
                CauseKind::BodyDiffers,
                "Content-Digest is that of another body, and no known change of the captured body has this digest",
                "compare the captured body with the sent one, byte by byte: something between the sender and the receiver \
                 changed it, or the sender computed the digest of something else",
            )
            .at_header("Content-Digest"),
        ]));
        causes
    }

    /// Explains a `keyid` that is the thumbprint of another key than the one that verifies.
    fn other_thumbprint(&self, profile: &Profile, signed: &Signed, secret: usize) -> Option<Cause> {
        let named = profile.named_thumbprint(signed)?;
        let key = self.scheme.key_material(self.secrets.get(secret)?).ok()?;
        let thumbprint = key.public_key()?.thumbprint();
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

    fn unknown_key(&self, signed: &Signed, space: &Space<'_>, tried: u32, cut: bool, is_complete: bool) -> Cause {
        let key = self.key_name();
        let names: Vec<String> = self.secrets.iter().flat_map(|text| secrets::key_ids(text)).collect();
        let keyid = signed.keyid.as_deref();
        if let Some(keyid) = keyid.filter(|keyid| !names.is_empty() && !names.iter().any(|name| name == keyid)) {
            return Cause::new(
                CauseKind::KeyUnknown,
                format!(
                    "the signature names the key {:?}, and the configured keys are named {}: none of them verifies it",
                    shown(keyid),
                    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
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

fn public_key_as_secret() -> Cause {
    Cause::new(
        CauseKind::AlgorithmDiffers,
        "the signature is an HMAC with the text of the public key as its secret, so anyone can make it",
        "on the sender, sign with the private key; if the request is not your sender's, it is an attack: never accept an \
         HMAC for a public key",
    )
}

/// The start of a text of the request: a label or the names of components.
fn shown(text: &str) -> String {
    let is_longer = text.chars().nth(MAX_SHOWN).is_some();
    text.chars().take(MAX_SHOWN).chain(is_longer.then_some('…')).collect()
}

/// The maximum length of a text of the request that is shown, in characters.
const MAX_SHOWN: usize = 200;
