//! Response headers, plain HTTP and `security.txt` on axum and actix-web.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use actix_web::dev::Service as _;
use actix_web::http::StatusCode as ActixStatus;
use actix_web::{App, HttpResponse, test, web};
use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::routing::{any, post};
use hookwarden::actix::{HardenMiddleware, WardenMiddleware};
use hookwarden::axum::{HardenLayer, WardenLayer};
use hookwarden::harden::{
    Harden, HardenBuilder, HardenLayer as TowerHardenLayer, PlainHttp, SecurityTxt, TlsConnection,
};
use hookwarden::proxies::Proxies;
use hookwarden::testing::TestClock;
use hookwarden::tower::{GuardedBody, PeerAddress};
use hookwarden::{Scheme, Timestamp};
use hyper::{Request, Response, StatusCode};
use tower::{Layer as _, ServiceExt as _};

use crate::harness::client::{Answer, Connection};
use crate::harness::receiver::{Receiver, Server};
use crate::harness::sender::{Post, warden};
use crate::log::Log;

const DEFAULTS: [(&str, &str); 6] = [
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("x-xss-protection", "1; mode=block"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

const SERVERS: [Server; 2] = [Server::Axum, Server::Actix];

/// `/webhooks/{id}` is guarded, `/own` sets two of the headers itself, `/fails` ends in an error of its middleware.
async fn start(adapter: Server, harden: HardenBuilder, text: SecurityTxt) -> Receiver {
    let harden = harden.build().expect("settings");
    let warden = warden().build().expect("a Warden");
    match adapter {
        Server::Axum => {
            let own = async || [("x-frame-options", "SAMEORIGIN"), ("cache-control", "max-age=60")];
            let fails = async || StatusCode::IM_A_TEAPOT;
            let router = Router::new()
                .route("/webhooks/{id}", post(async || "handled").layer(WardenLayer::new(warden)))
                .route("/own", any(own))
                .route("/fails", any(fails))
                .route_service(SecurityTxt::PATH, text)
                .layer(HardenLayer::new(harden));
            // A nested router receives shorter paths.
            let nested = Router::new().route("/deep", any(async || "")).layer(HardenLayer::new(own_plain()));
            Receiver::axum_with_peers(router.nest("/nested", nested)).await
        }
        Server::Actix => {
            Receiver::actix(move |config| {
                let harden = || HardenMiddleware::new(harden.clone());
                let own = || async {
                    HttpResponse::Ok()
                        .insert_header(("x-frame-options", "SAMEORIGIN"))
                        .insert_header(("cache-control", "max-age=60"))
                        .finish()
                };
                let deep = web::resource("/deep").wrap(HardenMiddleware::new(own_plain()));
                config
                    .service(
                        web::resource("/webhooks/{id}")
                            .wrap(WardenMiddleware::new(warden.clone()))
                            .wrap(harden())
                            .route(web::post().to(async || "handled")),
                    )
                    .service(web::resource("/own").wrap(harden()).to(own))
                    .service(
                        web::resource("/fails")
                            .wrap_fn(|request, inner| {
                                let answer = inner.call(request);
                                async {
                                    answer.await?;
                                    Err::<actix_web::dev::ServiceResponse, _>(actix_web::error::ErrorImATeapot(""))
                                }
                            })
                            .wrap(harden())
                            .to(async || ""),
                    )
                    .service(web::scope("/nested").service(deep.to(async || "")))
                    .service(web::scope("").wrap(harden()).service(hookwarden::actix::security_txt(text.clone())));
            })
            .await
        }
        Server::Hyper => unreachable!("not among SERVERS"),
    }
}

/// Redirects every request that is not known to be encrypted.
fn own_plain() -> Harden {
    redirecting().build().expect("settings")
}

fn redirecting() -> HardenBuilder {
    behind_a_proxy().plain_http(PlainHttp::Redirect).redirect_host("Own.example.com:8443")
}

/// The test's client is the proxy.
fn behind_a_proxy() -> HardenBuilder {
    Harden::builder().proxies(one_proxy(["127.0.0.0/8"]))
}

fn one_proxy<const N: usize>(networks: [&str; N]) -> Proxies {
    Proxies::x_forwarded_for(1, networks).expect("one proxy")
}

fn text() -> SecurityTxt {
    contact().build().expect("a text")
}

fn contact() -> hookwarden::harden::SecurityTxtBuilder {
    let clock = TestClock::default();
    SecurityTxt::builder().clock(clock).contact("mailto:security@example.com").expires(later(86_400))
}

/// The test clock's start plus `seconds`.
fn later(seconds: i64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000_i64.saturating_add(seconds))
}

async fn ask(server: &Receiver, request: &str) -> Answer {
    server.connect().await.exchange(request.as_bytes()).await.expect("an answer")
}

/// Returns the answer of a tower service behind the layer.
async fn pass(harden: Harden, request: Request<Body>) -> Response<GuardedBody<Body>> {
    let empty = tower::service_fn(async |_| Ok::<_, std::convert::Infallible>(Response::new(Body::empty())));
    TowerHardenLayer::new(harden).layer(empty).oneshot(request).await.expect("an answer")
}

/// A request with these header lines.
fn request(method: &str, path: &str, lines: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: hooks.example.com:8080\r\n{lines}\r\n")
}

#[tokio::test]
async fn every_answer_has_each_header() {
    for adapter in SERVERS {
        let server = start(adapter, behind_a_proxy(), text()).await;
        let post = Post::signed("{}").with("x-forwarded-proto", "https");
        let accepted = server.connect().await.exchange(&post.sized()).await.expect("an answer");
        assert_eq!((accepted.status, accepted.body.as_slice()), (200, b"handled".as_slice()));
        let forged = server.connect().await.exchange(&post.carrying("[]").sized()).await.expect("an answer");
        assert_eq!((forged.status, forged.header("www-authenticate")), (401, Some("Webhook")));
        let fails = ask(&server, &request("GET", "/fails", "X-Forwarded-Proto: https\r\n")).await;
        assert_eq!(fails.status, 418);
        for answer in [accepted, forged, fails] {
            for (name, value) in DEFAULTS {
                assert_eq!(answer.header(name), Some(value), "{adapter:?} {name} of {}", answer.head);
            }
        }
    }
}

#[tokio::test]
async fn headers_are_set_and_omitted_by_name() {
    let settings = || {
        behind_a_proxy()
            .header("Content-Security-Policy", "default-src 'self'")
            .header("referrer-policy", "no-referrer")
            .without_header("X-XSS-Protection")
    };
    for adapter in SERVERS {
        let server = start(adapter, settings(), text()).await;
        let answer = ask(&server, &request("GET", "/fails", "X-Forwarded-Proto: https\r\n")).await;
        for (name, value) in DEFAULTS {
            let value = match name {
                "content-security-policy" => Some("default-src 'self'"),
                "x-xss-protection" => None,
                _ => Some(value),
            };
            assert_eq!(answer.header(name), value, "{adapter:?} {name}");
        }
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{adapter:?}");
        assert_eq!(answer.head.matches("content-security-policy").count(), 1, "{adapter:?}");
    }
}

#[tokio::test]
async fn header_of_the_handler_is_kept() {
    for adapter in SERVERS {
        let server = start(adapter, Harden::builder().header("x-frame-options", "DENY"), text()).await;
        let answer = ask(&server, &request("GET", "/own", "")).await;
        assert_eq!(answer.header("x-frame-options"), Some("SAMEORIGIN"), "{adapter:?}");
        assert_eq!(answer.header("cache-control"), Some("max-age=60"), "{adapter:?}");
        assert_eq!(answer.head.matches("x-frame-options").count(), 1, "{adapter:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{adapter:?}");
    }
}

/// The policy, the method, the header lines, the status and the address of a redirect.
type Case = (PlainHttp, &'static str, &'static str, u16, Option<&'static str>);

#[tokio::test]
async fn plain_request_follows_the_policy() {
    const HERE: Option<&str> = Some("https://own.example.com:8443/own?a=b%20c&d");
    const CASES: [Case; 9] = [
        (PlainHttp::DangerAllow, "GET", "X-Forwarded-Proto: http\r\n", 200, None),
        (PlainHttp::Redirect, "GET", "X-Forwarded-Proto: http\r\n", 308, HERE),
        (PlainHttp::Redirect, "HEAD", "X-Forwarded-Proto: http\r\n", 308, HERE),
        (PlainHttp::Redirect, "GET", "", 308, HERE),
        (PlainHttp::Redirect, "GET", "X-Forwarded-Proto: http\r\nx-webhook-signature: 00\r\n", 403, None),
        (PlainHttp::Redirect, "POST", "X-Forwarded-Proto: http\r\nContent-Length: 0\r\n", 403, None),
        (PlainHttp::Redirect, "GET", "X-Forwarded-Proto: https\r\n", 200, None),
        (PlainHttp::Refuse, "GET", "X-Forwarded-Proto: http\r\n", 403, None),
        (PlainHttp::Refuse, "POST", "X-Forwarded-Proto: https\r\nContent-Length: 0\r\n", 200, None),
    ];
    for adapter in SERVERS {
        for (policy, method, lines, status, location) in CASES {
            let harden = redirecting().plain_http(policy).signatures_of(&Scheme::timestamped());
            let server = start(adapter, harden, text()).await;
            let answer = ask(&server, &request(method, "/own?a=b%20c&d", lines)).await;
            let what = format!("{adapter:?} {policy:?} {method} {lines:?}");
            assert_eq!((answer.status, answer.header("location")), (status, location), "{what}");
            // RFC 6797 section 7.2.
            assert_eq!(answer.header("strict-transport-security").is_some(), lines.contains("https"), "{what}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{what}");
        }
    }
}

#[tokio::test]
async fn plain_http_post_is_refused_before_its_body() {
    for adapter in SERVERS {
        for policy in [PlainHttp::Redirect, PlainHttp::Refuse] {
            let server = start(adapter, redirecting().plain_http(policy), text()).await;
            let post = Post::signed("x".repeat(100)).with("x-forwarded-proto", "http");
            // The answer does not wait for the body.
            let answer = server.connect().await.exchange(&post.head("Content-Length: 100\r\n")).await;
            let answer = answer.expect("an answer");
            assert_eq!((answer.status, answer.header("connection")), (403, Some("close")), "{adapter:?} {policy:?}");
            let post = post.replacing("x-forwarded-proto", "https");
            let answer = server.connect().await.exchange(&post.sized()).await;
            assert_eq!(answer.expect("an answer").status, 200, "{adapter:?} {policy:?}");
        }
    }
}

#[tokio::test]
async fn forwarded_proto_is_trusted_from_declared_proxies_only() {
    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
    let networks = ["10.0.0.0/8", "127.0.0.2"];
    let named = || Harden::builder().proxies(one_proxy(networks));
    let forwarded = || Harden::builder().proxies(Proxies::forwarded(1, networks).expect("one proxy"));
    let cases: [(&str, HardenBuilder, IpAddr, &str, u16); 13] = [
        // Without a declared proxy the header only shows that there is a proxy; its value is not trusted.
        ("undeclared", Harden::builder(), OTHER, "X-Forwarded-Proto: https\r\n", 403),
        ("undeclared", Harden::builder(), OTHER, "Forwarded: proto=https\r\n", 403),
        ("named", named(), PROXY, "X-Forwarded-Proto: https\r\n", 200),
        ("named", named(), PROXY, "X-Forwarded-Proto: http\r\n", 403),
        ("named", named(), PROXY, "X-Forwarded-Proto: https, http\r\n", 403),
        ("named", named(), PROXY, "X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", 403),
        ("named", named(), PROXY, "Forwarded: proto=https\r\n", 403),
        ("named", named(), PROXY, "", 403),
        ("named", named(), OTHER, "X-Forwarded-Proto: https\r\n", 403),
        ("named", named(), OTHER, "", 403),
        ("forwarded", forwarded(), PROXY, "Forwarded: proto=https, for=1.1.1.1;proto=http\r\n", 403),
        ("forwarded", forwarded(), PROXY, "Forwarded: for=1.1.1.1;host=\"a;proto=https\";proto=http\r\n", 403),
        ("forwarded", forwarded(), PROXY, "Forwarded: proto=http, for=1.1.1.1;proto=https\r\n", 200),
    ];
    for (what, harden, from, lines, status) in cases {
        let harden = harden.build().expect("settings");
        let router = Router::new().route("/", any(async || "")).layer(HardenLayer::new(harden.clone()));
        let on_axum = Receiver::axum_with_peers(router).await;
        let on_actix = Receiver::actix(move |config| {
            config.service(web::resource("/").wrap(HardenMiddleware::new(harden.clone())).to(async || ""));
        });
        for server in [on_axum, on_actix.await] {
            let mut connection = Connection::open_from(from, server.address()).await;
            let answer = connection.exchange(request("GET", "/", lines).as_bytes()).await.expect("an answer");
            assert_eq!(answer.status, status, "{what} from {from}, {lines:?}, {server:?}");
        }
    }
}

#[tokio::test]
async fn only_axums_own_layer_knows_axums_peers() {
    let local = || MockConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1337)));
    let router = || Router::new().route("/", any(async || ""));
    let get = || Request::get("/").body(Body::empty()).expect("a request");
    let own = router().layer(HardenLayer::default()).layer(local());
    assert_eq!(own.oneshot(get()).await.expect("an answer").status(), StatusCode::OK);
    let other = router().layer(TowerHardenLayer::default()).layer(local());
    assert_eq!(other.oneshot(get()).await.expect("an answer").status(), StatusCode::FORBIDDEN);
}

/// The header lines, the peer's address, whether the connection is encrypted, and the status.
type Local = (&'static [(&'static str, &'static str)], Option<&'static str>, bool, u16);

#[tokio::test]
async fn default_policy_passes_encrypted_and_local_requests() {
    const CASES: [Local; 15] = [
        (&[], Some("127.0.0.1"), false, 200),
        (&[], Some("::1"), false, 200),
        (&[], Some("::ffff:127.0.0.1"), false, 200),
        (&[("x-forwarded-for", "203.0.113.9")], Some("127.0.0.1"), false, 403),
        (&[("via", "1.1 proxy")], Some("127.0.0.1"), false, 403),
        (&[("x-forwarded-host", "hooks.example.com")], Some("127.0.0.1"), false, 403),
        (&[("x-forwarded-port", "80")], Some("127.0.0.1"), false, 403),
        (&[("cf-connecting-ip", "203.0.113.9")], Some("127.0.0.1"), false, 403),
        (&[("x-real-ip", "203.0.113.9")], Some("127.0.0.1"), false, 403),
        (&[], Some("203.0.113.9"), false, 403),
        (&[], Some("10.0.0.7"), false, 403),
        (&[("x-forwarded-proto", "https")], Some("203.0.113.9"), false, 403),
        (&[], Some("203.0.113.9"), true, 200),
        (&[], None, false, 403),
        (&[], None, true, 200),
    ];
    let app = App::new().service(web::resource("/").wrap(HardenMiddleware::default()).to(async || ""));
    let app = test::init_service(app).await;
    for (headers, peer, is_tls, status) in CASES {
        let what = format!("{headers:?} from {peer:?}, {is_tls}");
        let mut request = Request::new(Body::empty());
        let mut on_actix = test::TestRequest::default();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a value"));
            on_actix = on_actix.insert_header((*name, *value));
        }
        if let Some(peer) = peer {
            let peer: IpAddr = peer.parse().expect("an address");
            request.extensions_mut().insert(PeerAddress(peer));
            on_actix = on_actix.peer_addr((peer, 4711).into());
        }
        let on_actix = on_actix.to_request();
        if is_tls {
            request.extensions_mut().insert(TlsConnection);
            actix_web::HttpMessage::extensions_mut(&on_actix).insert(TlsConnection);
        }
        let answer = pass(Harden::default(), request).await;
        assert_eq!(answer.status(), status, "{what}");
        assert_eq!(answer.headers().contains_key("strict-transport-security"), is_tls, "{what}");
        let answer = app.call(on_actix).await.expect("an answer");
        assert_eq!(answer.status(), ActixStatus::from_u16(status).expect("a status"), "{what}");
        assert_eq!(answer.headers().contains_key("strict-transport-security"), is_tls, "{what}");
    }
}

#[tokio::test]
async fn direct_connection_passes_by_its_encryption() {
    let harden = Harden::builder().proxies(one_proxy(["10.0.0.0/8"])).build().expect("settings");
    for (peer, is_tls, status) in [
        (Some("127.0.0.1"), false, 403),
        (Some("127.0.0.1"), true, 200),
        (None, false, 403),
        (None, true, 200),
        // Whether the client's connection to the proxy was encrypted decides, and that is unknown.
        (Some("10.0.0.7"), true, 403),
    ] {
        let mut request = Request::new(Body::empty());
        if let Some(peer) = peer {
            request.extensions_mut().insert(PeerAddress(peer.parse().expect("an address")));
        }
        if is_tls {
            request.extensions_mut().insert(TlsConnection);
        }
        let answer = pass(harden.clone(), request).await;
        assert_eq!(answer.status(), status, "{peer:?} {is_tls}");
    }
}

#[tokio::test]
async fn endless_body_of_refused_request_closes_connection() {
    for adapter in SERVERS {
        let server = start(adapter, behind_a_proxy(), text()).await;
        let mut connection = server.connect().await;
        let head = request("POST", "/own", "Transfer-Encoding: chunked\r\n");
        let answer = connection.exchange(format!("{head}1\r\nx\r\n").as_bytes()).await.expect("an answer");
        assert_eq!(answer.status, 403, "{adapter:?}");
        let end = tokio::time::timeout(Duration::from_secs(5), connection.answer()).await;
        assert_eq!(end.expect("the connection to be closed").map(|answer| answer.status), None, "{adapter:?}");
    }
}

#[tokio::test]
async fn redirect_uses_the_configured_host_only() {
    for adapter in SERVERS {
        let server = start(adapter, redirecting(), text()).await;
        for (target, lines) in [
            ("/own?a", "Host: evil.example\r\n"),
            ("/own?a", "Host: user@evil.example\r\n"),
            ("/own?a", "Host: own.example.com:80\r\nX-Forwarded-Host: evil.example\r\n"),
            ("/own?a", "Host: hooks.example.com%0d%0aset-cookie: a=b\r\n"),
            ("http://evil.example/own?a", "Host: own.example.com\r\n"),
            ("/nested/deep?a", "Host: evil.example\r\n"),
        ] {
            let answer = ask(&server, &format!("GET {target} HTTP/1.1\r\n{lines}\r\n")).await;
            let what = format!("{adapter:?} {target} {lines:?}: {}", answer.head);
            // A server may refuse such a head first.
            assert!([308, 400].contains(&answer.status), "{what}");
            let path = if target.starts_with("/nested") { "/nested/deep?a" } else { "/own?a" };
            let there = format!("https://own.example.com:8443{path}");
            assert!(answer.header("location").is_none_or(|location| location == there), "{what}");
            assert_eq!(answer.header("location").is_some(), answer.status == 308, "{what}");
            assert_eq!(answer.header("set-cookie"), None, "{what}");
        }
        let answer = ask(&server, &request("GET", "//evil.example/x?y", "")).await;
        // No route has this path, and actix-web only calls resources.
        if let Server::Axum = adapter {
            assert_eq!(answer.header("location"), Some("https://own.example.com:8443//evil.example/x?y"));
        }
    }
}

#[test]
fn impossible_setting_is_a_config_error() {
    let x_forwarded_for = Proxies::danger_x_forwarded_for_from_anywhere(1).expect("one proxy");
    let forwarded = Proxies::danger_forwarded_from_anywhere(1).expect("one proxy");
    for (harden, field) in [
        (Harden::builder().header("a b", "c"), "header"),
        (Harden::builder().header("a", "b\r\nc: d"), "header"),
        (Harden::builder().without_header(""), "header"),
        (Harden::builder().redirect_host("https://hooks.example.com"), "redirect_host"),
        (Harden::builder().redirect_host("hooks.example.com/x"), "redirect_host"),
        (Harden::builder().redirect_host(""), "redirect_host"),
        (Harden::builder().plain_http(PlainHttp::Redirect), "redirect_host"),
        (Harden::builder().proxies(x_forwarded_for), "proxies.networks"),
        (Harden::builder().proxies(forwarded), "proxies.networks"),
    ] {
        assert_eq!(harden.build().expect_err("a fault").field(), field);
    }
}

#[tokio::test]
async fn security_txt_is_served_until_it_expires() {
    const TEXT: &str = "Contact: mailto:security@example.com\n\
        Contact: https://example.com/report\n\
        Encryption: openpgp4fpr:5f2de5521c63a801ab59ccb603d49de44b29100f\n\
        Acknowledgments: https://example.com/thanks\n\
        Canonical: https://example.com/.well-known/security.txt\n\
        Policy: https://example.com/policy\n\
        Hiring: https://example.com/jobs\n\
        Preferred-Languages: en, pt-BR\n\
        Expires: 2027-01-16T08:00:00Z\n";
    for adapter in SERVERS {
        let clock = TestClock::default();
        let text = contact()
            .clock(clock.clone())
            .contact("https://example.com/report")
            .encryption("openpgp4fpr:5f2de5521c63a801ab59ccb603d49de44b29100f")
            .acknowledgments("https://example.com/thanks")
            .canonical("https://example.com/.well-known/security.txt")
            .policy("https://example.com/policy")
            .hiring("https://example.com/jobs")
            .preferred_languages(["de"])
            .preferred_languages(["en", "pt-BR"])
            .build()
            .expect("a text");
        assert_eq!(text.as_str(), TEXT);
        let text_service = text.clone();
        let server = start(adapter, Harden::builder(), text).await;
        let get = request("GET", SecurityTxt::PATH, "");
        let answer = ask(&server, &get).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
        assert_eq!(String::from_utf8(answer.body).expect("text"), TEXT, "{adapter:?}");
        let head = Request::head(SecurityTxt::PATH).body(Body::empty()).expect("a request");
        assert_eq!(text_service.oneshot(head).await.expect("an answer").status(), 200);
        let answer = ask(&server, &request("POST", SecurityTxt::PATH, "Content-Length: 0\r\n")).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{adapter:?}");
        clock.advance(Duration::from_secs(86_399));
        assert_eq!(ask(&server, &get).await.status, 200, "{adapter:?}");
        clock.advance(Duration::from_secs(1));
        let answer = ask(&server, &get).await;
        assert_eq!((answer.status, answer.body.len()), (404, 0), "{adapter:?}");
    }
}

#[test]
fn impossible_security_txt_is_a_config_error() {
    let clock = TestClock::default;
    let empty = || SecurityTxt::builder().clock(clock()).expires(later(1));
    for (text, field) in [
        (empty(), "security_txt.contact"),
        (empty().policy("https://example.com/policy"), "security_txt.contact"),
        (SecurityTxt::builder().clock(clock()).contact("tel:+1-201-555-0123"), "security_txt.expires"),
        (contact().expires(later(0)), "security_txt.expires"),
        (contact().expires(later(-1)), "security_txt.expires"),
        (contact().expires(Timestamp::from_unix(i64::MAX)), "security_txt.expires"),
        (contact().contact("security@example.com"), "security_txt.contact"),
        (contact().contact("http://example.com/report"), "security_txt.contact"),
        (contact().contact("mailto:"), "security_txt.contact"),
        (contact().contact("mailto:a@example.com\nExpires: 2099-01-01T00:00:00Z"), "security_txt.contact"),
        (contact().contact("mailto:a b@example.com"), "security_txt.contact"),
        (contact().contact("mailto:größe@example.com"), "security_txt.contact"),
        (contact().policy("mailto:a@example.com"), "security_txt.policy"),
        (contact().canonical("http://example.com/"), "security_txt.canonical"),
        (contact().encryption("http://example.com/key"), "security_txt.encryption"),
        (contact().preferred_languages([]), "security_txt.preferred_languages"),
        (contact().preferred_languages(["en", "en, de"]), "security_txt.preferred_languages"),
        (contact().preferred_languages(["en\n"]), "security_txt.preferred_languages"),
        (contact().preferred_languages(["toolongatag"]), "security_txt.preferred_languages"),
    ] {
        assert_eq!(text.build().expect_err("a fault").field(), field);
    }
    // More than a year is discouraged but valid.
    contact().expires(later(400 * 86_400)).build().expect("a text");
}

#[tokio::test]
async fn refused_plain_http_logs_the_fix() {
    let (peer, other) = (IpAddr::from([10, 0, 0, 7]), IpAddr::from([192, 0, 2, 1]));
    let declared = || Harden::builder().proxies(Proxies::x_forwarded_for(1, ["10.0.0.0/8"]).expect("a network"));
    for (harden, peer, fix) in [
        (Harden::builder(), Some(peer), "declare it with HardenBuilder::proxies"),
        (declared(), Some(peer), "must set X-Forwarded-Proto"),
        (declared(), Some(other), "the peer is not in the networks"),
        (declared(), None, "into_make_service_with_connect_info"),
    ] {
        let (log, logging) = Log::record();
        let mut request = Request::post("/").body(Body::empty()).expect("a request");
        if let Some(peer) = peer {
            request.extensions_mut().insert(PeerAddress(peer));
        }
        let app = Router::new().route("/", any(async || ())).layer(HardenLayer::new(harden.build().expect("settings")));
        assert_eq!(app.oneshot(request).await.expect("an answer").status(), StatusCode::FORBIDDEN);
        drop(logging);
        log.assert_one_line("WARN hookwarden::harden request over plain HTTP refused: ", &[fix]);
    }
}
