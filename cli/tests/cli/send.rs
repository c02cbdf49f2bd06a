use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::command::{Ended, SECRET, Scratch, binary, presets};
use super::endpoint::Endpoint;

const BODY: &[u8] = b"{\"id\":7,\"text\":\"it's \\\"so\\\"\"}\n\0\xff\r\n";

#[test]
fn message_of_every_preset_is_accepted_over_http_1_and_http_2() {
    for (endpoint, version, seen) in [(Endpoint::http1(), "1.1", "HTTP/1.1"), (Endpoint::http2(), "2", "HTTP/2.0")] {
        let scratch = Scratch::new();
        let body = scratch.file("body", BODY);
        for (scheme, secret) in presets() {
            let url = endpoint.url(&format!("/{}/acme", scheme.name()));
            let mut command = scratch.command(&["send", &url, &body, "--scheme", scheme.name(), "--http", version]);
            let ended = Ended::of(command.env("HOOKWARDEN_SECRET", secret).output().unwrap()).expect(0);
            let first = ended.stdout.lines().next().unwrap();
            assert!(first.starts_with(seen) && first.contains(" 200 OK in "), "{}: {}", scheme.name(), ended.stdout);
            assert!(ended.stdout.contains("\ntaken\n"), "{}: {}", scheme.name(), ended.stdout);
        }
        assert_eq!(endpoint.seen().bodies(), [BODY; 5]);
        assert_eq!(endpoint.seen().versions(), [seen]);
    }
}

#[test]
fn body_comes_from_standard_input_and_from_the_argument() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/timestamped/acme");
    scratch.run_with_input(&["send", &url, "-"], BODY).expect(0);
    scratch.run(&["send", &url, "--body", "text", "-H", "x-note: of mine"]).expect(0);
    assert_eq!(endpoint.seen().bodies(), [BODY, b"text"]);
    let headers = endpoint.seen().headers.lock().unwrap();
    assert_eq!(headers[1]["x-note"], "of mine");
    assert_eq!(headers[1]["content-type"], "application/json");
}

#[test]
fn refusal_is_exit_code_1_with_the_answer() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/timestamped/acme");
    let stale = scratch.run(&["send", &url, "--body", "x", "--timestamp", "1800"]).expect(1);
    assert!(stale.stdout.starts_with("HTTP/1.1 401 Unauthorized in "), "{}", stale.stdout);
    assert!(stale.stdout.contains("\nwww-authenticate: Webhook\n"), "{}", stale.stdout);
    let mut command = scratch.command(&["send", &url, "--body", "x"]);
    Ended::of(command.env("HOOKWARDEN_SECRET", "another-secret").output().unwrap()).expect(1);
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
        let ended = scratch.run(&[&arguments[..], &["--json"]].concat()).expect(code).json();
        assert_eq!(ended["statuses"], counts);
        assert_eq!(ended["body_bytes"]["sent"], 36);
        assert_eq!((&ended["begun"], &ended["answered"]), (&9.into(), &9.into()));
        assert_eq!(endpoint.seen().count(), 9);
        let text = scratch.run(&arguments).expect(code).stdout;
        for (status, count) in counts.as_object().unwrap() {
            assert!(text.lines().any(|line| line.split_whitespace().eq([status, &count.to_string()])), "{text}");
        }
        for name in ["p50 ", "p90 ", "p99 ", "max ", "36 sent"] {
            assert!(text.contains(name), "{text}");
        }
        // Nothing moves on the screen of a program.
        assert!(!text.contains('\x1b') && !text.contains('\r'), "{text:?}");
    }
}

#[test]
fn receiver_that_is_not_there_is_exit_code_3() {
    let scratch = Scratch::new();
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let url = format!("http://{free}/");
    let ended = scratch.run(&["send", &url, "--body", "x"]).expect(3);
    assert_eq!((&*ended.stdout, ended.stderr.lines().count()), ("", 1), "{ended:?}");
    assert!(ended.stderr.contains("no connection: Connection refused"), "{}", ended.stderr);
    let ended = scratch.run(&["send", &url, "--body", "x", "--repeat", "3", "--json"]).expect(3);
    assert_eq!(ended.json()["errors"]["no connection"]["count"], 3);
    assert_eq!(ended.json()["latency_us"], serde_json::Value::Null);
}

#[test]
fn receiver_that_is_silent_is_a_timeout() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/held");
    let ended = scratch.run(&["send", &url, "--body", "x", "--timeout", "200ms"]).expect(3);
    assert!(ended.stderr.contains("timeout: no complete answer within 200ms"), "{}", ended.stderr);
    let arguments = ["send", &url, "--body", "x", "--timeout", "0.2", "--repeat", "4", "--json"];
    let ended = scratch.run(&arguments).expect(3).json();
    assert_eq!(ended["errors"]["timeout"]["count"], 4);
    // Nobody can say that the receiver was fast.
    assert!(ended["latency_us"]["p50"].as_u64().unwrap() >= 190_000, "{ended}");
}

#[test]
fn unique_makes_deliveries_and_without_it_they_are_replays() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/timestamped/acme");
    let body = "{\"id\":{number},\"of\":\"{id}\"}";
    let now = hookwarden::Timestamp::now().as_unix().to_string();
    let arguments = ["send", &url, "--body", body, "--repeat", "20", "--concurrency", "1", "--timestamp", &now];
    scratch.run(&arguments).expect(0);
    assert_eq!(endpoint.seen().bodies(), [body]);
    scratch.run(&[&arguments[..], &["--unique"]].concat()).expect(0);
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
        let mut command = scratch.command(&[&arguments[..], more].concat());
        Ended::of(command.env("HOOKWARDEN_SECRET", secret).output().unwrap()).expect(0);
        assert_eq!(endpoint.seen().count() - before, handled, "{more:?}");
    }
}

#[test]
fn no_more_are_under_way_than_concurrency_says() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/slow");
    scratch.run(&["send", &url, "--body", "x", "--repeat", "24", "--concurrency", "3"]).expect(0);
    assert_eq!(endpoint.seen().count(), 24);
    assert_eq!(endpoint.seen().under_way.lock().unwrap().1, 3);
}

#[test]
fn no_more_arrive_than_the_rate_says() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/open");
    let began = Instant::now();
    let arguments = ["send", &url, "--body", "x", "--repeat", "50", "--rate", "100", "--json"];
    let ended = scratch.run(&arguments).expect(0).json();
    assert!(ended["elapsed_ms"].as_u64().unwrap() >= 490, "{ended}");
    let mut arrivals = endpoint.seen().arrivals.lock().unwrap().clone();
    assert_eq!(arrivals.len(), 50);
    arrivals.sort_unstable();
    // One is due each 10 ms, however late an earlier one arrives.
    for (number, arrival) in (0..).zip(&arrivals) {
        let after = arrival.duration_since(began);
        assert!(after >= Duration::from_millis(10) * number, "number {number} after {after:?}");
    }
    let took = arrivals[49].duration_since(began);
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn latency_under_a_rate_counts_from_when_a_request_was_due() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/slow");
    // One at a time, 50 ms each, and one is due each 10 ms: the tenth waits for the nine before it.
    let arguments = ["send", &url, "--body", "x", "--repeat", "10", "--concurrency", "1", "--rate", "100", "--json"];
    let ended = scratch.run(&arguments).expect(0).json();
    assert!(ended["latency_us"]["max"].as_u64().unwrap() > 380_000, "{ended}");
    assert!(ended["latency_us"]["p50"].as_u64().unwrap() > 180_000, "{ended}");
}

#[test]
fn duration_ends_a_run_and_tells_what_was_due_and_not_sent() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let began = Instant::now();
    let url = endpoint.url("/open");
    let arguments = ["send", &url, "--body", "x", "--duration", "300ms", "--repeat", "30000", "--json"];
    let ended = scratch.run(&arguments).expect(0).json();
    assert_eq!((&ended["ended"], &ended["not_sent"]), (&"time_up".into(), &0.into()), "{ended}");
    assert!(began.elapsed() < Duration::from_secs(20) && ended["answered"].as_u64().unwrap() > 1, "{ended}");

    let url = endpoint.url("/slow");
    let arguments = ["send", &url, "--body", "x", "--duration", "0.5", "--rate", "100", "--concurrency", "1", "--json"];
    let ended = scratch.run(&arguments).expect(0).json();
    let (begun, unsent) = (ended["begun"].as_u64().unwrap(), ended["not_sent"].as_u64().unwrap());
    // 50 are due in half a second, of which one at a time can take 10.
    assert_eq!((begun + unsent, begun <= 11), (50, true), "{ended}");
}

/// A command that is stopped if the test does not wait for it.
struct Running(Option<Child>);

impl Running {
    fn start(mut command: Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    fn id(&self) -> String {
        self.0.as_ref().unwrap().id().to_string()
    }

    fn end(mut self) -> Ended {
        Ended::of(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until as many requests are held.
#[track_caller]
fn wait_for_held(endpoint: &Endpoint, count: usize) {
    let began = Instant::now();
    while endpoint.seen().under_way.lock().unwrap().0 < count {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing arrives");
        std::thread::yield_now();
    }
}

#[test]
#[cfg(unix)]
fn interrupt_ends_with_the_summary() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    endpoint.seen().release(3);
    let url = endpoint.url("/held");
    let arguments = ["send", &url, "--body", "x", "--repeat", "100", "--concurrency", "2", "--json"];
    let running = Running::start(scratch.command(&arguments));
    let began = Instant::now();
    while endpoint.seen().count() < 5 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing arrives");
        std::thread::yield_now();
    }
    wait_for_held(&endpoint, 2);
    assert!(Command::new("kill").args(["-INT", &running.id()]).status().unwrap().success());
    let ended = running.end().expect(0).json();
    assert_eq!(ended["ended"], "interrupted");
    assert_eq!((&ended["begun"], &ended["answered"], &ended["unfinished"]), (&5.into(), &3.into(), &2.into()));
}

#[test]
#[cfg(target_os = "linux")]
fn secret_is_in_no_list_of_processes_and_in_no_output() {
    for from_file in [false, true] {
        let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
        let secret = scratch.file("secret", SECRET);
        let url = endpoint.url("/held");
        let mut arguments = vec!["send", &url, "--body", "x"];
        if from_file {
            arguments.extend(["--secret-file", &secret]);
        }
        let running = Running::start(scratch.command(&arguments));
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
        let ended = running.end().expect(0);
        assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET), "{ended:?}");
    }
}

#[test]
fn many_requests_go_to_this_host_alone_unless_told_otherwise() {
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
            scratch.assert_refused(&arguments, "is another host: more than one request needs --yes-i-own-this");
        }
    }
    let port = endpoint.url("/open");
    let port = port.strip_prefix("http://127.0.0.1").unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}{port}");
        scratch.run(&["send", &url, "--body", "x", "--repeat", "2"]).expect(0);
    }
    // Not every machine has IPv6; what counts is that it is tried.
    for host in ["[::1]", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}{port}");
        let ended = scratch.run(&["send", &url, "--body", "x", "--repeat", "2"]);
        assert!(matches!(ended.code, 0 | 3), "{host}: {ended:?}");
    }
    // By its name another host, though it leads to this one.
    let url = format!("http://0.0.0.0{port}");
    scratch.run(&["send", &url, "--body", "x", "--repeat", "2", "--yes-i-own-this"]).expect(0);
}

#[test]
fn answer_cannot_speak_to_the_terminal_and_is_cut() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/hostile");
    let text = scratch.run(&["send", &url, "--body", "x"]).expect(0).stdout;
    assert!(text.contains("\\u{1b}[31mred\\u{7}"), "{}", &text[..200]);
    assert!(!text.contains(['\x1b', '\x07', '\0', '\u{9b}']));
    assert!(text.ends_with("… cut after 16384 bytes\n") && text.len() < 17_500, "{}", text.len());
    let answer = &scratch.run(&["send", &url, "--body", "x", "--json"]).expect(0).json()["answer"];
    assert_eq!((&answer["status"], &answer["body_cut"]), (&200.into(), &true.into()));
    assert_eq!(answer["headers"]["x-note"], "plain");
}

#[test]
fn examples_of_the_help_work_as_pasted() {
    let endpoint = Endpoint::http1();
    for name in ["sign", "send", "verify"] {
        let scratch = Scratch::new();
        let help = scratch.run(&[name, "--help"]).expect(0).stdout;
        let (_, examples) = help.split_once("\nExample").unwrap();
        let lines: Vec<_> = examples.lines().skip(1).collect();
        assert!(!lines.is_empty());
        for line in lines {
            // The receiver of the example is not there; this one takes anything.
            let line = line.replace("http://127.0.0.1:3000/webhooks/acme", &endpoint.url("/open"));
            let path = std::env::join_paths(
                std::iter::once(binary().parent().unwrap().to_owned())
                    .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
            );
            let mut command = Command::new("bash");
            command.args(["-euo", "pipefail", "-c", &line]).env("PATH", path.unwrap()).current_dir(scratch.path());
            Ended::of(command.output().unwrap()).expect(0);
        }
    }
    assert_eq!(endpoint.seen().count(), 21);
}

#[test]
fn argument_that_is_refused_is_not_repeated() {
    let scratch = Scratch::new();
    let password = format!("http://user:{SECRET}@127.0.0.1:1/");
    let broken = format!("http://user:{SECRET}@[bad/");
    let no_colon = format!("authorization Bearer {SECRET}");
    let no_name = format!("Bearer {SECRET}: x");
    let cases: [(&[&str], &str); 7] = [
        (&["send", &password, "--body", "x"], "has a user name or a password in it"),
        (&["send", &broken, "--body", "x"], "invalid value for '<URL>'"),
        (&["send", "http://127.0.0.1:1/", "--body", "x", "-H", &no_colon], "has no colon"),
        (&["sign", "--body", "x", "-H", &no_name], "is no header name"),
        (&["sign", "--body", "x", "--curl", &password], "has a user name or a password in it"),
        (&["audit", &password], "has a user name or a password in it"),
        (&["audit", "http://127.0.0.1:1/", "--other-url", &password], "has a user name or a password in it"),
    ];
    for (arguments, text) in cases {
        scratch.assert_refused(arguments, text);
        let ended = scratch.run(&[arguments, &["--json"]].concat()).expect(2);
        let plain = scratch.run(arguments).stderr;
        assert!(!format!("{ended:?}{plain}").contains(SECRET), "{ended:?}");
    }
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    let (scratch, endpoint) = (Scratch::new(), Endpoint::http1());
    let url = endpoint.url("/open");
    let refused = |arguments: &[&str], text: &str| scratch.assert_refused(&[&["send"], arguments].concat(), text);
    refused(&[&url], "required arguments were not provided");
    refused(&["nonsense", "--body", "x"], "is no http:// or https:// URL with a host");
    refused(&[&url, "nowhere"], "nowhere: No such file");
    refused(&[&url, "-", "--secret-file", "-"], "standard input: cannot hold both the secret and the body");
    refused(&[&url, "--body", "x", "--secret-env", "NOT_SET"], "NOT_SET is not set in the environment");
    refused(&[&url, "--body", "x", "-H", "no colon"], "has no colon");
    refused(&[&url, "--body", "x", "-H", "content-length: 3"], "content-length: is what the client itself writes");
    refused(&[&url, "--body", "x", "-H", "transfer-encoding: chunked"], "transfer-encoding: is what the client");
    refused(&[&url, "--body", "x", "--method", "CONNECT"], "opens a tunnel");
    refused(&[&url, "--body", "x", "--repeat", "0"], "0 is not in 1..=1000000");
    refused(&[&url, "--body", "x", "--repeat", "1000001"], "1000001 is not in 1..=1000000");
    refused(&[&url, "--body", "x", "--concurrency", "1025"], "1025 is not in 1..=1024");
    for rate in ["0", "-1", "NaN", "inf", "100001", "many"] {
        refused(&[&url, "--body", "x", &format!("--rate={rate}")], "is no number from 0.001 to 100000");
    }
    for time in ["0", "0s", "25h", "86401"] {
        refused(&[&url, "--body", "x", "--timeout", time], "is none or more than a day");
    }
    for time in ["-1", "NaN", "-5s", "soon"] {
        refused(&[&url, "--body", "x", &format!("--timeout={time}")], "is no time");
    }
    refused(&[&url, "--body", "x", "--unique"], "--unique: the scheme takes no new message id");
    refused(&[&url, "--body", "x", "--timestamp", "0"], "timestamp: has no form on the wire");
    assert_eq!(endpoint.seen().count(), 0);
}
