//! AdCP's list of revoked keys: a JWS ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)) by a key of the sender.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwarden::crypto::Algorithm;
use hookwarden::encoding::Encoding;
use hookwarden::scheme::SignedPart;
use hookwarden::time::TimestampFormat;
use hookwarden::{ConfigError, Keyring, Scheme, Timestamp, Verifier};

use crate::json::{Json, Object};
use crate::source::Location;

/// A list whose signature is valid.
#[derive(Debug, PartialEq)]
pub(crate) struct RevocationList {
    pub(crate) kids: BTreeSet<String>,
    pub(crate) updated: Timestamp,
    /// How long after it was read the list is fresh.
    pub(crate) fresh_for: Duration,
    /// How long after it was read the list is stale.
    pub(crate) stale_after: Duration,
    /// The ends of both times by the wall clock: the monotonic clock stops while the machine is suspended.
    pub(crate) fresh_until: Timestamp,
    pub(crate) stale_at: Timestamp,
    /// Whether the sender has not replaced the list in time.
    pub(crate) is_overdue: bool,
}

/// Verifies lists.
pub(crate) struct ListVerifier {
    ed25519: Scheme,
    ecdsa: Scheme,
}

impl ListVerifier {
    /// # Errors
    /// A feature of Hookwarden for the algorithms of AdCP is off.
    pub(crate) fn new() -> Result<Self, ConfigError> {
        let scheme = |algorithm| {
            Scheme::builder("revocation-list")
                .algorithm(algorithm)
                .signature_header(SIGNATURE)
                .encoding(Encoding::Base64UrlUnpadded)
                .signed([SignedPart::Body])
                .build()
        };
        Ok(Self { ed25519: scheme(Algorithm::Ed25519)?, ecdsa: scheme(Algorithm::EcdsaP256)? })
    }

    /// Whether `key`, a JWK, is of an algorithm that lists can be signed with.
    pub(crate) fn supports(&self, key: &str) -> bool {
        [&self.ed25519, &self.ecdsa].iter().any(|scheme| scheme.public_key(key).is_ok())
    }

    /// Reads a list, which was fetched at `now` from `location`. `keys` are those that can sign it, as JWKs.
    ///
    /// # Errors
    /// The list is malformed, stale or from another issuer, or its signature is not valid.
    pub(crate) fn read(
        &self,
        document: &[u8],
        location: &Location,
        keys: &HashMap<String, String>,
        now: Timestamp,
    ) -> Result<Signed, String> {
        let jws = Jws::read(document)?;
        let header = object(&jws.protected, "protected")?;
        if text(&header, "typ")? != TYPE {
            return Err(format!("typ: must be {TYPE}"));
        }
        // An extension that must be understood.
        if header.contains_key("crit") {
            return Err("crit: must be absent".into());
        }
        let scheme = match text(&header, "alg")? {
            "EdDSA" => &self.ed25519,
            "ES256" => &self.ecdsa,
            _ => return Err("alg: must be EdDSA or ES256".into()),
        };
        let kid = text(&header, "kid")?;
        let key = keys.get(kid).ok_or("kid: must be that of a key in the key set that can sign the list")?;
        let key = scheme.public_key(key).map_err(|_| "alg: must be that of the key")?;
        let verifier = Verifier::new(scheme.clone(), Keyring::new(key)).map_err(|error| error.to_string())?;
        let signed = format!("{}.{}", jws.protected, jws.payload);
        let head = [(SIGNATURE, jws.signature.as_str())];
        verifier.verify_at(&head, signed.as_bytes(), now).map_err(|_| "signature: must be valid")?;
        Ok(Signed { kid: kid.to_owned(), list: RevocationList::read(&jws.payload, location, now)? })
    }
}

/// A list, and the key that signed it.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) kid: String,
    pub(crate) list: RevocationList,
}

impl RevocationList {
    fn read(payload: &str, location: &Location, now: Timestamp) -> Result<Self, String> {
        let payload = object(payload, "payload")?;
        if payload.get("version") != Some(&Json::Integer(1)) {
            return Err("version: must be 1".into());
        }
        // A network that delivers the lists of several issuers could exchange them.
        let issuer = Location::parse("issuer", text(&payload, "issuer")?).map_err(|error| error.to_string())?;
        if !issuer.is_same_origin(location) {
            return Err(format!("issuer: must have the host and port of {location}"));
        }
        let Some(Json::List(kids)) = payload.get("revoked_kids") else {
            return Err("revoked_kids: must be a list".into());
        };
        let kids: Option<BTreeSet<String>> = kids.iter().map(|kid| kid.as_text().map(str::to_owned)).collect();
        let kids = kids.ok_or("revoked_kids: must contain only texts")?;

        let (updated, next_update) = (time(&payload, "updated")?, time(&payload, "next_update")?);
        // Positive if `to` is after `from`.
        let seconds = |from: Timestamp, to: Timestamp| to.as_unix().saturating_sub(from.as_unix());
        if seconds(now, updated) > CLOCK_SKEW {
            return Err("updated: must not be in the future".into());
        }
        if seconds(updated, next_update) <= 0 {
            return Err("next_update: must be after updated".into());
        }
        if seconds(now, next_update) > MAX_INTERVAL.saturating_add(CLOCK_SKEW) {
            return Err("next_update: must be at most 30 minutes in the future".into());
        }
        let interval = seconds(updated, next_update).clamp(MIN_INTERVAL, MAX_INTERVAL);
        let until = seconds(now, next_update);
        let stale_after = until.saturating_add(interval.saturating_mul(GRACE));
        if stale_after <= 0 {
            return Err("next_update: must be at most 4 intervals in the past: the list is stale".into());
        }
        let fresh_for = until.clamp(MIN_INTERVAL, MAX_INTERVAL).min(stale_after);
        let duration = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
        let at = |seconds: i64| Timestamp::from_unix(now.as_unix().saturating_add(seconds));
        Ok(Self {
            kids,
            updated,
            fresh_for: duration(fresh_for),
            stale_after: duration(stale_after),
            fresh_until: at(fresh_for),
            stale_at: at(stale_after),
            is_overdue: seconds(next_update, now) >= CLOCK_SKEW,
        })
    }
}

/// The parts of a JWS, as they are encoded.
struct Jws {
    protected: String,
    payload: String,
    signature: String,
}

impl Jws {
    /// Reads the compact form, or JSON with one signature, alone or in the list `signatures`.
    fn read(document: &[u8]) -> Result<Self, String> {
        let document = document.trim_ascii();
        if !document.starts_with(b"{") {
            let text = std::str::from_utf8(document).map_err(|_| NOT_A_JWS)?;
            let parts: Vec<&str> = text.split('.').collect();
            let [protected, payload, signature] = parts.as_slice() else { return Err(NOT_A_JWS.into()) };
            let [protected, payload, signature] = [protected, payload, signature].map(|part| (*part).to_owned());
            return Ok(Self { protected, payload, signature });
        }
        let Ok(Json::Object(jws)) = Json::read(document) else { return Err(NOT_A_JWS.into()) };
        let signed = match jws.get("signatures") {
            None => &jws,
            Some(Json::List(list)) if !jws.contains_key("signature") => match list.as_slice() {
                [Json::Object(signed)] => signed,
                _ => return Err("signatures: must be one signature".into()),
            },
            Some(_) => return Err(NOT_A_JWS.into()),
        };
        let part = |object: &Object, name: &str| text(object, name).map(str::to_owned);
        Ok(Self {
            protected: part(signed, "protected")?,
            payload: part(&jws, "payload")?,
            signature: part(signed, "signature")?,
        })
    }
}

/// Reads an encoded object.
fn object(encoded: &str, name: &str) -> Result<Object, String> {
    let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| format!("{name}: must be base64url without padding"))?;
    match Json::read(&bytes) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(_) => Err(format!("{name}: must be a JSON object")),
        Err(error) => Err(format!("{name}: must be JSON: {error}")),
    }
}

fn text<'o>(object: &'o Object, name: &str) -> Result<&'o str, String> {
    object.get(name).and_then(Json::as_text).ok_or_else(|| format!("{name}: must be a text"))
}

fn time(object: &Object, name: &str) -> Result<Timestamp, String> {
    let time = TimestampFormat::Rfc3339.parse(text(object, name)?.as_bytes());
    time.ok_or_else(|| format!("{name}: must be a time, such as 2027-01-15T08:00:00Z"))
}

const NOT_A_JWS: &str = "must be a JWS, in the compact form or in JSON with one signature";

const TYPE: &str = "adcp-gov-revocation+jws";

/// The header in which the verifier expects the signature.
const SIGNATURE: &str = "signature";

/// In seconds, as the times below.
const MIN_INTERVAL: i64 = 60;

const MAX_INTERVAL: i64 = 1_800;

/// The number of intervals after which a list that was not replaced is stale.
const GRACE: i64 = 4;

/// How far the sender's clock can be ahead, or behind.
const CLOCK_SKEW: i64 = 60;
