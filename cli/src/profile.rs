//! `--profile`: HTTP Message Signatures in place of a scheme.

use clap::{Args, ValueEnum};
use hookwarden::crypto::Algorithm;
use hookwarden::message_signatures::{Profile, ProfileBuilder};
use hookwarden::providers::Provider;
use hookwarden::{ConfigError, Scheme};
use http::Uri;

use crate::failure::Failure;
use crate::input::SchemeArgument;

/// `--scheme`, or `--profile` with its settings.
#[derive(Debug, Args)]
pub(crate) struct SigningArguments {
    #[command(flatten)]
    scheme: SchemeArgument,
    /// Use HTTP Message Signatures (RFC 9421) by this profile, in place of --scheme
    #[arg(long, value_name = "NAME", conflicts_with = "scheme")]
    profile: Option<ProfileName>,
    /// With --profile: the scheme and the host that senders use, such as https://hooks.example.com
    #[arg(long, value_name = "URL", requires = "profile")]
    origin: Option<String>,
    /// With --profile: permit this algorithm. Repeat it for several kinds of public keys [default: those of the profile]
    #[arg(long = "algorithm", value_name = "NAME", requires = "profile")]
    algorithms: Vec<AlgorithmName>,
}

/// What a receiver verifies with.
#[derive(Debug, Args)]
pub(crate) struct VerifyingArguments {
    #[command(flatten)]
    signing: SigningArguments,
    /// With --profile: also accept this Host, which a proxy sends. Repeat it for several
    #[arg(long, value_name = "HOST", requires = "profile")]
    received_as: Vec<String>,
}

/// The names of the profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    /// The profile for new webhooks.
    Webhooks,
    /// Webhooks of AdCP.
    AdcpWebhooks,
    /// Signed requests of AdCP.
    AdcpRequests,
    /// Requests and webhooks of UCP.
    Ucp,
    /// Web Bot Auth: the signature covers neither the method nor the path nor the body.
    WebBots,
}

/// The names of the algorithms in RFC 9421.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AlgorithmName {
    HmacSha256,
    Ed25519,
    EcdsaP256Sha256,
    #[value(name = "rsa-v1_5-sha256")]
    RsaV15Sha256,
    RsaPssSha512,
}

impl VerifyingArguments {
    /// The scheme, and the profile if one is set.
    pub(crate) fn scheme(&self) -> Result<(Scheme, Option<Profile>), Failure> {
        let Some((name, builder)) = self.signing.builder(None)? else {
            return Ok((self.signing.scheme()?, None));
        };
        let profile = built(builder.received_as(&self.received_as))?;
        Ok((scheme(&name, &profile)?, Some(profile)))
    }

    /// Whether a profile is set.
    pub(crate) const fn is_profile(&self) -> bool {
        self.signing.profile.is_some()
    }

    /// Whether a key verifies only signatures that name it by its thumbprint.
    pub(crate) fn names_keys_by_thumbprint(&self) -> bool {
        self.signing.names_keys_by_thumbprint()
    }

    /// The failure for a key that the algorithms of the profile cannot use.
    pub(crate) fn unusable_key(&self, error: &ConfigError) -> Failure {
        self.signing.unusable_key(error)
    }

    /// The provider whose scheme is used.
    pub(crate) fn provider(&self) -> Option<Provider> {
        if self.signing.profile.is_some() { None } else { self.signing.scheme.provider() }
    }
}

impl SigningArguments {
    /// The scheme of `--scheme`.
    pub(crate) fn scheme(&self) -> Result<Scheme, Failure> {
        self.scheme.scheme()
    }

    /// Whether a signature names its key by a thumbprint, which the signer writes.
    pub(crate) fn names_keys_by_thumbprint(&self) -> bool {
        self.profile == Some(ProfileName::WebBots)
    }

    /// The failure for a key that the algorithms of the profile cannot use.
    pub(crate) fn unusable_key(&self, error: &ConfigError) -> Failure {
        let algorithms = if self.algorithms.is_empty() {
            "an algorithm of the profile, or --algorithm must permit its kind"
        } else {
            "--algorithm"
        };
        Failure::Input(format!("{error}; with a profile, the key must be one for {algorithms}"))
    }

    /// The URL with the host that a profile signs.
    pub(crate) fn origin(&self, url: Option<&Uri>) -> Option<Uri> {
        match &self.origin {
            Some(origin) => origin.parse().ok(),
            None => url.cloned(),
        }
    }

    /// The profile and its name, if one is set. If no origin is given, it is that of `url`.
    pub(crate) fn profile(&self, url: Option<&Uri>) -> Result<Option<(String, Profile)>, Failure> {
        self.builder(url)?.map(|(name, builder)| Ok((name, built(builder)?))).transpose()
    }

    fn builder(&self, url: Option<&Uri>) -> Result<Option<(String, ProfileBuilder)>, Failure> {
        let Some(name) = self.profile else { return Ok(None) };
        let of_url = url.map(origin_of);
        let origin = self.origin.as_deref().or(of_url.as_deref());
        let origin = origin.ok_or_else(|| {
            Failure::input("--origin", "must be set with --profile, such as https://hooks.example.com")
        })?;
        let mut builder = name.builder(origin);
        if !self.algorithms.is_empty() {
            builder = builder.algorithms(self.algorithms.iter().map(|name| name.algorithm()));
        }
        // The scheme has the name of the command line.
        let name = name.to_possible_value().map(|value| value.get_name().to_owned());
        Ok(Some((name.unwrap_or_default(), builder)))
    }
}

fn built(builder: ProfileBuilder) -> Result<Profile, Failure> {
    builder.build().map_err(|error| Failure::Input(explained(&error)))
}

/// The scheme of a profile.
pub(crate) fn scheme(name: &str, profile: &Profile) -> Result<Scheme, Failure> {
    profile.scheme(name.to_owned()).map_err(|error| Failure::Input(error.to_string()))
}

/// The scheme and the host of a URL.
pub(crate) fn origin_of(url: &Uri) -> String {
    let authority = url.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    format!("{}://{authority}", url.scheme_str().unwrap_or_default())
}

/// The error, with the option that corrects it in place of the method.
fn explained(error: &ConfigError) -> String {
    let (field, text) = (error.field(), error.to_string());
    match field {
        "algorithms" if text == "algorithms: must be set" => {
            "--algorithm: must be set with this profile, such as ed25519 or hmac-sha256".into()
        }
        "algorithms" => text.replacen(field, "--algorithm", 1),
        "received_as" => text.replacen(field, "--received-as", 1),
        "origin" => text.replacen(field, "--origin", 1),
        _ => text,
    }
}

impl ProfileName {
    fn builder(self, origin: &str) -> ProfileBuilder {
        match self {
            Self::Webhooks => Profile::webhooks(origin),
            Self::AdcpWebhooks => Profile::adcp_webhooks(origin),
            Self::AdcpRequests => Profile::adcp_requests(origin),
            Self::Ucp => Profile::ucp(origin),
            Self::WebBots => Profile::danger_web_bots(origin),
        }
    }
}

impl AlgorithmName {
    const fn algorithm(self) -> Algorithm {
        match self {
            Self::HmacSha256 => Algorithm::HmacSha256,
            Self::Ed25519 => Algorithm::Ed25519,
            Self::EcdsaP256Sha256 => Algorithm::EcdsaP256,
            Self::RsaV15Sha256 => Algorithm::RsaPkcs1,
            Self::RsaPssSha512 => Algorithm::RsaPssSha512,
        }
    }
}
