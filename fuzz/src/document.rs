//! Mutations of a scheme document that often keep it valid. Mutations of single bytes rarely do.

/// Returns `text` with one value inserted, replaced or removed, depending on `seed`.
pub fn mutate(text: &str, seed: u32) -> String {
    let mut choice = Choice(u64::from(seed) | 1);
    let values = values(text);
    let own = |choice: &mut Choice| values.get(choice.below(values.len())).map(|&(from, to)| &text[from..to]);
    let word = match choice.below(3) {
        0 => own(&mut choice).unwrap_or("1"),
        _ => WORDS[choice.below(WORDS.len())],
    };
    let Some(&(from, to)) = values.get(choice.below(values.len())) else { return format!("{text}{word}\n") };
    let (before, value, after) = (&text[..from], &text[from..to], &text[to..]);
    match choice.below(5) {
        0 => format!("{before}{word}{after}"),
        1 => format!("{before}{value}, {word}{after}"),
        2 => format!("{before}{word}, {value}{after}"),
        3 => format!("{before}{after}"),
        _ => {
            // Replace the same setting, because a document with a repeated setting is invalid.
            let setting = LINES[choice.below(LINES.len())];
            let key = setting.split_inclusive('=').next().unwrap_or_default();
            let others: Vec<&str> = text.lines().filter(|line| !line.starts_with(key)).collect();
            format!("{}\n{setting}\n", others.join("\n"))
        }
    }
}

/// Returns the ranges of the values between brackets, commas, equals signs and the ends of lines.
fn values(text: &str) -> Vec<(usize, usize)> {
    let mut values = Vec::new();
    let mut from = 0;
    for (at, character) in text.char_indices().chain([(text.len(), '\n')]) {
        if "[]{},=\n".contains(character) {
            let value = text[from..at].trim();
            if !value.is_empty() {
                let start = from + text[from..at].find(value).unwrap_or_default();
                values.push((start, start + value.len()));
            }
            from = at + character.len_utf8().min(text.len() - at);
        }
    }
    values
}

/// A generator of small numbers from a seed.
struct Choice(u64);

impl Choice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }
}

/// Values of the settings.
const WORDS: [&str; 31] = [
    "\"body\"",
    "\"timestamp\"",
    "{ body_digest = { hash = \"sha256\", encoding = \"hex\" } }",
    "{ body_digest = { hash = \"sha512\", encoding = \"base64\" } }",
    "\"method\"",
    "\"path\"",
    "{ literal = \".\" }",
    "{ header = \"X-Sig\" }",
    "{ header = \"X-Time\" }",
    "{ field = \"t\" }",
    "{ field = \"v1\" }",
    "{ url = { base = \"https://a\", decode = \"?\" } }",
    "{ listed_headers = { names_in = { header = \"X-Time\" }, separator = \",\", pair = \"value\", join = \"\" } }",
    "{ listed_headers = { names_in = { field = \"h\" }, separator = \" \", pair = \"name:value\", join = \";\", \
     require = [\"X-Time\"] } }",
    "\"X-Sig\"",
    "\"x-sig\"",
    "\"X-Time\"",
    "\"hmac-sha1\"",
    "\"hmac-sha512\"",
    "\"base64\"",
    "\"base64url\"",
    "\"base64url_unpadded\"",
    "\"whsec\"",
    "\"rfc3339\"",
    "\"http_date\"",
    "\"milliseconds\"",
    "\"\"",
    "\",\"",
    "\"t\"",
    "0",
    "86400",
];

/// Settings.
const LINES: [&str; 16] = [
    "name = \"drawn\"",
    "signature_headers = [\"X-Sig\"]",
    "signed = [\"timestamp\", { literal = \".\" }, \"body\"]",
    "layout = { plain = { prefix = \"v1=\" } }",
    "layout = { plain = { prefix = \"HMAC \" } }",
    "layout = { list = { separator = \" \", prefix = \"v1,\" } }",
    "layout = { fields = { separator = \",\", signature = \"v1\" } }",
    "layout = { field_groups = { group_separator = \" \", separator = \",\", signature = \"v1\" } }",
    "layout = { positional = { separator = \",\", fields = [\"t\"] } }",
    "timestamp = { header = \"X-Time\", format = \"seconds\" }",
    "timestamp = { field = \"t\", format = \"seconds\" }",
    "encoding = \"base64\"",
    "tolerance = 1",
    "max_signatures = 128",
    "repeated_signature_headers = true",
    "danger_ambiguous_content = true",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_often_load_and_never_panic() {
        let text = "name = \"a\"\nsignature_headers = [\"X-Sig\"]\nsigned = [\"body\"]\n";
        let documents = (0..1_000).map(|seed| mutate(text, seed));
        let loaded = documents.filter(|text| toml::from_str::<hookwarden::Scheme>(text).is_ok()).count();
        assert!((100..900).contains(&loaded), "{loaded}");
        for text in ["", "=", "é", "[é]é,é", "\n"] {
            (0..100).for_each(|seed| drop(mutate(text, seed)));
        }
    }
}
