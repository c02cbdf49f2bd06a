//! JSON bodies that were parsed and serialized again.
//!
//! The tree keeps the text of numbers and repeated keys, because parsing them would lose the differences that the
//! search needs. [`numbers`] tries the forms that a number may have lost.

mod fields;
mod numbers;
mod tree;
mod write;

use serde_json::value::Value;

use super::super::cause::{Cause, CauseKind};
use super::Bodies;
use tree::Tree;
use write::{Escapes, Spacing};

pub(super) use fields::{ListNames, fields};
pub(in crate::diagnose) use numbers::{offer as offer_numbers, whole_json};

pub(super) fn offer(bodies: &mut Bodies<'_>) {
    let Ok(text) = core::str::from_utf8(bodies.original) else { return };
    strings(bodies, text);
    let Some(tree) = Tree::parse(text) else { return };
    rewritten(bodies, &tree);
    let sorted = tree.sorted();
    rewritten_sorted(bodies, &sorted);
}

/// Offers the content of a JSON string, and the body as a JSON string.
fn strings(bodies: &mut Bodies<'_>, text: &str) {
    if let Ok(Value::String(inner)) = serde_json::from_str(text) {
        bodies.offer(
            inner.into_bytes(),
            Cause::new(
                CauseKind::BodyJsonString,
                "the body is a JSON string that contains the signed text: it was serialized twice",
                "on the sender, don't serialize a text that is JSON already; or sign the string as it is sent",
            ),
        );
    }
    for escapes in [Escapes::Least, Escapes::Ascii] {
        bodies.offer(
            write::string(text, escapes).into_bytes(),
            Cause::new(
                CauseKind::BodyJsonString,
                "the sender signed the body as a JSON string, and sends it as plain JSON",
                "on the sender, sign the text that is sent: it was serialized again before signing",
            ),
        );
    }
}

/// Offers the JSON `text`, which is in the body in another form, in the usual ways of writing it.
pub(super) fn offer_text(bodies: &mut Bodies<'_>, text: &str, cause: &Cause) {
    let Some(tree) = Tree::parse(text) else { return };
    for spacing in Spacing::ALL {
        for escapes in [Escapes::Kept, Escapes::Least, Escapes::Ascii, Escapes::Html, Escapes::AsciiSlash] {
            if let Some(text) = tree.write(spacing, escapes) {
                bodies.offer(text.into_bytes(), cause.clone());
            }
        }
    }
}

fn rewritten(bodies: &mut Bodies<'_>, tree: &Tree<'_>) {
    for escapes in tree.escapes() {
        offer_one(bodies, tree, Spacing::Kept, escapes, false);
    }
    for spacing in Spacing::ALL {
        for escapes in tree.escapes() {
            offer_one(bodies, tree, spacing, escapes, false);
        }
    }
}

fn rewritten_sorted(bodies: &mut Bodies<'_>, tree: &Tree<'_>) {
    for spacing in Spacing::ALL {
        for escapes in tree.escapes() {
            offer_one(bodies, tree, spacing, escapes, true);
        }
    }
}

fn offer_one(bodies: &mut Bodies<'_>, tree: &Tree<'_>, spacing: Spacing, escapes: Escapes, sorted: bool) {
    let Some(text) = tree.write(spacing, escapes) else { return };
    let mut how: Vec<&str> = vec![spacing.describe()];
    how.extend(sorted.then_some("with sorted keys"));
    how.extend(escapes.describe());
    how.retain(|part| !part.is_empty());
    bodies.offer(
        text.into_bytes(),
        Cause::new(
            CauseKind::BodyJsonRewritten,
            format!("the body's JSON was parsed and serialized again: the sender signed it {}", how.join(", ")),
            "on the receiver, verify the raw bytes before any JSON parser; on the sender, sign exactly the text that \
             is sent",
        ),
    );
}
