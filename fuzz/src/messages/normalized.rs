//! Normalized paths and hosts, simply.

/// Returns a path without dot segments, and with only the escapes that it needs, in upper case.
pub fn path(path: &str) -> String {
    unescaped(&without_dot_segments(path))
}

/// Follows the steps of RFC 3986 section 5.2.4 for a path that starts with a slash.
fn without_dot_segments(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        let drop_last = |output: &mut String| output.truncate(output.rfind('/').unwrap_or(0));
        if input.starts_with("/./") {
            input = input[2..].to_owned();
        } else if input == "/." {
            input = "/".to_owned();
        } else if input.starts_with("/../") {
            input = input[3..].to_owned();
            drop_last(&mut output);
        } else if input == "/.." {
            input = "/".to_owned();
            drop_last(&mut output);
        } else {
            let start = input.chars().next().map_or(0, char::len_utf8);
            let end = input[start..].find('/').map_or(input.len(), |at| at + start);
            output.push_str(&input[..end]);
            input = input[end..].to_owned();
        }
    }
    output
}

fn unescaped(path: &str) -> String {
    let characters: Vec<char> = path.chars().collect();
    let mut text = String::new();
    let mut at = 0;
    while at < characters.len() {
        let digit = |place: usize| characters.get(place).and_then(|digit| digit.to_digit(16));
        match (characters[at], digit(at + 1), digit(at + 2)) {
            ('%', Some(high), Some(low)) => {
                let byte = u8::try_from(high * 16 + low).expect("two digits");
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(byte.into()),
                    _ => text.push_str(&format!("%{byte:02X}")),
                }
                at += 3;
            }
            (character, _, _) => {
                text.push(character);
                at += 1;
            }
        }
    }
    text
}

/// Returns `host` or `host:port` in lower case, without the default port of the scheme and a dot at the end of the name.
pub fn host(scheme: &str, host: &str) -> String {
    let host = host.to_ascii_lowercase();
    let default = if scheme == "https" { ":443" } else { ":80" };
    let host = host.strip_suffix(default).unwrap_or(&host);
    let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
    format!("{}{port}", name.strip_suffix('.').unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized_as_in_the_rfcs() {
        let paths =
            [("/a/b/c/./../../g", "/a/g"), ("/a//../b", "/a/b"), ("/../a/..", "/"), ("/%7e/%2f%41%2e", "/~/%2FA.")];
        for (received, expected) in paths {
            assert_eq!(path(received), expected);
        }
        assert_eq!(host("https", "Hooks.Example.com.:443"), "hooks.example.com");
        assert_eq!(host("http", "a.example.:443"), "a.example:443");
    }
}
