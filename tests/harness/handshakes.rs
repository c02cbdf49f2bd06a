//! The handshakes of real providers, each with a request and its exact answer: those in the providers' files, and TOML
//! documents of providers without a scheme.

use hookwarden::encoding::Encoding;
use hookwarden::handshake::Handshake;
use hookwarden::headers::RequestHead;
use hookwarden::providers::{Provider, Vector};
use hookwarden::scheme::TimestampSource;
use hookwarden::{Keyring, Scheme, Signer};
use serde::Deserialize;

use crate::harness::sender::{ID, SECRET};
use crate::harness::site::NOW;

/// A handshake with its example.
#[derive(Debug)]
pub(crate) struct Document {
    name: String,
    text: &'static str,
    facts: Facts,
    provider: Option<Provider>,
}

/// The keys of the document that tests need.
#[derive(Debug, Deserialize)]
struct Facts {
    #[serde(default)]
    accept_if: bool,
    example: Example,
}

#[derive(Debug, Deserialize)]
struct Example {
    token: Option<String>,
    endpoint: Option<String>,
    secret: Option<String>,
    #[serde(default)]
    request: Request,
    answer: Answer,
}

#[derive(Debug, Default, Deserialize)]
struct Request {
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: String,
}

#[derive(Debug, Deserialize)]
struct Answer {
    status: Option<u16>,
    content_type: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: String,
}

/// Every handshake.
pub(crate) fn examples() -> Vec<Document> {
    #[derive(Deserialize)]
    struct File {
        provider: Table,
    }
    #[derive(Deserialize)]
    struct Table {
        handshake: Option<Facts>,
    }
    macro_rules! documents {
        ($($name:literal),*) => {
            [$(($name, include_str!(concat!("../handshakes/", $name, ".toml")))),*]
        };
    }
    let of_provider = |provider: Provider| {
        let (name, text) = (provider.name().to_owned(), provider.document());
        let File { provider: Table { handshake } } = read(&name, text);
        Some(Document { name, text, facts: handshake?, provider: Some(provider) })
    };
    let without_scheme = documents!["ebay", "mailchimp", "ms_graph", "okta", "strava"];
    let without_scheme = without_scheme.map(|(name, text)| Document {
        name: name.to_owned(),
        text,
        facts: read(name, text),
        provider: None,
    });
    Provider::all().filter_map(of_provider).chain(without_scheme).collect()
}

fn read<T: for<'de> Deserialize<'de>>(name: &str, text: &str) -> T {
    toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Document {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn handshake(&self) -> Handshake {
        let mut handshake = match &self.provider {
            Some(provider) => Handshake::provider(provider.name()).expect("a handshake"),
            None => read(&self.name, self.text),
        };
        if let Some(token) = &self.facts.example.token {
            handshake = handshake.with_token(token);
        }
        if let Some(endpoint) = &self.facts.example.endpoint {
            handshake = handshake.with_endpoint(endpoint);
        }
        if self.facts.accept_if {
            handshake = handshake.accept_if(|id, _| id == Some(ID));
        }
        handshake
    }

    pub(crate) fn is_signed(&self) -> bool {
        self.handshake().is_signed()
    }

    /// The provider's scheme.
    pub(crate) fn scheme(&self) -> Scheme {
        self.provider.as_ref().map_or_else(Scheme::timestamped, |provider| provider.scheme().expect("a scheme"))
    }

    /// The receiver's keys.
    pub(crate) fn keys(&self) -> Keyring {
        match self.vector().and_then(|vector| vector.public_key.as_deref()) {
            Some(text) => Keyring::new(self.scheme().public_key(text).expect("a public key")),
            None => self.private_keys(),
        }
    }

    fn private_keys(&self) -> Keyring {
        let secret = self.facts.example.secret.as_deref();
        let secret = secret.or_else(|| self.vector()?.secret.as_deref()).unwrap_or(SECRET);
        Keyring::new(self.scheme().secret(secret).expect("a secret"))
    }

    pub(crate) fn signer(&self) -> Signer {
        Signer::new(self.scheme(), self.private_keys()).expect("a signer")
    }

    fn vector(&self) -> Option<&Vector> {
        self.provider.as_ref()?.vectors().first()
    }

    /// The headers of a delivery that a signer does not write.
    pub(crate) fn delivery_headers(&self) -> Vec<(&str, &str)> {
        let scheme = self.scheme();
        let mut written: Vec<&str> = scheme.signature_headers().iter().map(|header| header.as_str()).collect();
        if let Some(TimestampSource::Header(name)) = scheme.timestamp_source() {
            written.push(name.as_str());
        }
        let is_own = |name: &str| written.iter().all(|other| !other.eq_ignore_ascii_case(name));
        let headers = self.vector().map(|vector| vector.headers.as_slice()).unwrap_or_default();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        headers.filter(|(name, _)| is_own(name)).collect()
    }

    pub(crate) fn method(&self) -> &str {
        self.facts.example.request.method.as_deref().unwrap_or("GET")
    }

    pub(crate) fn path(&self) -> &str {
        self.facts.example.request.path.as_deref().unwrap_or("/")
    }

    /// The `path` with the query of the example.
    fn path_below(&self, path: &str) -> String {
        let query = self.path().split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
        format!("{path}{query}")
    }

    /// The headers of the request to `path`, with a signature if the handshake is signed.
    pub(crate) fn headers(&self, path: &str) -> Vec<(String, String)> {
        let mut headers = self.facts.example.request.headers.clone();
        if self.is_signed() {
            let own: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            let head = RequestHead::new(self.method(), path, &own);
            let signed = self.signer().sign_at(&head, self.body(), NOW).expect("a signed message");
            headers.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        headers
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.facts.example.request.body.as_bytes()
    }

    /// The request on the wire, to `path` with the query of the example.
    pub(crate) fn request(&self, path: &str) -> Vec<u8> {
        let path = self.path_below(path);
        self.written(&path, self.headers(&path), self.body())
    }

    /// Requests on the wire that differ from the example in what makes it genuine: its signature, its token or its
    /// challenge.
    pub(crate) fn forged(&self, path: &str) -> Vec<(&'static str, Vec<u8>)> {
        let path = self.path_below(path);
        if self.is_signed() {
            let own = self.facts.example.request.headers.clone();
            let body = [self.body(), b" "].concat();
            return vec![
                ("unsigned", self.written(&path, own, self.body())),
                ("another body", self.written(&path, self.headers(&path), &body)),
            ];
        }
        let mut forged = Vec::new();
        if let Some(token) = &self.facts.example.token
            && path.contains(&format!("={token}&"))
        {
            let guess = path.replace(&format!("={token}&"), "=guess&");
            forged.push(("another token", self.written(&guess, self.headers(&path), b"")));
        }
        match path.split_once('?') {
            Some((before, query)) => {
                let twice = format!("{path}&{query}");
                forged.push(("no query", self.written(before, self.headers(&path), self.body())));
                forged.push(("each parameter twice", self.written(&twice, self.headers(&path), self.body())));
            }
            None if !self.facts.example.request.headers.is_empty() => {
                forged.push(("no header", self.written(&path, Vec::new(), self.body())));
            }
            None => {}
        }
        forged
    }

    fn written(&self, path: &str, headers: Vec<(String, String)>, body: &[u8]) -> Vec<u8> {
        let mut text = format!("{} {path} HTTP/1.1\r\nHost: localhost\r\n", self.method());
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method() == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        [text.as_bytes(), b"\r\n", body].concat()
    }

    pub(crate) fn status(&self) -> u16 {
        self.facts.example.answer.status.unwrap_or(200)
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.facts.example.answer.content_type.as_deref()
    }

    pub(crate) fn answer_headers(&self) -> &[(String, String)] {
        &self.facts.example.answer.headers
    }

    pub(crate) fn answer_body(&self) -> &str {
        &self.facts.example.answer.body
    }

    /// The answer to a request to `path`, as [`crate::harness::client::Answer::essence`] writes it.
    pub(crate) fn essence(&self, path: &str) -> String {
        let body = match (&self.facts.example.endpoint, &self.facts.example.token) {
            // The answer depends on the path.
            (Some(endpoint), Some(token)) => {
                let challenge = self.path().split_once('=').expect("a query").1;
                let content = format!("{challenge}{token}{endpoint}{path}");
                let hash = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
                format!(r#"{{"challengeResponse":"{}"}}"#, Encoding::Hex.encode(hash.as_ref()))
            }
            _ => self.answer_body().to_owned(),
        };
        let mut headers = vec!["cache-control: no-store".to_owned()];
        let status = match self.status() {
            204 => "204 No Content",
            _ => {
                headers.push(format!("content-length: {}", body.len()));
                "200 OK"
            }
        };
        if let Some(content_type) = self.content_type() {
            headers.push(format!("content-type: {content_type}"));
            headers.push("x-content-type-options: nosniff".to_owned());
        }
        headers.extend(self.answer_headers().iter().map(|(name, value)| format!("{}: {value}", name.to_lowercase())));
        headers.sort_unstable();
        let body = (!body.is_empty()).then_some(body);
        [status.to_owned()].into_iter().chain(headers).chain(body).collect::<Vec<_>>().join(" | ")
    }
}
