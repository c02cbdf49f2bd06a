//! The handshakes of real providers: TOML documents, each with a request and its exact answer.

use hookwarden::encoding::Encoding;
use hookwarden::handshake::Handshake;
use hookwarden::headers::RequestHead;
use hookwarden::scheme::{Layout, SignedPart};
use hookwarden::{Keyring, Scheme, Signer};
use serde::Deserialize;

use crate::harness::sender::SECRET;
use crate::harness::site::NOW;

/// A handshake document, with its example.
#[derive(Debug)]
pub(crate) struct Document {
    name: &'static str,
    text: &'static str,
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

/// Every document.
pub(crate) fn examples() -> Vec<(&'static str, Document)> {
    macro_rules! documents {
        ($($name:literal),* $(,)?) => {
            [$(($name, include_str!(concat!("../handshakes/", $name, ".toml")))),*]
        };
    }
    let documents = documents![
        "asana",
        "discord",
        "discord_events",
        "dropbox",
        "ebay",
        "front",
        "linkedin",
        "mailchimp",
        "meta",
        "ms_graph",
        "nylas",
        "okta",
        "onfleet",
        "slack",
        "trello",
        "twitch",
        "x",
        "zoom",
    ];
    let read = |(name, text): (&'static str, &'static str)| {
        #[derive(Deserialize)]
        struct WithExample {
            example: Example,
        }
        let WithExample { example } = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, Document { name, text, example })
    };
    documents.into_iter().map(read).collect()
}

impl Document {
    pub(crate) fn handshake(&self) -> Handshake {
        let mut handshake: Handshake =
            toml::from_str(self.text).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        if let Some(token) = &self.example.token {
            handshake = handshake.with_token(token);
        }
        if let Some(endpoint) = &self.example.endpoint {
            handshake = handshake.with_endpoint(endpoint);
        }
        handshake
    }

    pub(crate) fn is_signed(&self) -> bool {
        self.handshake().is_signed()
    }

    /// The signed content of the provider's scheme, if the answer has a MAC.
    pub(crate) fn scheme(&self) -> Scheme {
        let signed = match self.name {
            "x" => vec![SignedPart::Body],
            "linkedin" => vec![SignedPart::literal("hmacsha256="), SignedPart::Body],
            "zoom" => {
                let literal = SignedPart::literal;
                let signed = [literal("v0:"), SignedPart::Timestamp, literal(":"), SignedPart::Body];
                let zoom = Scheme::timestamped().into_builder().signed(signed);
                return zoom.layout(Layout::plain("v0=")).build().expect("a scheme");
            }
            _ => return Scheme::timestamped(),
        };
        let scheme = Scheme::builder(self.name).signature_header("X-Signature").encoding(Encoding::Hex);
        scheme.signed(signed).build().expect("a scheme")
    }

    pub(crate) fn secret(&self) -> &str {
        self.example.secret.as_deref().unwrap_or(SECRET)
    }

    pub(crate) fn method(&self) -> &str {
        self.example.request.method.as_deref().unwrap_or("GET")
    }

    pub(crate) fn path(&self) -> &str {
        self.example.request.path.as_deref().unwrap_or("/")
    }

    /// The headers of the request, with a signature if the handshake is signed.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let mut headers = self.example.request.headers.clone();
        if self.is_signed() {
            let scheme = self.scheme();
            let keys = Keyring::new(scheme.secret(self.secret()).expect("a secret"));
            let signer = Signer::new(scheme, keys).expect("a signer");
            let own: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            let head = RequestHead::new(self.method(), self.path(), &own);
            let signed = signer.sign_at(&head, self.body(), NOW).expect("a signed message");
            headers.extend(signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        headers
    }

    pub(crate) fn body(&self) -> &[u8] {
        self.example.request.body.as_bytes()
    }

    /// The request on the wire, to `path` with the query of the example.
    pub(crate) fn request(&self, path: &str) -> Vec<u8> {
        let query = self.path().split_once('?').map(|(_, query)| format!("?{query}")).unwrap_or_default();
        let mut text = format!("{} {path}{query} HTTP/1.1\r\nHost: localhost\r\n", self.method());
        for (name, value) in self.headers() {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if self.method() == "POST" {
            text.push_str(&format!("Content-Length: {}\r\n", self.body().len()));
        }
        [text.as_bytes(), b"\r\n", self.body()].concat()
    }

    pub(crate) fn status(&self) -> u16 {
        self.example.answer.status.unwrap_or(200)
    }

    pub(crate) fn content_type(&self) -> Option<&str> {
        self.example.answer.content_type.as_deref()
    }

    pub(crate) fn answer_headers(&self) -> &[(String, String)] {
        &self.example.answer.headers
    }

    pub(crate) fn answer_body(&self) -> &str {
        &self.example.answer.body
    }

    /// The answer to a request to `path`, as [`crate::harness::client::Answer::essence`] writes it.
    pub(crate) fn essence(&self, path: &str) -> String {
        let body = match (&self.example.endpoint, &self.example.token) {
            // The answer depends on the path.
            (Some(endpoint), Some(token)) => {
                let challenge = self.path().split_once('=').expect("a query").1;
                let content = format!("{challenge}{token}{endpoint}{path}");
                let hash = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
                format!(r#"{{"challengeResponse":"{}"}}"#, Encoding::Hex.encode(hash.as_ref()))
            }
            _ => self.answer_body().to_owned(),
        };
        let mut lines = vec![match self.status() {
            204 => "204 No Content".to_owned(),
            _ => format!("200 OK | content-length: {}", body.len()),
        }];
        lines.extend(self.content_type().map(|content_type| format!("content-type: {content_type}")));
        if self.content_type().is_some() {
            lines.push("x-content-type-options: nosniff".to_owned());
        }
        let headers = self.answer_headers().iter().map(|(name, value)| format!("{}: {value}", name.to_lowercase()));
        lines.extend(headers);
        if !body.is_empty() {
            lines.push(body);
        }
        lines.join(" | ")
    }
}
