//! How strong a secret is, as far as its characters tell.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use zeroize::Zeroizing;

use super::known;
use crate::audit::finding::Severity;

/// One thing that is wrong with a secret.
pub(crate) struct Weakness {
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    pub(crate) title: &'static str,
    /// What follows the entry's name in a sentence.
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

/// Everything that is wrong with `text`.
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
        let detail = "is an example that a documentation or a library publishes";
        found.push(Weakness::new("secret-published", Severity::High, "published secret", detail, MAKE));
    } else if known::is_placeholder(bare) || known::is_placeholder(core) {
        let detail = "is a placeholder or has a word in it that everybody tries";
        found.push(Weakness::new("secret-placeholder", Severity::High, "placeholder for a secret", detail, MAKE));
    }
    if let Some(detail) = pattern(core) {
        found.push(Weakness::new("secret-pattern", Severity::High, "secret with a pattern", detail, MAKE));
    }
    found.extend(size(bare, core));
    found
}

/// What `secret` may stand for as key bytes: its text, and whatever it decodes to. HMAC cannot tell keys apart that
/// differ in zero bytes at their ends.
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
    // A decoded fragment of a few bytes says nothing about the secret.
    let mut first = true;
    readings.retain(|reading| std::mem::take(&mut first) || reading.len() >= LEAST_KEY_BYTES);
    readings
}

/// An estimate of a secret's bits, by how often each of its characters is in it (Shannon). It is low for short random
/// secrets, and high for what somebody thought up.
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
    // Whole numbers of this size are exact in text, and there is no checked way from f64.
    format!("{bits:.0}").parse().unwrap_or_default()
}

fn around(text: &str) -> Vec<Weakness> {
    let mut found = Vec::new();
    if text.trim() != text {
        let detail = "has white space at an end";
        let fix = "remove it: the sender's copy will not have it, and hookwarden refuses such a secret";
        found.push(Weakness::new("secret-white-space", Severity::Medium, "white space around a secret", detail, fix));
    }
    if unquoted(text.trim()).is_some() {
        let fix = "remove the quotes: they count as characters of the secret";
        found.push(Weakness::new("secret-quoted", Severity::Medium, "quotes around a secret", "is in quotes", fix));
    }
    found
}

/// The text inside of a pair of quotes.
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
        let detail = format!("is a key of {} bytes, and Standard Webhooks asks for 24 to 64", bytes.len());
        return Some(short(Severity::High, detail));
    }
    let length = core.chars().count();
    if length < LEAST_CHARACTERS {
        let severity = if length < LEAST_CHARACTERS / 2 { Severity::High } else { Severity::Medium };
        return Some(short(severity, format!("has {length} characters, and {LEAST_CHARACTERS} are the least")));
    }
    let bits = bits(bare);
    (bits < LEAST_BITS).then(|| {
        let detail = format!("has about {bits} bits, by how few different characters it has");
        Weakness::new("secret-low-entropy", Severity::Medium, "secret with little entropy", detail, MAKE)
    })
}

fn pattern(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if let Some(first) = bytes.first()
        && bytes.len() > 2
        && bytes.iter().all(|byte| byte == first)
    {
        return Some("is one character over and over".into());
    }
    let is_period = |period: &usize| bytes.iter().zip(bytes.iter().skip(*period)).all(|(a, b)| a == b);
    if let Some(period) = (2..=bytes.len() / 2).find(is_period) {
        return Some(format!("is a pattern of {period} characters over and over"));
    }
    let run = longest_run(&text.to_lowercase());
    let covers_half = run >= 4 && run.saturating_mul(2) >= bytes.len();
    (run >= LONG_RUN || covers_half).then(|| format!("has {run} characters in the order of a keyboard or an alphabet"))
}

/// The most characters in a row that follow each other on a keyboard or in an alphabet, in either direction.
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
const MAKE: &str = "make another with `hookwarden secret`, and give it to the sender";

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

/// Half of them in hex are 128 bits.
const LEAST_CHARACTERS: usize = 32;
const LEAST_WHSEC_BYTES: usize = 24;
/// Below 128: 32 random hex digits seldom show all their 16 characters equally often.
const LEAST_BITS: u32 = 96;
/// A random secret of 88 characters has such a run less than once in a million.
const LONG_RUN: usize = 9;
/// What is shorter is no key.
const LEAST_KEY_BYTES: usize = 16;
