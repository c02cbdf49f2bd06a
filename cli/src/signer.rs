//! Signs requests by a scheme, or by a profile for message signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use hookwarden::headers::Head;
use hookwarden::message_signatures::{MessageSigner, SignatureParameters};
use hookwarden::signer::SignedHeaders;
use hookwarden::{Scheme, Signer, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::failure::Failure;
use crate::input::SecretArguments;
use crate::message;
use crate::profile::{self, SigningArguments};
use crate::random;

/// The parameters of a message signature.
#[derive(Debug, Args)]
pub(crate) struct ParameterArguments {
    /// With --profile: the name of the key [default: the kid of a JWK; for web-bots, its thumbprint]
    #[arg(long, value_name = "TEXT", requires = "profile")]
    keyid: Option<String>,
    /// With --profile: use this nonce in place of a random one for each request
    #[arg(long, value_name = "TEXT", requires = "profile")]
    nonce: Option<String>,
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
    Message { signer: Box<MessageSigner>, host: HeaderValue, keyid: Option<String>, nonce: Option<String> },
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
        let keys = text.signing_keyring(&scheme)?;
        let kid = text.key_id().filter(|_| !signing.names_keys_by_thumbprint());
        let kind = match profile {
            Some((_, profile)) => Kind::Message {
                signer: Box::new(profile.signer(keys).map_err(failed)?),
                host: HeaderValue::try_from(profile.authority()).map_err(|error| Failure::input("--origin", error))?,
                keyid: parameters.keyid.clone().or(kid),
                nonce: parameters.nonce.clone(),
            },
            None => Kind::Scheme(Signer::new(scheme.clone(), keys).map_err(failed)?),
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
        signed.map_err(|error| message::cannot_sign(&error, &self.scheme))
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
