//! Text from servers, captured requests and settings reaches the output only with its control characters escaped.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use hookwarden::escape::is_escaped;
use hookwarden::{Scheme, Signer, Verifier};

use super::schemes::keyring;
use super::scratch::{CommandOutput, Scratch};

const SECRET: &str = "a-subscription-secret";

/// The control, directional and invisible characters that the output must not contain.
fn foreign() -> Vec<char> {
    let codes = [0..=0x1f, 0x7f..=0x9f, 0x61c..=0x61c, 0x200b..=0x200f, 0x2028..=0x202e, 0x2060..=0x2069];
    let more = ['\u{ad}', '\u{180e}', '\u{feff}', '\u{e0041}'];
    codes.into_iter().flatten().filter_map(char::from_u32).chain(more).collect()
}

/// The characters that a header value may contain.
fn in_header() -> String {
    foreign().into_iter().filter(|character| u32::from(*character) >= 0x80).collect()
}

/// Responds to every request with these characters in the status line, in headers and in the body. The status is 200
/// for valid requests and 401 for others.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // The thread ends with the process.
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(thread::spawn(|| answer(stream)))));
    address
}

fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    // An incomplete request gets a response too.
    while !is_complete(&request) {
        match stream.read(&mut chunk) {
            Ok(read) if read > 0 => request.extend_from_slice(&chunk[..read]),
            _ => break,
        }
    }
    let status = if is_genuine(&request) { 200 } else { 401 };
    let (header, body) = (in_header(), foreign().into_iter().collect::<String>());
    let head = format!(
        "HTTP/1.1 {status} O{header}K\r\nServer: nginx/1.{header}\r\nX-Other: {header}\r\nConnection: close\r\n\
         Content-Type: text/html\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
}

fn is_complete(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let length: usize = length.unwrap_or_default();
    request.len().saturating_sub(end) >= length.saturating_add(4)
}

fn is_genuine(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let (head, body) = request.split_at(end);
    let head = String::from_utf8_lossy(head).into_owned();
    let headers: Vec<(&str, &str)> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let scheme = Scheme::timestamped();
    let keys = keyring(&scheme, SECRET);
    Verifier::new(scheme, keys).unwrap().verify(&headers, &body[4..]).is_ok()
}

#[track_caller]
fn assert_plain(what: &str, ran: &CommandOutput) {
    for (stream, text) in [("standard output", &ran.stdout), ("standard error", &ran.stderr)] {
        let found = text.chars().find(|character| !matches!(character, '\n' | '\t') && is_escaped(*character));
        assert_eq!(found, None, "{what}, {stream}: {text:?}");
    }
}

#[test]
fn server_response_is_escaped_in_every_format() {
    let scratch = Scratch::new();
    let url = format!("http://{}/hook", server());
    let audit = ["audit", &url, "--only", "security-headers"];
    let formats = ["table", "json", "markdown", "sarif"];
    let audits = formats.map(|format| [&audit[..], &["--format", format]].concat());
    let send = ["send", &url, "--body", "{}"];
    // The command, its exit code, and an escape in its output.
    let mut cases = vec![
        (send.to_vec(), 0, r"\u{9b}"),
        ([&send[..], &["--json"]].concat(), 0, r"\u009b"),
        ([&audit[..], &["--json"]].concat(), 1, r"\u009b"),
    ];
    let escapes = [r"\u{9b}", r"\u009b", r"\\u{9b}", r"\u009b"];
    cases.extend(audits.into_iter().zip(escapes).map(|(arguments, escape)| (arguments, 1, escape)));
    for (arguments, code, escape) in cases {
        let ran = scratch.run_with_secret(SECRET, &arguments).assert_code(code);
        assert_plain(&arguments.join(" "), &ran);
        assert!(ran.stdout.contains(escape), "{arguments:?}: {}", ran.stdout);
    }
}

#[test]
fn json_response_decodes_to_the_original() {
    let scratch = Scratch::new();
    let url = format!("http://{}/hook", server());
    let ran = scratch.run_with_secret(SECRET, ["send", &url, "--body", "{}", "--json"]).assert_code(0);
    let answer = ran.json()["answer"].clone();
    assert_eq!(answer["body"], foreign().into_iter().collect::<String>());
    assert_eq!(answer["headers"]["x-other"], in_header());
}

#[test]
fn captured_request_is_escaped_in_all_output() {
    let scratch = Scratch::new();
    let scheme = Scheme::timestamped();
    let keys = keyring(&scheme, SECRET);
    let signer = Signer::new(scheme, keys).unwrap();
    let signed = signer.sign_body(b"another body").unwrap();
    let good: String = signed.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    // The characters that a header may contain together, and each other character separately.
    let others = foreign().into_iter().filter(|character| character.is_ascii()).map(String::from);
    for character in others.chain([in_header()]) {
        let captures = [
            format!("{good}X-Other: a{character}b\r\n\r\n{{\"id\":\"{character}\"}}"),
            format!("X-Webhook-Timestamp: 1800{character}\r\nX-Webhook-Signature: v1,{character}00\r\n\r\n{{}}"),
            format!("X-Webhook{character}Timestamp: 1800000000\r\n{character}Signature: 00\r\n\r\n{{}}"),
            format!("{character}\r\n\r\n"),
            format!("POST /{character} HTTP/1.1\r\n{good}\r\n{{}}"),
        ];
        for capture in captures {
            let path = scratch.file("capture", &capture);
            for json in [&[][..], &["--json"]] {
                let ran = scratch.run_with_secret(SECRET, [&["verify", &path], json].concat());
                assert!(matches!(ran.code, Some(1 | 2)), "{capture:?}: {ran:?}");
                assert_plain(&format!("{capture:?}"), &ran);
            }
        }
    }
}

#[test]
fn settings_are_escaped_in_every_format() {
    let scratch = Scratch::new();
    let name = in_header();
    // A refused value, a refused name, and a report about a file with that name.
    for (file, settings, code) in [
        ("settings.toml", format!("[replay]\nstore = \"none{name}\"\n"), 2),
        ("settings.toml", format!("\"a{name}b\" = 1\n"), 2),
        (&*format!("{name}.toml"), "[body]\nmax_bytes = 1073741824\n".to_owned(), 1),
    ] {
        scratch.write(file, &settings);
        for format in [&["--json"][..], &["--format", "table"], &["--format", "markdown"], &["--format", "sarif"]] {
            let ran = scratch.run([&["audit", "config", file], format].concat()).assert_code(code);
            assert_plain(&format!("{settings:?} as {format:?}"), &ran);
        }
    }
}
