//! A request in plain parts.

use hookwarden::headers::{Head, RequestHead};

/// A request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method and the path, if the head has them.
    pub line: Option<(String, String)>,
    /// The headers in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Calls `use_head` with the head as the crate takes it.
    pub fn with_head<R>(&self, use_head: impl FnOnce(&dyn Head) -> R) -> R {
        match &self.line {
            Some((method, path)) => use_head(&RequestHead::new(method, path, &self.headers)),
            None => use_head(&self.headers),
        }
    }

    /// The head in the types of the crate `http`, if it has a form in them that changes none of it.
    pub fn to_http(&self) -> Option<http::Request<()>> {
        let (method, path) = self.line.as_ref()?;
        let mut request = http::Request::builder().method(method.as_str()).uri(path.as_str());
        for (name, value) in &self.headers {
            request = request.header(name.as_str(), value.as_slice());
        }
        let request = request.body(()).ok()?;
        (request.uri().path_and_query()?.as_str() == path).then_some(request)
    }

    /// All values of the header `name`.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let mut values = Vec::new();
        for (key, value) in &self.headers {
            if key.eq_ignore_ascii_case(name) {
                values.push(value.as_slice());
            }
        }
        values
    }

    /// The value of the header `name`, if there is exactly one.
    pub fn single(&self, name: &str) -> Option<&[u8]> {
        match self.values(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// Sets the header `name` in the place of all others of the name.
    pub fn set(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.into()));
    }
}
