//! The cause for a request that no known mistake explains.

use super::cause::{Cause, CauseKind};
use super::search::{Budget, Space};

/// What is left to look for if no combination fits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing else is wrong.
    Secret,
    /// The body probably differs from the signed one.
    Body,
    /// Another suspicion.
    Others,
}

impl Left {
    /// Decides by the other causes, and by whether one of them is about the body.
    pub(super) fn of(causes: &[Cause], body_differs: bool) -> Self {
        match causes.iter().all(|cause| is_beside(cause.kind())) {
            true => Self::Secret,
            false if body_differs => Self::Body,
            false => Self::Others,
        }
    }
}

/// Whether a request with this cause and the right secret still has the right signature: its timestamp is wrong, or the
/// search has corrected it.
const fn is_beside(kind: CauseKind) -> bool {
    matches!(
        kind,
        CauseKind::TimestampStale
            | CauseKind::TimestampEarly
            | CauseKind::TimestampTimeZone
            | CauseKind::HeaderDuplicated
    )
}

pub(super) fn cause(space: &Space<'_>, budget: &Budget, cut: bool, left: Left, key: &str) -> Cause {
    let limit = cut.then_some("the search reached its limit before it tried every combination");
    let untried: Vec<&str> = limit.into_iter().chain(space.omitted.iter().copied()).collect();
    let none = match untried.is_empty() {
        true => "no combination fits".to_owned(),
        false => format!("no combination fits, but not all were tried: {}", untried.join("; ")),
    };
    let tried = format!(
        "tried forms of the {key} ({}: spaces, quotes, escapes, encodings), of the body ({}: line ends, JSON, forms, \
         charsets, compression), of the template ({}: order, separators, digests, timestamps) and of the algorithm \
         ({}), in all {} signatures",
        space.keys.len(),
        space.bodies.len(),
        space.contents.len(),
        space.methods.len(),
        budget.tried,
    );
    let (what, fix) = match left {
        Left::Secret => (
            match untried.is_empty() {
                true => format!("nothing else fits, so the sender probably signs with another {key}; {tried}"),
                false => format!("{none}; {tried}"),
            },
            format!(
                "compare the {key} on both sides first: it may be that of another environment, endpoint or rotation; \
                 then compare the captured body with the sent one, byte by byte"
            ),
        ),
        Left::Body => (
            format!("{none}; {tried}"),
            format!(
                "capture the raw body again, because this one probably differs from the signed one; if that does not \
                 verify either, compare the {key} on both sides"
            ),
        ),
        Left::Others => (
            format!("{none}; {tried}"),
            format!(
                "correct what is named above, and verify again; if that does not verify either, compare the {key} on \
                 both sides"
            ),
        ),
    };
    Cause::new(CauseKind::Unexplained, what, fix)
}
