//! [`Head`] for the types of the `http` crate.

use http::header::{HeaderMap, HeaderValue};
use http::request::{Parts, Request};

use super::{FieldName, Head, Occurrence};

impl Head for HeaderMap {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        Occurrence::from_values(values(self, name))
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        values(self, name).nth(index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.iter().for_each(|(name, value)| each(name.as_str(), value.as_bytes()));
    }
}

fn values<'m>(map: &'m HeaderMap, name: &FieldName) -> impl Iterator<Item = &'m [u8]> + use<'m> {
    let values = match &name.http {
        Some(name) => map.get_all(name),
        None => map.get_all(name.as_str()),
    };
    values.iter().map(HeaderValue::as_bytes)
}

impl Head for Parts {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.headers.header(name)
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        self.headers.nth_value(name, index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.headers.for_each_header(each);
    }

    fn method(&self) -> Option<&str> {
        Some(self.method.as_str())
    }

    fn path(&self) -> Option<&str> {
        self.uri.path_and_query().map(http::uri::PathAndQuery::as_str)
    }

    fn authority(&self) -> Option<&str> {
        self.uri.authority().map(http::uri::Authority::as_str)
    }
}

impl<B> Head for Request<B> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.headers().header(name)
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        self.headers().nth_value(name, index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.headers().for_each_header(each);
    }

    fn method(&self) -> Option<&str> {
        Some(self.method().as_str())
    }

    fn path(&self) -> Option<&str> {
        self.uri().path_and_query().map(http::uri::PathAndQuery::as_str)
    }

    fn authority(&self) -> Option<&str> {
        self.uri().authority().map(http::uri::Authority::as_str)
    }
}
