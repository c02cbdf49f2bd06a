//! The types of the `http` crate as heads.

use http::header::{HeaderMap, HeaderValue};
use http::request::{Parts, Request};

use super::{FieldName, Head, Occurrence};

impl Head for HeaderMap {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        let values = match &name.http {
            Some(name) => self.get_all(name),
            None => self.get_all(name.as_str()),
        };
        Occurrence::from_values(values.iter().map(HeaderValue::as_bytes))
    }
}

impl Head for Parts {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.headers.header(name)
    }

    fn method(&self) -> Option<&str> {
        Some(self.method.as_str())
    }

    fn path(&self) -> Option<&str> {
        self.uri.path_and_query().map(http::uri::PathAndQuery::as_str)
    }
}

impl<B> Head for Request<B> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.headers().header(name)
    }

    fn method(&self) -> Option<&str> {
        Some(self.method().as_str())
    }

    fn path(&self) -> Option<&str> {
        self.uri().path_and_query().map(http::uri::PathAndQuery::as_str)
    }
}
