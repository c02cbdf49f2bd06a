//! The crate's verdict on a request, compared with the simple reader.

use hookwarden::message_signatures::{Problem, Profile};
use hookwarden::{Timestamp, Verifier};
use ring::digest::{SHA256, SHA512, digest};

use super::draft::Sent;
use super::profile::{Settings, mac};
use super::reader::{combined, read, read_dictionary};
use super::structured::{Bare, Member};
use crate::request::Request;
use crate::verdict;

/// A profile with its verifier.
#[derive(Debug)]
pub struct Receiver {
    /// The profile.
    pub profile: Profile,
    /// What the reader must know of it.
    pub settings: Settings,
    /// The verifier.
    pub verifier: Verifier,
}

impl Receiver {
    /// Returns whether the request is accepted, and checks what must hold for each request: `sent` is the only one that
    /// was signed.
    ///
    /// # Panics
    /// It does not hold.
    pub fn accepts(&self, request: &Request, sent: &Sent, sizes: &[u8], now: i64) -> bool {
        let problem = self.explain(request, now);
        let is_accepted = verdict::verdict(&self.verifier, request, sizes, now).is_ok();
        let signed = read(&self.settings, request);
        match &problem {
            // All is right but perhaps the signature: the signature decides, over the base of the reader.
            None => {
                let signed = signed.as_ref().unwrap_or_else(|| panic!("the reader finds no signature in {request:?}"));
                let is_genuine = mac(&signed.base) == signed.signature;
                assert_eq!(is_accepted, is_genuine, "{request:?}: {signed:?}");
            }
            Some(problem) => assert!(!is_accepted, "{request:?} is accepted, but {problem}"),
        }
        if let Some(Problem::MalformedHeader(name)) = problem {
            self.assert_malformed(request, name);
        }
        if is_accepted {
            let signed = signed.expect("it is accepted");
            let of_sender = sent.signed.as_ref().expect("the sender signed nothing");
            assert_eq!(signed.base, of_sender.base, "{request:?}");
            if signed.covers("@method") {
                assert_eq!(method(request), method(&sent.request));
            }
            if signed.covers("@target-uri") {
                assert_eq!(target(request), target(&sent.request));
            }
            if signed.covers_header("content-digest") {
                assert_eq!(request.body, sent.request.body, "{request:?}");
                assert!(has_right_digests(request), "{request:?}");
            } else {
                assert!(self.settings.covered.iter().all(|component| component != "content-digest"), "{request:?}");
            }
        }
        is_accepted
    }

    /// Returns what the profile says about the request.
    pub fn explain(&self, request: &Request, now: i64) -> Option<Problem> {
        request.with_head(|head| {
            let _ = self.profile.keyid(head);
            self.profile.explain_at(head, &request.body, Timestamp::from_unix(now))
        })
    }

    /// Asserts that the header is not a dictionary of the right kind, or that it is too large.
    fn assert_malformed(&self, request: &Request, name: &str) {
        let lines = request.values(name);
        let bytes: usize = lines.iter().map(|line| line.len()).sum();
        let Some(read) = read_dictionary(request, name).filter(|_| lines.len() <= 32 && bytes <= 8_192) else { return };
        let is_sound = match name {
            "content-digest" => read.iter().all(|(key, member)| match (key.as_str(), member) {
                ("sha-256", Member::Item((Bare::Bytes(bytes), _))) => bytes.len() == 32,
                ("sha-512", Member::Item((Bare::Bytes(bytes), _))) => bytes.len() == 64,
                (key, _) => !["sha-256", "sha-512"].contains(&key),
            }),
            "signature-input" => read.iter().all(|(label, member)| {
                self.settings.label.is_some_and(|wanted| wanted != label)
                    || matches!(member, Member::InnerList(components, _) if components.len() <= 32)
            }),
            _ => true,
        };
        assert!(!is_sound, "{name} is refused, but is {:?}", combined(request, name));
    }
}

/// Whether each supported digest is that of the body, and there is one.
fn has_right_digests(request: &Request) -> bool {
    let digests = read_dictionary(request, "content-digest").unwrap_or_default();
    let supported = digests.iter().filter_map(|(key, member)| {
        let algorithm = match key.as_str() {
            "sha-256" => &SHA256,
            "sha-512" => &SHA512,
            _ => return None,
        };
        let expected = Bare::Bytes(digest(algorithm, &request.body).as_ref().to_vec());
        Some(matches!(member, Member::Item((bytes, _)) if *bytes == expected))
    });
    let supported: Vec<bool> = supported.collect();
    !supported.is_empty() && supported.iter().all(|is_right| *is_right)
}

fn method(request: &Request) -> Option<&str> {
    request.line.as_ref().map(|(method, _)| method.as_str())
}

/// The request target. An empty path is `/`.
fn target(request: &Request) -> Option<String> {
    let (_, target) = request.line.as_ref()?;
    Some(if target.starts_with('/') { target.clone() } else { format!("/{target}") })
}
