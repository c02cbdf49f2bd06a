//! Headers with a similar name that replace a missing one.

use crate::headers::{FieldName, Head, Occurrence};

/// The purpose of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Signature,
    Timestamp,
    Other,
}

/// Returns the first header with a similar name that occurs once. `given` lists the known headers of the head.
pub(super) fn similar<H: Head + ?Sized>(
    head: &H,
    wanted: &str,
    role: Role,
    given: &[(String, Vec<u8>)],
    taken: impl Fn(&FieldName) -> bool,
) -> Option<FieldName> {
    let given = || given.iter().map(|(name, _)| name);
    let near = given().filter(|name| is_near(name, wanted));
    let known = match role {
        Role::Signature => SIGNATURES,
        Role::Timestamp => TIMESTAMPS,
        Role::Other => &[],
    };
    let ids: &[&str] = if role == Role::Other && core(wanted).ends_with("id") { IDS } else { &[] };
    let alike = given().filter(|name| is_alike(name, role));
    let names = near.cloned().chain(variants(wanted)).chain(known.iter().chain(ids).map(|name| (*name).to_owned()));
    names
        .chain(alike.cloned())
        .filter_map(|name| FieldName::new(name).ok())
        .filter(|name| !name.as_str().eq_ignore_ascii_case(wanted) && !taken(name))
        .find(|name| matches!(head.header(name), Occurrence::Once(_)))
}

/// Removes what varies between senders: case, separators, `X-` and the hash function at the end.
fn core(name: &str) -> String {
    let name: String = name.to_ascii_lowercase().replace(['-', '_', '.', ' '], "");
    let name = name.strip_prefix("http").unwrap_or(&name);
    let name = name.strip_prefix('x').unwrap_or(name);
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = name.strip_suffix("sha").unwrap_or(name);
    name.strip_suffix("hmac").unwrap_or(name).to_owned()
}

fn is_near(name: &str, wanted: &str) -> bool {
    core(name) == core(wanted)
}

fn is_alike(name: &str, role: Role) -> bool {
    let core = core(name);
    match role {
        Role::Signature => core.contains("signature") || core.contains("hmac") || core.ends_with("sign"),
        Role::Timestamp => core.contains("timestamp") || core.ends_with("sentat"),
        Role::Other => false,
    }
}

/// Returns the variants in which senders and servers write a header's name.
fn variants(wanted: &str) -> Vec<String> {
    let bare = wanted.get(..2).filter(|start| start.eq_ignore_ascii_case("x-")).and_then(|_| wanted.get(2..));
    let stems = [bare.unwrap_or(wanted).to_owned(), format!("X-{}", bare.unwrap_or(wanted))];
    let mut names = Vec::new();
    for stem in stems {
        let short = ["-256", "-sha256", "-hmac", "-v1", "-v2"]
            .iter()
            .find_map(|end| stem.len().checked_sub(end.len()).filter(|_| stem.to_ascii_lowercase().ends_with(end)))
            .and_then(|length| stem.get(..length));
        let ends = ["", "-256", "-Sha256", "-SHA-256", "-512", "-Sha512", "-Hmac", "-V1", "-V2", "-1"];
        for stem in short.into_iter().chain([stem.as_str()]) {
            names.extend(ends.iter().map(|end| format!("{stem}{end}")));
        }
    }
    let underscored: Vec<String> = names.iter().map(|name| name.replace('-', "_")).collect();
    let from_cgi: Vec<String> = underscored.iter().map(|name| format!("HTTP_{name}").to_uppercase()).collect();
    names.push(wanted.replace('-', ""));
    names.extend(underscored);
    names.extend(from_cgi);
    names
}

const SIGNATURES: &[&str] = &[
    "X-Webhook-Signature",
    "X-Webhook-Signature-256",
    "Webhook-Signature",
    "X-Signature",
    "X-Signature-256",
    "Signature",
    "X-Hub-Signature-256",
    "X-Hub-Signature",
    "X-Hook-Signature",
    "X-Request-Signature",
    "X-Signature-Sha256",
    "X-Hmac-Signature",
    "X-Hmac-Sha256",
    "X-Hmac",
    "Svix-Signature",
    "Stripe-Signature",
    "X-Slack-Signature",
    "X-Shopify-Hmac-Sha256",
    "X-Payload-Signature",
    "X-Body-Signature",
    "X-Event-Signature",
    "Hmac-Signature",
    "X-Sign",
    "X-Digest",
];

/// Common headers of a timestamp.
pub(super) const TIMESTAMPS: &[&str] = &[
    "X-Webhook-Timestamp",
    "Webhook-Timestamp",
    "X-Timestamp",
    "Timestamp",
    "X-Signature-Timestamp",
    "X-Request-Timestamp",
    "X-Slack-Request-Timestamp",
    "Svix-Timestamp",
    "X-Hook-Timestamp",
    "X-Hub-Timestamp",
    "X-Sent-At",
    "X-Webhook-Time",
    "X-Event-Time",
];

/// Common headers of an id.
pub(super) const IDS: &[&str] =
    &["webhook-id", "svix-id", "X-Webhook-Id", "X-Delivery-Id", "X-Event-Id", "X-Request-Id", "X-GitHub-Delivery"];
