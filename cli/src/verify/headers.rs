//! Headers as people and loggers write them down.

use hookwarden::headers::FieldName;
use serde_json::{Map, Value};

use super::Captured;

/// Reads headers, and the request line where there is one: lines of `Name: value`, the lines that `curl -v` puts behind
/// `>`, or JSON.
pub(super) fn parse(text: &str) -> Result<Captured, String> {
    match text.trim_start().chars().next() {
        None => Err("is empty".into()),
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
            // What curl says itself, and the answer.
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
        captured.add(line).map_err(|problem| format!("line {number} {problem}"))?;
    }
    captured.checked()
}

fn from_json(text: &str) -> Result<Captured, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        // Its own text may quote the document.
        format!("is no JSON: line {}, column {}", error.line(), error.column())
    })?;
    let mut captured = Captured::default();
    match value {
        Value::Object(mut request) if request.get("headers").is_some_and(|headers| !headers.is_string()) => {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
            captured.method = text(request.get("method"));
            captured.path = text(request.get("path").or(request.get("url"))).map(path_of);
            captured.add_all(request.remove("headers").unwrap_or_default())?;
        }
        headers => captured.add_all(headers)?,
    }
    captured.checked()
}

impl Captured {
    fn checked(self) -> Result<Self, String> {
        if self.headers.is_empty() { Err("has no headers in it".into()) } else { Ok(self) }
    }

    /// Takes a line.
    fn add(&mut self, line: &str) -> Result<(), String> {
        // HTTP/2 has the request line in headers of this form.
        let (pseudo, rest) = line.strip_prefix(':').map_or((false, line), |rest| (true, rest));
        let (name, value) = rest.split_once(':').ok_or("has no colon")?;
        let value = value.trim();
        match (pseudo, name) {
            (true, "method") => self.method = Some(value.into()),
            (true, "path") => self.path = Some(value.into()),
            (true, _) => {}
            (false, _) => self.push(name, value)?,
        }
        Ok(())
    }

    /// Takes an object or an array of headers.
    fn add_all(&mut self, headers: Value) -> Result<(), String> {
        match headers {
            Value::Object(headers) => headers.into_iter().try_for_each(|(name, value)| self.add_values(&name, value)),
            Value::Array(headers) => headers.into_iter().try_for_each(|header| match header {
                Value::Object(header) => match pair(header) {
                    Some((name, value)) => self.add_values(&name, value),
                    None => Err("has a header without a name or a value".into()),
                },
                Value::Array(pair) => match <[Value; 2]>::try_from(pair) {
                    Ok([Value::String(name), value]) => self.add_values(&name, value),
                    _ => Err("has a header that is no pair of a name and a value".into()),
                },
                _ => Err("has a header that is neither an object nor a pair".into()),
            }),
            _ => Err("has no headers in it".into()),
        }
    }

    fn add_values(&mut self, name: &str, value: Value) -> Result<(), String> {
        match value {
            Value::String(value) => self.push(name, value.trim()),
            Value::Number(number) => self.push(name, &number.to_string()),
            Value::Array(values) => values.into_iter().try_for_each(|value| match value {
                Value::Array(_) => Err(format!("has a value of {name:?} that is no text")),
                value => self.add_values(name, value),
            }),
            Value::Null | Value::Bool(_) | Value::Object(_) => Err(format!("has a value of {name:?} that is no text")),
        }
    }

    fn push(&mut self, name: &str, value: &str) -> Result<(), String> {
        FieldName::new(name).map_err(|_| "has a header name with a character that none may have")?;
        self.headers.push((name.into(), value.into()));
        Ok(())
    }
}

/// A header as the archives of browsers have it.
fn pair(mut header: Map<String, Value>) -> Option<(String, Value)> {
    match (header.remove("name")?, header.remove("value")?) {
        (Value::String(name), value) => Some((name, value)),
        _ => None,
    }
}

/// The path and query of what may be a whole URL.
fn path_of(target: String) -> String {
    let uri: Option<http::Uri> = target.parse().ok();
    uri.and_then(|uri| uri.path_and_query().map(ToString::to_string)).unwrap_or(target)
}
