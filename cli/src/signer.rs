//! Signs requests by a scheme, or by a profile for message signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use hookwarden::headers::Head;
use hookwarden::message_signatures::{MessageSigner, SignatureParameters};
use hookwarden::signer::SignedHeaders;
use hookwarden::{Keyring, Scheme, Signer, Timestamp};
use http::header::HOST;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::client;
use crate::failure::Failure;
use crate::input::{HeaderArgument, SecretArguments};
use crate::message;
use crate::named_keys;
use crate::profile::{self, SigningArguments};
use crate::random;

/// The parameters of a message signature.
#[derive(Debug, Args)]
pub(crate) struct ParameterArguments {
    /// With --profile: the name of the key [default: the kid of a JWK; for web-bots, its thumbprint]. Of several JWKs,
    /// the one with this name signs
    #[arg(long, value_name = "TEXT", requires = "profile")]
    keyid: Option<String>,
    /// With --profile: use this nonce in place of a random one. It is refused if the command sends several requests
    #[arg(long, value_name = "TEXT", requires = "profile")]
    nonce: Option<String>,
}

impl ParameterArguments {
    /// Returns an error if several requests would have the same nonce.
    pub(crate) fn check_repeat(&self, is_repeated: bool) -> Result<(), Failure> {
        if is_repeated && self.nonce.is_some() {
            let problem = "must be omitted to send several requests: then each has its own random nonce; to send a \
                           duplicate, run the command again with the same --nonce";
            return Err(Failure::input("--nonce", problem));
        }
        Ok(())
    }
}

/// Signs requests.
#[derive(Debug)]
pub(crate) struct RequestSigner {
    scheme: Scheme,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scheme(Signer),
    Message { signer: Box<MessageSigner>, host: HeaderValue, origin: Uri, keyid: Option<String>, nonce: Option<String> },
}

impl RequestSigner {
    /// The signer with the secrets. A profile without an origin has that of `url`.
    pub(crate) fn new(
        signing: &SigningArguments,
        secret: &SecretArguments,
        parameters: &ParameterArguments,
        url: Option<&Uri>,
    ) -> Result<Self, Failure> {
        let failed = |error: hookwarden::ConfigError| Failure::Input(error.to_string());
        let profile = signing.profile(url)?;
        let scheme = match &profile {
            Some((name, profile)) => profile::scheme(name, profile)?,
            None => signing.scheme()?,
        };
        let text = secret.text()?;
        let kind = match profile {
            Some((_, profile)) => {
                let key = text.message_key(&scheme, parameters.keyid.as_deref())?;
                let kid = || named_keys::key_id(key).filter(|_| !signing.names_keys_by_thumbprint());
                let keys = Keyring::new(scheme.secret(key).map_err(|error| signing.unusable_key(&error))?);
                Kind::Message {
                    signer: Box::new(profile.signer(keys).map_err(failed)?),
                    host: HeaderValue::try_from(profile.authority())
                        .map_err(|error| Failure::input("--origin", error))?,
                    origin: signing.origin(url).ok_or_else(|| Failure::input("--origin", "must be a URL"))?,
                    keyid: parameters.keyid.clone().or_else(kid),
                    nonce: parameters.nonce.clone(),
                }
            }
            None => Kind::Scheme(Signer::new(scheme.clone(), text.signing_keyring(&scheme)?).map_err(failed)?),
        };
        Ok(Self { scheme, kind })
    }

    pub(crate) const fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The host that receivers of message signatures expect.
    pub(crate) const fn host(&self) -> Option<&HeaderValue> {
        match &self.kind {
            Kind::Scheme(_) => None,
            Kind::Message { host, .. } => Some(host),
        }
    }

    /// Whether each request gets its own nonce, so that none is a copy of another one.
    pub(crate) const fn adds_nonces(&self) -> bool {
        matches!(&self.kind, Kind::Message { nonce: None, .. })
    }

    /// Returns an error if one of the headers is a `Host` other than the one that is signed.
    pub(crate) fn check_host(&self, headers: &[HeaderArgument]) -> Result<(), Failure> {
        let Kind::Message { host: own, origin, .. } = &self.kind else { return Ok(()) };
        let given: Vec<_> = headers.iter().filter(|given| given.name == HOST).collect();
        if given.len() > 1 {
            return Err(Failure::input("--header", "must set Host at most once"));
        }
        if given.iter().any(|given| !client::is_host_of(origin, &given.value)) {
            let own = String::from_utf8_lossy(own.as_bytes());
            let problem = format!(
                "must not set Host to another host than {own}, which is signed; the signed host is that of --origin, or \
                 without it that of the URL"
            );
            return Err(Failure::input("--header", problem));
        }
        Ok(())
    }

    /// The headers to add to a request.
    pub(crate) fn sign_at(
        &self,
        head: &(impl Head + ?Sized),
        body: &[u8],
        time: Timestamp,
    ) -> Result<SignedHeaders, Failure> {
        let signed = match &self.kind {
            Kind::Scheme(signer) => signer.sign_at(head, body, time),
            Kind::Message { signer, keyid, nonce, .. } => {
                let nonce = match nonce {
                    Some(nonce) => nonce.clone(),
                    None => URL_SAFE_NO_PAD.encode(*random::bytes::<NONCE>()?),
                };
                let parameters = SignatureParameters::new().nonce(nonce);
                let parameters = keyid.iter().fold(parameters, SignatureParameters::keyid);
                signer.sign_at(&head, body, &parameters, time)
            }
        };
        signed.map_err(|error| {
            let kind = if matches!(&self.kind, Kind::Scheme(_)) { "scheme" } else { "profile" };
            message::cannot_sign(&error, head, &format!("{kind} {}", self.scheme.name()))
        })
    }

    /// The name of the message id header, if the scheme signs one and `headers`, the headers of `head`, do not have it.
    pub(crate) fn missing_id(&self, head: &(impl Head + ?Sized), headers: &HeaderMap) -> Option<HeaderName> {
        match &self.kind {
            Kind::Scheme(signer) => message::missing_id(signer, head, headers),
            Kind::Message { .. } => None,
        }
    }
}

/// The size of a nonce in bytes.
const NONCE: usize = 16;
