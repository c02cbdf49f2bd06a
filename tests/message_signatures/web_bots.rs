//! The vectors of Web Bot Auth.

use hookwarden::crypto::Algorithm;
use hookwarden::event::RefusalReason;
use hookwarden::message_signatures::{Problem, Profile};
use hookwarden::testing::TestClock;
use hookwarden::warden::Replay;
use hookwarden::{Keyring, Timestamp, Verifier, Warden};

use crate::received::{Received, split};
use crate::ucp::thumbprint;

#[derive(serde::Deserialize)]
struct Vector {
    name: String,
    created: i64,
    url: String,
    jwk: serde_json::Value,
    signature: String,
    signature_input: String,
    signature_agent: Option<String>,
}

#[derive(serde::Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

impl Vector {
    fn received(&self) -> Received {
        let mut headers = [("Signature", &self.signature), ("Signature-Input", &self.signature_input)]
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .to_vec();
        headers.extend(self.signature_agent.clone().map(|agent| ("Signature-Agent".to_owned(), agent)));
        Received::new("GET", &self.url, &headers.into_iter().collect(), "")
    }

    fn profile(&self) -> Profile {
        let profile = Profile::danger_web_bots(&split(&self.url).0);
        let profile = match self.jwk.get("kty").and_then(|kty| kty.as_str()) {
            Some("RSA") => profile.algorithms([Algorithm::Ed25519, Algorithm::RsaPssSha512]),
            _ => profile,
        };
        profile.build().unwrap()
    }

    fn verify(&self, received: &Received, seconds: i64) -> Result<(), Option<Problem>> {
        let profile = self.profile();
        let scheme = profile.scheme("web-bots").unwrap();
        let key = scheme.public_key(&self.jwk.to_string()).unwrap();
        let verifier = Verifier::new(scheme, Keyring::new(key)).unwrap();
        let now = self.created + seconds;
        let verified = verifier.verify_at(&received.head(), &received.body, Timestamp::from_unix(now));
        let problem = received.problem(&profile, now);
        if let Err(rejection) = &verified {
            let reason = problem.as_ref().map_or(hookwarden::Reason::Mismatch, Problem::reason);
            assert_eq!(rejection.reason(), reason, "{}", self.name);
        }
        verified.map(drop).map_err(|_| problem)
    }
}

fn vectors() -> Vec<Vector> {
    let Vectors { vectors } = serde_json::from_str(include_str!("vectors/web_bots.json")).unwrap();
    assert_eq!(vectors.len(), 8);
    vectors
}

#[test]
fn web_bot_vectors_verify() {
    for vector in vectors() {
        let received = vector.received();
        assert_eq!(vector.verify(&received, 10), Ok(()), "{}", vector.name);
        assert_eq!(vector.profile().keyid(&received.head()), Some(thumbprint(&vector.jwk)), "{}", vector.name);
        let other = received.clone().replacing("Signature-Input", "keyid=\"", "keyid=\"x");
        assert_eq!(vector.verify(&other, 10), Err(Some(Problem::NoThumbprint)), "{}", vector.name);
        // The method, the path and the body are not signed.
        let changed = Received { method: "POST".into(), target: "/other".into(), body: b"{}".into(), ..received };
        assert_eq!(vector.verify(&changed, 10), Ok(()), "{}", vector.name);
    }
}

#[test]
fn changed_web_bot_request_is_refused() {
    for vector in vectors() {
        let refused = |change: fn(Received) -> Received, seconds, problem: Problem| {
            let outcome = vector.verify(&change(vector.received()), seconds);
            assert_eq!(outcome, Err(Some(problem)), "{}", vector.name);
        };
        refused(|bot| bot.replacing("Signature-Input", "web-bot-auth", "x"), 10, Problem::NoSuchSignature);
        refused(|bot| bot.replacing("Signature-Input", ";tag=\"web-bot-auth\"", ""), 10, Problem::NoSuchSignature);
        refused(|bot| bot, -61, Problem::Early);
        refused(|bot| bot, 86_401, Problem::Stale);
        if vector.name.starts_with("v1") {
            refused(|bot| bot, 3_661, Problem::Expired);
        }
        let agent = Problem::Uncovered("\"signature-agent\"".into());
        if vector.signature_agent.is_none() {
            refused(|bot| bot.with("Signature-Agent", "\"https://other.test\""), 10, agent);
        } else if vector.name.starts_with("v2") {
            // The only signed member has another key than the label.
            let member = "agent2=\"https://signature-agent.test\", x=\"https://other.test\"";
            let received = vector.received().with("Signature-Agent", member);
            assert_eq!(vector.verify(&received, 10), Err(Some(agent)), "{}", vector.name);
        }
    }
}

#[test]
fn requests_with_one_signature_are_handled() {
    let vector = &vectors()[2];
    let profile = vector.profile();
    let warden = |replay: Option<Replay>| {
        let scheme = profile.scheme("web-bots").unwrap();
        let keys = Keyring::new(scheme.public_key(&vector.jwk.to_string()).unwrap());
        let clock = TestClock::new(Timestamp::from_unix(vector.created));
        let builder = Warden::builder(scheme).only_sender(keys).clock(clock).methods(["GET"]).danger_unsigned_body();
        match replay {
            Some(replay) => builder.replay(replay).build(),
            None => builder.build(),
        }
    };
    let error = warden(None).unwrap_err();
    assert!(error.to_string().starts_with("replay: must be set, because web-bots covers neither"), "{error}");
    let other = Received { target: "/other".into(), ..vector.received() };
    let every = warden(Some(Replay::danger_off())).unwrap();
    assert_eq!([vector.received().deliver(&every), other.deliver(&every)], [Ok(()), Ok(())]);
    // What the error prevents.
    let once = warden(Some(Replay::new())).unwrap();
    let replayed = Err(RefusalReason::Replayed);
    assert_eq!([vector.received().deliver(&once), other.deliver(&once)], [Ok(()), replayed]);
}
