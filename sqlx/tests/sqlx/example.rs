//! The example `exactly_once` as a process.

use hookwarden::Scheme;

use crate::databases::Directory;
use crate::harness::program::{Running, ended};
use crate::harness::sender::{ID, PATH, Post, SECRET, now, signer};

pub(crate) async fn retry_that_is_signed_again_is_paid_once() {
    let directory = Directory::new();
    let url = format!("sqlite:{}", directory.file("payments").display());
    let secrets = format!("{ID}={STANDARD_SECRET}");
    let standard = [("HOOKWARDEN_DATABASE_URL", &*url), ("HOOKWARDEN_SECRETS", &*secrets)];
    let secrets = format!("{ID}={SECRET}");
    let timestamped =
        [("HOOKWARDEN_DATABASE_URL", &*url), ("HOOKWARDEN_SECRETS", &*secrets), ("HOOKWARDEN_SCHEME", "timestamped")];
    for (scheme, secret, settings) in [
        (Scheme::standard_webhooks(), STANDARD_SECRET, &standard[..]),
        (Scheme::timestamped(), SECRET, &timestamped[..]),
    ] {
        let receiver = Running::start("exactly_once", settings);
        let event = format!("evt_{}", scheme.name());
        let own = [("webhook-id", &*event), ("content-type", "application/json")];
        let body = format!(r#"{{"id":"{event}","amount":5}}"#);
        let signer = signer(scheme, secret);
        let answer = receiver.send(&Post::signed_by(&signer, PATH, &own, body.clone(), now(-1))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(String::from_utf8(answer.body).unwrap(), format!(r#"{{"paid":"{event}"}}"#));
        let answer = receiver.send(&Post::signed_by(&signer, PATH, &own, body, now(0))).await;
        assert_eq!((answer.status, answer.body), (200, Vec::new()), "a duplicate");
    }
}

pub(crate) async fn bad_setting_ends_example_without_being_printed() {
    let directory = Directory::new();
    let url = format!("sqlite:{}", directory.file("payments").display());
    let secrets = format!("{ID}={STANDARD_SECRET}");
    for (variable, value) in [
        ("HOOKWARDEN_SECRETS", ""),
        ("HOOKWARDEN_SECRETS", "canary"),
        ("HOOKWARDEN_SECRETS", "acme=canary"),
        ("HOOKWARDEN_SCHEME", "canary"),
        ("HOOKWARDEN_WORK_MS", "canary"),
        ("HOOKWARDEN_LEASE", "0"),
        ("HOOKWARDEN_QUOTA", "0"),
        ("HOOKWARDEN_DATABASE_URL", "canary://canary:canary@127.0.0.1/canary"),
    ] {
        let settings = [("HOOKWARDEN_SECRETS", &*secrets), ("HOOKWARDEN_DATABASE_URL", &*url), (variable, value)];
        let output = ended("exactly_once", &settings);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{variable}={value}: {error}");
        assert!(error.starts_with("exactly_once: ") && error.lines().count() == 1, "{variable}={value}: {error}");
        assert!(!error.contains("canary") && output.stdout.is_empty(), "{variable}={value}: {error}");
    }
}

const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
