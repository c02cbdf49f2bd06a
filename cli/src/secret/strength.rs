//! Estimates a secret's strength from its characters.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

use super::known;
use crate::audit::finding::Severity;

/// A weakness of a secret.
pub(crate) struct Weakness {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    pub(crate) title: &'static str,
    /// The predicate of a sentence whose subject is the entry's name.
    pub(crate) detail: String,
    pub(crate) fix: &'static str,
}

impl Weakness {
    fn new(
        id: &'static str,
        severity: Severity,
        title: &'static str,
        detail: impl Into<String>,
        fix: &'static str,
    ) -> Self {
        Self { id, severity, title, detail: detail.into(), fix }
    }
}

pub(crate) fn weaknesses(text: &str) -> Vec<Weakness> {
    let mut found = around(text);
    let bare = text.trim();
    let bare = unquoted(bare).unwrap_or(bare).trim();
    if bare.is_empty() || bare == WHSEC {
        found.push(Weakness::new("secret-empty", Severity::High, "no secret", "is empty", MAKE));
        return found;
    }
    let core = bare.strip_prefix(WHSEC).unwrap_or(bare);
    if known::is_published(bare) {
        let detail = "is an example published in documentation or by a library";
        found.push(Weakness::new("secret-published", Severity::High, "published secret", detail, MAKE));
    } else if known::is_placeholder(bare) || known::is_placeholder(core) {
        let detail = "is a placeholder or contains a common guess";
        found.push(Weakness::new("secret-placeholder", Severity::High, "placeholder for a secret", detail, MAKE));
    }
    if let Some(detail) = pattern(core) {
        found.push(Weakness::new("secret-pattern", Severity::High, "secret with a pattern", detail, MAKE));
    }
    found.extend(size(bare, core));
    found
}

/// The key bytes that `secret` may represent: its text, and its decoded forms. Trailing zero bytes are removed, because
/// they do not change an HMAC.
pub(crate) fn key_bytes(text: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut readings = vec![text.as_bytes().to_vec()];
    let core = text.strip_prefix(WHSEC).unwrap_or(text);
    readings.extend(const_hex::decode(core).ok());
    readings.extend(STANDARD.decode(core).ok());
    readings.extend(URL_SAFE.decode(core).ok());
    let mut readings: Vec<_> = readings.into_iter().map(Zeroizing::new).collect();
    for reading in &mut readings {
        let end = reading.iter().rposition(|byte| *byte != 0).map_or(0, |last| last.saturating_add(1));
        reading.truncate(end);
    }
    // A few decoded bytes do not identify a secret.
    let mut first = true;
    readings.retain(|reading| std::mem::take(&mut first) || reading.len() >= LEAST_KEY_BYTES);
    readings
}

/// An estimate of a secret's bits from the frequency of its characters (Shannon entropy). It is too low for short
/// random secrets, and too high for secrets that were chosen by hand.
pub(crate) fn bits(text: &str) -> u32 {
    let core = text.strip_prefix(WHSEC).unwrap_or(text);
    let mut counts = [0_u32; 256];
    for byte in core.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count = count.saturating_add(1);
        }
    }
    let total = f64::from(u32::try_from(core.len()).unwrap_or(u32::MAX));
    let bits: f64 = counts.into_iter().filter(|count| *count > 0).map(f64::from).map(|n| n * (total / n).log2()).sum();
    // Convert through text: `f64` has no checked conversion to integers.
    format!("{bits:.0}").parse().unwrap_or_default()
}

fn around(text: &str) -> Vec<Weakness> {
    let mut found = Vec::new();
    if text.trim() != text {
        let detail = "begins or ends with white space";
        let fix = "remove the white space: the sender's secret does not have it, and hookwarden refuses such a secret";
        found.push(Weakness::new("secret-white-space", Severity::Medium, "white space around a secret", detail, fix));
    }
    if unquoted(text.trim()).is_some() {
        let fix = "remove the quotes, because they are part of the secret";
        found.push(Weakness::new("secret-quoted", Severity::Medium, "quotes around a secret", "is in quotes", fix));
    }
    found
}

/// The text inside a pair of quotes.
pub(super) fn unquoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| QUOTES.contains(*c))?;
    text.strip_prefix(quote)?.strip_suffix(quote)
}

fn size(bare: &str, core: &str) -> Option<Weakness> {
    let short = |severity, detail| Weakness::new("secret-short", severity, "short secret", detail, MAKE);
    if core != bare
        && let Ok(bytes) = STANDARD.decode(core).map(Zeroizing::new)
        && bytes.len() < LEAST_WHSEC_BYTES
    {
        let detail = format!("is a key of {} bytes, but Standard Webhooks requires 24 to 64", bytes.len());
        return Some(short(Severity::High, detail));
    }
    let length = core.chars().count();
    if length < LEAST_CHARACTERS {
        let severity = if length < LEAST_CHARACTERS / 2 { Severity::High } else { Severity::Medium };
        return Some(short(severity, format!("has {length} characters, fewer than {LEAST_CHARACTERS}")));
    }
    let bits = bits(bare);
    (bits < LEAST_BITS).then(|| {
        let detail = format!("has about {bits} bits, because it has few different characters");
        Weakness::new("secret-low-entropy", Severity::Medium, "secret with little entropy", detail, MAKE)
    })
}

fn pattern(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if let Some(first) = bytes.first()
        && bytes.len() > 2
        && bytes.iter().all(|byte| byte == first)
    {
        return Some("repeats one character".into());
    }
    let is_period = |period: &usize| bytes.iter().zip(bytes.iter().skip(*period)).all(|(a, b)| a == b);
    if let Some(period) = (2..=bytes.len() / 2).find(is_period) {
        return Some(format!("repeats a pattern of {period} characters"));
    }
    let run = longest_run(&text.to_lowercase());
    let covers_half = run >= 4 && run.saturating_mul(2) >= bytes.len();
    (run >= LONG_RUN || covers_half).then(|| format!("has {run} characters in the order of a keyboard or an alphabet"))
}

/// The length of the longest run of characters in the order of a keyboard or an alphabet, in either direction.
fn longest_run(text: &str) -> usize {
    let follows = |a: u8, b: u8| ROWS.iter().any(|row| row.windows(2).any(|pair| pair == [a, b]));
    let run = |text: &[u8]| {
        let (mut longest, mut current) = (1_usize, 1_usize);
        for (a, b) in text.iter().zip(text.iter().skip(1)) {
            current = if follows(*a, *b) { current.saturating_add(1) } else { 1 };
            longest = longest.max(current);
        }
        longest
    };
    let backwards: Vec<u8> = text.bytes().rev().collect();
    run(text.as_bytes()).max(run(&backwards))
}

const WHSEC: &str = "whsec_";
const QUOTES: &str = "\"'`";
const MAKE: &str = "generate another one with `hookwarden secret`, and give it to the sender";

const ROWS: &[&[u8]] = &[
    b"abcdefghijklmnopqrstuvwxyz",
    b"01234567890",
    b"qwertyuiop",
    b"asdfghjkl",
    b"zxcvbnm",
    b"qwertzuiop",
    b"yxcvbnm",
    b"azertyuiop",
    b"1qaz",
    b"2wsx",
    b"3edc",
];

/// 32 hex digits are 128 bits.
const LEAST_CHARACTERS: usize = 32;
const LEAST_WHSEC_BYTES: usize = 24;
/// The minimum is below 128, because 32 random hex digits rarely contain all 16 digits equally often.
const LEAST_BITS: u32 = 96;
/// A random secret of 88 characters contains a run of this length less than once in a million.
const LONG_RUN: usize = 9;
/// The minimum number of decoded bytes that can be a key.
const LEAST_KEY_BYTES: usize = 16;
