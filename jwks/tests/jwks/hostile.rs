//! Servers that do not answer as they should. Each attempt ends within its limits and gives no key, and keys that were
//! fetched before stay in use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use hookwarden::testing::TestClock;
use hookwarden_jwks::{JwksKeys, Source};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::certificates::Authority;
use crate::server::{NAME, Reply, Server, answer_with, document};
use crate::store::{Fixed, Found, builder, find, set, source, store};

/// What the store reports for an answer, before and after a good one.
async fn refusal(reply: Reply) -> String {
    refusal_within(Duration::from_secs(5), reply).await
}

async fn refusal_within(limit: Duration, reply: Reply) -> String {
    let server = Server::start(reply.clone()).await;
    let clock = TestClock::default();
    let keys = builder(&clock).connect_timeout(limit).timeout(limit).sender("acme", source(&server)).build().unwrap();
    let began = Instant::now();
    let Found::Failed(first) = find(&keys, "k1").await else { panic!("a key was found, or its absence") };
    assert!(began.elapsed() < limit + Duration::from_secs(5), "{:?}", began.elapsed());

    server.set(Reply::Send(document(&set(&[1]))));
    clock.advance(Duration::from_secs(1));
    assert_eq!(find(&keys, "k1").await, Found::Key);

    server.set(reply);
    clock.advance(Duration::from_secs(301));
    let asked = server.connections();
    assert_eq!(find(&keys, "k1").await, Found::Key, "keys are lost");
    assert_eq!(server.connections(), asked + 1);
    assert_eq!(find(&keys, "k2").await, Found::Failed(first.clone()));
    assert_eq!(find(&keys, "k1").await, Found::Key);
    assert_eq!(server.connections(), asked + 1, "no pause after a failure");
    first.strip_prefix("keys of acme: ").unwrap().to_owned()
}

#[tokio::test]
async fn slow_answer_ends_at_the_time_limit() {
    let good = document(&set(&[1]));
    let (head, body) = good.split_at(good.len() - 20);
    let mut refusals = JoinSet::new();
    for reply in [
        Reply::Hang(Vec::new()),
        Reply::Hang(b"HTTP/1.1 200 OK\r\nContent-".to_vec()),
        Reply::Hang(head.to_vec()),
        Reply::Trickle([head, body].concat()),
        Reply::Endless(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
    ] {
        refusals.spawn(refusal_within(Duration::from_secs(1), reply));
    }
    assert_eq!(refusals.join_all().await, ["took longer than 1s"; 5]);
}

#[tokio::test]
async fn server_without_tls_ends_at_connect_limit() {
    // The system accepts connections, and nothing reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{NAME}:{}/", silent.local_addr().unwrap().port());
    let source = Source::jwk_set(url).danger_private_addresses().danger_root_certificates(Authority::new().pem);
    let keys = builder(&TestClock::default()).connect_timeout(Duration::from_millis(200));
    let keys = keys.timeout(Duration::from_secs(20)).sender("acme", source).build().unwrap();
    let began = Instant::now();
    assert_eq!(find(&keys, "k1").await, Found::Failed("keys of acme: took longer than 200ms to connect".into()));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn large_answer_is_cut_off() {
    let large = "x".repeat(262_145);
    let problem = "answered with more than 262144 bytes";
    assert_eq!(refusal(Reply::Send(document(&large))).await, problem);
    assert_eq!(refusal(Reply::Send(answer_with("200 OK", "Connection: close\r\n", &large))).await, problem);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(4_096)).into_bytes();
    assert_eq!(refusal(Reply::Endless(chunked, chunk)).await, problem);
    let until_close = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    assert_eq!(refusal(Reply::Endless(until_close, b"{\"keys\":[".repeat(500))).await, problem);
    let endless_head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let refused = refusal(Reply::Endless(endless_head, b"X-Filler: 0123456789\r\n".repeat(100))).await;
    assert!(refused.starts_with("no answer: "), "{refused}");
}

#[tokio::test]
async fn endless_answer_is_not_read_on() {
    let server = Server::start(Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; 65_536])).await;
    let keys = store(&server, &TestClock::default());
    assert_eq!(find(&keys, "k1").await, Found::Failed("keys of acme: answered with more than 262144 bytes".into()));
    // What the buffers of the connection hold was sent, too.
    assert!(server.sent() < 32 * 1024 * 1024, "{} bytes", server.sent());
}

#[tokio::test]
async fn document_of_exactly_the_limit_is_read() {
    let good = set(&[1]);
    let server = Server::start(Reply::Send(document(&good))).await;
    for (limit, expected) in [
        (good.len(), Found::Key),
        (good.len() - 1, Found::Failed(format!("keys of acme: answered with more than {} bytes", good.len() - 1))),
    ] {
        let keys = builder(&TestClock::default()).max_bytes(limit).sender("acme", source(&server)).build().unwrap();
        assert_eq!(find(&keys, "k1").await, expected);
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let target = Server::start(Reply::Send(document(&set(&[1])))).await;
    for location in ["/other.json".to_owned(), target.url(), "http://169.254.169.254/latest".to_owned()] {
        for status in
            ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
        {
            let lines = format!("Location: {location}\r\n");
            let refused = refusal(Reply::Send(answer_with(status, &lines, &set(&[1])))).await;
            let expected = format!("answered {status}: redirects are not followed; configure the final URL");
            assert_eq!(refused, expected);
        }
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn status_other_than_200_is_refused() {
    for status in [
        "500 Internal Server Error",
        "503 Service Unavailable",
        "404 Not Found",
        "201 Created",
        "206 Partial Content",
        "401 Unauthorized",
    ] {
        let refused = refusal(Reply::Send(answer_with(status, "", &set(&[1])))).await;
        assert_eq!(refused, format!("answered {status} instead of 200"));
    }
}

#[tokio::test]
async fn truncated_answer_is_refused() {
    let good = document(&set(&[1]));
    let cut = Reply::Send(good[..good.len() - 1].to_vec());
    let refused = refusal(cut).await;
    assert!(refused.starts_with("incomplete answer: "), "{refused}");
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n", set(&[1]).len(), set(&[1]));
    let refused = refusal(Reply::Send(chunked.into_bytes())).await;
    assert!(refused.starts_with("incomplete answer: "), "{refused}");
    // Without a length, only the end of TLS shows that nothing is missing.
    let refused = refusal(Reply::Cut(format!("HTTP/1.1 200 OK\r\n\r\n{}", set(&[1])).into_bytes())).await;
    assert!(refused.starts_with("incomplete answer: "), "{refused}");
}

#[tokio::test]
async fn compressed_answer_is_refused() {
    for encoding in ["gzip", "br", "identity, gzip"] {
        let lines = format!("Content-Encoding: {encoding}\r\n");
        let refused = refusal(Reply::Send(answer_with("200 OK", &lines, &set(&[1])))).await;
        assert_eq!(refused, "answered with a content encoding, which was not asked for");
    }
}

#[tokio::test]
async fn malformed_document_is_refused() {
    let many: Vec<u8> = (0..101).collect();
    for (body, problem) in [
        ("", "must be JSON: "),
        ("<!doctype html><title>Sign in</title>", "must be JSON: "),
        ("{\"keys\":[]", "must be JSON: "),
        ("{\"keys\":[],\"keys\":[]}", "must be JSON: two members have the name \"keys\""),
        (&format!("{{\"keys\":{}", "[".repeat(5_000)), "must be JSON: nested too deep"),
        ("[]", "must be a JSON object"),
        ("{}", "must have the list keys"),
        ("{\"keys\":{}}", "must have the list keys"),
        ("{\"signing_keys\":[]}", "must have the list keys"),
        (&set(&many), "must have at most 100 keys"),
    ] {
        let refused = refusal(Reply::Send(document(body))).await;
        assert!(refused.starts_with(problem), "{body:.60}: {refused}");
    }
}

#[tokio::test]
async fn answer_that_is_not_http_is_refused() {
    for bytes in [
        &b"\x16\x03\x01garbage\r\n\r\n"[..],
        b"HTTP/0.9 200\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
    ] {
        let refused = refusal(Reply::Send(bytes.to_vec())).await;
        assert!(refused.starts_with("no answer: "), "{refused}");
    }
}

#[tokio::test]
async fn certificate_that_is_not_valid_is_refused() {
    let good = || Reply::Send(document(&set(&[1])));
    let other = Server::start(good()).await;
    for (name, days, says) in
        [("other.test", 5, "not valid for name"), (NAME, -1, "expired"), (NAME, 20, "not valid yet")]
    {
        let server = Server::with_certificate(good(), name, days).await;
        let Found::Failed(error) = find(&store(&server, &TestClock::default()), "k1").await else { panic!("{name}") };
        assert!(error.starts_with("keys of acme: TLS failed: "), "{error}");
        assert!(error.to_lowercase().contains(says), "{error}");
        assert_eq!(server.requests(), 0);
    }
    // A server whose authority is not trusted.
    let stranger = Server::start(good()).await;
    let source = Source::jwk_set(stranger.url()).danger_private_addresses();
    let source = source.danger_root_certificates(other.authority.pem.clone());
    let keys = builder(&TestClock::default()).sender("acme", source).build().unwrap();
    let Found::Failed(error) = find(&keys, "k1").await else { panic!("a stranger's key was found") };
    assert!(error.starts_with("keys of acme: TLS failed: invalid peer certificate"), "{error}");
    assert_eq!(stranger.requests(), 0);
}

#[tokio::test]
async fn certificate_is_checked_at_each_fetch() {
    let server = Server::start(Reply::Send(document(&set(&[1])))).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    assert_eq!(find(&keys, "k1").await, Found::Key);
    server.set_certificate(NAME, -1);
    clock.advance(Duration::from_secs(300));
    let Found::Failed(error) = find(&keys, "k2").await else { panic!("the certificate was not checked") };
    assert!(error.starts_with("keys of acme: TLS failed: ") && error.contains("expired"), "{error}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn host_with_private_address_is_not_connected_to() {
    let server = Server::start(Reply::Send(document(&set(&[1])))).await;
    let public = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));
    for addresses in [
        vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        vec![IpAddr::V6(Ipv6Addr::LOCALHOST)],
        vec![IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped())],
        vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
        vec![IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254))],
        // The server would be asked if the public address did not answer.
        vec![public, IpAddr::V4(Ipv4Addr::LOCALHOST)],
    ] {
        let source = Source::jwk_set(server.url()).danger_root_certificates(server.authority.pem.clone());
        let refused = addresses.iter().copied().find(|address| *address != public).unwrap();
        let keys = builder(&TestClock::default());
        let keys = keys.resolver(Fixed(addresses)).sender("acme", source).build().unwrap();
        let problem = format!("keys of acme: {NAME} has the address {refused}, which is not public");
        assert_eq!(find(&keys, "k1").await, Found::Failed(problem));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn url_with_private_address_is_not_connected_to() {
    let server = Server::start(Reply::Send(document(&set(&[1])))).await;
    let port = server.address.port();
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1"),
        ("localhost", "127.0.0.1"),
    ] {
        let source =
            Source::jwk_set(format!("https://{host}:{port}/")).danger_root_certificates(server.authority.pem.clone());
        let keys = builder(&TestClock::default()).sender("acme", source).build().unwrap();
        let host = host.trim_matches(['[', ']']);
        let problem = format!("keys of acme: {host} has the address {address}, which is not public");
        assert_eq!(find(&keys, "k1").await, Found::Failed(problem));
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn systems_resolver_is_checked_too() {
    let server = Server::start(Reply::Send(document(&set(&[1])))).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let scheme = crate::store::scheme();
    let source = Source::jwk_set(url).danger_root_certificates(server.authority.pem.clone());
    let keys = JwksKeys::builder(&scheme).sender("acme", source).build().unwrap();
    let Found::Failed(error) = find(&keys, "k1").await else { panic!("a key was found") };
    assert!(error.contains("which is not public"), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn address_that_refuses_leads_to_the_next() {
    let server = Server::start(Reply::Send(document(&set(&[1])))).await;
    // The second address of the loopback network refuses connections to this port.
    let addresses = vec![IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), IpAddr::V4(Ipv4Addr::LOCALHOST)];
    let keys =
        builder(&TestClock::default()).resolver(Fixed(addresses)).sender("acme", source(&server)).build().unwrap();
    assert_eq!(find(&keys, "k1").await, Found::Key);
}

#[tokio::test]
async fn name_without_addresses_is_refused() {
    let server = Server::start(Reply::Send(document(&set(&[1])))).await;
    let keys =
        builder(&TestClock::default()).resolver(Fixed(Vec::new())).sender("acme", source(&server)).build().unwrap();
    assert_eq!(find(&keys, "k1").await, Found::Failed(format!("keys of acme: {NAME} has no address")));
}

#[tokio::test]
async fn request_has_only_the_needed_headers() {
    let server = Server::start(Reply::Send(answer_with("200 OK", "Set-Cookie: a=b\r\n", &set(&[1])))).await;
    let clock = TestClock::default();
    let keys = store(&server, &clock);
    for _ in 0..2 {
        assert_eq!(find(&keys, "k1").await, Found::Key);
        clock.advance(Duration::from_secs(301));
    }
    assert_eq!(server.requests(), 2);
    let expected = format!(
        "GET /jwks.json HTTP/1.1\r\nhost: {NAME}:{}\r\naccept: application/json, */*;q=0.5\r\naccept-encoding: identity\r\n\
         connection: close\r\nuser-agent: hookwarden-jwks/{}\r\n\r\n",
        server.address.port(),
        env!("CARGO_PKG_VERSION"),
    );
    assert_eq!(server.last_head(), expected);
}
