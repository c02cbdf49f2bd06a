//! The demo's requests, and the expected result of each.

use std::error::Error;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};

use hookwarden::event::{Outcome, RefusalReason};
use hookwarden::{Key, Keyring, Reason, Scheme, Secret, Signer, Timestamp};

use super::receiver::{BODY_LIMIT, Seen, Senders, WEBHOOK_ID};

/// One request with its expected result.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) request: Request<Full<Bytes>>,
    /// Whether the old key is removed before the request is sent.
    pub(crate) after_rotation: bool,
    /// Whether the demo explains the refusal.
    pub(crate) is_diagnosed: bool,
    expected: Result<&'static str, RefusalReason>,
}

impl Case {
    /// Whether `status` and the event are as expected.
    pub(crate) fn expects(&self, status: StatusCode, seen: &Seen) -> bool {
        match self.expected {
            Ok(key) => {
                status == StatusCode::OK
                    && seen.outcome == Outcome::Accepted
                    && seen.key_id.is_some_and(|id| id.as_str() == key)
            }
            Err(reason) => status == refusal_status(reason) && seen.outcome == Outcome::Refused(reason),
        }
    }

    /// The expected result in words.
    pub(crate) fn expectation(&self) -> String {
        match self.expected {
            Ok(key) => format!("accepted with key {key}"),
            Err(reason) => format!("{} {reason}", refusal_status(reason)),
        }
    }
}

/// All cases, in sending order.
pub(crate) fn all(senders: &Senders) -> Result<Vec<Case>, Box<dyn Error>> {
    let now = Timestamp::now();
    let seconds_away = |seconds: i64| Timestamp::from_unix(now.as_unix().saturating_add(seconds));
    let scheme = Scheme::timestamped;
    let acme = |key: &Key, time| signed(scheme(), key, WEBHOOK_ID, BODY.into(), time);
    let good = || acme(&senders.new, now);
    let old = || signed(scheme(), &senders.old, WEBHOOK_ID, OTHER_BODY.into(), now);

    let mut tampered = good()?;
    *tampered.body_mut() = Full::from(BODY.replace("order.paid", "order.sent"));
    let mut rewritten = good()?;
    *rewritten.body_mut() = Full::from(REWRITTEN_BODY);
    let mut unstamped = good()?;
    unstamped.headers_mut().remove("x-webhook-timestamp");
    let mut doubled = good()?;
    let signature = doubled.headers().get("x-webhook-signature").cloned().unwrap_or(HeaderValue::from_static(""));
    doubled.headers_mut().append("x-webhook-signature", signature);
    let oversized = Bytes::from(vec![b' '; BODY_LIMIT.saturating_add(1)]);

    let first = good()?;
    let mut cases = vec![
        case("valid", first.clone(), Ok("new")),
        case("the same request again", first, Err(RefusalReason::Replayed)),
        case("changed body", tampered, Err(RefusalReason::Unverified(Reason::Mismatch))),
        Case {
            is_diagnosed: true,
            ..case("body parsed and serialised again", rewritten, Err(RefusalReason::Unverified(Reason::Mismatch)))
        },
        case(
            "signed with another secret",
            acme(&Key::new("stranger", Secret::generate()?)?, now)?,
            Err(RefusalReason::Unverified(Reason::Mismatch)),
        ),
        case(
            "signed 10 minutes ago",
            acme(&senders.new, seconds_away(-600))?,
            Err(RefusalReason::Unverified(Reason::Stale)),
        ),
        case(
            "signed 10 minutes ahead",
            acme(&senders.new, seconds_away(600))?,
            Err(RefusalReason::Unverified(Reason::Early)),
        ),
        case("missing timestamp header", unstamped, Err(RefusalReason::Unverified(Reason::MissingHeader))),
        case("duplicate signature header", doubled, Err(RefusalReason::Unverified(Reason::DuplicateHeader))),
        case(
            "unknown webhook id",
            signed(scheme(), &senders.new, "unknown", BODY.into(), now)?,
            Err(RefusalReason::UnknownId),
        ),
        case(
            "body over the limit",
            signed(scheme(), &senders.new, WEBHOOK_ID, oversized, now)?,
            Err(RefusalReason::BodyTooLarge),
        ),
        case("old key, during the rotation", old()?, Ok("old")),
        Case {
            after_rotation: true,
            ..case("old key, after the rotation", old()?, Err(RefusalReason::Unverified(Reason::Mismatch)))
        },
    ];
    for (scheme, key) in &senders.presets {
        let request = signed(scheme.clone(), key, WEBHOOK_ID, BODY.into(), now)?;
        cases.push(case(&format!("valid, scheme {}", scheme.name()), request, Ok("only")));
    }
    Ok(cases)
}

fn case(name: &str, request: Request<Full<Bytes>>, expected: Result<&'static str, RefusalReason>) -> Case {
    Case { name: name.into(), request, after_rotation: false, is_diagnosed: false, expected }
}

fn signed(
    scheme: Scheme,
    key: &Key,
    id: &str,
    body: Bytes,
    time: Timestamp,
) -> Result<Request<Full<Bytes>>, Box<dyn Error>> {
    let path = format!("/{}/{id}", scheme.name());
    // A shared store remembers the id of a delivery for days, for all schemes and runs.
    let mut number = [0_u8; 16];
    getrandom::fill(&mut number)?;
    let mut request = Request::post(path)
        .header("host", "localhost")
        .header("content-type", "application/json")
        // Some of the presets sign this header, and the others ignore it.
        .header("webhook-id", format!("msg_{}", const_hex::encode(number)))
        .body(Full::from(body.clone()))?;
    let signer = Signer::new(scheme, Keyring::from_keys([key.clone()])?)?;
    let headers = signer.sign_at(&request, &body, time)?;
    headers.insert_into(request.headers_mut());
    Ok(request)
}

fn refusal_status(reason: RefusalReason) -> StatusCode {
    match reason {
        RefusalReason::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        // The handler does not run again, and the sender stops retrying.
        RefusalReason::Replayed => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    }
}

const BODY: &str = r#"{"type":"order.paid","id":7}"#;

/// The first body, parsed and serialised again between the sender and the receiver.
pub(crate) const REWRITTEN_BODY: &str = r#"{"type": "order.paid", "id": 7}"#;

/// Another body, because the first one, signed in the same second, is the same delivery.
const OTHER_BODY: &str = r#"{"type":"order.paid","id":8}"#;
