//! Parses a raw HTTP/1.x request.

use httparse::{EMPTY_HEADER, Request, Status, parse_chunk_size};

use super::Captured;
use super::headers::path_of;

/// Parses a request. Lines may end in LF only, as in pasted text. The body has the length of `Content-Length`, is
/// joined from its chunks, or continues to the end.
pub(crate) fn parse(message: &[u8]) -> Result<Captured, String> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    let size = match request.parse(message) {
        Ok(Status::Complete(size)) => size,
        Ok(Status::Partial) => return Err("must have an empty line after the headers".into()),
        Err(httparse::Error::TooManyHeaders) => return Err(format!("must have at most {MAX_HEADERS} headers")),
        Err(error) => {
            return Err(format!(
                "must be an HTTP/1.x request ({error}); for headers without a request line, use --headers and --body"
            ));
        }
    };
    let path = Some(path_of(request.path.unwrap_or_default().into()));
    let headers: Vec<_> =
        request.headers.iter().map(|header| (header.name.to_owned(), header.value.trim_ascii().to_vec())).collect();
    let body = body(&headers, message.get(size..).unwrap_or_default());
    Ok(Captured { method: request.method.map(Into::into), path, authority: None, headers, body })
}

fn body(headers: &[(String, Vec<u8>)], rest: &[u8]) -> Vec<u8> {
    let value = |wanted: &str| {
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        header.and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    if value("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked")) {
        // Many loggers keep this header but join the chunks.
        return unchunked(rest).unwrap_or_else(|| rest.to_vec());
    }
    let length = value("content-length").and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
    rest.get(..length).unwrap_or(rest).to_vec()
}

/// The data of the chunks of `rest`, or `None` if `rest` is not chunked.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(Status::Complete((start, size))) = parse_chunk_size(rest) else { return None };
        let size = usize::try_from(size).ok()?;
        let data = rest.get(start..)?;
        if size == 0 {
            return Some(body);
        }
        let (chunk, end) = data.split_at_checked(size)?;
        body.extend_from_slice(chunk);
        rest = end.strip_prefix(b"\r\n")?;
    }
}

/// The maximum number of headers.
const MAX_HEADERS: usize = 256;
