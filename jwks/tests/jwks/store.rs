//! Stores, keys and key sets for tests.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwarden::crypto::Algorithm;
use hookwarden::error::StoreError;
use hookwarden::keys::AsyncKeyStore as _;
use hookwarden::message_signatures::{MessageSigner, Profile};
use hookwarden::testing::TestClock;
use hookwarden::{BoxFuture, Keyring, Scheme};
use hookwarden_jwks::{JwksKeys, JwksKeysBuilder, Resolver, Source};
use tokio::time::timeout;

use crate::server::{PATIENCE, Server};

pub(crate) const AUTHORITY: &str = "hooks.example.com";

pub(crate) fn profile() -> Profile {
    Profile::webhooks("https://hooks.example.com").algorithms([Algorithm::Ed25519]).build().unwrap()
}

pub(crate) fn scheme() -> Scheme {
    profile().scheme("test").unwrap()
}

/// Signs with the private key that `seed` names.
pub(crate) fn signer(seed: u8) -> MessageSigner {
    let secret = scheme().secret(&format!("{seed:02x}").repeat(32)).unwrap();
    profile().signer(Keyring::new(secret)).unwrap()
}

/// The public key that `seed` names, with further members.
pub(crate) fn jwk(kid: &str, seed: u8, members: &str) -> String {
    let secret = scheme().secret(&format!("{seed:02x}").repeat(32)).unwrap();
    let x = URL_SAFE_NO_PAD.encode(secret.public_key().unwrap().as_bytes());
    format!(r#"{{"kid":"{kid}","kty":"OKP","crv":"Ed25519","x":"{x}"{members}}}"#)
}

/// A JWK Set with the keys of these seeds, whose `kid` is `k` and the seed.
pub(crate) fn set(seeds: &[u8]) -> String {
    let keys: Vec<String> = seeds.iter().map(|seed| jwk(&format!("k{seed}"), *seed, "")).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// Resolves every name to these addresses.
pub(crate) struct Fixed(pub(crate) Vec<IpAddr>);

impl Resolver for Fixed {
    fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// The sender `acme`, whose keys are on `server`.
pub(crate) fn source(server: &Server) -> Source {
    Source::jwk_set(server.url()).danger_private_addresses().danger_root_certificates(server.authority.pem.clone())
}

pub(crate) fn builder(clock: &TestClock) -> JwksKeysBuilder {
    builder_for(&scheme(), clock)
}

pub(crate) fn builder_for(scheme: &Scheme, clock: &TestClock) -> JwksKeysBuilder {
    JwksKeys::builder(scheme).clock(clock.clone()).resolver(Fixed(vec![Ipv4Addr::LOCALHOST.into()]))
}

pub(crate) fn store(server: &Server, clock: &TestClock) -> JwksKeys {
    builder(clock).sender("acme", source(server)).build().unwrap()
}

/// What a lookup of `acme/KEYID` returns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    Key,
    Unknown,
    Failed(String),
}

pub(crate) async fn find(keys: &JwksKeys, keyid: &str) -> Found {
    found(timeout(PATIENCE, keys.find(&format!("acme/{keyid}"))).await.expect("the lookup takes too long"))
}

#[track_caller]
fn found(answer: Result<Option<Keyring>, StoreError>) -> Found {
    match answer {
        Ok(Some(keyring)) => {
            assert_eq!(keyring.len(), 1);
            Found::Key
        }
        Ok(None) => Found::Unknown,
        Err(error) => Found::Failed(error.to_string()),
    }
}
