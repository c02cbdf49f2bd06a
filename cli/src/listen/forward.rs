//! Forwards requests to the application.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, EXPECT, HeaderValue, TRANSFER_ENCODING, VIA};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri, Version};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use tokio::time::timeout;

use super::Listen;
use crate::client::{self, Client};
use crate::failure::Failure;
use crate::send::answer::Trouble;

/// The application behind the receiver.
pub(super) struct Forward {
    url: Uri,
    client: Client,
    limit: Duration,
}

/// The answer of the application, or why there is none.
pub(super) type Forwarded = Result<Response<Full<Bytes>>, (StatusCode, String)>;

impl Forward {
    pub(super) fn new(arguments: &Listen, url: &Uri) -> Result<Self, Failure> {
        let host = url.host().unwrap_or_default();
        if !arguments.yes_i_own_this && !client::is_loopback(host) {
            return Err(Failure::input(host, "is another host; to forward requests to it, add --yes-i-own-this"));
        }
        // No connection is kept: the application may restart at any time.
        let client = client::client(client::Version::Http1, 0, url.scheme_str() == Some("https"))?;
        Ok(Self { url: url.clone(), client, limit: arguments.timeout })
    }

    /// Sends the request to the application, and returns its whole answer. Only fields of the connection are removed, and
    /// `Via` is added (RFC 9110 sections 7.6.1 and 7.6.3).
    pub(super) async fn send(&self, mut parts: Parts, body: Bytes) -> Forwarded {
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        parts.uri = client::url_for(&self.url, target).map_err(|problem| failed(&problem))?;
        parts.version = Version::HTTP_11;
        client::remove_hop_by_hop(&mut parts.headers);
        // The client writes the length. The sender does not wait for 100 Continue any more.
        for name in [CONTENT_LENGTH, EXPECT] {
            parts.headers.remove(name);
        }
        parts.headers.append(VIA, HeaderValue::from_static("1.1 hookwarden"));
        let request = Request::from_parts(parts, Full::new(body).boxed());
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| failed(&Trouble::of(&error).text))?;
            let (mut parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    failed(&format!("its answer has more than {MAX_ANSWER} bytes"))
                } else {
                    failed(&Trouble::broken(&*error).text)
                }
            })?;
            // RFC 9112 section 6.3: the chunks decide, and the length must not be forwarded.
            if parts.headers.contains_key(TRANSFER_ENCODING) {
                parts.headers.remove(CONTENT_LENGTH);
            }
            client::remove_hop_by_hop(&mut parts.headers);
            Ok(Response::from_parts(parts, Full::new(body.to_bytes())))
        };
        let late =
            || (StatusCode::GATEWAY_TIMEOUT, format!("no complete answer within {:?}; raise --timeout", self.limit));
        timeout(self.limit, exchange).await.unwrap_or_else(|_| Err(late()))
    }
}

fn failed(problem: &str) -> (StatusCode, String) {
    (StatusCode::BAD_GATEWAY, problem.to_owned())
}

/// The maximum size of an answer in bytes.
const MAX_ANSWER: usize = 16_777_216;
