//! What must not be shown, and settings.

use std::process::Command;
use std::time::Duration;

use axum::http::StatusCode;
use hookwarden::Quota;
use hookwarden::clock::{Clock as _, SystemClock};
use hookwarden::limit::RateLimiter as _;
use hookwarden::redis::{ConnectError, RedisStore};
use hookwarden::replay::{Claimant, Delivery, ReplayStore as _};
use hookwarden::verifier::ReplayKey;
use hookwarden::warden::{Quotas, Replay};

use crate::endpoint::{Endpoint, Signed, Told, builder};
use crate::processes::Receiver;
use crate::server::Server;

const PASSWORD: &str = "canary-7f3a9c";

pub(crate) async fn nothing_secret_is_shown() {
    let server = Server::with(&["--requirepass", PASSWORD]);
    let port = server.port();
    let mut shown = Vec::new();
    let with_password = |password: &str| format!("redis://:{password}@127.0.0.1:{port}/");

    // It is the right one.
    let setting = RedisStore::builder(with_password(PASSWORD)).timeout(Duration::from_secs(5));
    shown.push(format!("{setting:?}"));
    let store = setting.connect().await.unwrap();
    let told = Told::default();
    let endpoint = Endpoint::new(builder().shared_store(store.clone()).observer(told.clone()));
    let delivery = Signed::new("a body");
    assert_eq!(endpoint.status(&delivery).await, StatusCode::OK);

    // What the server keeps tells nobody a signature, or who sent.
    let client = redis::Client::open(with_password(PASSWORD)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert_eq!(keys.len(), 2);
    let (_, signature) =
        delivery.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-webhook-signature")).unwrap();
    for key in &keys {
        let value: Vec<u8> = redis::cmd("GET").arg(key).query(&mut connection).unwrap();
        let kept = format!("{key} {}", String::from_utf8_lossy(&value));
        assert!(!kept.contains(&signature[..32]) && !kept.contains("acme"), "{kept}");
    }

    // It is a wrong one, the server is gone, or the URL is no URL.
    for url in [
        with_password("canary-of-a-stranger"),
        format!("redis://user:{PASSWORD}@127.0.0.1:1/"),
        format!("redis://:{PASSWORD}@127.0.0.1:{port}/no-number"),
        format!("rediss://:{PASSWORD}@127.0.0.1:{port}/#{PASSWORD}"),
        format!("{PASSWORD}://127.0.0.1/"),
        format!("redis://:{PASSWORD}@/"),
        format!("redis://:{PASSWORD}@[::"),
    ] {
        let setting = RedisStore::builder(&url).timeout(Duration::from_secs(1));
        let error = setting.connect().await.unwrap_err();
        shown.push(format!("{error} {error:?}"));
        if let Ok(store) = RedisStore::builder(&url).connect_later() {
            let quota = Quota::per_minute(1).unwrap();
            let error = store.check("acme", &quota).await.unwrap_err();
            shown.push(format!("{error} {error:?} {store:?}"));
        }
    }
    drop(server);
    assert_eq!(endpoint.status(&Signed::new("another")).await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(told.has("failed Replay"), "{:?}", told.all());
    let delivery = Delivery {
        webhook_id: "acme",
        keys: &[ReplayKey::from_bytes([7; 16])],
        until: SystemClock::default().now().wall,
    };
    let error = store.claim(delivery, Claimant::new(1), Duration::from_secs(1), SystemClock::default().now()).await;
    shown.push(format!("{:?} {store:?}", error.unwrap_err()));
    shown.extend(told.all());
    for text in &shown {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(shown.len() > 12);
}

pub(crate) async fn settings_are_checked() {
    let server = Server::start();
    let builder = || RedisStore::builder(server.url());
    let field = |error| match error {
        ConnectError::Config(error) => error.field().to_owned(),
        other => panic!("{other:?} is not about a setting"),
    };
    for (setting, expected) in [
        (builder().prefix(""), "redis prefix"),
        (builder().prefix("a{b}"), "redis prefix"),
        (builder().prefix("x".repeat(65)), "redis prefix"),
        (builder().timeout(Duration::ZERO), "redis timeout"),
        (builder().connect_timeout(Duration::ZERO), "redis timeout"),
        (RedisStore::builder("http://127.0.0.1/"), "redis url"),
        (RedisStore::builder(""), "redis url"),
        (RedisStore::builder("rediss://127.0.0.1/#insecure"), "redis url"),
    ] {
        assert_eq!(field(setting.connect().await.unwrap_err()), expected);
    }
    let store = builder().connect().await.unwrap();
    let warden = |builder: hookwarden::warden::WardenBuilder| {
        builder
            .keys(
                hookwarden::keys::StaticKeys::new(
                    &hookwarden::Scheme::timestamped(),
                    [("acme", hookwarden::Keyring::new(hookwarden::Secret::from_text("a-secret-of-a-test").unwrap()))],
                )
                .unwrap(),
            )
            .build()
    };
    let error =
        warden(crate::endpoint::builder().shared_store(store.clone()).quotas(Quotas::new().shared(store.clone())))
            .unwrap_err();
    assert_eq!(error.field(), "shared_store");
    let error = warden(crate::endpoint::builder().replay(Replay::shared(store.clone())).shared_store(store.clone()))
        .unwrap_err();
    assert_eq!(error.field(), "shared_store");
    let error = warden(crate::endpoint::builder().shared_store(store).quotas(Quotas::new().replicas(0))).unwrap_err();
    assert_eq!(error.field(), "quotas.replicas");
}

pub(crate) async fn tls_by_url() {
    let mut server = Server::stopped(&[]);
    let directory = server.directory();
    let run = |arguments: &[&str]| {
        let status = Command::new("openssl").args(arguments).current_dir(&directory).output().unwrap().status;
        assert!(status.success(), "openssl {arguments:?}");
    };
    let request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let authority = ["-x509", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem"];
    run(&[&request[..], &authority].concat());
    run(&[&request[..], &["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.csr"]].concat());
    std::fs::write(directory.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    let sign =
        ["x509", "-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    run(&[&sign[..], &["-extfile", "names", "-out", "cert.pem"]].concat());

    let port = crate::server::free_port().to_string();
    server.add_settings(&["--tls-port", &port, "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"]);
    server.add_settings(&["--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no", "--requirepass", PASSWORD]);
    server.run();
    let url = format!("rediss://:{PASSWORD}@localhost:{port}/");
    let receiver = Receiver::start(&url, &[("SSL_CERT_FILE", directory.join("ca.pem").to_str().unwrap())]).await;
    let delivery = Signed::new("over TLS");
    assert_eq!(receiver.connect().await.send(&delivery).await, StatusCode::OK);
    assert_eq!(receiver.handled().await, 1);
    // Another authority than the system's is not trusted without being named.
    let stranger = Receiver::start(&url, &[]).await;
    assert_eq!(stranger.connect().await.send(&Signed::new("not trusted")).await, StatusCode::SERVICE_UNAVAILABLE);
}
