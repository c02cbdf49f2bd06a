//! A request as it went over the wire, in HTTP/1.x.

use http::Uri;
use httparse::{EMPTY_HEADER, Request, Status, parse_chunk_size};

use super::Captured;

/// Reads a request. Lines may end in LF alone, since people paste; the body is as long as `Content-Length` says, is put
/// together from its chunks, or goes on to the end.
pub(super) fn parse(message: &[u8]) -> Result<Captured, String> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    let size = match request.parse(message) {
        Ok(Status::Complete(size)) => size,
        Ok(Status::Partial) => return Err("ends before the empty line behind its headers".into()),
        Err(httparse::Error::TooManyHeaders) => return Err(format!("has more than {MAX_HEADERS} headers")),
        Err(error) => {
            return Err(format!("is no HTTP/1.x request ({error}); headers without a request line go to --headers"));
        }
    };
    let target = request.path.unwrap_or_default();
    let path = target.parse::<Uri>().ok().and_then(|uri| uri.path_and_query().map(ToString::to_string));
    let headers: Vec<_> =
        request.headers.iter().map(|header| (header.name.to_owned(), header.value.trim_ascii().to_vec())).collect();
    let body = body(&headers, message.get(size..).unwrap_or_default());
    Ok(Captured { method: request.method.map(Into::into), path: path.or(Some(target.into())), headers, body })
}

fn body(headers: &[(String, Vec<u8>)], rest: &[u8]) -> Vec<u8> {
    let value = |wanted: &str| {
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        header.and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    if value("transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().ends_with("chunked")) {
        // Who writes requests down often keeps that header and drops what it is about.
        return unchunked(rest).unwrap_or_else(|| rest.to_vec());
    }
    let length = value("content-length").and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
    rest.get(..length).unwrap_or(rest).to_vec()
}

/// The data of the chunks of `rest`, or `None` if those are none.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let Ok(Status::Complete((start, size))) = parse_chunk_size(rest) else { return None };
        let size = usize::try_from(size).ok()?;
        let data = rest.get(start..)?;
        if size == 0 {
            return Some(body);
        }
        let (chunk, behind) = data.split_at_checked(size)?;
        body.extend_from_slice(chunk);
        rest = behind.strip_prefix(b"\r\n")?;
    }
}

/// The most headers that a request may have.
const MAX_HEADERS: usize = 256;
