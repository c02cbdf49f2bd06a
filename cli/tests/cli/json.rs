//! `--json` prints one document.

use super::scratch::Scratch;

#[test]
fn demo_json_has_only_expected_verdicts() {
    let document = Scratch::new().run(["demo", "--json"]).assert_code(0).json();
    let verdicts = document["verdicts"].as_array().unwrap();
    assert!(!verdicts.is_empty() && verdicts.iter().all(|verdict| verdict["as_expected"] == true), "{document}");
    assert_eq!(document["diagnosis"]["causes"][0]["kind"], "body-json-rewritten");
}

#[test]
fn completions_and_manual_print_one_document() {
    let scratch = Scratch::new();
    let script = scratch.run(["completions", "bash", "--json"]).assert_code(0).json();
    assert!(script["script"].as_str().unwrap().contains("_hookwarden"));
    let page = scratch.run(["man", "--json"]).assert_code(0).json();
    assert!(page["page"].as_str().unwrap().contains(".TH hookwarden"));
    let directory = scratch.run(["man", "--json", "--directory", "."]).assert_code(0).json();
    assert_eq!(directory["directory"], ".");
    assert!(scratch.path("hookwarden-audit-config.1").exists());
}
