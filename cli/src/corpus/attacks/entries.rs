//! Several signatures, and changes to the entries and fields beside a signature.

use hookwarden::Reason;
use hookwarden::scheme::Layout;

use super::{ACCEPTED, Attack, MISMATCH, must, should};

pub(super) const ATTACKS: &[Attack] = &[
    should(
        "signature-after-a-wrong-one",
        "A wrong signature precedes the right one, as if another key had also signed.",
        ACCEPTED,
        |it| it.with_tags([&*it.wrong(), &*it.tag]),
    ),
    should("signature-before-a-wrong-one", "A wrong signature follows the right one.", ACCEPTED, |it| {
        it.with_tags([&*it.tag, &*it.wrong()])
    }),
    must("signatures-all-wrong", "Each of several signatures is wrong.", MISMATCH, |it| {
        it.with_tags([&*it.wrong(), &*it.flipped(1, 1)])
    }),
    should(
        "signatures-too-many",
        "The message has more signatures than the scheme permits, and the last one is right.",
        &[Reason::TooManyCandidates],
        |it| {
            let wrong = vec![it.wrong(); it.scheme.max_signatures().into()];
            it.with_tags(wrong.iter().map(String::as_str).chain([&*it.tag]))
        },
    ),
    should(
        "entry-unknown",
        "An entry of an unknown version or with an unknown key precedes the others.",
        ACCEPTED,
        |it| {
            let separator = it.separator()?;
            let entry = match it.scheme.layout() {
                Layout::List { prefix, .. } if !prefix.is_empty() => format!("x{prefix}{}", it.wrong()),
                Layout::Fields { .. } | Layout::FieldGroups { .. } => "x=1".to_owned(),
                _ => return None,
            };
            Some(it.with_value(format!("{entry}{separator}{}{}", it.before, it.tag)))
        },
    ),
    should("fields-after-spaces", "A space follows each separator of the signature header.", ACCEPTED, |it| {
        let separator = it
            .separator()
            .filter(|_| matches!(it.scheme.layout(), Layout::Fields { .. } | Layout::Positional { .. }))?;
        Some(it.with_value(format!("{}{}", it.before.replace(separator, &format!("{separator} ")), it.tag)))
    }),
    should("fields-reversed", "The fields of the signature header are in the opposite order.", ACCEPTED, |it| {
        let separator = it.separator().filter(|_| matches!(it.scheme.layout(), Layout::Fields { .. }))?;
        let value = it.message.value(&it.header)?;
        let fields: Vec<_> = value.rsplit(separator).collect();
        (fields.len() > 1).then(|| it.with_value(fields.join(&separator.to_string())))
    }),
];
