//! JSON whose numbers a parser wrote in another form: `136` for `136.0`, `10.5` for `10.50`, `10000000` for `1.0E7`,
//! and integers beyond 2^53 rounded.
//!
//! The search cannot know which numbers changed. It groups them by key, because the values of one key have one type.
//! The number of forms and their size are bounded.

mod scan;
mod style;

use super::tree::Tree;
use super::write::{Escapes, Spacing};
use crate::diagnose::bodies::Bodies;
use crate::diagnose::cause::{Cause, CauseKind};
use crate::diagnose::form::Form;
use scan::Numbers;
use style::Style;

/// The numbers of a body that is complete JSON.
pub(in crate::diagnose) struct Summary {
    pub(in crate::diagnose) count: usize,
    /// Whether one is an integer that JavaScript probably rounded.
    pub(in crate::diagnose) rounded: bool,
}

/// Returns `None` if `body` is not a JSON object or array, or is too large to be parsed.
pub(in crate::diagnose) fn whole_json(body: &[u8]) -> Option<Summary> {
    let text = core::str::from_utf8(body.get(..=MAX_SCANNED).map_or(body, |_| &[])).ok()?;
    let tree = Tree::parse(text)?;
    let numbers = Numbers::of(tree.text);
    Some(Summary { count: numbers.len(), rounded: numbers.texts().any(style::is_probably_rounded) })
}

/// Offers the bodies with other numbers. They are tried last, because there are many of them.
pub(in crate::diagnose) fn offer(bodies: &mut Bodies<'_>) {
    let original = bodies.original;
    let Some(tree) = core::str::from_utf8(original).ok().and_then(Tree::parse) else { return };
    if original.len() > MAX_RESPELT {
        if Numbers::of(tree.text).len() > 0 {
            bodies.omit("the numbers of a body of more than 64 KiB are not written in other forms");
        }
        return;
    }
    // A parser also changes the white space between tokens. Python writes spaces and escapes by default.
    let forms = [
        (Spacing::Kept, Escapes::Kept),
        (Spacing::Spaced, Escapes::Ascii),
        (Spacing::Spaced, Escapes::Kept),
        (Spacing::Compact, Escapes::Kept),
        (Spacing::Indented("  "), Escapes::Kept),
    ];
    let forms = forms.into_iter().chain(tree.escapes().map(|escapes| (Spacing::Compact, escapes)));
    let mut texts: Vec<(String, Option<Cause>)> = Vec::new();
    for (spacing, escapes) in forms {
        if let Some(text) = tree.write(spacing, escapes).filter(|text| !texts.iter().any(|(known, _)| known == text)) {
            let rewritten = (text != tree.text).then(|| rewritten(spacing, escapes));
            texts.push((text, rewritten));
        }
    }
    let mut offers = Offers { bodies, left: MAX_BYTES };
    // The integers come last: there are many of them for each text.
    for try_numbers in [Offers::respell, Offers::unround] {
        for (text, rewritten) in &texts {
            if try_numbers(&mut offers, text, rewritten.as_ref()).is_none() {
                offers.bodies.omit("its numbers have more forms than the limit");
                return;
            }
        }
    }
}

/// Offers forms until their size limit is reached.
struct Offers<'b, 'c> {
    bodies: &'b mut Bodies<'c>,
    /// The number of bytes that further forms may have.
    left: usize,
}

impl Offers<'_, '_> {
    /// Offers the numbers in each style. Returns `None` once the size limit is reached.
    fn respell(&mut self, text: &str, rewritten: Option<&Cause>) -> Option<()> {
        let numbers = Numbers::of(text);
        for style in Style::ALL {
            for groups in selections(numbers.groups()) {
                let other = |number: &str, group| if groups.has(group) { style.respell(number) } else { None };
                if let Some(body) = numbers.respelt(other) {
                    // Only a change of all numbers is combined with other mistakes, because a change of some is
                    // unlikely.
                    self.offer(body, style.cause(), rewritten, groups.is_all)?;
                }
            }
        }
        Some(())
    }

    /// Offers the integers that a double rounds to the one in the text, if only one number may have been rounded.
    fn unround(&mut self, text: &str, rewritten: Option<&Cause>) -> Option<()> {
        let numbers = Numbers::of(text);
        let mut rounded = numbers.texts().filter(|number| style::rounded_from(number).is_some());
        let Some(first) = rounded.next().filter(|first| rounded.all(|number| number == *first)) else {
            return Some(());
        };
        let sign = if first.starts_with('-') { "-" } else { "" };
        for integer in style::rounded_from(first).into_iter().flatten() {
            let exact = |number: &str, _| (number == first).then(|| format!("{sign}{integer}"));
            if let Some(body) = numbers.respelt(exact) {
                let cause = Cause::new(
                    CauseKind::BodyJsonNumbers,
                    "a JSON parser that reads numbers as doubles rounded an integer beyond 2^53: the sender signed \
                     its last digits, and they were lost",
                    style::FIX,
                );
                self.offer(body, cause, rewritten, false)?;
            }
        }
        Some(())
    }

    fn offer(&mut self, body: String, cause: Cause, rewritten: Option<&Cause>, may_combine: bool) -> Option<()> {
        self.left = self.left.checked_sub(body.len().saturating_add(OVERHEAD))?;
        let body = body.into_bytes();
        let offset = self.bodies.original.iter().zip(&body).take_while(|(a, b)| a == b).count();
        let causes = rewritten.cloned().into_iter().chain([cause]).map(|cause| cause.at_offset(offset));
        let form = Form::with_causes(body.into(), causes);
        self.bodies.forms.push(if may_combine { form } else { form.uncombined() });
        Some(())
    }
}

fn rewritten(spacing: Spacing, escapes: Escapes) -> Cause {
    let how = escapes.describe().map(|escapes| format!(", {escapes}")).unwrap_or_default();
    Cause::new(
        CauseKind::BodyJsonRewritten,
        format!("the body's JSON was parsed and serialized again: the sender signed it {}{how}", spacing.describe()),
        style::FIX,
    )
}

/// The groups of numbers that are written in another form.
struct Selection {
    is_all: bool,
    mask: u64,
}

impl Selection {
    fn has(&self, group: usize) -> bool {
        self.is_all || u32::try_from(group).is_ok_and(|group| self.mask.checked_shr(group).is_some_and(|m| m & 1 == 1))
    }
}

/// Selects all groups first. If there are at most `MAX_CHOSEN` groups, it then selects every subset. Otherwise it
/// selects each group by itself, and all groups except one.
fn selections(groups: usize) -> impl Iterator<Item = Selection> {
    let count = u32::try_from(groups).unwrap_or(u32::MAX);
    let masks: Vec<u64> = match 1_u64.checked_shl(count).map(|end| end.saturating_sub(1)) {
        Some(all) if count <= MAX_CHOSEN => (1..all).collect(),
        end => {
            let all = end.unwrap_or(u64::MAX);
            let singles = (0..count.min(MAX_SINGLES)).filter_map(|group| 1_u64.checked_shl(group));
            singles.flat_map(|single| [single, all & !single]).collect()
        }
    };
    let all = (groups > 0).then_some(Selection { is_all: true, mask: 0 });
    all.into_iter().chain(masks.into_iter().map(|mask| Selection { is_all: false, mask }))
}

/// The largest body whose numbers are parsed, in bytes.
const MAX_SCANNED: usize = 1 << 20;

/// The largest body whose numbers are written in other forms, in bytes.
const MAX_RESPELT: usize = 64 << 10;

/// The maximum total size of these forms, in bytes.
const MAX_BYTES: usize = 8 << 20;

/// The cost of a form in addition to its text, in bytes. It limits the number of forms to 8,192.
const OVERHEAD: usize = 1 << 10;

/// The maximum number of groups of which every subset is tried.
const MAX_CHOSEN: u32 = 6;

/// The number of groups that are selected and left out singly, if there are more than `MAX_CHOSEN`.
const MAX_SINGLES: u32 = 32;
