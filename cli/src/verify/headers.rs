//! Parses headers in the formats of people and loggers.

use hookwarden::headers::FieldName;
use serde_json::{Map, Value};

use super::Captured;

/// [`parse`] for the bytes of a file.
pub(super) fn parse_bytes(bytes: &[u8]) -> Result<Captured, String> {
    parse(std::str::from_utf8(bytes).map_err(|_| "must be UTF-8")?)
}

/// Parses headers and an optional request line: lines of `Name: value`, the lines of `curl -v` that begin with `>`, or
/// JSON.
fn parse(text: &str) -> Result<Captured, String> {
    match text.trim_start().chars().next() {
        None => Err("must contain headers, but is empty".into()),
        Some('{' | '[') => from_json(text),
        Some(_) => from_lines(text),
    }
}

fn from_lines(text: &str) -> Result<Captured, String> {
    let mut captured = Captured::default();
    let is_curl = text.lines().any(|line| line.starts_with('>'));
    for (number, line) in (1_u32..).zip(text.lines()) {
        let line = match line.strip_prefix('>') {
            Some(sent) => sent,
            // Skip curl's own messages, and the response.
            None if is_curl => continue,
            None => line,
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..]
            && version.starts_with("HTTP/")
        {
            captured.method = Some(method.into());
            captured.path = Some(path_of(target.into()));
            continue;
        }
        captured.add(line).map_err(|problem| format!("line {number}: {problem}"))?;
    }
    captured.checked()
}

fn from_json(text: &str) -> Result<Captured, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        // The parser's message may quote the document.
        format!("must be valid JSON: error in line {}, column {}", error.line(), error.column())
    })?;
    let mut captured = Captured::default();
    match value {
        Value::Object(mut request) if request.get("headers").is_some_and(|headers| !headers.is_string()) => {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
            captured.method = text(request.get("method"));
            captured.path = text(request.get("path")).or_else(|| text(request.get("url"))).map(path_of);
            captured.add_all(request.remove("headers").unwrap_or_default())?;
        }
        headers => captured.add_all(headers)?,
    }
    captured.checked()
}

impl Captured {
    fn checked(mut self) -> Result<Self, String> {
        let same = |(name, value): &(String, Vec<u8>), host: &str| {
            name.eq_ignore_ascii_case("host") && value.eq_ignore_ascii_case(host.as_bytes())
        };
        // HTTP/1.1 has it in `Host`. Some senders write both over HTTP/2.
        if let Some(host) = self.authority.take()
            && !self.headers.iter().any(|header| same(header, &host))
        {
            self.push("Host", &host)?;
        }
        if self.headers.is_empty() { Err("must contain headers".into()) } else { Ok(self) }
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        // HTTP/2 sends the request line as pseudo-headers.
        let (pseudo, rest) = line.strip_prefix(':').map_or((false, line), |rest| (true, rest));
        let (name, value) = rest.split_once(':').ok_or("must have the form 'Name: value'")?;
        let value = value.trim();
        match (pseudo, name) {
            (true, "method") => self.method = Some(value.into()),
            (true, "path") => self.path = Some(value.into()),
            (true, "authority") => self.authority = Some(value.into()),
            (true, _) => {}
            (false, _) => self.push(name, value)?,
        }
        Ok(())
    }

    /// Adds an object or an array of headers.
    fn add_all(&mut self, headers: Value) -> Result<(), String> {
        match headers {
            Value::Object(headers) => headers.into_iter().try_for_each(|(name, value)| self.add_values(&name, value)),
            Value::Array(headers) => headers.into_iter().try_for_each(|header| match header {
                Value::Object(header) => match pair(header) {
                    Some((name, value)) => self.add_values(&name, value),
                    None => Err("must have a name and a value in each header".into()),
                },
                Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
                    Ok([Value::String(name), value]) => self.add_values(&name, value),
                    _ => Err("must have pairs of a name and a value as headers".into()),
                },
                _ => Err("must have objects or pairs as headers".into()),
            }),
            _ => Err("must contain headers".into()),
        }
    }

    fn add_values(&mut self, name: &str, value: Value) -> Result<(), String> {
        match value {
            Value::String(value) => self.push(name, value.trim()),
            Value::Number(number) => self.push(name, &number.to_string()),
            Value::Array(values) => values.into_iter().try_for_each(|value| match value {
                Value::Array(_) => Err(format!("must have text as the value of {name:?}")),
                value => self.add_values(name, value),
            }),
            Value::Null | Value::Bool(_) | Value::Object(_) => Err(format!("must have text as the value of {name:?}")),
        }
    }

    fn push(&mut self, name: &str, value: &str) -> Result<(), String> {
        FieldName::new(name).map_err(|_| "must have a valid header name")?;
        self.headers.push((name.into(), value.into()));
        Ok(())
    }
}

/// A header of an HTTP archive.
fn pair(mut header: Map<String, Value>) -> Option<(String, Value)> {
    match (header.remove("name")?, header.remove("value")?) {
        (Value::String(name), value) => Some((name, value)),
        _ => None,
    }
}

/// The path and query of a target, which may be a URL.
pub(super) fn path_of(target: String) -> String {
    let uri: Option<http::Uri> = target.parse().ok();
    uri.and_then(|uri| uri.path_and_query().map(ToString::to_string)).unwrap_or(target)
}
