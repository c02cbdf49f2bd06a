//! Simple implementations of hex and base64.

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|character| character.to_digit(16)).collect();
    digits?.chunks(2).map(|pair| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok()).collect()
}

/// Encodes base64 of RFC 4648 section 4, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let alphabet = alphabet();
    let mut bits: Vec<u8> = Vec::new();
    for byte in bytes {
        for place in (0..8).rev() {
            bits.push(byte >> place & 1);
        }
    }
    let mut text = String::new();
    for group in bits.chunks(6) {
        let value = (0..6).fold(0, |value, place| value * 2 + usize::from(group.get(place).copied().unwrap_or(0)));
        text.push(alphabet[value]);
    }
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// Decodes the output of [`base64`].
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = alphabet();
    let mut bits: Vec<u8> = Vec::new();
    for character in text.trim_end_matches('=').chars() {
        let value = alphabet.iter().position(|other| *other == character)?;
        for place in (0..6).rev() {
            bits.push(u8::try_from(value >> place & 1).ok()?);
        }
    }
    Some(bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect())
}

/// Encodes base64 of RFC 4648 section 5, with padding.
pub(super) fn base64url(bytes: &[u8]) -> String {
    base64(bytes).replace('+', "-").replace('/', "_")
}

/// Decodes the output of [`base64url`], with or without its padding.
pub(super) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    if text.contains(['+', '/']) { None } else { from_base64(&text.replace('-', "+").replace('_', "/")) }
}

/// Encodes base64 of RFC 4648 section 5, without padding.
pub(crate) fn base64url_unpadded(bytes: &[u8]) -> String {
    base64url(bytes).trim_end_matches('=').to_owned()
}

/// Decodes the output of [`base64url_unpadded`], and nothing else.
pub(crate) fn from_base64url_unpadded(text: &str) -> Option<Vec<u8>> {
    from_base64url(text).filter(|bytes| base64url_unpadded(bytes) == text)
}

fn alphabet() -> Vec<char> {
    ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_rfc_4648_are_written() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
        assert_eq!(base64url(&[0xfb, 0xff]), "-_8=");
        assert_eq!((from_base64url("-_8").as_deref(), from_base64url("+/8=")), (Some(&[0xfb, 0xff][..]), None));
        assert_eq!(hex(b"\x00\x0f\xff"), "000fff");
        assert_eq!(from_hex("000FfF").as_deref(), Some(&b"\x00\x0f\xff"[..]));
        assert_eq!((from_hex("0"), from_hex("0g"), from_base64("a*")), (None, None, None));
    }
}
