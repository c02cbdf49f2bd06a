use http::HeaderValue;
use serde_json::json;

use super::*;
use crate::headers::{NoHeaders, RequestHead};
use crate::scheme::{Layout, Scheme, SignedPart};
use crate::warden::Answer;

/// The body of the answer to a request without headers, if it is a handshake.
fn answered(handshake: &Handshake, method: &str, path: &str) -> Option<String> {
    let head = RequestHead::new(method, path, &NoHeaders);
    let challenge = handshake.challenge(&head, None).filter(|found| handshake.accepts(&head, found, None))?;
    Some(String::from_utf8(handshake.reply(&head, &challenge, "MAC").body).unwrap())
}

fn meta() -> Handshake {
    Handshake::query("hub.challenge").require("hub.mode", "subscribe").token("hub.verify_token", "meatyhamhock")
}

#[test]
fn query_challenge_is_answered_as_documented() {
    let ebay = Handshake::query("challenge_code")
        .json(r#"{"challengeResponse":"{hash}"}"#)
        .hash([HashPart::Challenge, HashPart::Token, HashPart::Endpoint])
        .with_token("71745723-d031-455c-bfa5-f90d11b4f20a")
        .with_endpoint("http://www.testendpoint.com");
    let x = Handshake::query("crc_token").json(r#"{"response_token":"sha256={mac}"}"#).mac(Encoding::Base64);
    for (handshake, method, path, answer) in [
        (
            meta(),
            "GET",
            "/webhooks?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock",
            "1158201444",
        ),
        (Handshake::query("challenge"), "GET", "/dropbox-webhook?challenge=abc123", "abc123"),
        (Handshake::query("check"), "GET", "/webhooks/?check=example", "example"),
        (
            Handshake::query("validationToken").method("POST"),
            "POST",
            "/?validationToken=Validation%3a+Testing%20client",
            "Validation: Testing client",
        ),
        (x, "GET", "/webhook?crc_token=challenge_string", r#"{"response_token":"sha256=MAC"}"#),
        (
            ebay,
            "GET",
            "/webhook?challenge_code=71745723-d031-455c-bfa5-f90d11b4f20a",
            r#"{"challengeResponse":"048de9ffd0e35021fefc0388d5c52e0f475324f582f3778ca81a53354ccbbc97"}"#,
        ),
    ] {
        handshake.check().and_then(|()| handshake.check_complete()).unwrap();
        assert_eq!(answered(&handshake, method, path).as_deref(), Some(answer), "{path}");
    }
}

#[test]
fn request_that_differs_is_not_a_handshake() {
    let query = |query: &str| answered(&meta(), "GET", &format!("/webhooks{query}"));
    let good = "?hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock";
    assert_eq!(query(good).as_deref(), Some("1"));
    for other in [
        "",
        "?",
        "?hub.mode=subscribe&hub.challenge=1",
        "?hub.mode=subscribe&hub.verify_token=meatyhamhock",
        "?hub.challenge=1&hub.verify_token=meatyhamhock",
        "?hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=meatyhamhock",
        "?hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhocks",
        "?hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
        "?hub.mode=subscribe&hub.challenge=&hub.verify_token=meatyhamhock",
        "?hub.mode=subscribe&hub.challenge=1&hub.challenge=1&hub.verify_token=meatyhamhock",
        "?hub.mode=subscribe&hub.challenge=1&hub%2Echallenge=2&hub.verify_token=meatyhamhock",
        "?hub.mode=subscribe&hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock",
        "?hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock&hub.verify_token=x",
        "?hub.mode=subscribe&hub.challenge=%00&hub.verify_token=meatyhamhock",
        "?hub.mode=subscribe&hub.challenge=a%0d%0aSet-Cookie:b&hub.verify_token=meatyhamhock",
        "?hub.mode=subscribe&hub.challenge=%ff&hub.verify_token=meatyhamhock",
    ] {
        assert_eq!(query(other), None, "{other}");
    }
    for method in ["HEAD", "POST", "get", "PUT"] {
        assert_eq!(answered(&meta(), method, &format!("/{good}")), None, "{method}");
    }
}

#[test]
fn challenge_has_at_most_1024_bytes() {
    let echo = Handshake::query("challenge");
    for (size, is_answered) in [(1, true), (1_024, true), (1_025, false)] {
        let path = format!("/?challenge={}", "a".repeat(size));
        assert_eq!(answered(&echo, "GET", &path).is_some(), is_answered, "{size}");
    }
}

#[test]
fn challenge_is_decoded_once_and_escaped() {
    let json = Handshake::query("c").json(r#"{"c":"{challenge}"}"#);
    for (sent, text, escaped) in [
        ("%2541", "%41", r#"{"c":"%41"}"#),
        ("a+b", "a b", r#"{"c":"a b"}"#),
        ("%22%5c", "\"\\", r#"{"c":"\"\\"}"#),
        ("%22,%22d%22:%22", "\",\"d\":\"", r#"{"c":"\",\"d\":\""}"#),
        ("{mac}", "{mac}", r#"{"c":"{mac}"}"#),
        ("<b>", "<b>", r#"{"c":"<b>"}"#),
    ] {
        let path = format!("/?c={sent}");
        assert_eq!(answered(&Handshake::query("c"), "GET", &path).as_deref(), Some(text));
        assert_eq!(answered(&json, "GET", &path).as_deref(), Some(escaped));
    }
}

#[test]
fn echo_of_a_challenge_cannot_be_html() {
    let json = || Handshake::query("c").json(r#"{"c":"{challenge}"}"#);
    for (handshake, challenge, content_type) in [
        (Handshake::query("c"), "%3Cscript%3E", "text/plain"),
        (Handshake::query("c"), "%C3%A4", "text/plain; charset=utf-8"),
        (json(), "%3Cscript%3E", "application/json"),
        (json(), "%C3%A4", "application/json"),
    ] {
        let path = format!("/?c={challenge}");
        let head = RequestHead::new("GET", &path, &NoHeaders);
        let reply = handshake.reply(&head, &handshake.challenge(&head, None).unwrap(), "");
        let (_, headers, _) = Answer::from(reply).into_parts();
        assert_eq!(headers["content-type"], content_type);
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}

#[test]
fn header_challenge_is_answered_from_one_header() {
    let okta = Handshake::header("X-Okta-Verification-Challenge").json(r#"{ "verification" : "{challenge}" }"#);
    let asana = Handshake::header("X-Hook-Secret").method("POST").same_header();
    let one = [("x-okta-verification-challenge", "value_from_header"), ("x-hook-secret", "b537")];
    let head = RequestHead::new("GET", "/", &one);
    let reply = okta.reply(&head, &okta.challenge(&head, None).unwrap(), "");
    assert_eq!(reply.body, br#"{ "verification" : "value_from_header" }"#);
    let head = RequestHead::new("POST", "/", &one);
    let reply = asana.reply(&head, &asana.challenge(&head, None).unwrap(), "");
    assert_eq!((reply.header.unwrap().1, reply.body.len()), (HeaderValue::from_static("b537"), 0));
    let twice = [one[0], one[0]];
    assert_eq!(okta.challenge(&RequestHead::new("GET", "/", &twice), None), None);
    assert_eq!(okta.challenge(&RequestHead::new("GET", "/", &[one[1]]), None), None);
    assert_eq!(okta.challenge(&RequestHead::new("POST", "/", &one), None), None);
}

#[test]
fn probe_is_any_get_or_head() {
    let statuses = ["GET", "HEAD", "POST", "OPTIONS"].map(|method| answered(&Handshake::probe(), method, "/?a=b"));
    assert_eq!(statuses, [Some(String::new()), Some(String::new()), None, None]);
    let head = ["GET", "HEAD"].map(|method| answered(&Handshake::probe().method("HEAD"), method, "/").is_some());
    assert_eq!(head, [false, true]);
}

#[test]
fn body_challenge_needs_every_condition() {
    let slack = Handshake::body("/challenge").when("/type", "url_verification").when_header("X-Kind", "check");
    let head = [("X-Kind", "check")];
    let of = |body| slack.challenge(&head, Some(&body)).map(|challenge| challenge.as_str().to_owned());
    assert_eq!(of(json!({"type": "url_verification", "challenge": "3eZb"})).as_deref(), Some("3eZb"));
    for body in [
        json!({"type": "event_callback", "challenge": "3eZb"}),
        json!({"type": "url_verification"}),
        json!({"type": "url_verification", "challenge": 7}),
        json!({"type": ["url_verification"], "challenge": "3eZb"}),
        json!({"type": "url_verification", "challenge": "a\nb"}),
        json!({"event": {"type": "url_verification", "challenge": "3eZb"}}),
        json!([]),
    ] {
        assert_eq!(of(body.clone()), None, "{body}");
    }
    let body = json!({"type": "url_verification", "challenge": "3eZb"});
    assert_eq!(slack.challenge(&NoHeaders, Some(&body)), None);
    assert_eq!(slack.challenge(&head, None), None);
}

#[test]
fn number_in_a_body_is_an_integer() {
    let discord = Handshake::ping().when_number("/type", 1).json(r#"{"type":1}"#);
    let is_ping = |body| discord.challenge(&NoHeaders, Some(&body)).is_some();
    assert!(is_ping(json!({"type": 1})));
    for body in [json!({"type": 2}), json!({"type": "1"}), json!({"type": 1.0}), json!({"type": true}), json!({})] {
        assert!(!is_ping(body.clone()), "{body}");
    }
}

#[test]
fn mac_needs_a_short_plain_challenge() {
    let x = Handshake::query("crc_token").json(r#"{"t":"{mac}"}"#).mac(Encoding::Base64);
    let is_answered = |text: &str| answered(&x, "GET", &format!("/?crc_token={text}")).is_some();
    assert!(is_answered("aZ09-_") && is_answered(&"a".repeat(128)));
    for text in ["", "a.b", "a=", "v0:1", "%7B%22event%22:1%7D", "a+b", "%C3%A4", &"a".repeat(129)] {
        assert!(!is_answered(text), "{text}");
    }
}

#[test]
fn settings_that_contradict_are_config_errors() {
    let mac = || Handshake::query("c").mac(Encoding::Hex);
    for (handshake, field) in [
        (Handshake::header("no header"), "header"),
        (Handshake::ping().when_header("", "x"), "header"),
        (Handshake::query(""), "handshake.query"),
        (Handshake::query("c").require("c", "x"), "handshake.query"),
        (Handshake::query("c").token("c", "x"), "handshake.query"),
        (Handshake::body("challenge").when("/type", "x"), "handshake.body"),
        (Handshake::body("/challenge").when("type", "x"), "handshake.body"),
        (Handshake::body("/challenge"), "handshake.when"),
        (Handshake::ping(), "handshake.when"),
        (Handshake::ping().when("/type", "x").method("POST"), "handshake.method"),
        (Handshake::query("c").method("post"), "handshake.method"),
        (Handshake::query("c").method(""), "handshake.method"),
        (Handshake::probe().method("POST"), "handshake.method"),
        (Handshake::probe().json(r#"{"c":"{challenge}"}"#), "handshake.json"),
        (Handshake::query("c").json("{challenge}"), "handshake.json"),
        (Handshake::query("c").json(r#"{"c":{challenge}}"#), "handshake.json"),
        (Handshake::query("c").same_header(), "handshake.same_header"),
        (mac(), "handshake.mac"),
        (mac().json(r#"{"c":"{challenge}"}"#), "handshake.mac"),
        (Handshake::query("c").json(r#"{"c":"{mac}"}"#), "handshake.mac"),
        (Handshake::query("c").json(r#"{"c":"{hash}"}"#), "handshake.hash"),
        (Handshake::query("c").json(r#"{"c":"{hash}"}"#).hash([HashPart::Token]), "handshake.hash"),
        (Handshake::query("c").status(404), "handshake.status"),
        (Handshake::query("c").status(204), "handshake.status"),
        (Handshake::query("c").token("t", ""), "handshake.token"),
        (Handshake::query("c").token("t", "a\nb"), "handshake.token"),
        (Handshake::query("c").with_token("t"), "handshake.token"),
        (Handshake::query("c").with_endpoint("https://a.example"), "handshake.endpoint"),
    ] {
        let checked = handshake.check().and_then(|()| handshake.check_complete());
        assert_eq!(checked.unwrap_err().field(), field, "{handshake:?}");
    }
    let hash = || Handshake::query("c").json(r#"{"c":"{hash}"}"#).hash([HashPart::Challenge, HashPart::Endpoint]);
    for base in ["", "hooks.example.com", "https://", "https://a.example/", "https://a.example/x", "https://a b"] {
        assert_eq!(hash().with_endpoint(base).check_complete().unwrap_err().field(), "handshake.endpoint", "{base}");
    }
    assert_eq!(hash().check_complete().unwrap_err().field(), "handshake.endpoint");
    hash().with_endpoint("https://a.example:8443").check_complete().unwrap();
}

#[test]
fn token_is_not_printed() {
    let text = format!("{:?}", meta());
    assert!(!text.contains("meatyhamhock"), "{text}");
}

fn scheme(signed: Vec<SignedPart>) -> Option<Scheme> {
    Scheme::builder("s").signature_header("X-Sig").layout(Layout::plain("")).signed(signed).build().ok()
}

#[test]
fn mac_needs_a_scheme_that_excludes_challenges() {
    let literal = |text: &'static str| SignedPart::literal(text);
    let digest = SignedPart::body_digest(crate::crypto::HashAlgorithm::Sha256, Encoding::Hex);
    for (signed, guard) in [
        (vec![literal("v0:"), SignedPart::Body], Some(ForgeryGuard::Literal)),
        (vec![literal("hmacsha256="), SignedPart::Body], Some(ForgeryGuard::Literal)),
        (vec![SignedPart::url("https://a.example"), literal("\n"), SignedPart::Body], Some(ForgeryGuard::Literal)),
        (vec![SignedPart::Body], Some(ForgeryGuard::RefusedBodies)),
        (vec![literal("v0-"), SignedPart::Body], None),
        (vec![digest], None),
    ] {
        let scheme = scheme(signed).unwrap();
        assert_eq!(ForgeryGuard::of(&scheme).ok(), guard, "{:?}", scheme.signed());
    }
    assert_eq!(ForgeryGuard::of(&Scheme::slack()).ok(), Some(ForgeryGuard::Literal));
    assert_eq!(ForgeryGuard::of(&Scheme::github()).ok(), Some(ForgeryGuard::RefusedBodies));
}

#[test]
fn mac_needs_a_described_scheme_with_shared_secret() {
    let token = Scheme::danger_token_header("token", "X-Token", "").unwrap();
    assert_eq!(ForgeryGuard::of(&token).unwrap_err().field(), "handshake.mac");
    #[cfg(feature = "ed25519")]
    {
        let algorithm = crate::crypto::Algorithm::Ed25519;
        let public = Scheme::slack().into_builder().algorithm(algorithm).build().unwrap();
        assert_eq!(ForgeryGuard::of(&public).unwrap_err().field(), "handshake.mac");
    }
}
