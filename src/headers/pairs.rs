//! [`Head`] for pairs and maps of names and values.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
#[cfg(feature = "std")]
use std::collections::HashMap;

use super::{FieldName, Head, Occurrence};

impl<N: AsRef<str>, V: AsRef<[u8]>> Head for [(N, V)] {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        Occurrence::from_values(values(name, self.iter().map(|(key, value)| (key, value))))
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        values(name, self.iter().map(|(key, value)| (key, value))).nth(index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.iter().for_each(|(name, value)| each(name.as_ref(), value.as_ref()));
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const L: usize> Head for [(N, V); L] {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.as_slice().header(name)
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        self.as_slice().nth_value(name, index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.as_slice().for_each_header(each);
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Head for Vec<(N, V)> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.as_slice().header(name)
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        self.as_slice().nth_value(name, index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.as_slice().for_each_header(each);
    }
}

/// A map does not show that a header was sent twice if the code that filled it kept only one of the values. Two keys
/// that differ only in case are a repeated header.
impl<N: AsRef<str>, V: AsRef<[u8]>> Head for BTreeMap<N, V> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        Occurrence::from_values(values(name, self.iter()))
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        values(name, self.iter()).nth(index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.iter().for_each(|(name, value)| each(name.as_ref(), value.as_ref()));
    }
}

/// An example is the headers of an AWS Lambda event, a `HashMap<String, String>`.
///
/// A map does not show that a header was sent twice if the code that filled it kept only one of the values. Two keys
/// that differ only in case are a repeated header.
///
/// ```
/// use std::collections::HashMap;
///
/// use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
///
/// let scheme = Scheme::timestamped();
/// let keys = Keyring::new(scheme.secret("a-subscription-secret")?);
/// let headers: HashMap<String, String> = HashMap::from([
///     ("x-webhook-timestamp".into(), "1800000000".into()),
///     ("x-webhook-signature".into(), "d17d66b66fca89390c5b967c45e8928fc732db07a0aabe8167b1e98213081ffe".into()),
/// ]);
/// let now = Timestamp::from_unix(1_800_000_000);
/// Verifier::new(scheme, keys)?.verify_at(&headers, br#"{"event":"user.created"}"#, now)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "std")]
impl<N: AsRef<str>, V: AsRef<[u8]>, S> Head for HashMap<N, V, S> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        Occurrence::from_values(values(name, self.iter()))
    }

    fn nth_value(&self, name: &FieldName, index: usize) -> Option<&[u8]> {
        values(name, self.iter()).nth(index)
    }

    fn for_each_header(&self, each: &mut dyn FnMut(&str, &[u8])) {
        self.iter().for_each(|(name, value)| each(name.as_ref(), value.as_ref()));
    }
}

fn values<'h, N, V>(name: &FieldName, headers: impl Iterator<Item = (&'h N, &'h V)>) -> impl Iterator<Item = &'h [u8]>
where
    N: AsRef<str> + 'h,
    V: AsRef<[u8]> + 'h,
{
    let same_name = headers.filter(|(key, _)| key.as_ref().eq_ignore_ascii_case(name.as_str()));
    same_name.map(|(_, value)| value.as_ref())
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    #[test]
    fn lookup_ignores_case_and_reports_repeated_headers() {
        let pairs = [("X-One", "1"), ("x-two", "2"), ("X-TWO", "3")];
        let owned = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let heads: &[&dyn Head] = &[
            &pairs,
            &owned.to_vec(),
            &BTreeMap::from(pairs),
            &BTreeMap::from(owned.clone()),
            #[cfg(feature = "std")]
            &HashMap::from(pairs),
            #[cfg(feature = "std")]
            &HashMap::<_, _, core::hash::BuildHasherDefault<std::hash::DefaultHasher>>::from_iter(owned),
        ];
        for (index, head) in heads.iter().enumerate() {
            let find = |name| head.header(&FieldName::new(name).unwrap());
            assert_eq!(find("x-ONE"), Occurrence::Once(b"1"), "head {index}");
            assert_eq!(find("X-Two"), Occurrence::Repeated, "head {index}");
            assert_eq!(find("X-Three"), Occurrence::Absent, "head {index}");
            assert_eq!((head.method(), head.path()), (None, None), "head {index}");
            let nth = |name, nth| head.nth_value(&FieldName::new(name).unwrap(), nth);
            assert_eq!([nth("x-ONE", 0), nth("x-one", 1), nth("X-Three", 0)], [Some(&b"1"[..]), None, None]);
            // A map has its own order.
            let mut both = [nth("x-two", 0), nth("X-Two", 1)];
            both.sort_unstable();
            assert_eq!((both, nth("x-two", 2)), ([Some(&b"2"[..]), Some(b"3")], None), "head {index}");
            let mut all = Vec::new();
            head.for_each_header(&mut |name, value| all.push((name.to_owned(), value.to_owned())));
            all.sort_unstable();
            let pairs = [("X-One", "1"), ("X-TWO", "3"), ("x-two", "2")];
            assert_eq!(all, pairs.map(|(name, value)| (name.to_owned(), value.as_bytes().to_owned())), "head {index}");
        }
    }
}
