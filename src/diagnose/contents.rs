//! The templates that may have been signed instead of the scheme's.

mod digest;
mod stamp;
mod url;

use super::cause::{Cause, CauseKind};
use super::form::Form;
use super::head::{doubled_value, undoubled};
use super::search::Piece;
use crate::headers::{FieldName, Head, Occurrence};
use crate::scheme::{NamesIn, Scheme, SignedPart};

#[cfg(feature = "message-signatures")]
pub(super) use url::{bases, path_choices};

type Content = Vec<Piece>;

/// A part of the template with its bytes in this request.
#[derive(Clone, PartialEq)]
struct Element<'s> {
    part: &'s SignedPart,
    piece: Piece,
}

impl Element<'_> {
    const fn is_literal(&self) -> bool {
        matches!(self.part, SignedPart::Literal(_))
    }

    const fn is_body(&self) -> bool {
        self.part.is_body()
    }
}

/// Returns every content to try. The scheme's content is the first, if the head has all the parts that it needs.
pub(super) fn contents<H: Head + ?Sized>(scheme: &Scheme, head: &H) -> Vec<Form<Content>> {
    let content = |part| match digest::piece(part) {
        Some(piece) => Some(Element { part, piece }),
        None => Some(Element { part, piece: Piece::Bytes(scheme.part_content(part, head)?) }),
    };
    let elements: Vec<Element<'_>> = scheme.signed().iter().filter_map(content).collect();
    let mut contents = Contents { forms: Vec::new(), template: listed_whole(scheme.signed()) };
    if elements.len() == scheme.signed().len() {
        contents.forms.push(Form::plain(pieces(&elements)));
    } else {
        absent_parts(&mut contents, scheme, &elements);
    }
    contents.offer(vec![Piece::Body], body_only());
    digest::forms(&mut contents, &elements);
    separators(&mut contents, &elements, &[]);
    without_literals(&mut contents, &elements);
    without_parts(&mut contents, &elements);
    orders(&mut contents, &elements);
    stamp::extra(&mut contents, scheme, head);
    url::forms(&mut contents, &elements, head);
    values(&mut contents, &elements);
    empty_body(&mut contents, &elements);
    stamp::forms(&mut contents, scheme, &elements);
    contents.forms
}

struct Contents {
    forms: Vec<Form<Content>>,
    /// The scheme's template as text, with the parts that the head lacks.
    template: String,
}

impl Contents {
    fn as_the_scheme_says(&self) -> String {
        format!("on the sender, build the signed text as the scheme says: {}", self.template)
    }

    fn offer(&mut self, content: Content, cause: Cause) {
        self.offer_form(Form::with_causes(content, [cause]));
    }

    fn offer_form(&mut self, form: Form<Content>) {
        if !self.forms.iter().any(|known| known.value == form.value) {
            self.forms.push(form);
        }
    }

    /// Offers `elements` with `bytes` in place of the one at `index`.
    fn replace(
        &mut self,
        elements: &[Element<'_>],
        index: usize,
        bytes: Vec<u8>,
        causes: impl IntoIterator<Item = Cause>,
    ) {
        self.replace_piece(elements, index, Piece::Bytes(bytes), causes);
    }

    /// Offers `elements` with `piece` in place of the one at `index`.
    fn replace_piece(
        &mut self,
        elements: &[Element<'_>],
        index: usize,
        piece: Piece,
        causes: impl IntoIterator<Item = Cause>,
    ) {
        let causes: Vec<Cause> = causes.into_iter().collect();
        if causes.is_empty() {
            return;
        }
        let mut content: Content = elements.iter().map(|element| element.piece.clone()).collect();
        if let Some(place) = content.get_mut(index) {
            *place = piece;
            self.offer_form(Form::with_causes(joined(content), causes));
        }
    }
}

fn pieces(elements: &[Element<'_>]) -> Content {
    joined(elements.iter().map(|element| element.piece.clone()))
}

/// Merges neighbouring pieces of bytes, so equal contents compare equal.
fn joined(pieces: impl IntoIterator<Item = Piece>) -> Content {
    let mut out: Content = Vec::new();
    for piece in pieces {
        match (out.last_mut(), piece) {
            (_, Piece::Bytes(bytes)) if bytes.is_empty() => {}
            (Some(Piece::Bytes(before)), Piece::Bytes(bytes)) => before.extend_from_slice(&bytes),
            (_, piece) => out.push(piece),
        }
    }
    out
}

fn body_only() -> Cause {
    Cause::new(
        CauseKind::TemplateBodyAlone,
        "the sender signed only the body, and the scheme signs more",
        "on the sender, sign everything that the scheme signs; a signature over only the body, without a timestamp, \
         can be replayed forever",
    )
}

/// Offers the template without the parts that the head lacks. It is offered before templates with other differences,
/// which may have the same content.
fn absent_parts(contents: &mut Contents, scheme: &Scheme, elements: &[Element<'_>]) {
    let absent = scheme.signed().iter().filter(|part| !elements.iter().any(|element| element.part == *part));
    let cause = Cause::new(
        CauseKind::TemplatePartMissing,
        format!("the sender did not sign {}", absent.map(described).collect::<Vec<_>>().join(", ")),
        contents.as_the_scheme_says(),
    );
    contents.offer(pieces(elements), cause);
}

/// Offers the parts that are not literals, with each separator between them.
fn separators(contents: &mut Contents, elements: &[Element<'_>], before: &[Cause]) {
    let dynamic: Vec<&Element<'_>> = elements.iter().filter(|element| !element.is_literal()).collect();
    if dynamic.len() < 2 {
        return;
    }
    for (separator, name) in SEPARATORS {
        let mut content = Vec::new();
        for (index, element) in dynamic.iter().enumerate() {
            if index > 0 {
                content.push(Piece::Bytes(separator.as_bytes().to_vec()));
            }
            content.push(element.piece.clone());
        }
        let cause = Cause::new(
            CauseKind::TemplateSeparator,
            format!("the sender signed {} with {name} between them", listed(dynamic.iter().copied())),
            contents.as_the_scheme_says(),
        );
        contents.offer_form(Form::with_causes(joined(content), before.iter().cloned().chain([cause])));
    }
}

fn without_literals(contents: &mut Contents, elements: &[Element<'_>]) {
    for (index, element) in elements.iter().enumerate() {
        if let (SignedPart::Literal(text), Piece::Bytes(_)) = (element.part, &element.piece) {
            let cause = Cause::new(
                CauseKind::TemplateLiteral,
                format!("the sender left out the {text:?} that the scheme signs"),
                contents.as_the_scheme_says(),
            );
            contents.replace(elements, index, Vec::new(), [cause]);
        }
    }
}

/// Offers the template without one part, and without the separator next to it.
fn without_parts(contents: &mut Contents, elements: &[Element<'_>]) {
    for (index, element) in elements.iter().enumerate() {
        if element.is_literal() || element.is_body() {
            continue;
        }
        let cause = Cause::new(
            CauseKind::TemplatePartMissing,
            format!("the sender did not sign {}", described(element.part)),
            contents.as_the_scheme_says(),
        );
        let mut left = elements.to_vec();
        left.remove(index);
        contents.offer(pieces(&left), cause.clone());
        for neighbour in [Some(index), index.checked_sub(1)].into_iter().flatten() {
            if left.get(neighbour).is_some_and(Element::is_literal) {
                let mut left = left.clone();
                left.remove(neighbour);
                contents.offer(pieces(&left), cause.clone());
            }
        }
        separators(contents, &left, &[cause]);
    }
}

/// Offers up to three parts that are not literals in every other order, and more of them in reverse.
fn orders(contents: &mut Contents, elements: &[Element<'_>]) {
    let dynamic: Vec<Element<'_>> = elements.iter().filter(|element| !element.is_literal()).cloned().collect();
    let orders: Vec<Vec<Element<'_>>> = match dynamic.as_slice() {
        [a, b] => vec![vec![b.clone(), a.clone()]],
        [a, b, c] => [[a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]]
            .iter()
            .map(|order| order.iter().copied().cloned().collect())
            .collect(),
        [] | [_] => Vec::new(),
        more => vec![more.iter().rev().cloned().collect()],
    };
    for order in orders {
        let mut next = order.iter();
        let arranged: Vec<Element<'_>> = elements
            .iter()
            .filter_map(|element| if element.is_literal() { Some(element) } else { next.next() }.cloned())
            .collect();
        let cause = Cause::new(
            CauseKind::TemplateOrder,
            format!(
                "the sender signed in another order: {}",
                listed_whole(arranged.iter().map(|element| element.part))
            ),
            contents.as_the_scheme_says(),
        );
        contents.offer(pieces(&arranged), cause.clone());
        separators(contents, &arranged, &[cause]);
    }
}

/// Offers signed headers with other values.
fn values(contents: &mut Contents, elements: &[Element<'_>]) {
    for (index, element) in elements.iter().enumerate() {
        let (SignedPart::Header(name), Piece::Bytes(value)) = (element.part, &element.piece) else { continue };
        if let Some(single) = undoubled(value) {
            contents.replace(elements, index, single, [doubled_value(name)]);
        }
        let lower = value.to_ascii_lowercase();
        for (other, how) in [(lower, "in lower case"), (value.to_ascii_uppercase(), "in upper case")] {
            let cause = Cause::new(
                CauseKind::HeaderValueDiffers,
                format!("the sender signed {} {how}", name.as_str()),
                "on the sender, sign the header's value exactly as it is sent",
            );
            contents.replace(elements, index, other, [cause.at_header(name.as_str())]);
        }
    }
}

fn empty_body(contents: &mut Contents, elements: &[Element<'_>]) {
    let cause = || {
        Cause::new(
            CauseKind::BodyNotSigned,
            "the sender signed an empty body",
            "on the sender, sign the bytes that are sent: it probably signs before the body is set, or after the body \
             was read",
        )
    };
    let rest = elements.iter().filter(|element| !element.is_body()).map(|element| element.piece.clone());
    contents.offer(joined(rest), cause());
    contents.offer(Vec::new(), cause());
}

/// The value of a header that occurs once.
fn header_value<'h, H: Head + ?Sized>(head: &'h H, name: &str) -> Option<&'h [u8]> {
    match head.header(&FieldName::new(name).ok()?) {
        Occurrence::Once(value) => Some(value),
        Occurrence::Absent | Occurrence::Repeated => None,
    }
}

fn described(part: &SignedPart) -> String {
    match part {
        SignedPart::Literal(text) => format!("{text:?}"),
        SignedPart::Timestamp => "timestamp".to_owned(),
        SignedPart::Body => "body".to_owned(),
        SignedPart::BodyDigest { .. } => "digest of the body".to_owned(),
        SignedPart::Method => "method".to_owned(),
        SignedPart::Path => "path".to_owned(),
        SignedPart::Header(name) => name.as_str().to_owned(),
        SignedPart::Field(key) => format!("field {key}"),
        SignedPart::Url { .. } => "URL".to_owned(),
        SignedPart::ListedHeaders(listed) => match &listed.names_in {
            NamesIn::Header(name) => format!("the headers that {} lists", name.as_str()),
            NamesIn::Field(key) => format!("the headers that the field {key} lists"),
        },
    }
}

fn listed<'e, 's: 'e>(elements: impl Iterator<Item = &'e Element<'s>>) -> String {
    elements.map(|element| described(element.part)).collect::<Vec<_>>().join(", ")
}

/// Describes a template: `timestamp "." body`.
fn listed_whole<'p>(parts: impl IntoIterator<Item = &'p SignedPart>) -> String {
    parts.into_iter().map(described).collect::<Vec<_>>().join(" ")
}

/// The separators of senders, with their names.
const SEPARATORS: [(&str, &str); 16] = [
    ("", "nothing"),
    (".", "a dot"),
    (":", "a colon"),
    ("\n", "a line feed"),
    ("|", "a vertical bar"),
    (",", "a comma"),
    ("-", "a hyphen"),
    (" ", "a space"),
    ("_", "an underscore"),
    (";", "a semicolon"),
    ("/", "a slash"),
    ("&", "an ampersand"),
    ("+", "a plus sign"),
    ("=", "an equals sign"),
    ("\r\n", "CRLF"),
    ("\\n", "a backslash and an n"),
];
