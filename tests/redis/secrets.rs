//! Secrets in output, and settings.

use std::path::Path;
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

use crate::endpoint::{Endpoint, Reports, builder};
use crate::harness::redis_cluster::Cluster;
use crate::harness::redis_server::Server;
use crate::harness::sender::{ID, Post};
use crate::processes::{handled, start};

const PASSWORD: &str = "canary-7f3a9c";

pub(crate) async fn no_output_contains_password_signature_or_id() {
    let server = Server::with(&["--requirepass", PASSWORD]);
    let port = server.port();
    let mut shown = Vec::new();
    let with_password = |password: &str| format!("redis://:{password}@127.0.0.1:{port}/");

    // The right password.
    let setting = RedisStore::builder(with_password(PASSWORD)).timeout(Duration::from_secs(5));
    shown.push(format!("{setting:?}"));
    let store = setting.connect().await.unwrap();
    let reports = Reports::default();
    let endpoint = Endpoint::new(builder().shared_store(store.clone()).observer(reports.clone()));
    let delivery = Post::signed("a body");
    assert_eq!(endpoint.status(&delivery).await, StatusCode::OK);

    // The server's keys contain no signature and no webhook id.
    let client = redis::Client::open(with_password(PASSWORD)).unwrap();
    let mut connection = client.get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert_eq!(keys.len(), 2);
    let signature = String::from_utf8(delivery.value("X-Webhook-Signature")).unwrap();
    for key in &keys {
        let value: Vec<u8> = redis::cmd("GET").arg(key).query(&mut connection).unwrap();
        let kept = format!("{key} {}", String::from_utf8_lossy(&value));
        assert!(!kept.contains(&signature[..32]) && !kept.contains("acme"), "{kept}");
    }

    // A wrong password, no server, and an invalid URL.
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
    assert_eq!(endpoint.status(&Post::signed("another")).await, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reports.has("failed Replay"), "{:?}", reports.all());
    let delivery = Delivery {
        webhook_id: "acme",
        keys: &[ReplayKey::from_bytes([7; 16])],
        until: SystemClock::default().now().wall,
        id: None,
    };
    let error = store.claim(delivery, Claimant::new(1), Duration::from_secs(1), SystemClock::default().now()).await;
    shown.push(format!("{:?} {store:?}", error.unwrap_err()));
    shown.extend(reports.all());
    for text in &shown {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(shown.len() > 12);
}

pub(crate) async fn impossible_settings_are_refused() {
    let server = Server::start();
    let builder = || RedisStore::builder(server.url());
    let field = |error| match error {
        ConnectError::Config(error) => error.field().to_owned(),
        other => panic!("{other:?} is not about a setting"),
    };
    for (setting, expected) in [
        (builder().prefix(""), "redis.prefix"),
        (builder().prefix("a{b}"), "redis.prefix"),
        (builder().prefix("x".repeat(65)), "redis.prefix"),
        (builder().timeout(Duration::ZERO), "redis.timeout"),
        (builder().connect_timeout(Duration::ZERO), "redis.connect_timeout"),
        (RedisStore::builder("http://127.0.0.1/"), "redis.url"),
        (RedisStore::builder(""), "redis.url"),
        (RedisStore::builder("rediss://127.0.0.1/#insecure"), "redis.url"),
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

pub(crate) async fn tls_by_url_reaches_the_server() {
    let mut server = Server::stopped(&[]);
    let directory = server.directory();
    write_certificates(&directory);
    let port = crate::harness::redis_server::free_port().to_string();
    server.add_settings(&["--tls-port", &port, "--requirepass", PASSWORD]);
    server.add_settings(TLS);
    server.run();
    assert_trust(&format!("rediss://:{PASSWORD}@localhost:{port}/"), &directory).await;
}

/// The nodes name each other by address, and their certificate is for that address too.
pub(crate) async fn cluster_by_tls_url_verifies_every_node() {
    assert_trust_of_cluster(ANY_NAME, "127.0.0.1").await;
}

/// The nodes name each other by address, but their certificate has only the name of the seed.
pub(crate) async fn cluster_behind_one_name_needs_no_addresses() {
    assert_trust_of_cluster("DNS:localhost", "localhost").await;
}

async fn assert_trust_of_cluster(certificate: &str, name: &str) {
    let server = Server::stopped(&[]);
    let directory = server.directory();
    write_certificates_for(&directory, certificate);
    let in_directory = |setting: &&str| match setting.strip_suffix(".pem") {
        Some(_) => directory.join(setting).to_str().unwrap().to_owned(),
        None => (*setting).to_owned(),
    };
    let cluster = Cluster::over_tls(&TLS.iter().map(in_directory).collect::<Vec<_>>());
    // The only seed does not own the webhook id.
    let seed = (cluster.node_of(ID) + 1) % 3;
    assert_trust(&cluster.url_of(&[seed]).replace("127.0.0.1", name), &directory).await;
}

/// Asserts that receivers reach servers by TLS if they know the certificate authority, and otherwise not.
async fn assert_trust(url: &str, directory: &Path) {
    let receiver = start(url, &[("SSL_CERT_FILE", directory.join("ca.pem").to_str().unwrap())]);
    let delivery = Post::signed("over TLS");
    assert_eq!(receiver.send(&delivery).await.status, StatusCode::OK.as_u16());
    assert_eq!(handled(&receiver).await, 1);
    let stranger = start(url, &[]);
    assert_eq!(stranger.send(&Post::signed("not trusted")).await.status, StatusCode::SERVICE_UNAVAILABLE.as_u16());
}

/// Writes a certificate authority, and a certificate for this machine with its key.
pub(crate) fn write_certificates(directory: &Path) {
    write_certificates_for(directory, ANY_NAME);
}

const ANY_NAME: &str = "DNS:localhost,IP:127.0.0.1";

fn write_certificates_for(directory: &Path, names: &str) {
    let run = |arguments: &[&str]| {
        let status = Command::new("openssl").args(arguments).current_dir(directory).output().unwrap().status;
        assert!(status.success(), "openssl {arguments:?}");
    };
    let request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let authority = ["-x509", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem"];
    run(&[&request[..], &authority].concat());
    run(&[&request[..], &["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.csr"]].concat());
    std::fs::write(directory.join("names"), format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n")).unwrap();
    let sign =
        ["x509", "-req", "-in", "cert.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"];
    run(&[&sign[..], &["-extfile", "names", "-out", "cert.pem"]].concat());
}

/// Settings of a server whose directory has certificates.
pub(crate) const TLS: &[&str] = &[
    "--tls-cert-file",
    "cert.pem",
    "--tls-key-file",
    "key.pem",
    "--tls-ca-cert-file",
    "ca.pem",
    "--tls-auth-clients",
    "no",
];
