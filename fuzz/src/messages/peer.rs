//! The verdict of httpsig-hyper, another implementation, and where it differs from this crate.

use std::future::Future;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hookwarden::crypto::Algorithm;
use http_body_util::Full;
use httpsig_hyper::prelude::{AlgorithmName, PublicKey, SecretKey, SharedKey, VerifyingKey as _};
use httpsig_hyper::{MessageSignatureReq, RequestContentDigest};

use super::keys::SENDER;
use super::profile::Settings;
use super::reader::{Signed, combined, encoded, query_parameter, read_dictionary, read_sequences};
use super::structured::{Bare, Item, write_dictionary};
use crate::oracle::text::{base64, from_base64, from_hex};
use crate::request::Request;

/// What the other implementation reads of a signature.
#[derive(Debug)]
pub struct PeerSignature {
    /// Its label.
    pub label: String,
    /// The text that it verifies.
    pub base: String,
    /// Whether its signature is that of the text, with a key of the sender.
    pub is_genuine: bool,
}

/// Returns the signatures that the other implementation reads. `None` if it refuses the request, or its types cannot
/// represent it.
pub fn signatures(settings: &Settings, request: &Request) -> Option<Vec<PeerSignature>> {
    let read = to_http(settings, &in_base64(settings, request, "Signature"))?.extract_signatures().ok()?;
    let read = read.into_iter().map(|(label, (base, headers))| {
        let text = base.to_string();
        let signature = from_base64(&headers.signature().to_string()).unwrap_or_default();
        let is_named = |key: &TheirKey| base.alg().is_none_or(|alg| alg == key.alg().as_str());
        let mut keys = settings.algorithms.iter().map(|algorithm| KEYS.of(*algorithm));
        let is_genuine = keys.any(|key| is_named(key) && key.verifies(text.as_bytes(), &signature));
        PeerSignature { label, base: text, is_genuine }
    });
    Some(read.collect())
}

/// Whether the other implementation finds that `Content-Digest` is that of the body.
pub fn has_right_digest(settings: &Settings, request: &Request) -> bool {
    let request = in_base64(settings, request, "Content-Digest");
    to_http(settings, &request).is_some_and(|http| ready(http.verify_content_digest()).is_ok())
}

/// Whether the other implementation is known to build another base for this signature, or none.
pub fn has_other_base(settings: &Settings, request: &Request, signed: &Signed) -> bool {
    // It writes the parameters in one order, without those that it does not know, and without escapes.
    let mut written: Vec<&str> = signed.parameters.iter().map(|(key, _)| key.as_str()).collect();
    written.retain(|key| PARAMETERS.contains(key));
    let is_ordered = written.is_sorted_by_key(|key| PARAMETERS.iter().position(|known| known == key));
    let is_known = written.len() == signed.parameters.len();
    let is_plain = |(key, value): &(String, Bare)| match value {
        Bare::Integer(_) => ["created", "expires"].contains(&key.as_str()),
        Bare::String(text) => !["created", "expires"].contains(&key.as_str()) && !text.contains(['"', '\\']),
        _ => false,
    };
    if !(is_ordered && is_known && signed.parameters.iter().all(is_plain)) {
        return true;
    }
    signed.components.iter().any(|component| is_other_component(settings, request, component))
}

fn is_other_component(settings: &Settings, request: &Request, (name, parameters): &Item) -> bool {
    let Bare::String(name) = name else { return true };
    let Some((method, target)) = &request.line else { return true };
    let parameter = |wanted: &str| parameters.iter().find(|(key, _)| key == wanted).map(|(_, value)| value);
    // It ignores the value of a flag.
    let is_plain = |value: &Bare| match value {
        Bare::Boolean(value) => *value,
        Bare::String(text) => !text.contains(['"', '\\']),
        _ => false,
    };
    if !parameters.iter().all(|(_, value)| is_plain(value)) {
        return true;
    }
    match name.as_str() {
        // It writes every method in upper case.
        "@method" => method.bytes().any(|byte| byte.is_ascii_lowercase()),
        // It does not normalize paths.
        "@path" | "@target-uri" if settings.is_normalized => {
            let path = target.split_once('?').map_or(target.as_str(), |(path, _)| path);
            !path.is_empty() && settings.path(path) != path
        }
        // It does not decode queries, and combines the values of a repeated parameter.
        "@query-param" => {
            let Some(Bare::String(wanted)) = parameter("name") else { return true };
            let query = target.split_once('?').map_or("", |(_, query)| query);
            let value = query_parameter(query, wanted);
            let is_same_name = |pair: &str| pair.split_once('=').is_some_and(|(name, _)| name == wanted);
            let count = query.split('&').filter(|pair| is_same_name(pair)).count();
            count != 1 || value.is_none_or(|value| encoded(value).as_deref() != Some(value))
        }
        // It has no `bs`, parses each line by itself, and takes any field for a list.
        name if !name.starts_with('@') => {
            let is_structured = parameter("sf").is_some() || parameter("key").is_some();
            parameter("bs").is_some()
                || (is_structured && request.values(name).len() != 1)
                || (parameter("sf").is_some() && parameter("key").is_some())
                || combined(request, name).is_none_or(|text| is_structured && text.is_empty())
        }
        _ => false,
    }
}

/// Whether the other implementation is known to refuse these digests: it supports exactly one.
pub fn has_other_digests(request: &Request) -> bool {
    request.values("content-digest").len() != 1
        || read_dictionary(request, "content-digest").is_none_or(|digests| digests.len() != 1)
}

/// The other implementation has no base64url: returns the request with this header in base64, if it can be read.
fn in_base64(settings: &Settings, request: &Request, name: &str) -> Request {
    let mut request = request.clone();
    let read = read_sequences(settings, &request, &name.to_ascii_lowercase());
    if let Some(read) = read.filter(|read| settings.is_base64url && !read.is_empty()) {
        request.set(name, write_dictionary(&read));
    }
    request
}

/// A key of the sender in their types.
enum TheirKey {
    Shared(SharedKey),
    Public(PublicKey),
}

impl TheirKey {
    fn alg(&self) -> AlgorithmName {
        match self {
            Self::Shared(key) => key.alg(),
            Self::Public(key) => key.alg(),
        }
    }

    fn verifies(&self, base: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Shared(key) => key.verify(base, signature).is_ok(),
            Self::Public(key) => key.verify(base, signature).is_ok(),
        }
    }
}

struct TheirKeys {
    hmac: TheirKey,
    ed25519: TheirKey,
    p256: TheirKey,
}

impl TheirKeys {
    fn of(&self, algorithm: Algorithm) -> &TheirKey {
        match algorithm {
            Algorithm::Ed25519 => &self.ed25519,
            Algorithm::EcdsaP256 => &self.p256,
            _ => &self.hmac,
        }
    }
}

static KEYS: LazyLock<TheirKeys> = LazyLock::new(|| {
    let bytes = |algorithm| from_hex(SENDER.text(algorithm)).expect("hex");
    let public = |name: AlgorithmName, algorithm| {
        TheirKey::Public(SecretKey::from_bytes(&name, &bytes(algorithm)).expect("a private key").public_key())
    };
    let hmac = SharedKey::from_base64(&AlgorithmName::HmacSha256, &base64(&bytes(Algorithm::HmacSha256)));
    TheirKeys {
        hmac: TheirKey::Shared(hmac.expect("base64")),
        ed25519: public(AlgorithmName::Ed25519, Algorithm::Ed25519),
        p256: public(AlgorithmName::EcdsaP256Sha256, Algorithm::EcdsaP256),
    }
});

fn to_http(settings: &Settings, request: &Request) -> Option<http::Request<Full<Bytes>>> {
    let (method, target) = request.line.as_ref()?;
    let uri: http::Uri = format!("{}{target}", settings.origin).parse().ok()?;
    let is_same = uri.authority()?.as_str() == settings.authority() && uri.path_and_query()?.as_str().ends_with(target);
    let mut http = http::Request::builder().method(method.as_str()).uri(uri);
    for (name, value) in &request.headers {
        // As a server reads it.
        http = http.header(name.as_str(), value.trim_ascii());
    }
    is_same.then(|| http.body(Full::new(Bytes::from(request.body.clone()))).ok()).flatten()
}

/// Returns the output of a future that never waits.
pub(super) fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

const PARAMETERS: [&str; 6] = ["created", "expires", "nonce", "alg", "keyid", "tag"];

/// The crate and httpsig-hyper verify what the other one signs. RSA is missing, because `httpsig` 0.0.26 does not build
/// with `rsa` 0.10.
#[cfg(test)]
mod tests {
    use hookwarden::message_signatures::{Problem, Profile, SignatureParameters};
    use hookwarden::{Keyring, Reason, Timestamp, Verifier};
    use http_body_util::combinators::BoxBody;
    use httpsig_hyper::prelude::HttpSignatureParams;
    use httpsig_hyper::prelude::message_component::HttpMessageComponentId;
    use httpsig_hyper::{ContentDigestType, HyperDigestError};

    use super::*;

    type Http = http::Request<BoxBody<Bytes, HyperDigestError>>;

    /// The keys of a test in the types of both implementations.
    struct Peer {
        algorithm: Algorithm,
        text: &'static str,
        keys: PeerKeys,
    }

    enum PeerKeys {
        Shared(SharedKey),
        Pair(SecretKey, PublicKey),
    }

    fn peers() -> [Peer; 3] {
        let secret = "a-subscription-secret";
        let shared = SharedKey::from_base64(&AlgorithmName::HmacSha256, &base64(secret.as_bytes())).unwrap();
        let pair = |name: AlgorithmName, text: &str| {
            let private = SecretKey::from_bytes(&name, &from_hex(text).unwrap()).unwrap();
            let public = private.public_key();
            PeerKeys::Pair(private, public)
        };
        let ed25519 = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let p256 = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
        [
            Peer { algorithm: Algorithm::HmacSha256, text: secret, keys: PeerKeys::Shared(shared) },
            Peer { algorithm: Algorithm::Ed25519, text: ed25519, keys: pair(AlgorithmName::Ed25519, ed25519) },
            Peer { algorithm: Algorithm::EcdsaP256, text: p256, keys: pair(AlgorithmName::EcdsaP256Sha256, p256) },
        ]
    }

    impl Peer {
        fn profile(&self) -> Profile {
            Profile::webhooks("https://hooks.example.com").algorithms([self.algorithm]).build().unwrap()
        }

        fn keyring(&self) -> Keyring {
            Keyring::new(self.profile().scheme("peer").unwrap().secret(self.text).unwrap())
        }

        /// Our verdict.
        fn verify(&self, request: &Http, body: &[u8], now: Timestamp) -> Result<(), Reason> {
            let verifier = Verifier::new(self.profile().scheme("peer").unwrap(), self.keyring()).unwrap();
            verifier.verify_at(request, body, now).map(drop).map_err(|rejection| rejection.reason())
        }

        /// Whether their signature check accepts.
        fn do_they_accept(&self, request: &Http) -> bool {
            match &self.keys {
                PeerKeys::Shared(key) => ready(request.verify_message_signature(key, Some("2027-01"))).is_ok(),
                PeerKeys::Pair(_, key) => ready(request.verify_message_signature(key, Some("2027-01"))).is_ok(),
            }
        }

        /// A request that they signed.
        fn signed_by_them(&self, digest: &ContentDigestType, now: Timestamp) -> Http {
            let mut request: Http = ready(unsigned(BODY).set_content_digest(digest)).unwrap();
            let components = ["@method", "@target-uri", "content-type", "content-digest"];
            let components = components.map(|name| HttpMessageComponentId::try_from(name).unwrap());
            let created = u64::try_from(now.as_unix()).unwrap();
            let mut parameters = HttpSignatureParams::try_new(&components).unwrap();
            parameters.set_created(created).set_expires(created + 300).set_random_nonce();
            match &self.keys {
                PeerKeys::Shared(key) => {
                    parameters.set_key_info(key).set_keyid("2027-01");
                    ready(request.set_message_signature(&parameters, key, None)).unwrap();
                }
                PeerKeys::Pair(key, _) => {
                    parameters.set_key_info(key).set_keyid("2027-01");
                    ready(request.set_message_signature(&parameters, key, None)).unwrap();
                }
            }
            request
        }
    }

    fn unsigned(body: &'static [u8]) -> http::Request<Full<Bytes>> {
        let request = http::Request::post(URL).header("host", "hooks.example.com");
        request.header("content-type", "application/json").body(Full::new(Bytes::from_static(body))).unwrap()
    }

    fn with_body(request: Http, body: &'static [u8]) -> Http {
        let (head, _) = request.into_parts();
        let body = http_body_util::BodyExt::map_err(Full::new(Bytes::from_static(body)), |never| match never {});
        http::Request::from_parts(head, BoxBody::new(body))
    }

    fn with_url(mut request: Http, url: &'static str) -> Http {
        *request.uri_mut() = http::Uri::from_static(url);
        request
    }

    #[test]
    fn their_messages_verify_with_their_bodies() {
        let now = Timestamp::now();
        for peer in peers() {
            for digest in [ContentDigestType::Sha256, ContentDigestType::Sha512] {
                let request = peer.signed_by_them(&digest, now);
                let problem = peer.profile().explain_at(&request, BODY, now);
                assert_eq!((peer.verify(&request, BODY, now), problem), (Ok(()), None), "{request:?}");
                assert_eq!(peer.verify(&request, b"{}", now), Err(Reason::Mismatch), "{request:?}");
                let other = with_url(request, "https://hooks.example.com/webhooks/other?id=7");
                assert_eq!(peer.verify(&other, BODY, now), Err(Reason::Mismatch), "{other:?}");
            }
        }
    }

    #[test]
    fn they_verify_our_messages() {
        let now = Timestamp::now();
        for peer in peers() {
            let signer = peer.profile().signer(peer.keyring()).unwrap();
            let parameters = SignatureParameters::new().keyid("2027-01").nonce("b3k2pp5k7z-50gnwp.yemd");
            let unsigned = unsigned(BODY);
            let signed = signer.sign_at(&unsigned, BODY, &parameters, now).unwrap();
            let request = || {
                let (mut head, _) = unsigned.clone().into_parts();
                for (name, value) in signed.iter() {
                    head.headers.insert(http::HeaderName::try_from(name).unwrap(), value.try_into().unwrap());
                }
                with_body(http::Request::from_parts(head, BoxBody::default()), BODY)
            };
            assert!(peer.do_they_accept(&request()), "{signed:?}");
            assert!(!peer.do_they_accept(&with_url(request(), "https://hooks.example.com/webhooks/other?id=7")));
            assert!(ready(request().verify_content_digest()).is_ok());
        }
    }

    /// Their check of the digest is a second call, which a receiver can forget.
    #[test]
    fn changed_body_passes_their_signature_check_only() {
        let now = Timestamp::now();
        for peer in peers() {
            let changed = with_body(peer.signed_by_them(&ContentDigestType::Sha256, now), b"{\"amount\":9000}");
            assert!(peer.do_they_accept(&changed));
            assert_eq!(peer.verify(&changed, b"{\"amount\":9000}", now), Err(Reason::Mismatch));
            let problem = peer.profile().explain_at(&changed, b"{\"amount\":9000}", now);
            assert_eq!(problem, Some(Problem::OtherBody));
            assert!(ready(changed.verify_content_digest()).is_err());
        }
    }

    const URL: &str = "https://hooks.example.com/webhooks/acme?id=7&kind=a";
    const BODY: &[u8] = b"{\"amount\":7}";
}
