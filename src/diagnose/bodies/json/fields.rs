//! The fields of the form from which a JSON text was made.

use super::tree::{Node, Tree};

/// How a form names the entries of a list.
#[derive(Clone, Copy)]
pub(in crate::diagnose::bodies) enum ListNames {
    /// `name`: most libraries.
    Repeated,
    /// `name[]`: browsers' forms for PHP and Rails.
    Bracketed,
    /// `name[0]`: `http_build_query` of PHP and `qs` of Node.
    Indexed,
}

impl ListNames {
    pub(in crate::diagnose::bodies) const ALL: [Self; 3] = [Self::Repeated, Self::Bracketed, Self::Indexed];
}

/// Returns the names and values of an object that has only texts, and arrays and objects of texts: a form has no other
/// type. Returns `None` too if there are too many, or their names are too long.
pub(in crate::diagnose::bodies) fn fields(text: &str, lists: ListNames) -> Option<Vec<(String, String)>> {
    let tree = Tree::parse(text)?;
    let Node::Object(members) = &tree.root else { return None };
    let mut fields = Fields { found: Vec::new(), lists, left: most_bytes(text) };
    for (key, value) in members {
        fields.add(&plain(key)?, value)?;
    }
    Some(fields.found)
}

struct Fields {
    found: Vec<(String, String)>,
    lists: ListNames,
    /// The number of bytes that further names may have. An entry of a list repeats the name of the list, so the names
    /// could be much larger than the text.
    left: usize,
}

impl Fields {
    fn add(&mut self, name: &str, node: &Node<'_>) -> Option<()> {
        self.left = self.left.checked_sub(name.len())?;
        match node {
            Node::Text(_) if self.found.len() == MAX_FIELDS => return None,
            Node::Text(text) => self.found.push((name.to_owned(), plain(text)?)),
            Node::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    match self.lists {
                        ListNames::Repeated => self.add(name, item)?,
                        ListNames::Bracketed => self.add(&format!("{name}[]"), item)?,
                        ListNames::Indexed => self.add(&format!("{name}[{index}]"), item)?,
                    }
                }
            }
            Node::Object(members) => {
                for (key, value) in members {
                    self.add(&format!("{name}[{}]", plain(key)?), value)?;
                }
            }
            Node::Atom(_) => return None,
        }
        Some(())
    }
}

/// The text of a JSON string.
fn plain(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// The maximum total length of the names in bytes, including those of lists and objects.
fn most_bytes(text: &str) -> usize {
    text.len().saturating_mul(4).saturating_add(64 << 10)
}

/// The maximum number of fields.
const MAX_FIELDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_long_names_end_at_the_bound() {
        let name = "a".repeat(64 << 10);
        for item in ["\"x\"", "[]", "{}", "[[],[\"x\"]]"] {
            let items = [item; 200].join(",");
            for body in [format!("{{\"{name}\":[{items}]}}"), format!("{{\"a\":{{\"{name}\":[{items}]}}}}")] {
                for lists in ListNames::ALL {
                    assert!(fields(&body, lists).is_none(), "{item}");
                }
            }
        }
    }

    #[test]
    fn list_of_short_names_has_every_field() {
        let body = format!("{{\"{}\":[{}]}}", "a".repeat(100), ["\"x\""; MAX_FIELDS].join(","));
        for lists in ListNames::ALL {
            assert_eq!(fields(&body, lists).map(|fields| fields.len()), Some(MAX_FIELDS));
        }
    }
}
