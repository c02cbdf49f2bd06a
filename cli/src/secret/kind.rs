//! What a secret is for, and so how it looks.

use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use clap::ValueEnum;
use zeroize::Zeroizing;

use super::random;
use crate::failure::Failure;

/// The kinds of secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// For a webhook whose secret is a text.
    Webhook,
    /// For Standard Webhooks.
    Whsec,
    /// For Django's SECRET_KEY.
    Django,
    /// For JWT signed with HMAC.
    Jwt,
    /// A key of 256 bits in hex.
    Encryption,
    /// For Fernet of Python's cryptography.
    Fernet,
    /// All of these.
    Env,
}

impl Kind {
    /// The kinds that it stands for: itself, but for the one that is all of the others.
    pub(super) const fn parts(self) -> &'static [Self] {
        match self {
            Self::Webhook => &[Self::Webhook],
            Self::Whsec => &[Self::Whsec],
            Self::Django => &[Self::Django],
            Self::Jwt => &[Self::Jwt],
            Self::Encryption => &[Self::Encryption],
            Self::Fernet => &[Self::Fernet],
            Self::Env => &[Self::Webhook, Self::Whsec, Self::Django, Self::Jwt, Self::Encryption, Self::Fernet],
        }
    }

    /// The variable that holds it in an environment.
    pub(super) const fn variable(self) -> &'static str {
        match self {
            Self::Webhook => "WEBHOOK_SECRET",
            Self::Whsec => "STANDARD_WEBHOOKS_SECRET",
            Self::Django => "DJANGO_SECRET_KEY",
            Self::Jwt => "JWT_SECRET",
            Self::Encryption => "ENCRYPTION_KEY",
            Self::Fernet => "FERNET_KEY",
            Self::Env => "SECRETS",
        }
    }

    /// A new secret. Of [`Env`](Self::Env) there is none of its own: it is made part by part.
    pub(crate) fn generate(self) -> Result<Zeroizing<String>, Failure> {
        match self {
            Self::Webhook | Self::Env => random::text(ALPHANUMERIC, 64),
            Self::Django => random::text(URL_SAFE_CHARACTERS, 64),
            Self::Jwt => random::text(ALPHANUMERIC, 88),
            Self::Whsec => Ok(Zeroizing::new(format!("whsec_{}", *base64(&STANDARD, &*random::bytes::<48>()?)))),
            Self::Encryption => Ok(Zeroizing::new(const_hex::encode(*random::bytes::<32>()?))),
            Self::Fernet => Ok(base64(&URL_SAFE, &*random::bytes::<32>()?)),
        }
    }
}

fn base64(engine: &impl base64::Engine, bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(engine.encode(bytes))
}

/// Means the same in every shell, in a .env file, in TOML and in a URL.
const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Needs no quotes either.
const URL_SAFE_CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
