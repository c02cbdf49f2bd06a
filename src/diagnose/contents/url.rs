//! Methods, paths and URLs in the forms that a sender may have signed.

use std::borrow::Cow;

use super::{Contents, Element, header_value};
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::search::Piece;
use crate::headers::Head;
use crate::scheme::SignedPart;

pub(super) fn forms<H: Head + ?Sized>(contents: &mut Contents, elements: &[Element<'_>], head: &H) {
    for (index, element) in elements.iter().enumerate() {
        match element.part {
            SignedPart::Method => methods(contents, elements, index),
            SignedPart::Path => paths(contents, elements, index, head),
            SignedPart::Url { base, .. } => urls(contents, elements, index, base, head),
            _ => {}
        }
    }
}

fn methods(contents: &mut Contents, elements: &[Element<'_>], index: usize) {
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE", "HEAD", "OPTIONS", "post", "put", "patch", "get"] {
        let cause = Cause::new(
            CauseKind::MethodDiffers,
            format!("the sender signed the method as {method}"),
            "sign and verify the method of the request line: a redirect or a proxy may have changed it",
        );
        contents.replace(elements, index, method.as_bytes().to_vec(), [cause]);
    }
}

/// The bytes of one part, with the mistake that they mean. The captured bytes come first, without a mistake.
pub(in crate::diagnose) type Choice = (Vec<u8>, Option<Cause>);

fn paths<H: Head + ?Sized>(contents: &mut Contents, elements: &[Element<'_>], index: usize, head: &H) {
    let path = captured(elements, index);
    for (path, cause) in path_choices(&path, head) {
        contents.replace(elements, index, path, cause);
    }
    for base in bases(head) {
        let cause = Cause::new(
            CauseKind::UrlForm,
            "the sender signed the whole URL, and the scheme signs only the path and query",
            "on the receiver, use SignedPart::url with the public scheme and host in place of SignedPart::Path",
        );
        contents.replace(elements, index, [base.as_bytes(), &path].concat(), [cause]);
    }
}

fn urls<H: Head + ?Sized>(contents: &mut Contents, elements: &[Element<'_>], index: usize, base: &str, head: &H) {
    let url = captured(elements, index);
    let path = url.strip_prefix(base.as_bytes()).unwrap_or_default();
    let paths = path_choices(path, head);
    for (base, wrong_base) in base_choices(base, head) {
        for (path, wrong_path) in &paths {
            let causes = wrong_base.iter().chain(wrong_path).cloned();
            contents.replace(elements, index, [base.as_slice(), path].concat(), causes);
        }
    }
}

fn captured(elements: &[Element<'_>], index: usize) -> Vec<u8> {
    match elements.get(index).map(|element| &element.piece) {
        Some(Piece::Bytes(bytes)) => bytes.clone(),
        Some(Piece::Body | Piece::Digest { .. }) | None => Vec::new(),
    }
}

pub(in crate::diagnose) fn path_choices<H: Head + ?Sized>(path: &[u8], head: &H) -> Vec<Choice> {
    let mut choices = vec![(path.to_vec(), None)];
    let middle = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    let (bare, query) = path.split_at_checked(middle).unwrap_or((path, b""));
    if !query.is_empty() {
        let cause = Cause::new(
            CauseKind::UrlQuery,
            "the sender signed the URL without its query",
            "on the sender, sign the whole URL; or register the webhook under a URL without a query",
        );
        choices.push((bare.to_vec(), Some(cause)));
    }
    let toggled = match bare.strip_suffix(b"/") {
        Some(bare) => [bare, query].concat(),
        None => [bare, b"/", query].concat(),
    };
    let cause = Cause::new(
        CauseKind::UrlTrailingSlash,
        "the signed path and the captured path differ in the slash at the end",
        "register the webhook under exactly the path that is served: a redirect or a proxy adds or drops the slash",
    );
    choices.push((toggled, Some(cause)));
    let decoded: Cow<'_, [u8]> = percent_encoding::percent_decode(path).into();
    let cause = Cause::new(
        CauseKind::UrlForm,
        "the sender signed the path with its percent-encoding decoded",
        "on the sender, sign the path as it is sent; a scheme with SignedPart::Url can list the decoded characters",
    );
    choices.push((decoded.into_owned(), Some(cause)));
    for name in ["X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Envoy-Original-Path"] {
        if let Some(original) = header_value(head, name) {
            choices.push((original.to_vec(), Some(rewritten().at_header(name))));
        }
    }
    for name in ["X-Forwarded-Prefix", "X-Script-Name"] {
        if let Some(prefix) = header_value(head, name) {
            choices.push(([prefix, path].concat(), Some(rewritten().at_header(name))));
        }
    }
    choices
}

fn rewritten() -> Cause {
    Cause::new(
        CauseKind::UrlForm,
        "the sender signed the path, and a proxy rewrote it later",
        "have the proxy pass the path on unchanged, because the receiver must verify the path that the sender signed",
    )
}

fn base_choices<H: Head + ?Sized>(base: &str, head: &H) -> Vec<Choice> {
    let mut choices = vec![(base.as_bytes().to_vec(), None)];
    let (scheme, host) = base.split_once("://").unwrap_or(("https", base));
    let other = if scheme == "https" { "http" } else { "https" };
    let cause = Cause::new(
        CauseKind::UrlScheme,
        format!("the sender signed the URL with {other}://, and the scheme's base has {scheme}://"),
        format!("on the receiver, set the base of the scheme's URL to {other}://; TLS often ends at a proxy"),
    );
    choices.push((format!("{other}://{host}").into_bytes(), Some(cause)));
    for public in bases(head).into_iter().chain([format!("{base}:443"), format!("{base}:80")]) {
        let cause = Cause::new(
            CauseKind::UrlHost,
            format!("the sender signed a URL that begins with {public}, but the scheme's base is {base}"),
            format!("on the receiver, set the base of the scheme's URL to {public}, if that is the public address"),
        );
        choices.push((public.into_bytes(), Some(cause)));
    }
    for (form, what) in [
        (Vec::new(), "the sender signed only the path and query, and the scheme signs the whole URL"),
        (host.as_bytes().to_vec(), "the sender signed the URL without its scheme"),
    ] {
        let fix =
            "on the receiver, use SignedPart::Path, or the parts that the sender signs, in place of SignedPart::url";
        choices.push((form, Some(Cause::new(CauseKind::UrlForm, what, fix))));
    }
    choices
}

/// Returns each scheme and host to which the request may have been sent.
pub(in crate::diagnose) fn bases<H: Head + ?Sized>(head: &H) -> Vec<String> {
    let hosts = ["X-Forwarded-Host", "X-Original-Host", "Host"];
    let hosts = hosts.iter().filter_map(|name| core::str::from_utf8(header_value(head, name)?).ok());
    hosts
        .filter(|host| host.len() <= MAX_HOST && host.bytes().all(|byte| byte.is_ascii_graphic()))
        .flat_map(|host| [format!("https://{host}"), format!("http://{host}")])
        .collect()
}

/// The maximum length of a host name with its port, in bytes.
const MAX_HOST: usize = 261;
