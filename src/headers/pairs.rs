//! Pairs and maps of names and values as heads.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
#[cfg(feature = "std")]
use std::collections::HashMap;

use super::{FieldName, Head, Occurrence};

impl<N: AsRef<str>, V: AsRef<[u8]>> Head for [(N, V)] {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        find(name, self.iter().map(|(key, value)| (key, value)))
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>, const L: usize> Head for [(N, V); L] {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.as_slice().header(name)
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Head for Vec<(N, V)> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        self.as_slice().header(name)
    }
}

/// A map cannot show that a header was sent twice if its builder kept one of the values. Two keys that differ only in case
/// are a repeated header.
impl<N: AsRef<str>, V: AsRef<[u8]>> Head for BTreeMap<N, V> {
    fn header(&self, name: &FieldName) -> Occurrence<'_> {
        find(name, self.iter())
    }
}

/// For example the headers of an AWS Lambda event, a `HashMap<String, String>`.
///
/// A map cannot show that a header was sent twice if its builder kept one of the values. Two keys that differ only in case
/// are a repeated header.
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
        find(name, self.iter())
    }
}

fn find<'h, N, V>(name: &FieldName, headers: impl Iterator<Item = (&'h N, &'h V)>) -> Occurrence<'h>
where
    N: AsRef<str> + 'h,
    V: AsRef<[u8]> + 'h,
{
    let same_name = headers.filter(|(key, _)| key.as_ref().eq_ignore_ascii_case(name.as_str()));
    Occurrence::from_values(same_name.map(|(_, value)| value.as_ref()))
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    #[test]
    fn header_is_found_whatever_its_case_and_only_if_single() {
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
        }
    }
}
