//! What the documents say of the tree is so.

use std::path::Path;

/// A table's row: what threatens, and the tests that hold it, each with its file.
type Row<'a> = (&'a str, Vec<(&'a str, &'a str)>);

/// The rows of the tables whose second column is of tests.
fn rows(text: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut of_tests = false;
    for line in text.lines() {
        let Some((threat, tests)) = line.strip_prefix("| ").and_then(|line| line.rsplit_once(" | ")) else {
            of_tests &= line.starts_with('|');
            continue;
        };
        if tests == "held by |" {
            of_tests = true;
        } else if of_tests && threat != "---" {
            rows.push((threat, named(tests)));
        }
    }
    rows
}

/// In code are a file and the names of tests in it, and then another file.
fn named(cell: &str) -> Vec<(&str, &str)> {
    let mut file = None;
    let mut tests = Vec::new();
    for code in cell.split('`').skip(1).step_by(2) {
        if code.contains('/') {
            file = code.ends_with(".rs").then_some(code);
        } else if let Some(file) = file {
            tests.push((file, code));
        }
    }
    tests
}

/// Whether `text` has a test of this name: a function, or a trial by its name.
fn has_test(text: &str, name: &str) -> bool {
    text.contains(&format!("fn {name}(")) || text.contains(&format!("trial(\"{name}\""))
}

#[test]
fn tests_that_the_threat_model_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let rows = rows(&text);
    // One that goes or comes is to be noticed.
    assert_eq!(rows.len(), 47);
    for (threat, tests) in rows {
        assert!(!tests.is_empty(), "no test holds: {threat}");
        for (file, name) in tests {
            let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(has_test(&source, name), "{file} has no test {name}, which is to hold: {threat}");
        }
    }
}

#[test]
fn table_is_read_as_it_is_written() {
    let text = "| what | who |\n| --- | --- |\n| a `b` | `c.rs` |\n\n| attack | held by |\n| --- | --- |\n\
                | one | `tests/a.rs` `x` `y`; `src/b.rs` `z` |\n| two | `tests/run` and `w` |\n\nend | `tests/a.rs` `v`\n";
    let expected = vec![("one", vec![("tests/a.rs", "x"), ("tests/a.rs", "y"), ("src/b.rs", "z")]), ("two", vec![])];
    assert_eq!(rows(text), expected);
    let source = "fn one() {}\n trial(\"two\", two_test)";
    assert_eq!(["one", "two", "two_test", "on"].map(|name| has_test(source, name)), [true, true, false, false]);
}
