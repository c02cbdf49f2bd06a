//! Changes to the body.

use super::{Attack, MISMATCH, must, should};

pub(super) const ATTACKS: &[Attack] = &[
    must("body-bit-flipped", "A bit of the body is flipped.", MISMATCH, |it| {
        let mut body = it.message.body.clone();
        let place = body.iter().rposition(u8::is_ascii_alphanumeric).or(body.len().checked_sub(1))?;
        *body.get_mut(place)? ^= 1;
        Some(it.message.clone().with_body(body))
    }),
    must("body-truncated", "The last byte of the body is missing.", MISMATCH, |it| {
        let (_, body) = it.message.body.split_last()?;
        Some(it.message.clone().with_body(body))
    }),
    should("body-extended", "A line break follows the body.", MISMATCH, |it| {
        Some(it.message.clone().with_body([&it.message.body[..], b"\n"].concat()))
    }),
    must("body-emptied", "The body is empty.", MISMATCH, |it| {
        (!it.message.body.is_empty()).then(|| it.message.clone().with_body(""))
    }),
    must("body-replaced", "The headers are those of another message.", MISMATCH, |it| {
        Some(it.message.clone().with_body(r#"{"id":"another"}"#))
    }),
    should("body-reformatted", "The JSON of the body has an additional space, and means the same.", MISMATCH, |it| {
        let (first, rest) = it.message.body.split_first().filter(|(first, _)| matches!(first, b'{' | b'['))?;
        Some(it.message.clone().with_body([&[*first, b' '], rest].concat()))
    }),
    should("body-after-byte-order-mark", "A UTF-8 byte order mark precedes the body.", MISMATCH, |it| {
        Some(it.message.clone().with_body([b"\xef\xbb\xbf", &it.message.body[..]].concat()))
    }),
];
