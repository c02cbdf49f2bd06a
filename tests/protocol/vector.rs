//! A vector in a TOML file: a message and its sender's headers.

use hookwarden::headers::RequestHead;
use hookwarden::signer::SignedHeaders;
use hookwarden::verifier::Verified;
use hookwarden::{Keyring, Scheme, Signer, Timestamp, Verifier};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    /// The page, file or tool that the signature comes from.
    pub(crate) source: String,
    /// A secret or a private key.
    secret: Option<String>,
    /// The public key as the provider shows it, with which the message is verified.
    public_key: Option<String>,
    method: Option<String>,
    path: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    body: Option<String>,
    body_hex: Option<String>,
    now: Option<i64>,
    /// The command that computed the signature.
    #[serde(default)]
    pub(crate) command: Option<String>,
    /// The preset, if the file describes no scheme.
    #[serde(default)]
    pub(crate) scheme: Option<String>,
}

impl Vector {
    /// A message of a provider's file.
    #[cfg(feature = "providers")]
    pub(crate) fn of_provider(vector: &hookwarden::providers::Vector) -> Self {
        Self {
            source: vector.origin.clone(),
            secret: vector.secret.clone(),
            public_key: vector.public_key.clone(),
            method: vector.method.clone(),
            path: vector.path.clone(),
            headers: vector.headers.clone(),
            body: None,
            body_hex: Some(const_hex::encode(vector.body())),
            now: Some(vector.now),
            command: None,
            scheme: None,
        }
    }

    #[track_caller]
    pub(crate) fn body(&self) -> Vec<u8> {
        match (&self.body, &self.body_hex) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(hex)) => const_hex::decode(hex).expect("body_hex is hex"),
            _ => panic!("a vector has either a body or a body_hex"),
        }
    }

    /// The current time, or any time for a scheme without a timestamp.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.now.unwrap_or_default())
    }

    fn signing_keys(&self, scheme: &Scheme) -> Option<Keyring> {
        let secret = scheme.secret(self.secret.as_deref()?);
        Some(Keyring::new(secret.expect("the vector's secret is of the scheme's form")))
    }

    fn keys(&self, scheme: &Scheme) -> Keyring {
        match &self.public_key {
            Some(text) => Keyring::new(scheme.public_key(text).expect("the vector's key is of the scheme's form")),
            None => self.signing_keys(scheme).expect("a vector has a secret or a public key"),
        }
    }

    #[track_caller]
    pub(crate) fn verify(
        &self,
        scheme: &Scheme,
        headers: &Vec<(String, String)>,
        body: &[u8],
    ) -> Result<Verified, hookwarden::Rejection> {
        let verifier = Verifier::new(scheme.clone(), self.keys(scheme)).expect("the secret fits the scheme");
        match (&self.method, &self.path) {
            (None, None) => verifier.verify_at(headers, body, self.now()),
            (method, path) => {
                let (method, path) = (method.as_deref().unwrap_or("POST"), path.as_deref().unwrap_or("/"));
                verifier.verify_at(&RequestHead::new(method, path, headers), body, self.now())
            }
        }
    }

    /// Signs the vector's body at its time, together with the `own` headers. Returns `None` if only the public key is
    /// known.
    #[track_caller]
    pub(crate) fn sign(&self, scheme: &Scheme, own: &Vec<(String, String)>) -> Option<SignedHeaders> {
        let signer = Signer::new(scheme.clone(), self.signing_keys(scheme)?).expect("the secret fits the scheme");
        let (method, path) = (self.method.as_deref().unwrap_or("POST"), self.path.as_deref().unwrap_or("/"));
        let head = RequestHead::new(method, path, own);
        Some(signer.sign_at(&head, &self.body(), self.now()).expect("the message can be signed"))
    }
}
