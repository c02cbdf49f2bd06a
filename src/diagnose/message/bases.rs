//! The signature bases that a sender may have signed.

mod places;
mod rewritten;

use super::shown;
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::contents::{bases as public_bases, path_choices};
use crate::diagnose::form::Form;
use crate::diagnose::search::Piece;
use crate::headers::{FieldName, Head, Occurrence};
use crate::message_signatures::{Change, Inspection, Profile, Signed};
use places::{moved, without_one};

/// Returns each base to try. That of the received request is the first, if it has one.
pub(super) fn bases(
    profile: &Profile,
    inspection: &Inspection<'_>,
    signed: &Signed,
    head: &dyn Head,
    body: &[u8],
) -> Vec<Form<Vec<Piece>>> {
    let mut bases = Bases { inspection, signed, forms: Vec::new() };
    bases.change(&Change::default(), Vec::new());
    digest(&mut bases, body);
    rewritten::offer(&mut bases, body);
    headers(&mut bases, head);
    methods(&mut bases);
    urls(&mut bases, profile, head);
    let own = inspection.base(signed, &Change::default());
    if let Some(base) = &own {
        ports(&mut bases, profile, base);
        layouts(&mut bases, base, head);
    }
    orders(&mut bases);
    let cause = Cause::new(
        CauseKind::TemplateBodyAlone,
        "the sender signed only the body, and not the signature base",
        "on the sender, sign the signature base of RFC 9421 section 2.5",
    );
    bases.offer(body.to_vec(), vec![cause], false);
    bases.forms
}

struct Bases<'b> {
    inspection: &'b Inspection<'b>,
    signed: &'b Signed,
    forms: Vec<Form<Vec<Piece>>>,
}

impl Bases<'_> {
    /// Offers the base of the request after `change`.
    fn change(&mut self, change: &Change, causes: Vec<Cause>) {
        if let Some(base) = self.inspection.base(self.signed, change) {
            self.offer(base.into_bytes(), causes, true);
        }
    }

    /// Offers `base`. One that does not combine is not tried together with other mistakes.
    fn offer(&mut self, base: Vec<u8>, causes: Vec<Cause>, combines: bool) {
        let content = vec![Piece::Bytes(base)];
        if !self.forms.iter().any(|known| known.value == content) {
            let form = Form::with_causes(content, causes);
            self.forms.push(if combines { form } else { form.uncombined() });
        }
    }
}

fn digest(bases: &mut Bases<'_>, body: &[u8]) {
    let Some(change) = Inspection::digest_of(body) else { return };
    let cause = Cause::new(
        CauseKind::HeaderValueDiffers,
        "the sender signed the digest of the captured body, and Content-Digest is missing, or another one",
        "on the sender, send the Content-Digest that it signs; otherwise look for a proxy that changes or drops the header",
    );
    bases.change(&change, vec![cause.at_header(CONTENT_DIGEST)]);
}

/// Offers other values of the covered headers.
fn headers(bases: &mut Bases<'_>, head: &dyn Head) {
    for name in bases.signed.headers() {
        let shown = name.as_str();
        if head.header(name) == Occurrence::Repeated {
            for value in (0..MAX_LINES).map_while(|line| head.nth_value(name, line)) {
                let cause = Cause::new(
                    CauseKind::HeaderDuplicated,
                    format!("the sender signed one {shown}, and the request has more than one"),
                    "look for a proxy that adds the header again",
                );
                let header = Some((name.clone(), value.to_vec()));
                bases.change(&Change { header, ..Change::default() }, vec![cause.at_header(shown)]);
            }
        }
        let Occurrence::Once(value) = head.header(name) else { continue };
        for other in other_values(shown, value) {
            let cause = Cause::new(
                CauseKind::HeaderValueDiffers,
                match shown {
                    "content-type" => format!("the sender signed content-type as {}", String::from_utf8_lossy(&other)),
                    _ => format!("the sender signed {shown} with its letters in the other case"),
                },
                format!(
                    "on the sender, sign {shown} exactly as it is sent; otherwise look for a proxy or a client library that changes it"
                ),
            );
            let header = Some((name.clone(), other));
            bases.change(&Change { header, ..Change::default() }, vec![cause.at_header(shown)]);
        }
    }
}

fn other_values(name: &str, value: &[u8]) -> Vec<Vec<u8>> {
    if name != "content-type" {
        return vec![value.to_ascii_lowercase(), value.to_ascii_uppercase()];
    }
    let media = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let own = [media, b"application/json"];
    let with = |media: &[u8], end: &str| [media, end.as_bytes()].concat();
    let ends = ["", "; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8"];
    own.iter().flat_map(|media| ends.iter().map(|end| with(media, end))).collect()
}

fn methods(bases: &mut Bases<'_>) {
    for method in ["POST", "PUT", "PATCH", "GET", "DELETE", "post", "put", "patch", "get"] {
        let cause = Cause::new(
            CauseKind::MethodDiffers,
            format!("the sender signed the method as {method}"),
            "sign and verify the method of the request line: a redirect or a proxy may have changed it",
        );
        bases.change(&Change { method: Some(method.into()), ..Change::default() }, vec![cause]);
    }
}

/// Offers other schemes, hosts, paths and queries, and pairs of them.
fn urls(bases: &mut Bases<'_>, profile: &Profile, head: &dyn Head) {
    let path = head.path().unwrap_or_default();
    let targets: Vec<(Vec<u8>, Option<Cause>)> =
        path_choices(path.as_bytes(), head).into_iter().chain(queries(path)).collect();
    for (origin, wrong_origin) in origins(profile, head) {
        for (target, wrong_target) in &targets {
            let Ok(target) = String::from_utf8(target.clone()) else { continue };
            let change = Change { origin: origin.clone(), target: Some(target), ..Change::default() };
            bases.change(&change, wrong_origin.iter().chain(wrong_target).cloned().collect());
        }
    }
}

/// Returns the query with its parameters in other orders.
fn queries(path: &str) -> Vec<(Vec<u8>, Option<Cause>)> {
    let Some((path, query)) = path.split_once('?') else { return Vec::new() };
    let parameters: Vec<&str> = query.split('&').collect();
    let mut orders = moved(parameters.len());
    let mut sorted: Vec<usize> = (0..parameters.len()).collect();
    sorted.sort_by_key(|place| parameters.get(*place));
    orders.push(sorted);
    let cause = Cause::new(
        CauseKind::UrlForm,
        "the sender signed the parameters of the query in another order, and a proxy or a client library changed it later",
        "have the proxy pass the query on unchanged, or have the sender sign the URL as it is sent",
    );
    let written = |order: Vec<usize>| {
        let parts: Vec<&str> = order.iter().filter_map(|place| parameters.get(*place).copied()).collect();
        (format!("{path}?{}", parts.join("&")).into_bytes(), Some(cause.clone()))
    };
    orders.into_iter().map(written).collect()
}

/// Returns each origin that the sender may have signed, first that of the profile.
fn origins(profile: &Profile, head: &dyn Head) -> Vec<(Option<String>, Option<Cause>)> {
    let own = profile.origin();
    let mut origins = vec![(None, None)];
    let (scheme, host) = own.split_once("://").unwrap_or(("https", own));
    let other = if scheme == "https" { "http" } else { "https" };
    let cause = Cause::new(
        CauseKind::UrlScheme,
        format!("the sender signed the URL with {other}://, and the origin of the profile has {scheme}://"),
        format!("if senders use {other}://, set it in the receiver's origin; otherwise correct the URL at the sender"),
    );
    origins.push((Some(format!("{other}://{host}")), Some(cause)));
    for public in public_bases(head) {
        let cause = Cause::new(
            CauseKind::UrlHost,
            format!("the sender signed a URL that begins with {public}, and the origin of the profile is {own}"),
            format!(
                "if {public} is what senders use, set it as the receiver's origin; otherwise correct the URL at the sender"
            ),
        );
        origins.push((Some(public), Some(cause)));
    }
    origins
}

/// Offers the authority with its default port, which RFC 9421 removes.
fn ports(bases: &mut Bases<'_>, profile: &Profile, base: &str) {
    let Some((_, host)) = profile.origin().split_once("://") else { return };
    for port in [":443", ":80"] {
        let cause = Cause::new(
            CauseKind::UrlHost,
            format!("the sender signed the host with the default port {port}"),
            "on the sender, leave the default port out of @authority and @target-uri (RFC 9421 section 2.2.3)",
        );
        let authority = format!("\"@authority\": {host}\n");
        let changed = base
            .replace(&authority, &format!("\"@authority\": {host}{port}\n"))
            .replace(&format!("://{host}"), &format!("://{host}{port}"));
        bases.offer(changed.into_bytes(), vec![cause], true);
    }
}

/// Offers the base in other forms of text.
fn layouts(bases: &mut Bases<'_>, base: &str, head: &dyn Head) {
    let fix = "on the sender, build the signature base as RFC 9421 section 2.5 says";
    let mut offer = |base: String, kind: CauseKind, what: &'static str| {
        bases.offer(base.into_bytes(), vec![Cause::new(kind, what, fix)], true);
    };
    offer(
        base.replace('\n', "\r\n"),
        CauseKind::TemplateSeparator,
        "the sender signed the lines of the base with CRLF between them",
    );
    offer(
        format!("{base}\n"),
        CauseKind::TemplateSeparator,
        "the sender signed the base with a line feed after its last line",
    );
    offer(
        base.replace("\": ", "\":"),
        CauseKind::TemplateSeparator,
        "the sender signed the base without a space after each colon",
    );
    let unquoted: Vec<String> = base.lines().map(unquoted).collect();
    offer(
        unquoted.join("\n"),
        CauseKind::TemplateLiteral,
        "the sender signed the base without quotes around the names of its lines",
    );
    let Some((lines, last)) = base.rsplit_once('\n') else { return };
    offer(
        lines.to_owned(),
        CauseKind::TemplatePartMissing,
        "the sender signed the base without its last line, @signature-params",
    );
    offer(
        format!("{lines}\n"),
        CauseKind::TemplatePartMissing,
        "the sender signed the base without its last line, @signature-params",
    );
    offer(
        format!("{lines}\n{}", last.replace("\"@signature-params\": ", "@signature-params: ")),
        CauseKind::TemplateLiteral,
        "the sender signed the base without quotes around @signature-params",
    );
    let Occurrence::Once(input) = head.header(&FieldName::preset("Signature-Input")) else { return };
    let Ok(input) = core::str::from_utf8(input) else { return };
    offer(
        format!("{lines}\n\"@signature-params\": {input}"),
        CauseKind::TemplateLiteral,
        "the sender signed the whole value of Signature-Input, with its label, as @signature-params",
    );
    let text = input.split_once('=').map_or(input, |(_, text)| text);
    offer(
        format!("{lines}\n\"@signature-params\": {text}"),
        CauseKind::TemplateLiteral,
        "the sender signed Signature-Input with other spaces than RFC 9651 permits",
    );
}

fn unquoted(line: &str) -> String {
    match line.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
        Some((name, rest)) => format!("{name}{rest}"),
        None => line.to_owned(),
    }
}

/// Offers other orders of the components and the parameters, and the base without one of them.
fn orders(bases: &mut Bases<'_>) {
    let signed = bases.signed;
    for order in moved(signed.components()) {
        let cause = Cause::new(
            CauseKind::TemplateOrder,
            format!(
                "the sender signed the components in another order than it lists them: {}",
                shown(&signed.identifiers(&order))
            ),
            "on the sender, sign the lines of the base in the order of Signature-Input",
        );
        bases.uncombined(Change { order: Some(order), ..Change::default() }, cause);
    }
    for (order, left_out) in without_one(signed.components()) {
        let cause = Cause::new(
            CauseKind::TemplatePartMissing,
            format!("the sender lists the component {} and did not sign it", shown(&signed.identifiers(&[left_out]))),
            "on the sender, sign each component that Signature-Input lists",
        );
        bases.uncombined(Change { order: Some(order), ..Change::default() }, cause);
    }
    for parameters in moved(signed.parameters()) {
        let cause = Cause::new(
            CauseKind::TemplateOrder,
            "the sender signed the parameters in another order than it sends them",
            "on the sender, sign the parameters in the order of Signature-Input",
        );
        bases.uncombined(Change { parameters: Some(parameters), ..Change::default() }, cause);
    }
}

impl Bases<'_> {
    fn uncombined(&mut self, change: Change, cause: Cause) {
        if let Some(base) = self.inspection.base(self.signed, &change) {
            self.offer(base.into_bytes(), vec![cause.at_header("Signature-Input")], false);
        }
    }
}

/// The header with the digests of the body.
pub(super) const CONTENT_DIGEST: &str = "Content-Digest";

/// The maximum number of values of a repeated header that are tried.
const MAX_LINES: usize = 4;
