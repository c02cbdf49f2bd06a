//! The template of a run's requests.

use hookwarden::Timestamp;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRANSFER_ENCODING, UPGRADE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use hyper::body::Bytes;

use super::Send;
use crate::failure::Failure;
use crate::message;
use crate::signer::RequestSigner;

/// A request without its number and its signature.
#[derive(Debug)]
pub(super) struct Template {
    signer: RequestSigner,
    method: Method,
    url: Uri,
    headers: HeaderMap,
    /// The header that gets a new message id in each request.
    id: Option<HeaderName>,
    body: Bytes,
    unique: bool,
    time: Option<Timestamp>,
}

impl Template {
    /// Creates a template and signs one request, so that invalid input is reported before the first one is sent.
    pub(super) fn new(arguments: &Send, body: Bytes) -> Result<Self, Failure> {
        let signer = arguments.message.signer(Some(&arguments.url))?;
        let mut headers = arguments.message.headers(&signer, Some(&arguments.url))?;
        if let Some(name) = FRAMING.iter().find(|name| headers.contains_key(*name)) {
            return Err(Failure::input(name, "must not be set; the client writes it"));
        }
        for (name, value) in DEFAULTS {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        let (method, url, unique) = (arguments.method.clone(), arguments.url.clone(), arguments.unique);
        let time = arguments.message.time();
        let mut template = Self { signer, method, url, headers, id: None, body, unique, time };
        let id = template.signer.missing_id(&template.unsigned(1)?, &template.headers);
        match id {
            Some(name) if unique => template.id = Some(name),
            Some(name) => drop(template.headers.insert(name, message::new_id()?)),
            None => {}
        }
        if unique && template.id.is_none() && !template.signer.adds_nonces() && !template.has_placeholder() {
            let why = if template.signer.host().is_some() {
                "because the nonce of --nonce is not new"
            } else {
                "because the scheme signs no new message id"
            };
            let problem = format!("must have {{number}} or {{id}} in the body or in a header, {why}");
            return Err(Failure::input("--unique", problem));
        }
        template.request(1)?;
        Ok(template)
    }

    /// The values of `Host`, unless the client writes it.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &HeaderValue> {
        self.headers.get_all(HOST).iter()
    }

    /// The request with this number, signed now.
    pub(super) fn request(&self, number: u32) -> Result<Request<Bytes>, Failure> {
        let mut request = self.unsigned(number)?;
        let time = self.time.unwrap_or_else(Timestamp::now);
        let signed = self.signer.sign_at(&request, request.body(), time)?;
        signed.insert_into(request.headers_mut());
        Ok(request)
    }

    fn unsigned(&self, number: u32) -> Result<Request<Bytes>, Failure> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        if self.unique {
            let random = message::random_digits()?;
            *request.body_mut() = fill(&self.body, number, &random).into();
            for value in request.headers_mut().values_mut() {
                *value = HeaderValue::from_bytes(&fill(value.as_bytes(), number, &random))
                    .map_err(|error| Failure::input("a header", error))?;
            }
        }
        if let Some(name) = &self.id {
            request.headers_mut().insert(name, message::new_id()?);
        }
        Ok(request)
    }

    fn has_placeholder(&self) -> bool {
        let mut values = self.headers.values().map(HeaderValue::as_bytes).chain([&*self.body]);
        values.any(|text| fill(text, 0, "") != text)
    }
}

/// `text` with its placeholders replaced.
fn fill(mut text: &[u8], number: u32, random: &str) -> Vec<u8> {
    let mut filled = Vec::with_capacity(text.len());
    let number = number.to_string();
    while let Some((first, rest)) = text.split_first() {
        let (value, rest) = if let Some(rest) = text.strip_prefix(b"{number}") {
            (number.as_bytes(), rest)
        } else if let Some(rest) = text.strip_prefix(b"{id}") {
            (random.as_bytes(), rest)
        } else {
            (std::slice::from_ref(first), rest)
        };
        filled.extend_from_slice(value);
        text = rest;
    }
    filled
}

/// Headers that frame the body or control the connection.
const FRAMING: [HeaderName; 5] = [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE, TE];

const DEFAULTS: [(HeaderName, &str); 2] =
    [(CONTENT_TYPE, "application/json"), (USER_AGENT, concat!("hookwarden/", env!("CARGO_PKG_VERSION")))];
