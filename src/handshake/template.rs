//! The JSON of an answer, with places for the challenge and what is computed from it.

/// A JSON text with placeholders inside its strings.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Challenge,
    Mac,
    Hash,
}

impl Template {
    /// Parses a template. It is JSON before the placeholders are replaced, so they can only be in strings.
    pub(super) fn new(text: String) -> Result<Self, &'static str> {
        if serde_json::from_str::<serde_json::Value>(&text).is_err() {
            return Err("must be JSON, with placeholders such as {challenge} only inside strings");
        }
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let next = PLACEHOLDERS
                .iter()
                .filter_map(|(name, piece)| Some((rest.find(name)?, *name, piece)))
                .min_by_key(|(at, ..)| *at);
            let Some((at, name, piece)) = next else {
                pieces.push(Piece::Text(rest.to_owned()));
                break;
            };
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(piece.clone());
            rest = after.strip_prefix(name).unwrap_or_default();
        }
        Ok(Self { pieces })
    }

    /// Fills the template. `digest` is the text of the MAC or of the hash.
    pub(super) fn fill(&self, challenge: &str, digest: &str) -> String {
        let escaped = escape(challenge);
        let piece = |piece| match piece {
            &Piece::Challenge => &*escaped,
            Piece::Mac | Piece::Hash => digest,
            Piece::Text(text) => text,
        };
        self.pieces.iter().map(piece).collect()
    }

    pub(super) fn has_challenge(&self) -> bool {
        self.pieces.contains(&Piece::Challenge)
    }

    pub(super) fn has_mac(&self) -> bool {
        self.pieces.contains(&Piece::Mac)
    }

    pub(super) fn has_hash(&self) -> bool {
        self.pieces.contains(&Piece::Hash)
    }
}

/// Escapes a text for a JSON string.
fn escape(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or_default().to_owned()
}

const PLACEHOLDERS: [(&str, Piece); 3] =
    [("{challenge}", Piece::Challenge), ("{mac}", Piece::Mac), ("{hash}", Piece::Hash)];
