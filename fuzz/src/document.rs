//! Changes to a scheme's document that leave most of it one: a mutation of single bytes seldom does.

/// `text` with one value put in, put in another's place or taken out, as `seed` says.
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
            // In the place of the same setting, since one that comes twice is no document.
            let setting = LINES[choice.below(LINES.len())];
            let key = setting.split_inclusive('=').next().unwrap_or_default();
            let others: Vec<&str> = text.lines().filter(|line| !line.starts_with(key)).collect();
            format!("{}\n{setting}\n", others.join("\n"))
        }
    }
}

/// The places of what stands between brackets, commas, equals signs and the ends of lines.
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

/// Small numbers from a seed.
struct Choice(u64);

impl Choice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }
}

/// Values of the settings.
const WORDS: [&str; 26] = [
    "\"body\"",
    "\"timestamp\"",
    "\"method\"",
    "\"path\"",
    "{ literal = \".\" }",
    "{ header = \"X-Sig\" }",
    "{ header = \"X-Time\" }",
    "{ field = \"t\" }",
    "{ field = \"v1\" }",
    "{ url = { base = \"https://a\", decode = \"?\" } }",
    "{ listed_headers = { names_in = { header = \"X-Time\" }, separator = \",\", pair = \"value\", join = \"\" } }",
    "{ listed_headers = { names_in = { field = \"h\" }, separator = \" \", pair = \"name:value\", join = \";\", require = [\"X-Time\"] } }",
    "\"X-Sig\"",
    "\"x-sig\"",
    "\"X-Time\"",
    "\"hmac-sha1\"",
    "\"hmac-sha512\"",
    "\"base64\"",
    "\"whsec\"",
    "\"rfc3339\"",
    "\"milliseconds\"",
    "\"\"",
    "\",\"",
    "\"t\"",
    "0",
    "86400",
];

/// Settings.
const LINES: [&str; 10] = [
    "name = \"drawn\"",
    "signature_headers = [\"X-Sig\"]",
    "signed = [\"timestamp\", { literal = \".\" }, \"body\"]",
    "layout = { plain = { prefix = \"v1=\" } }",
    "layout = { list = { separator = \" \", prefix = \"v1,\" } }",
    "layout = { fields = { separator = \",\", signature = \"v1\" } }",
    "timestamp = { header = \"X-Time\", format = \"seconds\" }",
    "timestamp = { field = \"t\", format = \"seconds\" }",
    "encoding = \"base64\"",
    "tolerance = 1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_of_a_document_often_load_and_none_panics() {
        let text = "name = \"a\"\nsignature_headers = [\"X-Sig\"]\nsigned = [\"body\"]\n";
        let documents = (0..1_000).map(|seed| mutate(text, seed));
        let loaded = documents.filter(|text| toml::from_str::<hookwarden::Scheme>(text).is_ok()).count();
        assert!((100..900).contains(&loaded), "{loaded}");
        for text in ["", "=", "é", "[é]é,é", "\n"] {
            (0..100).for_each(|seed| drop(mutate(text, seed)));
        }
    }
}
