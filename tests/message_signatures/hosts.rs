//! The host to which a request was sent.

use hookwarden::crypto::Algorithm;
use hookwarden::headers::{FieldName, Head, NoHeaders, Occurrence};
use hookwarden::message_signatures::{Problem, Profile, ProfileBuilder};

use crate::message::{Message, NOW, ORIGIN, webhooks};

fn builder() -> ProfileBuilder {
    Profile::webhooks(ORIGIN).algorithms([Algorithm::HmacSha256])
}

fn profile() -> Profile {
    builder().build().unwrap()
}

fn expected() -> Problem {
    Problem::OtherAuthority { expected: "hooks.example.com".into() }
}

/// A signed request with this `Host` and this authority of its target.
fn sent_to(host: Option<&str>, authority: Option<&'static str>) -> Message {
    let mut message = Message { authority, ..Message::signed(&profile()) };
    message.headers.retain(|(name, _)| name != "Host");
    message.headers.extend(host.map(|host| ("host".to_owned(), host.to_owned())));
    message
}

/// Asserts on a request with the host in `Host`, in its target, and in both.
#[track_caller]
fn assert_each(host: &'static str, assert: impl Fn(&Message)) {
    for (header, authority) in [(Some(host), None), (None, Some(host)), (Some(host), Some(host))] {
        assert(&sent_to(header, authority));
    }
}

#[test]
fn forms_of_the_host_are_accepted() {
    for host in [
        "hooks.example.com",
        "HOOKS.example.Com",
        "hooks.example.com:443",
        "hooks.example.com.",
        "Hooks.example.com.:443",
    ] {
        assert_each(host, |message| message.assert_verifies(&profile()));
        sent_to(Some("hooks.example.com"), Some(host)).assert_verifies(&profile());
    }
    sent_to(Some(" hooks.example.com\t"), None).assert_verifies(&profile());
}

#[test]
fn request_for_another_host_is_refused() {
    for host in [
        "hooks.example.org",
        "example.com",
        "com",
        "tenant.hooks.example.com",
        "hooks.example.com.attacker.example",
        "hooks-example.com",
        "hooks.example.com:80",
        "hooks.example.com:8443",
        "localhost",
        "192.0.2.1",
        "[2001:db8::1]:8443",
    ] {
        assert_each(host, |message| message.assert_problem(&profile(), &expected()));
    }
    let text = "host: must be hooks.example.com, the authority of the origin, or one of received_as";
    assert_eq!(expected().to_string(), text);
}

#[test]
fn malformed_host_is_refused() {
    for host in [
        "",
        ":443",
        "hooks.example.com:",
        "hooks.example.com:0",
        "hooks.example.com:0443",
        "hooks.example.com:443:443",
        "hooks.example.com..",
        "hooks..example.com",
        "sender@hooks.example.com",
        "sender:password@hooks.example.com:443",
        "attacker.example@hooks.example.com",
        "hooks.example.com@attacker.example",
        "hooks.example.com, hooks.example.com",
        "hooks.example.com hooks.example.com",
        "hooks.example.com/",
        "https://hooks.example.com",
        "hooks.example.com#",
        "hooks.example.com\\",
        "%68ooks.example.com",
        "hooks.example.com%00",
        "hooks.example.com\0",
        "hooks.exampl\u{435}.com",
        "::1",
        "[::1",
        "127.1",
    ] {
        assert_each(host, |message| message.assert_problem(&profile(), &Problem::AmbiguousHost));
    }
}

/// Any short text gets an answer, and only the forms of the host are accepted.
#[test]
fn arbitrary_host_is_refused_without_a_panic() {
    use proptest::prelude::*;
    let pieces = [
        "hooks.example.com",
        "HOOKS",
        "com",
        ".",
        ":",
        "443",
        "0",
        "@",
        "[",
        "]",
        "::1",
        "é",
        "%2e",
        "-",
        " ",
        "/",
        "\0",
    ];
    let text = prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..4).prop_map(|pieces| pieces.concat());
    let forms = ["", ".", ":443", ".:443"].map(|end| format!("hooks.example.com{end}"));
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let profile = profile();
    proptest!(config, |(host in text)| {
        let expected = forms.iter().any(|form| form.eq_ignore_ascii_case(host.trim()));
        prop_assert_eq!(sent_to(Some(&host), None).verify_at(&profile, NOW).is_ok(), expected, "{:?}", host);
    });
}

#[test]
fn repeated_host_is_refused() {
    let mut message = sent_to(Some("hooks.example.com"), None);
    message.headers.push(("Host".into(), "hooks.example.com".into()));
    message.assert_problem(&profile(), &Problem::AmbiguousHost);
    Message { authority: Some("hooks.example.com"), ..message }.assert_problem(&profile(), &Problem::AmbiguousHost);
}

#[test]
fn host_that_differs_from_the_target_is_refused() {
    for other in ["other.example.com", "hooks.example.com:8443", ""] {
        sent_to(Some(other), Some("hooks.example.com")).assert_problem(&profile(), &Problem::AmbiguousHost);
    }
    sent_to(Some("hooks.example.com"), Some("other.example.com")).assert_problem(&profile(), &Problem::AmbiguousHost);
    // Each of them is permitted, but a proxy and the server could use different ones.
    let both = builder().received_as(["other.example.com"]).build().unwrap();
    sent_to(Some("hooks.example.com"), Some("other.example.com")).assert_problem(&both, &Problem::AmbiguousHost);
}

#[test]
fn request_without_a_host_is_refused() {
    sent_to(None, None).assert_problem(&profile(), &Problem::MissingHeader("host"));
}

#[test]
fn forwarded_host_never_counts() {
    let forwarded = |message: Message, host: &str| {
        let headers = ["X-Forwarded-Host", "X-Original-Host", "X-Host", "X-Forwarded-Server"];
        let message = headers.into_iter().fold(message, |message, name| message.with(name, host));
        message.with("Forwarded", &format!("host={host}"))
    };
    let other = sent_to(Some("other.example.com"), None);
    forwarded(other, "hooks.example.com").assert_problem(&profile(), &expected());
    let missing = sent_to(None, None);
    forwarded(missing, "hooks.example.com").assert_problem(&profile(), &Problem::MissingHeader("host"));
    forwarded(sent_to(Some("hooks.example.com"), None), "other.example.com").assert_verifies(&profile());
}

#[test]
fn host_that_a_proxy_sets_is_accepted() {
    let profile = builder().received_as(["hooks.internal:8080", "[2001:db8::1]", "App."]).build().unwrap();
    for host in ["hooks.internal:8080", "HOOKS.internal.:8080", "[2001:db8:0::1]:443", "app", "hooks.example.com"] {
        assert_each(host, |message| message.assert_verifies(&profile));
    }
    for host in ["hooks.internal", "hooks.internal:443", "app:80", "[2001:db8::2]"] {
        assert_each(host, |message| message.assert_problem(&profile, &expected()));
    }
    // The signature is for the origin, not for the host.
    let internal = webhooks("https://hooks.internal:8080");
    Message::signed(&internal).with("Host", "hooks.internal:8080").assert_mismatch(&profile);
}

#[test]
fn any_host_is_accepted_only_with_danger() {
    let danger = builder().danger_any_host().build().unwrap();
    for host in ["other.example.com", "", "a@b"] {
        assert_each(host, |message| message.assert_verifies(&danger));
    }
    sent_to(None, None).assert_verifies(&danger);
    sent_to(Some("one.example.com"), Some("two.example.com")).assert_verifies(&danger);
    let other = webhooks("https://other.example.com");
    Message::signed(&other).with("Host", "other.example.com").assert_mismatch(&danger);
}

#[test]
fn origin_is_compared_in_every_form() {
    for (origin, host) in [
        ("HTTPS://Hooks.Example.COM:443", "hooks.example.com"),
        ("https://hooks.example.com.", "hooks.example.com"),
        ("http://hooks.example.com:80", "hooks.example.com"),
        ("http://hooks.example.com:443", "hooks.example.com:443"),
        ("https://192.0.2.1:8443", "192.0.2.1:8443"),
        ("https://[2001:DB8::1]", "[2001:db8:0:0::1]:443"),
        ("https://xn--bcher-kva.example", "XN--BCHER-KVA.example"),
    ] {
        let profile = webhooks(origin);
        Message::signed(&profile).with("Host", host).assert_verifies(&profile);
        let other = Message::signed(&profile).with("Host", "other.example.com");
        assert!(other.verify_at(&profile, NOW).is_err(), "{origin}");
    }
}

#[test]
fn invalid_received_hosts_are_config_errors() {
    for host in
        ["", "https://hooks.internal", "hooks.internal/", "u@hooks.internal", "hooks.internal:0", "hooks internal"]
    {
        let error = builder().received_as(["a", host]).build().unwrap_err();
        assert_eq!(error.field(), "received_as", "{host}");
        assert!(error.to_string().starts_with("received_as: must "), "{error}");
    }
    // The first fault is reported.
    assert_eq!(Profile::builder("a").received_as([""]).build().unwrap_err().field(), "origin");
}

/// A sender has no `Host` yet, and the `keyid` is read before the host is checked.
#[test]
fn signer_and_keyid_need_no_host() {
    let profile = builder().build().unwrap();
    let mut message = Message::unsigned();
    message.headers.retain(|(name, _)| name != "Host");
    let message = message.sign(&profile);
    assert_eq!(profile.keyid(&message.head()).as_deref(), Some("2027-01"));
    message.with("Host", "hooks.example.com").assert_verifies(&profile);
}

/// The heads that wrap another one pass on the authority: a reference, and a head with its request line.
#[test]
fn authority_of_a_custom_head_counts() {
    struct Http2<'m>(&'m Message, &'static str);
    impl Head for Http2<'_> {
        fn header(&self, name: &FieldName) -> Occurrence<'_> {
            self.0.headers.header(name)
        }

        fn method(&self) -> Option<&str> {
            Some(self.0.method)
        }

        fn path(&self) -> Option<&str> {
            Some(&self.0.path)
        }

        fn authority(&self) -> Option<&str> {
            Some(self.1)
        }
    }
    let profile = profile();
    let message = sent_to(None, None);
    let explain = |head: &dyn Head| profile.explain_at(head, &message.body, NOW);
    assert_eq!(explain(&&Http2(&message, "hooks.example.com")), None);
    assert_eq!(explain(&Http2(&message, "other.example.com")), Some(expected()));
    assert_eq!(explain(&NoHeaders), Some(Problem::MissingHeader("signature-input")));
}
