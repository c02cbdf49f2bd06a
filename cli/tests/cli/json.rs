//! `--json` gives one document, whatever the command.

use super::scratch::Scratch;

#[test]
fn demo_is_one_document_in_which_every_verdict_is_the_expected_one() {
    let document = Scratch::new().run(["demo", "--json"]).ended_with(0).json();
    let verdicts = document["verdicts"].as_array().unwrap();
    assert!(verdicts.len() >= 16 && verdicts.iter().all(|verdict| verdict["as_expected"] == true), "{document}");
    assert_eq!(document["diagnosis"]["causes"][0]["kind"], "body-json-rewritten");
}

#[test]
fn completions_and_manual_are_one_document() {
    let scratch = Scratch::new();
    let script = scratch.run(["completions", "bash", "--json"]).ended_with(0).json();
    assert!(script["script"].as_str().unwrap().contains("_hookwarden"));
    let page = scratch.run(["man", "--json"]).ended_with(0).json();
    assert!(page["page"].as_str().unwrap().contains(".TH hookwarden"));
    let directory = scratch.run(["man", "--json", "--directory", "."]).ended_with(0).json();
    assert_eq!(directory["directory"], ".");
    assert!(scratch.path("hookwarden-audit-config.1").exists());
}
