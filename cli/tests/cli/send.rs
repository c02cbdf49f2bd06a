use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::schemes::presets;
use super::scratch::{Running, SECRET, Scratch, wait_until};

const BODY: &[u8] = b"{\"id\":7,\"text\":\"it's \\\"so\\\"\"}\n\0\xff\r\n";

#[test]
fn every_preset_is_accepted_over_both_http_versions() {
    for (endpoint, version, seen) in [(Endpoint::http1(), "1.1", "HTTP/1.1"), (Endpoint::http2(), "2", "HTTP/2.0")] {
        let scratch = Scratch::new();
        let body = scratch.file("body", BODY);
        for (scheme, secret) in presets() {
            let url = endpoint.url(&format!("/{}/acme", scheme.name()));
            let arguments = ["send", &url, &body, "--scheme", scheme.name(), "--http", version];
            let ended = scratch.run_with_secret(secret, arguments).assert_code(0);
            let first = ended.stdout.lines().next().unwrap();
            assert!(first.starts_with(seen) && first.contains(" 200 OK in "), "{}: {}", scheme.name(), ended.stdout);
            assert!(ended.stdout.contains("\ntaken\n"), "{}: {}", scheme.name(), ended.stdout);
        }
        assert_eq!(endpoint.seen().bodies(), [BODY; 6]);
        assert_eq!(endpoint.seen().versions(), [seen]);
    }
}

#[test]
fn body_is_read_from_input_and_argument() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/timestamped/acme");
    scratch.run_with_input(["send", &url, "-"], BODY).assert_code(0);
    scratch.run(["send", &url, "--body", "text", "-H", "x-note: of mine"]).assert_code(0);
    assert_eq!(endpoint.seen().bodies(), [BODY, b"text"]);
    let headers = endpoint.seen().headers.lock().unwrap();
    assert_eq!(headers[1]["x-note"], "of mine");
    assert_eq!(headers[1]["content-type"], "application/json");
}

#[test]
fn refusal_exits_1_and_prints_the_response() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/timestamped/acme");
    let stale = scratch.run(["send", &url, "--body", "x", "--timestamp", "1800"]).assert_code(1);
    assert!(stale.stdout.starts_with("HTTP/1.1 401 Unauthorized in "), "{}", stale.stdout);
    assert!(stale.stdout.contains("\nwww-authenticate: Webhook\n"), "{}", stale.stdout);
    scratch.run_with_secret("another-secret", ["send", &url, "--body", "x"]).assert_code(1);
    assert_eq!(endpoint.seen().count(), 0);
}

#[test]
fn statuses_are_counted_and_redirects_not_followed() {
    for (statuses, code, counts) in [
        (&[200, 503, 401][..], 1, serde_json::json!({ "200": 3, "401": 3, "503": 3 })),
        (&[200, 202, 204], 0, serde_json::json!({ "200": 3, "202": 3, "204": 3 })),
        (&[307], 1, serde_json::json!({ "307": 9 })),
    ] {
        let (scratch, endpoint) = (Scratch::new(), Endpoint::answering(statuses));
        let url = endpoint.url("/statuses");
        let arguments = ["send", &url, "--body", "four", "--repeat", "9", "--concurrency", "1"];
        let ended = scratch.run([&arguments[..], &["--json"]].concat()).assert_code(code).json();
        assert_eq!(ended["statuses"], counts);
        assert_eq!(ended["body_bytes"]["sent"], 36);
        assert_eq!((&ended["begun"], &ended["answered"]), (&9.into(), &9.into()));
        assert_eq!(endpoint.seen().count(), 9);
        let text = scratch.run(arguments).assert_code(code).stdout;
        for (status, count) in counts.as_object().unwrap() {
            assert!(text.lines().any(|line| line.split_whitespace().eq([status, &count.to_string()])), "{text}");
        }
        for name in ["p50 ", "p90 ", "p99 ", "max ", "36 sent"] {
            assert!(text.contains(name), "{text}");
        }
        // Without a terminal, `send` draws no progress bar.
        assert!(!text.contains('\x1b') && !text.contains('\r'), "{text:?}");
    }
}

#[test]
fn missing_receiver_exits_3() {
    let scratch = Scratch::new();
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let url = format!("http://{free}/");
    let ended = scratch.run(["send", &url, "--body", "x"]).assert_code(3);
    assert_eq!((&*ended.stdout, ended.stderr.lines().count()), ("", 1), "{ended:?}");
    assert!(ended.stderr.contains("no connection: Connection refused"), "{}", ended.stderr);
    let ended = scratch.run(["send", &url, "--body", "x", "--repeat", "3", "--json"]).assert_code(3);
    assert_eq!(ended.json()["errors"]["no connection"]["count"], 3);
    assert_eq!(ended.json()["latency_us"], serde_json::Value::Null);
}

#[test]
fn silent_receiver_times_out() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/held");
    let ended = scratch.run(["send", &url, "--body", "x", "--timeout", "200ms"]).assert_code(3);
    assert!(ended.stderr.contains("timeout: no complete response within 200ms"), "{}", ended.stderr);
    let arguments = ["send", &url, "--body", "x", "--timeout", "0.2", "--repeat", "4", "--json"];
    let ended = scratch.run(arguments).assert_code(3).json();
    assert_eq!(ended["errors"]["timeout"]["count"], 4);
    // Timeouts count in the latency.
    assert!(ended["latency_us"]["p50"].as_u64().unwrap() >= 190_000, "{ended}");
}

#[test]
fn unique_requests_are_handled_and_repeats_are_not() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/timestamped/acme");
    let body = "{\"id\":{number},\"of\":\"{id}\"}";
    let now = hookwarden::Timestamp::now().as_unix().to_string();
    let arguments = ["send", &url, "--body", body, "--repeat", "20", "--concurrency", "1", "--timestamp", &now];
    scratch.run(arguments).assert_code(0);
    assert_eq!(endpoint.seen().bodies(), [body]);
    scratch.run([&arguments[..], &["--unique"]].concat()).assert_code(0);
    let bodies = &endpoint.seen().bodies()[1..];
    let parsed: Vec<serde_json::Value> = bodies.iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
    let numbers: BTreeSet<_> = parsed.iter().map(|body| body["id"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=20).collect());
    assert_eq!(parsed.iter().map(|body| body["of"].as_str().unwrap()).collect::<BTreeSet<_>>().len(), 20);

    let (scheme, secret) = &presets()[1];
    let url = endpoint.url(&format!("/{}/acme", scheme.name()));
    let arguments = [&["send", &url, "--body", "x", "--scheme", scheme.name()], &arguments[4..]].concat();
    for (more, handled) in [(&[][..], 1), (&["--unique"], 20)] {
        let before = endpoint.seen().count();
        scratch.run_with_secret(secret, [&arguments[..], more].concat()).assert_code(0);
        assert_eq!(endpoint.seen().count() - before, handled, "{more:?}");
    }
}

#[test]
fn concurrency_limits_requests_in_flight() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/held");
    let arguments = ["send", &url, "--body", "x", "--repeat", "24", "--concurrency", "3"];
    let running = Running::start(&mut scratch.command(arguments));
    for arrived in 3..=24 {
        wait_until("the next request arrives", || endpoint.seen().count() >= arrived);
        wait_until("the receiver holds it", || endpoint.seen().in_flight() >= 3);
        endpoint.seen().release(1);
    }
    endpoint.seen().release(2);
    running.finish().assert_code(0);
    assert_eq!((endpoint.seen().count(), endpoint.seen().most_in_flight()), (24, 3));
}

#[test]
fn rate_limits_arrivals() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/open");
    let began = Instant::now();
    let arguments = ["send", &url, "--body", "x", "--repeat", "50", "--rate", "100", "--json"];
    let ended = scratch.run(arguments).assert_code(0).json();
    assert!(ended["elapsed_ms"].as_u64().unwrap() >= 490, "{ended}");
    let mut arrivals = endpoint.seen().arrivals.lock().unwrap().clone();
    assert_eq!(arrivals.len(), 50);
    arrivals.sort_unstable();
    // One request is due every 10 ms, even if an earlier one is late.
    for (number, arrival) in (0..).zip(&arrivals) {
        let after = arrival.duration_since(began);
        assert!(after >= Duration::from_millis(10) * number, "number {number} after {after:?}");
    }
    let took = arrivals[49].duration_since(began);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn latency_at_a_rate_includes_queueing() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/slow");
    // A request is due every 10 ms and takes 50 ms, one at a time, so the tenth waits for the nine before it.
    let arguments = ["send", &url, "--body", "x", "--repeat", "10", "--concurrency", "1", "--rate", "100", "--json"];
    let ended = scratch.run(arguments).assert_code(0).json();
    assert!(ended["latency_us"]["max"].as_u64().unwrap() > 380_000, "{ended}");
    assert!(ended["latency_us"]["p50"].as_u64().unwrap() > 180_000, "{ended}");
}

#[test]
fn duration_ends_run_and_counts_unsent_requests() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let began = Instant::now();
    let url = endpoint.url("/open");
    let arguments = ["send", &url, "--body", "x", "--duration", "300ms", "--repeat", "30000", "--json"];
    let ended = scratch.run(arguments).assert_code(0).json();
    assert_eq!((&ended["ended"], &ended["not_sent"]), (&"time_up".into(), &0.into()), "{ended}");
    assert!(began.elapsed() < Duration::from_secs(20) && ended["answered"].as_u64().unwrap() > 1, "{ended}");

    let url = endpoint.url("/slow");
    let arguments = ["send", &url, "--body", "x", "--duration", "0.5", "--rate", "100", "--concurrency", "1", "--json"];
    let ended = scratch.run(arguments).assert_code(0).json();
    let (begun, unsent) = (ended["begun"].as_u64().unwrap(), ended["not_sent"].as_u64().unwrap());
    // 50 requests are due in half a second, and 10 of them fit one at a time.
    assert_eq!((begun + unsent, begun <= 11), (50, true), "{ended}");
}

#[track_caller]
fn wait_for_held(endpoint: &Endpoint, count: usize) {
    wait_until("requests are held", || endpoint.seen().in_flight() >= count);
}

#[test]
#[cfg(unix)]
fn interrupt_prints_the_summary() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    endpoint.seen().release(3);
    let url = endpoint.url("/held");
    let arguments = ["send", &url, "--body", "x", "--repeat", "100", "--concurrency", "2", "--json"];
    let running = Running::start(&mut scratch.command(arguments));
    wait_until("five requests arrive", || endpoint.seen().count() >= 5);
    wait_for_held(&endpoint, 2);
    running.interrupt();
    let ended = running.finish().assert_code(0).json();
    assert_eq!(ended["ended"], "interrupted");
    assert_eq!((&ended["begun"], &ended["answered"], &ended["unfinished"]), (&5.into(), &3.into(), &2.into()));
}

#[test]
#[cfg(target_os = "linux")]
fn secret_is_absent_from_process_list_and_output() {
    for from_file in [false, true] {
        let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
        let secret = scratch.file("secret", SECRET);
        let url = endpoint.url("/held");
        let mut arguments = vec!["send", &url, "--body", "x"];
        if from_file {
            arguments.extend(["--secret-file", &secret]);
        }
        let running = Running::start(&mut scratch.command(arguments));
        wait_for_held(&endpoint, 1);
        let id = running.id();
        let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap();
        let line = String::from_utf8(line).unwrap();
        let list = Command::new("ps").args(["-ww", "-o", "args=", "-p", &id]).output().unwrap();
        let list = String::from_utf8(list.stdout).unwrap();
        for text in [&line, &list] {
            assert!(text.contains("send") && text.contains("/held"), "{text:?}");
            assert!(!text.contains(SECRET), "{text:?}");
        }
        endpoint.seen().release(1);
        let ended = running.finish().assert_code(0);
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
    }
}

#[test]
fn repeats_to_other_hosts_require_ownership_flag() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let hosts = [
        "192.0.2.1",
        "[2001:db8::1]",
        "0.0.0.0",
        "127.0.0.1.example.com",
        "localhost.example.com",
        "[::ffff:192.0.2.1]",
    ];
    for host in hosts {
        for bound in [["--repeat", "2"], ["--duration", "1"]] {
            let url = format!("http://{host}/");
            let arguments = ["send", &url, "--body", "x", bound[0], bound[1]];
            scratch.run(arguments).assert_refused("--yes-i-own-this: must be set to send several requests to");
        }
    }
    let port = endpoint.url("/open");
    let port = port.strip_prefix("http://127.0.0.1").unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}{port}");
        scratch.run(["send", &url, "--body", "x", "--repeat", "2"]).assert_code(0);
    }
    // Some machines have no IPv6, but the command must try.
    for host in ["[::1]", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}{port}");
        let ended = scratch.run(["send", &url, "--body", "x", "--repeat", "2"]);
        assert!(matches!(ended.code, Some(0 | 3)), "{host}: {ended:?}");
    }
    // This address reaches this host, but is not loopback.
    let url = format!("http://0.0.0.0{port}");
    scratch.run(["send", &url, "--body", "x", "--repeat", "2", "--yes-i-own-this"]).assert_code(0);
}

#[test]
fn hostile_response_is_escaped_and_truncated() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/hostile");
    let text = scratch.run(["send", &url, "--body", "x"]).assert_code(0).stdout;
    assert!(text.contains("\\u{1b}[31mred\\u{7}"), "{}", &text[..200]);
    assert!(!text.contains(['\x1b', '\x07', '\0', '\u{9b}']));
    assert!(text.ends_with("… truncated after 16384 bytes\n") && text.len() < 17_500, "{}", text.len());
    let answer = &scratch.run(["send", &url, "--body", "x", "--json"]).assert_code(0).json()["answer"];
    assert_eq!((&answer["status"], &answer["body_cut"]), (&200.into(), &true.into()));
    assert_eq!(answer["headers"]["x-note"], "plain");
}

#[test]
fn refused_argument_is_not_printed() {
    let scratch = Scratch::new();
    let password = format!("http://user:{SECRET}@127.0.0.1:1/");
    let broken = format!("http://user:{SECRET}@[bad/");
    let no_colon = format!("authorization Bearer {SECRET}");
    let no_name = format!("Bearer {SECRET}: x");
    let cases: [(&[&str], &str); 7] = [
        (&["send", &password, "--body", "x"], "must not contain a user name or a password"),
        (&["send", &broken, "--body", "x"], "<URL>: "),
        (&["send", "http://127.0.0.1:1/", "--body", "x", "-H", &no_colon], "must have the form 'Name: value'"),
        (&["sign", "--body", "x", "-H", &no_name], "must have a valid header name"),
        (&["sign", "--body", "x", "--curl", &password], "must not contain a user name or a password"),
        (&["audit", &password], "must not contain a user name or a password"),
        (&["audit", "http://127.0.0.1:1/", "--other-url", &password], "must not contain a user name or a password"),
    ];
    for (arguments, text) in cases {
        scratch.run(arguments).assert_refused(text);
        let ended = scratch.run([arguments, &["--json"]].concat()).assert_code(2);
        let plain = scratch.run(arguments).stderr;
        assert!(!format!("{ended:?}{plain}").contains(SECRET), "{ended:?}");
    }
}

#[test]
fn invalid_input_fails_with_one_line() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/open");
    let refused = |arguments: &[&str], text: &str| scratch.run([&["send"], arguments].concat()).assert_refused(text);
    refused(&[&url], "required arguments were not provided");
    refused(&["nonsense", "--body", "x"], "must be an http:// or https:// URL with a host");
    refused(&[&url, "nowhere"], "nowhere: No such file");
    refused(&[&url, "-", "--secret-file", "-"], "standard input: must be the secret or the body");
    refused(&[&url, "--body", "x", "--secret-env", "NOT_SET"], "NOT_SET is not set in the environment");
    refused(&[&url, "--body", "x", "-H", "no colon"], "must have the form 'Name: value'");
    refused(&[&url, "--body", "x", "-H", "content-length: 3"], "content-length: must not be set; the client writes it");
    refused(&[&url, "--body", "x", "-H", "transfer-encoding: chunked"], "transfer-encoding: must not be set");
    refused(&[&url, "--body", "x", "--method", "CONNECT"], "must not be CONNECT");
    refused(&[&url, "--body", "x", "--repeat", "0"], "0 is not in 1..=1000000");
    refused(&[&url, "--body", "x", "--repeat", "1000001"], "1000001 is not in 1..=1000000");
    refused(&[&url, "--body", "x", "--concurrency", "1025"], "1025 is not in 1..=1024");
    for rate in ["0", "-1", "NaN", "inf", "100001", "many"] {
        refused(&[&url, "--body", "x", &format!("--rate={rate}")], "must be a number from 0.001 to 100000");
    }
    for time in ["0", "0s", "25h", "86401"] {
        refused(&[&url, "--body", "x", "--timeout", time], "must be more than zero and at most a day");
    }
    for time in ["-1", "NaN", "-5s", "soon"] {
        refused(&[&url, "--body", "x", &format!("--timeout={time}")], "must be seconds, or a number with a unit");
    }
    refused(&[&url, "--body", "x", "--unique"], "--unique: must have {number} or {id}");
    refused(&[&url, "--body", "x", "--timestamp", "0"], "timestamp: cannot be written in the scheme's format");
    assert_eq!(endpoint.seen().count(), 0);
}
