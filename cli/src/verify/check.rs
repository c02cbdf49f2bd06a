//! Checks the arguments of a verification, before it can blame the sender for them.

use hookwarden::Scheme;
use hookwarden::scheme::SignedPart;

use super::{Captured, headers};
use crate::failure::Failure;

/// Returns an error if the scheme signs the method or the path, and neither the capture nor an argument has it.
pub(super) fn request_line(scheme: &Scheme, is_profile: bool, captured: &Captured) -> Result<(), Failure> {
    let signs = |wanted: fn(&SignedPart) -> bool| scheme.signed().iter().any(wanted);
    let coverage = scheme.coverage();
    let signs_method = coverage.method || signs(|part| matches!(part, SignedPart::Method));
    let signs_path = coverage.url || signs(|part| matches!(part, SignedPart::Path | SignedPart::Url { .. }));
    let (method, path) = (captured.method.is_none() && signs_method, captured.path.is_none() && signs_path);
    let (what, it) = match (method, path) {
        (false, false) => return Ok(()),
        (true, true) => ("--method and --path", "them"),
        (true, false) => ("--method", "it"),
        (false, true) => ("--path", "it"),
    };
    let (kind, name) = (if is_profile { "profile" } else { "scheme" }, scheme.name());
    let problem = format!("must be set, because the {kind} {name} signs {it}, and the capture has no request line");
    Err(Failure::input(what, problem))
}

/// Returns an error if `--headers` and `--body` are swapped: `body` has the scheme's signature header, and the parsed
/// file of `--headers` has neither that nor another header of HTTP requests.
pub(super) fn order(scheme: &Scheme, head: Option<&Captured>, body: &[u8]) -> Result<(), Failure> {
    let has =
        |captured: &Captured, name: &str| captured.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let is_signed = |captured: &Captured| scheme.signature_headers().iter().any(|name| has(captured, name.as_str()));
    let is_head = |captured: &Captured| is_signed(captured) || USUAL.iter().any(|name| has(captured, name));
    if !head.is_some_and(is_head) && headers::parse_bytes(body).is_ok_and(|other| is_signed(&other)) {
        let problem = "must be the file with the headers, but the file of --body has them; swap the two files";
        return Err(Failure::input("--headers", problem));
    }
    Ok(())
}

/// Headers of almost every request.
const USUAL: [&str; 5] = ["host", "content-type", "content-length", "user-agent", "accept"];
