//! A receiver for the scheme `timestamped` with one flaw or none. It shares no code with the library: it uses ring for
//! the MAC, and reads HTTP itself.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac::{self, Key};
use ring::signature::{ED25519, UnparsedPublicKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The public key in `tests/public_keys/keys/ed25519_public.pem`.
pub(crate) const PUBLIC_KEY: [u8; 32] = [
    0x37, 0x3d, 0x22, 0x3d, 0xab, 0x90, 0xcc, 0x8f, 0xd4, 0x61, 0x71, 0x68, 0xda, 0x8c, 0x28, 0x08, 0x4b, 0x8a, 0x31,
    0x33, 0x57, 0x5d, 0x65, 0xb7, 0x64, 0xe6, 0xd2, 0x2c, 0x82, 0x3f, 0x07, 0xfc,
];

/// The secret of the webhook id `acme`.
pub(crate) const SECRET: &str = "a-secret-that-only-acme-has";

/// The flaw of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    NothingVerified,
    RefusalIsSuccess,
    PrefixCompared,
    HalfCompared,
    EmptySignature,
    EmptyPlainSignature,
    MissingSignature,
    MissingTimestamp,
    FirstOfTwo,
    LastOfTwo,
    Trailer,
    HeaderBytesDropped,
    NoSkew,
    PastOnly,
    FutureOnly,
    Milliseconds,
    NoNumberIsFresh,
    NoReplayStore,
    ReplayBySpelling,
    ReplayByHeader,
    ReplayWithGap,
    OneSecretForAll,
    NoCap,
    NoCapInChunks,
    BodyFirst,
    NoDeadline,
    NoQuota,
    NoRetryAfter,
    ForgeriesCount,
    RevealsCauses,
    RevealsUnknownIds,
    FailsOnBodyBytes,
    FailsOnHeaderBytes,
    Reserialized,
    TrimmedBody,
    LossyBody,
    EmptySecret,
    GuessableSecret,
    BodyOnly,
    Sha1Too,
    StackTrace,
    SecretEcho,
    SignatureEcho,
    HtmlRefusal,
    SignsQueries,
    SignsUnverifiedTokens,
    SignsVerifiedTokens,
    AnyMethod,
    UnverifiedGet,
    BodyLeftBehind,
    DeadlinePerByte,
    CapAfterBody,
    StaleAfterBody,
    CopyForgotten,
    RevealsFutureStamps,
    /// Verifies with the public key [`PUBLIC_KEY`], and also takes these bytes for the secret of an HMAC.
    PublicKeyAsSecret(&'static [u8]),
    /// Stricter than necessary, which is not a flaw.
    StrictTolerance,
}

/// A server on a port of 127.0.0.1, stopped on drop.
#[derive(Debug)]
pub(crate) struct FlawedReceiver {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl FlawedReceiver {
    pub(crate) async fn start(flaw: Flaw) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state =
            Arc::new(State { flaw, known: Mutex::default(), counted: Mutex::default(), requests: AtomicUsize::new(0) });
        let shared = state.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(Connection { state: shared.clone(), stream, buffer: Vec::new() }.serve());
            }
        });
        Self { address, state, task }
    }

    /// The number of requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }
}

impl Drop for FlawedReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct State {
    flaw: Flaw,
    known: Mutex<HashSet<String>>,
    counted: Mutex<u64>,
    requests: AtomicUsize,
}

struct Head {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    fn all(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_slice()).collect()
    }

    fn number(&self, name: &str) -> Option<usize> {
        std::str::from_utf8(self.all(name).first()?).ok()?.parse().ok()
    }
}

/// The reason for a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    Missing,
    Malformed,
    Time,
    Future,
    Mismatch,
    UnknownId,
    TooLarge,
    TooSlow,
    Quota,
    Method,
    Failure,
    Known,
    Gone,
    /// A challenge, which is signed.
    Signed(String),
}

struct Connection {
    state: Arc<State>,
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn serve(mut self) {
        while let Some(head) = self.head().await {
            self.state.requests.fetch_add(1, Ordering::Relaxed);
            let mut right = mac(SECRET, b"");
            let checked = self.check(&head, &mut right).await;
            let checked = match checked {
                Err(Cause::Signed(text)) => {
                    if self.stream.write_all(&signed_challenge(&text)).await.is_err() {
                        return;
                    }
                    continue;
                }
                checked => checked,
            };
            let is_refused = checked.is_err();
            let leaves_body = self.state.flaw == Flaw::BodyLeftBehind;
            if checked == Err(Cause::Gone) || self.stream.write_all(&self.state.answer(checked, &right)).await.is_err()
            {
                return;
            }
            if is_refused && !leaves_body {
                // Read on for a while: closing with unread bytes resets the connection, and the response may be lost.
                let _ = self.stream.shutdown().await;
                let mut rest = [0; 4096];
                let _ = timeout(Duration::from_millis(200), async {
                    while matches!(self.stream.read(&mut rest).await, Ok(1..)) {}
                })
                .await;
                return;
            }
        }
    }

    async fn check(&mut self, head: &Head, right: &mut String) -> Result<(), Cause> {
        let state = self.state.clone();
        let flaw = state.flaw;
        match head.method.as_str() {
            "POST" => {}
            "GET" if flaw == Flaw::UnverifiedGet => return Ok(()),
            "GET" if flaw == Flaw::SignsQueries && head.path.contains("crc_token=") => {
                return Err(Cause::Signed(percent_decoded(head.path.split_once("crc_token=").unwrap_or_default().1)));
            }
            _ if flaw == Flaw::AnyMethod => {}
            _ => return Err(Cause::Method),
        }
        if flaw == Flaw::ForgeriesCount {
            state.count()?;
        }
        let is_early = matches!(flaw, Flaw::BodyFirst | Flaw::SignsUnverifiedTokens);
        let early = if is_early { Some(self.body(head).await?) } else { None };
        if let (Flaw::SignsUnverifiedTokens, Some((body, _))) = (flaw, &early)
            && let Some(token) = plain_token(body)
        {
            return Err(Cause::Signed(token));
        }
        let (signature, stamp) = match state.read(head) {
            // The signature may be in the trailer.
            Err(Cause::Missing) if flaw == Flaw::Trailer => (String::new(), text(head, TIMESTAMP)?),
            read => read?,
        };
        let (body, trailer) = match early {
            Some(body) => body,
            None => self.body(head).await?,
        };
        if flaw == Flaw::StaleAfterBody {
            state.check_time(&stamp)?;
        }
        let signature = if flaw == Flaw::Trailer && signature.is_empty() { trailer } else { signature };
        state.verify(head, &signature, &stamp, &body, right)?;
        if let (Flaw::SignsVerifiedTokens, Some(token)) = (flaw, plain_token(&body)) {
            return Err(Cause::Signed(token));
        }
        state.remember(head, &signature, right).await?;
        if flaw == Flaw::ForgeriesCount { Ok(()) } else { state.count() }
    }

    async fn head(&mut self) -> Option<Head> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 64];
            let mut request = httparse::Request::new(&mut headers);
            match request.parse(&self.buffer) {
                Ok(httparse::Status::Complete(length)) => {
                    let headers = request.headers.iter();
                    let head = Head {
                        method: request.method?.to_owned(),
                        path: request.path?.to_owned(),
                        headers: headers.map(|field| (field.name.to_ascii_lowercase(), field.value.to_vec())).collect(),
                    };
                    self.buffer.drain(..length);
                    return Some(head);
                }
                Ok(httparse::Status::Partial) => self.fill().await?,
                Err(_) => {
                    let _ = self.stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
                    return None;
                }
            }
        }
    }

    async fn fill(&mut self) -> Option<()> {
        matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)).then_some(())
    }

    /// The body, and the signature if the trailer has one.
    async fn body(&mut self, head: &Head) -> Result<(Vec<u8>, String), Cause> {
        let flaw = self.state.flaw;
        let length = head.number("content-length").unwrap_or(0);
        if length > CAP && flaw != Flaw::NoCap {
            return Err(Cause::TooLarge);
        }
        let is_chunked = !head.all("transfer-encoding").is_empty();
        let is_late = matches!(flaw, Flaw::NoDeadline) || (flaw == Flaw::CapAfterBody && is_chunked);
        if flaw == Flaw::DeadlinePerByte && !is_chunked {
            while self.buffer.len() < length {
                timeout(DEADLINE, self.fill()).await.map_err(|_| Cause::TooSlow)?.ok_or(Cause::Gone)?;
            }
        }
        let deadline = if is_late { Duration::from_secs(60) } else { DEADLINE };
        timeout(deadline, async {
            if is_chunked {
                return self.chunks().await;
            }
            while self.buffer.len() < length {
                self.fill().await.ok_or(Cause::Gone)?;
            }
            Ok((self.buffer.drain(..length).collect(), String::new()))
        })
        .await
        .unwrap_or(Err(Cause::TooSlow))
    }

    async fn chunks(&mut self) -> Result<(Vec<u8>, String), Cause> {
        let mut body = Vec::new();
        let capped = !matches!(self.state.flaw, Flaw::NoCap | Flaw::NoCapInChunks | Flaw::CapAfterBody);
        loop {
            let line = self.line().await?;
            let size = usize::from_str_radix(&line, 16).map_err(|_| Cause::Gone)?;
            if size == 0 {
                let mut signature = String::new();
                loop {
                    let line = self.line().await?;
                    if line.is_empty() {
                        let is_too_large = self.state.flaw == Flaw::CapAfterBody && body.len() > CAP;
                        return if is_too_large { Err(Cause::TooLarge) } else { Ok((body, signature)) };
                    }
                    if let Some((name, value)) = line.split_once(": ")
                        && name.eq_ignore_ascii_case(SIGNATURE)
                    {
                        value.clone_into(&mut signature);
                    }
                }
            }
            if capped && body.len().saturating_add(size) > CAP {
                return Err(Cause::TooLarge);
            }
            while self.buffer.len() < size.saturating_add(2) {
                self.fill().await.ok_or(Cause::Gone)?;
            }
            body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
        }
    }

    async fn line(&mut self) -> Result<String, Cause> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.drain(..end).collect();
                self.buffer.drain(..2);
                return String::from_utf8(line).map_err(|_| Cause::Gone);
            }
            self.fill().await.ok_or(Cause::Gone)?;
        }
    }
}

impl State {
    /// The signature and the timestamp.
    fn read(&self, head: &Head) -> Result<(String, String), Cause> {
        let one = |name: &str| {
            let values = head.all(name);
            let value = match (values.as_slice(), self.flaw) {
                ([], Flaw::MissingSignature) if name == SIGNATURE => &b"absent"[..],
                ([], Flaw::MissingTimestamp) if name == TIMESTAMP => return Ok(now().to_string()),
                ([], _) => return Err(Cause::Missing),
                ([first, _, ..], Flaw::FirstOfTwo) => first,
                ([_, .., last], Flaw::LastOfTwo) => last,
                ([value], _) => value,
                _ => return Err(Cause::Malformed),
            };
            match std::str::from_utf8(value) {
                Ok(text) => Ok(text.to_owned()),
                Err(_) if self.flaw == Flaw::FailsOnHeaderBytes => Err(Cause::Failure),
                Err(_) if self.flaw == Flaw::HeaderBytesDropped => {
                    Ok(value.iter().filter(|byte| byte.is_ascii()).map(|byte| char::from(*byte)).collect())
                }
                Err(_) => Err(Cause::Malformed),
            }
        };
        let (signature, stamp) = (one(SIGNATURE)?, one(TIMESTAMP)?);
        if self.flaw != Flaw::StaleAfterBody {
            self.check_time(&stamp)?;
        }
        Ok((signature, stamp))
    }

    fn check_time(&self, stamp: &str) -> Result<(), Cause> {
        let is_plain = stamp.bytes().all(|byte| byte.is_ascii_digit()) && !stamp.starts_with('0');
        let mut seconds: i64 = match stamp.parse() {
            Ok(seconds) if is_plain => seconds,
            _ if self.flaw == Flaw::NoNumberIsFresh => return Ok(()),
            _ => return Err(Cause::Malformed),
        };
        if self.flaw == Flaw::Milliseconds && seconds > 100_000_000_000 {
            seconds /= 1000;
        }
        let age = now().saturating_sub(seconds);
        let tolerance = if self.flaw == Flaw::StrictTolerance { 60 } else { 300 };
        let (old, early) = (age > tolerance, age.saturating_neg() > tolerance);
        match self.flaw {
            Flaw::NoSkew => Ok(()),
            Flaw::PastOnly if !old => Ok(()),
            Flaw::FutureOnly if !early => Ok(()),
            Flaw::RevealsFutureStamps if early => Err(Cause::Future),
            _ if old || early => Err(Cause::Time),
            _ => Ok(()),
        }
    }

    fn verify(&self, head: &Head, signature: &str, stamp: &str, body: &[u8], right: &mut String) -> Result<(), Cause> {
        let secret = match head.path.as_str() {
            "/webhooks/acme" => SECRET,
            "/webhooks/other" if self.flaw == Flaw::OneSecretForAll => SECRET,
            "/webhooks/other" => "another-secret-unknown-to-the-audit",
            _ => return Err(Cause::UnknownId),
        };
        let is_text = std::str::from_utf8(body).is_ok();
        if self.flaw == Flaw::FailsOnBodyBytes && !is_text {
            return Err(Cause::Failure);
        }
        let message = |body: &[u8]| [stamp.as_bytes(), b".", body].concat();
        if let Flaw::PublicKeyAsSecret(text) = self.flaw {
            signature.clone_into(right);
            let key = UnparsedPublicKey::new(&ED25519, PUBLIC_KEY);
            let verifies = const_hex::decode(signature).is_ok_and(|bytes| key.verify(&message(body), &bytes).is_ok());
            let is_mac = !text.is_empty() && signature == mac_under(text, &message(body));
            return if verifies || is_mac { Ok(()) } else { Err(Cause::Mismatch) };
        }
        let verified = match (self.flaw, serde_json::from_slice::<serde_json::Value>(body)) {
            (Flaw::Reserialized, Ok(document)) => document.to_string().into_bytes(),
            (Flaw::LossyBody, _) => String::from_utf8_lossy(body).into_owned().into_bytes(),
            _ => body.to_vec(),
        };
        *right = mac(secret, &message(&verified));
        let lower = signature.to_ascii_lowercase();
        let also = match self.flaw {
            Flaw::NothingVerified => true,
            Flaw::PrefixCompared => !lower.is_empty() && right.starts_with(&lower),
            Flaw::HalfCompared => lower.len() == right.len() && lower.get(..32) == right.get(..32),
            Flaw::EmptySignature => lower.is_empty(),
            Flaw::EmptyPlainSignature => lower.trim().is_empty(),
            Flaw::MissingSignature => signature == "absent",
            // The time of signing is unknown, so try the last ten seconds.
            Flaw::MissingTimestamp if head.all(TIMESTAMP).is_empty() => {
                let signed = |ago| [now().saturating_sub(ago).to_string().as_bytes(), b".", body].concat();
                (0..10).any(|ago| lower == mac(secret, &signed(ago)))
            }
            Flaw::EmptySecret => lower == mac("", &message(body)),
            Flaw::GuessableSecret => lower == mac("changeme", &message(body)),
            Flaw::BodyOnly => lower == mac(secret, body),
            Flaw::TrimmedBody => lower == mac(secret, &message(body.trim_ascii())),
            Flaw::Sha1Too => {
                let key = Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
                lower == format!("sha1={}", hex(hmac::sign(&key, &message(body)).as_ref()))
            }
            _ => false,
        };
        if lower == *right || also { Ok(()) } else { Err(Cause::Mismatch) }
    }

    async fn remember(&self, head: &Head, signature: &str, right: &str) -> Result<(), Cause> {
        let key = match self.flaw {
            Flaw::NoReplayStore => return Ok(()),
            Flaw::ReplayBySpelling => signature.to_owned(),
            Flaw::ReplayByHeader => match head.all("x-delivery-id").first() {
                Some(id) => String::from_utf8_lossy(id).into_owned(),
                None => right.to_owned(),
            },
            // The same message under another id is another delivery.
            _ => format!("{} {right}", head.path),
        };
        if self.flaw == Flaw::ReplayWithGap {
            let is_known = self.known.lock().expect("no panic with the lock").contains(&key);
            // The store is slow, so that parallel requests all pass the lookup.
            sleep(Duration::from_millis(30)).await;
            self.known.lock().expect("no panic with the lock").insert(key);
            return if is_known { Err(Cause::Known) } else { Ok(()) };
        }
        let mut known = self.known.lock().expect("no panic with the lock");
        if known.insert(key.clone()) {
            return Ok(());
        }
        if self.flaw == Flaw::CopyForgotten {
            known.remove(&key);
        }
        Err(Cause::Known)
    }

    fn count(&self) -> Result<(), Cause> {
        let mut counted = self.counted.lock().expect("no panic with the lock");
        *counted = counted.saturating_add(1);
        if *counted > QUOTA && self.flaw != Flaw::NoQuota { Err(Cause::Quota) } else { Ok(()) }
    }

    fn answer(&self, checked: Result<(), Cause>, right: &str) -> Vec<u8> {
        let mut headers = String::new();
        let (status, mut body) = match &checked {
            Ok(()) => ("200 OK", "done".to_owned()),
            Err(Cause::Known) => ("409 Conflict", String::new()),
            Err(Cause::Missing) if self.flaw == Flaw::RevealsCauses => ("400 Bad Request", String::new()),
            Err(Cause::UnknownId) if self.flaw == Flaw::RevealsUnknownIds => ("404 Not Found", String::new()),
            Err(Cause::Future) => ("400 Bad Request", String::new()),
            Err(Cause::TooLarge) => ("413 Content Too Large", String::new()),
            Err(Cause::TooSlow) => ("408 Request Timeout", String::new()),
            Err(Cause::Method) => ("405 Method Not Allowed", String::new()),
            Err(Cause::Failure) => ("500 Internal Server Error", String::new()),
            Err(Cause::Quota) => {
                if self.flaw != Flaw::NoRetryAfter {
                    headers.push_str("Retry-After: 60\r\n");
                }
                ("429 Too Many Requests", String::new())
            }
            Err(_) if self.flaw == Flaw::RefusalIsSuccess => ("200 OK", "refused".to_owned()),
            Err(_) => ("401 Unauthorized", String::new()),
        };
        if status.starts_with("401") {
            body = match self.flaw {
                Flaw::StackTrace => "Traceback (most recent call last):\n  File \"hooks.py\", line 7\n".into(),
                Flaw::SecretEcho => format!("no match under {SECRET}"),
                Flaw::SignatureEcho => format!("expected {right}"),
                Flaw::HtmlRefusal => {
                    headers.push_str("Content-Type: text/html\r\n");
                    "<h1>Unauthorized</h1>".into()
                }
                _ => body,
            };
        }
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}").into_bytes()
    }
}

fn text(head: &Head, name: &str) -> Result<String, Cause> {
    let values = head.all(name);
    let value = values.first().ok_or(Cause::Missing)?;
    String::from_utf8(value.to_vec()).map_err(|_| Cause::Malformed)
}

/// The token of a challenge in the form of Zoom.
fn plain_token(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.pointer("/payload/plainToken")?.as_str().map(str::to_owned)
}

fn percent_decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut decoded = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        decoded.extend(u8::from_str_radix(digits, 16));
        decoded.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The answer to a challenge: its MAC.
fn signed_challenge(text: &str) -> Vec<u8> {
    let body = format!("{{\"response_token\":\"sha256={}\"}}", mac(SECRET, text.as_bytes()));
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn mac(secret: &str, message: &[u8]) -> String {
    mac_under(secret.as_bytes(), message)
}

fn mac_under(secret: &[u8], message: &[u8]) -> String {
    hex(hmac::sign(&Key::new(hmac::HMAC_SHA256, secret), message).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}

const SIGNATURE: &str = "x-webhook-signature";
const TIMESTAMP: &str = "x-webhook-timestamp";

/// The limits of the receiver, which the tests pass to the audit.
pub(crate) const CAP: usize = 64 * 1024;
pub(crate) const QUOTA: u64 = 100;
pub(crate) const DEADLINE: Duration = Duration::from_secs(1);
