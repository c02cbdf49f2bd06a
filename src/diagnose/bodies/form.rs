//! Bodies that are forms (`application/x-www-form-urlencoded`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

use super::super::cause::{Cause, CauseKind};
use super::{Bodies, TOO_LARGE, json};

pub(super) fn offer(bodies: &mut Bodies<'_>) {
    let body = bodies.original;
    if let Ok(text) = core::str::from_utf8(body) {
        wrapped(bodies, text);
        parsed(bodies, text);
        if text.contains('=') || text.contains('%') {
            fields(bodies, text);
            rewritten(bodies, text);
        }
    }
}

/// Offers the body as the only field of a form.
fn wrapped(bodies: &mut Bodies<'_>, text: &str) {
    for name in ["payload", "data"] {
        for plus in [true, false] {
            bodies.offer(
                format!("{name}={}", encoded(text, plus, FORM)).into_bytes(),
                Cause::new(
                    CauseKind::BodyFormField,
                    format!("the sender signed the whole form, and only its field {name} was captured"),
                    format!("on the receiver, verify the raw body, {name}= included, before the form is parsed"),
                ),
            );
        }
    }
}

/// Offers the value of each field.
fn fields(bodies: &mut Bodies<'_>, text: &str) {
    let text = text.trim_ascii_end();
    if text.split('&').nth(MAX_FIELDS).is_some() {
        bodies.omit("only the first 16 fields of a form are tried alone");
    }
    for pair in text.split('&').take(MAX_FIELDS) {
        let Some((_, value)) = pair.split_once('=') else { continue };
        for (value, how) in [(decoded(value), "decoded"), (value.as_bytes().to_vec(), "not decoded")] {
            bodies.offer(
                value,
                Cause::new(
                    CauseKind::BodyFormField,
                    format!("the body is a form, and the sender signed only the value of one field, {how}"),
                    "on the sender, sign the whole body as it is sent; or have the receiver verify the bytes of that \
                     field",
                ),
            );
        }
    }
}

/// Offers the form decoded, and encoded by other rules.
fn rewritten(bodies: &mut Bodies<'_>, text: &str) {
    let cause = |what: &'static str| {
        Cause::new(
            CauseKind::BodyFormEncoding,
            what,
            "on the receiver, verify the raw body before the form is parsed; on the sender, sign the form as it is \
             sent",
        )
    };
    bodies.offer(decoded(text), cause("the sender signed the decoded form, and sent it encoded"));
    bodies.offer(
        text.replace('+', "%20").into_bytes(),
        cause("the sender signed spaces as %20, and the body has them as +"),
    );
    bodies.offer(
        text.replace("%20", "+").into_bytes(),
        cause("the sender signed spaces as +, and the body has them as %20"),
    );
    for upper in [false, true] {
        bodies.offer(
            recased(text, upper).into_bytes(),
            cause("the sender signed the form with its percent-encoded hex digits in the other case"),
        );
    }
    for (set, plus) in SERIALIZERS {
        let pairs = text.split('&').map(|pair| {
            let part = |text: &str| encoded(&String::from_utf8_lossy(&decoded(text)), plus, set);
            match pair.split_once('=') {
                Some((name, value)) => format!("{}={}", part(name), part(value)),
                None => part(pair),
            }
        });
        bodies.offer(
            pairs.collect::<Vec<_>>().join("&").into_bytes(),
            cause("the form was decoded and encoded again, which changed how some characters are written"),
        );
    }
}

/// Offers the form whose fields a parser has turned into the JSON of the body.
fn parsed(bodies: &mut Bodies<'_>, text: &str) {
    for lists in json::ListNames::ALL {
        let Some(fields) = json::fields(text, lists).filter(|fields| !fields.is_empty()) else { return };
        let size: usize = fields.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum();
        // Percent-encoding writes a byte as three.
        if size.saturating_mul(3) > bodies.left() {
            bodies.omit(TOO_LARGE);
            return;
        }
        for (set, plus) in SERIALIZERS {
            let pair = |(name, value): &(String, String)| {
                format!("{}={}", encoded(name, plus, set), encoded(value, plus, set))
            };
            let form = fields.iter().map(pair).collect::<Vec<_>>().join("&");
            bodies.offer(
                form.into_bytes(),
                Cause::new(
                    CauseKind::BodyFormParsed,
                    "the sender signed a form, and the captured body is JSON that was made from its fields",
                    "on the receiver, verify the raw body before a form parser reads it; JSON.stringify of the parsed \
                     fields is another text",
                ),
            );
        }
    }
}

fn decoded(text: &str) -> Vec<u8> {
    percent_decode(text.replace('+', " ").as_bytes()).collect()
}

fn encoded(text: &str, plus: bool, set: &'static AsciiSet) -> String {
    let text = utf8_percent_encode(text, set).to_string();
    if plus { text.replace("%20", "+") } else { text }
}

fn recased(text: &str, upper: bool) -> String {
    let mut left = 0_u8;
    let recase = |c: char| {
        if c == '%' {
            left = 2;
            return c;
        }
        let within = left > 0;
        left = left.saturating_sub(1);
        match (within, upper) {
            (true, true) => c.to_ascii_uppercase(),
            (true, false) => c.to_ascii_lowercase(),
            (false, _) => c,
        }
    };
    text.chars().map(recase).collect()
}

/// The characters that a browser or Java encodes in a form.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// The characters that RFC 3986 does not reserve are not encoded (Python, Go, Ruby).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The characters that PHP encodes.
const PHP: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The characters that JavaScript's `encodeURIComponent` encodes.
const COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');

/// How libraries write a form: the characters that they encode, and whether a space is a plus sign.
const SERIALIZERS: [(&AsciiSet, bool); 7] = [
    (FORM, true),
    (FORM, false),
    (UNRESERVED, true),
    (UNRESERVED, false),
    (PHP, true),
    (COMPONENT, true),
    (COMPONENT, false),
];

/// The maximum number of fields that are tried.
const MAX_FIELDS: usize = 16;
