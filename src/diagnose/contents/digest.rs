//! A digest that was signed in place of the body, or another one.

use super::{Contents, Element};
use crate::crypto::HashAlgorithm;
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::search::Piece;
use crate::encoding::Encoding;
use crate::scheme::SignedPart;

/// Offers the template with the body in place of its digest, and with each digest in place of the body.
pub(super) fn forms(contents: &mut Contents, elements: &[Element<'_>]) {
    let Some(index) = elements.iter().position(Element::is_body) else { return };
    let Some(own) = elements.get(index).map(|element| &element.piece) else { return };
    let expected = match own {
        Piece::Digest { .. } => "another form of it",
        _ => "the body itself",
    };
    if *own != Piece::Body {
        let cause = Cause::new(
            CauseKind::TemplateBodyDigest,
            "the sender signed the body itself, and the scheme signs a digest of it",
            "on the receiver, sign SignedPart::Body in place of the digest; or have the sender sign the digest",
        );
        contents.replace_piece(elements, index, Piece::Body, [cause]);
    }
    for (hash, name, setting) in [
        (HashAlgorithm::Sha256, "SHA-256", "HashAlgorithm::Sha256"),
        (HashAlgorithm::Sha512, "SHA-512", "HashAlgorithm::Sha512"),
    ] {
        for (encoding, is_upper, form, encoding_setting) in [
            (Encoding::Hex, false, "hex", "Encoding::Hex"),
            (Encoding::Hex, true, "upper-case hex", ""),
            (Encoding::Base64, false, "base64", "Encoding::Base64"),
            (Encoding::Base64Url, false, "URL-safe base64", "Encoding::Base64Url"),
            (Encoding::Base64UrlUnpadded, false, "URL-safe base64 without padding", "Encoding::Base64UrlUnpadded"),
        ] {
            let piece = Piece::Digest { hash, encoding, is_upper };
            if piece == *own {
                continue;
            }
            let what = format!("the sender signed the {name} of the body in {form}, and the scheme signs {expected}");
            let fix = if encoding_setting.is_empty() {
                "on the sender, write the digest in lower-case hex".to_owned()
            } else {
                format!(
                    "on the receiver, sign SignedPart::body_digest({setting}, {encoding_setting}); or have the sender \
                     sign what the scheme signs"
                )
            };
            contents.replace_piece(elements, index, piece, [Cause::new(CauseKind::TemplateBodyDigest, what, fix)]);
        }
    }
}

/// Returns the piece of a part that is the body or its digest.
pub(super) const fn piece(part: &SignedPart) -> Option<Piece> {
    match part {
        SignedPart::Body => Some(Piece::Body),
        SignedPart::BodyDigest { hash, encoding } => {
            Some(Piece::Digest { hash: *hash, encoding: *encoding, is_upper: false })
        }
        _ => None,
    }
}
