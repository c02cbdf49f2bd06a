//! A simple parser and serializer of structured fields (RFC 9651). The crate uses another one.

use crate::oracle::text::{base64, from_base64, from_base64url_unpadded, from_hex};

/// A bare item.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum Bare {
    Boolean(bool),
    Integer(i64),
    /// In thousandths.
    Decimal(i64),
    String(String),
    Token(String),
    Bytes(Vec<u8>),
    Date(i64),
    Display(String),
}

/// Parameters in their order.
pub type Parameters = Vec<(String, Bare)>;

/// An item with its parameters.
pub type Item = (Bare, Parameters);

/// A member of a list or a dictionary.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the RFC")]
pub enum Member {
    Item(Item),
    InnerList(Vec<Item>, Parameters),
}

/// The encodings of byte sequences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sequences {
    /// Base64, as in the RFC.
    Base64,
    /// Base64url without padding. What can be base64 is read as a false boolean.
    Base64Url,
    /// Both.
    Either,
}

/// Parses a dictionary. Keys that occur twice are kept.
pub fn dictionary(text: &str) -> Option<Vec<(String, Member)>> {
    dictionary_of(Sequences::Base64, text)
}

/// Parses a dictionary with byte sequences in these encodings.
pub fn dictionary_of(sequences: Sequences, text: &str) -> Option<Vec<(String, Member)>> {
    all_of(sequences, text, |reader| reader.separated(Reader::entry))
}

/// Parses a list.
pub fn list(text: &str) -> Option<Vec<Member>> {
    all(text, |reader| reader.separated(Reader::member))
}

/// Parses an item.
pub fn item(text: &str) -> Option<Item> {
    all(text, Reader::item)
}

/// Whether a key occurs twice in the dictionary or in any parameters, or there are more than 64 members, items or
/// parameters. The crate refuses both.
pub fn is_excessive<'m>(keys: &[&str], members: impl IntoIterator<Item = &'m Member>) -> bool {
    let mut of_members = members.into_iter();
    let is_too_many = |keys: &[&str]| keys.len() > 64 || (1..keys.len()).any(|at| keys[..at].contains(&keys[at]));
    let of_parameters =
        |parameters: &Parameters| is_too_many(&parameters.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>());
    let mut count = 0;
    let is_member_excessive = of_members.any(|member| {
        count += 1;
        match member {
            Member::Item((_, parameters)) => of_parameters(parameters),
            Member::InnerList(items, parameters) => {
                items.len() > 64
                    || of_parameters(parameters)
                    || items.iter().any(|(_, parameters)| of_parameters(parameters))
            }
        }
    });
    is_member_excessive || count > 64 || is_too_many(keys)
}

/// [`is_excessive`] for a dictionary.
pub fn is_dictionary_excessive(dictionary: &[(String, Member)]) -> bool {
    let keys: Vec<&str> = dictionary.iter().map(|(key, _)| key.as_str()).collect();
    is_excessive(&keys, dictionary.iter().map(|(_, member)| member))
}

/// Serializes a dictionary.
pub fn write_dictionary(dictionary: &[(String, Member)]) -> String {
    let write = |(key, member): &(String, Member)| match member {
        Member::Item((Bare::Boolean(true), parameters)) => format!("{key}{}", write_parameters(parameters)),
        member => format!("{key}={}", write_member(member)),
    };
    dictionary.iter().map(write).collect::<Vec<_>>().join(", ")
}

/// Serializes a list.
pub fn write_list(list: &[Member]) -> String {
    list.iter().map(write_member).collect::<Vec<_>>().join(", ")
}

/// Serializes a member.
pub fn write_member(member: &Member) -> String {
    match member {
        Member::Item(item) => write_item(item),
        Member::InnerList(items, parameters) => {
            let items: Vec<String> = items.iter().map(write_item).collect();
            format!("({}){}", items.join(" "), write_parameters(parameters))
        }
    }
}

/// Serializes an item.
pub fn write_item((bare, parameters): &Item) -> String {
    format!("{}{}", write_bare(bare), write_parameters(parameters))
}

/// Serializes a bare item.
pub fn write_bare(bare: &Bare) -> String {
    match bare {
        Bare::Boolean(value) => format!("?{}", u8::from(*value)),
        Bare::Integer(value) => value.to_string(),
        Bare::Decimal(thousandths) => {
            let sign = if *thousandths < 0 { "-" } else { "" };
            let fraction = format!("{:03}", thousandths.abs() % 1_000);
            let fraction = fraction.trim_end_matches('0');
            format!("{sign}{}.{}", thousandths.abs() / 1_000, if fraction.is_empty() { "0" } else { fraction })
        }
        Bare::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        Bare::Token(text) => text.clone(),
        Bare::Bytes(bytes) => format!(":{}:", base64(bytes)),
        Bare::Date(seconds) => format!("@{seconds}"),
        Bare::Display(text) => {
            let write = |byte: u8| match byte {
                b'%' | b'"' | 0..=0x1f | 0x7f.. => format!("%{byte:02x}"),
                byte => char::from(byte).to_string(),
            };
            format!("%\"{}\"", text.bytes().map(write).collect::<String>())
        }
    }
}

/// Serializes parameters.
pub fn write_parameters(parameters: &Parameters) -> String {
    let write = |(key, value): &(String, Bare)| match value {
        Bare::Boolean(true) => format!(";{key}"),
        value => format!(";{key}={}", write_bare(value)),
    };
    parameters.iter().map(write).collect()
}

fn all<'t, T>(text: &'t str, read: impl FnOnce(&mut Reader<'t>) -> Option<T>) -> Option<T> {
    all_of(Sequences::Base64, text, read)
}

fn all_of<'t, T>(sequences: Sequences, text: &'t str, read: impl FnOnce(&mut Reader<'t>) -> Option<T>) -> Option<T> {
    let mut reader = Reader(text.trim_matches(' '), sequences);
    let value = read(&mut reader)?;
    reader.0.is_empty().then_some(value)
}

/// The rest of a text.
struct Reader<'t>(&'t str, Sequences);

impl<'t> Reader<'t> {
    fn eat(&mut self, wanted: char) -> bool {
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.0.chars().next()?;
        self.0 = &self.0[next.len_utf8()..];
        Some(next)
    }

    fn take(&mut self, is_wanted: impl Fn(char) -> bool) -> &'t str {
        let (taken, rest) = self.0.split_at(self.0.find(|next| !is_wanted(next)).unwrap_or(self.0.len()));
        self.0 = rest;
        taken
    }

    fn separated<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut values = Vec::new();
        if self.0.is_empty() {
            return Some(values);
        }
        loop {
            values.push(read(self)?);
            self.take(|next| next == ' ' || next == '\t');
            if !self.eat(',') {
                return Some(values);
            }
            self.take(|next| next == ' ' || next == '\t');
            if self.0.is_empty() {
                return None;
            }
        }
    }

    fn entry(&mut self) -> Option<(String, Member)> {
        let key = self.key()?;
        let member = match self.eat('=') {
            true => self.member()?,
            false => Member::Item((Bare::Boolean(true), self.parameters()?)),
        };
        Some((key, member))
    }

    fn member(&mut self) -> Option<Member> {
        if !self.eat('(') {
            return self.item().map(Member::Item);
        }
        let mut items = Vec::new();
        loop {
            self.take(|next| next == ' ');
            if self.eat(')') {
                return Some(Member::InnerList(items, self.parameters()?));
            }
            items.push(self.item()?);
            if !self.0.starts_with([' ', ')']) {
                return None;
            }
        }
    }

    fn item(&mut self) -> Option<Item> {
        Some((self.bare()?, self.parameters()?))
    }

    fn parameters(&mut self) -> Option<Parameters> {
        let mut parameters = Vec::new();
        while self.eat(';') {
            self.take(|next| next == ' ');
            let key = self.key()?;
            parameters.push((key, if self.eat('=') { self.bare()? } else { Bare::Boolean(true) }));
        }
        Some(parameters)
    }

    fn key(&mut self) -> Option<String> {
        let is_start = self.0.starts_with(|next: char| next.is_ascii_lowercase() || next == '*');
        let is_inner = |next: char| next.is_ascii_lowercase() || next.is_ascii_digit() || "_-.*".contains(next);
        is_start.then(|| self.take(is_inner).to_owned())
    }

    fn bare(&mut self) -> Option<Bare> {
        match self.0.chars().next()? {
            '?' => {
                self.next();
                match self.next()? {
                    '0' => Some(Bare::Boolean(false)),
                    '1' => Some(Bare::Boolean(true)),
                    _ => None,
                }
            }
            '"' => self.string().map(Bare::String),
            ':' => {
                self.next();
                let (text, rest) = self.0.split_once(':')?;
                self.0 = rest;
                let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
                match (self.1, from_base64url_unpadded(text)) {
                    (Sequences::Base64Url | Sequences::Either, Some(bytes)) => Some(Bare::Bytes(bytes)),
                    (Sequences::Base64Url, None) => text.bytes().all(is_base64).then_some(Bare::Boolean(false)),
                    (Sequences::Base64 | Sequences::Either, _) => bytes(text).map(Bare::Bytes),
                }
            }
            '@' => {
                self.next();
                match self.number()? {
                    Bare::Integer(seconds) => Some(Bare::Date(seconds)),
                    _ => None,
                }
            }
            '%' => self.display().map(Bare::Display),
            '-' | '0'..='9' => self.number(),
            start if start.is_ascii_alphabetic() || start == '*' => {
                let is_inner = |next: char| next.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~:/".contains(next);
                Some(Bare::Token(self.take(is_inner).to_owned()))
            }
            _ => None,
        }
    }

    fn number(&mut self) -> Option<Bare> {
        let sign = if self.eat('-') { -1 } else { 1 };
        let whole = self.take(|next| next.is_ascii_digit());
        if !self.eat('.') {
            return (whole.len() <= 15).then(|| whole.parse::<i64>().ok()).flatten().map(|n| Bare::Integer(sign * n));
        }
        let fraction = self.take(|next| next.is_ascii_digit());
        if whole.len() > 12 || !(1..=3).contains(&fraction.len()) {
            return None;
        }
        let thousandths: i64 = format!("{fraction:0<3}").parse().ok()?;
        Some(Bare::Decimal(sign * (whole.parse::<i64>().ok()? * 1_000 + thousandths)))
    }

    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        self.next();
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.next().filter(|next| "\"\\".contains(*next))?),
                next @ ' '..='~' => text.push(next),
                _ => return None,
            }
        }
    }

    fn display(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        self.next();
        if !self.eat('"') {
            return None;
        }
        loop {
            match self.next()? {
                '"' => return String::from_utf8(bytes).ok(),
                '%' => {
                    let (digits, rest) = self.0.split_at_checked(2)?;
                    if digits.contains(|digit: char| digit.is_ascii_uppercase()) {
                        return None;
                    }
                    bytes.extend(from_hex(digits)?);
                    self.0 = rest;
                }
                next @ ' '..='~' => bytes.extend(u8::try_from(next)),
                _ => return None,
            }
        }
    }
}

/// Decodes base64 with or without padding, and with any bits after the last byte.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let symbols = text.trim_end_matches('=');
    let (over, padding) = (symbols.len() % 4, text.len() - symbols.len());
    let is_padded = padding == 0 || (over >= 2 && over + padding <= 4);
    (over != 1 && is_padded).then(|| from_base64(symbols)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_in_the_rfc() {
        let text =
            " a=?0, b,\tc; foo=bar ,rating=1.50,  fruits=( apple \"p\\\"\" ), d=-0.0, e=:AA:, f=@-1, g=%\"%c3%bc\"";
        let written = "a=?0, b, c;foo=bar, rating=1.5, fruits=(apple \"p\\\"\"), d=0.0, e=:AA==:, f=@-1, g=%\"%c3%bc\"";
        assert_eq!(write_dictionary(&dictionary(text).unwrap()), written);
        assert_eq!(write_list(&list("1;a, (2 3);b=?1, *x/y").unwrap()), "1;a, (2 3);b, *x/y");
        assert_eq!(write_item(&item("0012.340;q=-1").unwrap()), "12.34;q=-1");
    }

    #[test]
    fn malformed_fields_are_refused() {
        for text in ["a,", "a=", "A=1", "a=1 b", "a=(1 2", "a=(1\"x\")", "a=\"é\"", "a=:A:", "a=%\"%C3%BC\""] {
            assert_eq!(dictionary(text), None, "{text}");
        }
        for text in ["1234567890123456", "1234567890123.1", "1.", "1.1234", "-", "?2", "@1.5", "\"\\x\"", ""] {
            assert_eq!(item(text), None, "{text}");
        }
        let keys = dictionary("a, b, a").unwrap();
        assert!(is_dictionary_excessive(&keys) && !is_dictionary_excessive(&keys[1..]));
        assert!(is_dictionary_excessive(&dictionary("a;x;x").unwrap()));
    }
}
