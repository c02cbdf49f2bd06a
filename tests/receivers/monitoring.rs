//! The alert rules and the dashboard of `examples/monitoring` use only metrics and labels that a running receiver exports.
//! `.ci/run monitoring` tests with `promtool` that the rules fire.

mod names;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::harness::program::{RECEIVERS, Running};
use crate::harness::sender::Post;
use names::Exports;

const RULES: &str = include_str!("../../examples/monitoring/alerts.yml");
const RULE_TESTS: &str = concat!(
    include_str!("../../examples/monitoring/alerts.test.yml"),
    include_str!("../../examples/monitoring/alerts.days.test.yml"),
);
const DASHBOARD: &str = include_str!("../../examples/monitoring/dashboard.json");

/// The metrics of a receiver with accepted, released and refused deliveries, of one whose store is down, and of one that only
/// reports.
async fn exports() -> Exports {
    let mut exports = Exports::default();
    let running = Running::start(RECEIVERS[0], &[("HOOKWARDEN_QUOTA", "2")]);
    let accepted = Post::signed("x");
    for (post, status) in [
        (Post::signed(r#"{"type":"fail"}"#), 500),
        (accepted.clone(), 200),
        (accepted.clone(), 200),
        (Post::signed("over the quota"), 429),
        (accepted.clone().carrying("y"), 401),
        (accepted.to("/webhooks/unlisted"), 401),
    ] {
        let answer = running.send(&post).await;
        assert_eq!(answer.status, status, "{post:?}");
    }
    let scrape = running.read("/metrics").await;
    for line in [
        r#"hookwarden_webhook_requests_total{scheme="timestamped",webhook_id="acme",outcome="accepted"} 1"#,
        r#"hookwarden_webhook_requests_total{scheme="timestamped",webhook_id="acme",outcome="released"} 1"#,
        r#"hookwarden_key_requests_total{webhook_id="acme",key_id="0"} "#,
        r#"hookwarden_store_up{store="replay",shard=""} 1"#,
    ] {
        assert!(scrape.contains(line), "{line}: {scrape}");
    }
    exports.add(&scrape);

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let running = Running::start(RECEIVERS[0], &[("HOOKWARDEN_REDIS_URL", &format!("redis://{closed}/"))]);
    assert_eq!(running.send(&Post::signed("x")).await.status, 503);
    let scrape = running.read("/metrics").await;
    for line in [r#"hookwarden_store_up{store="replay",shard=""} 0"#, r#"reason="replay_store_unavailable"} 1"#] {
        assert!(scrape.contains(line), "{line}: {scrape}");
    }
    exports.add(&scrape);

    let running = Running::start(RECEIVERS[0], &[("HOOKWARDEN_DANGER_REPORT_ONLY", "true")]);
    // The handler's extractor refuses it.
    assert_eq!(running.send(&Post::signed("x").carrying("y")).await.status, 401);
    let scrape = running.read("/metrics").await;
    for line in [
        r#"outcome="would_be_refused",reason="mismatch"} 1"#,
        r#"hookwarden_warnings_total{kind="report_only"} 2"#,
        r#"hookwarden_report_only{scheme="timestamped"} 1"#,
    ] {
        assert!(scrape.contains(line), "{line}: {scrape}");
    }
    exports.add(&scrape);
    exports
}

/// Returns the rules or their tests by name.
fn entries<'t>(document: &'t str, mark: &str) -> Vec<(&'t str, &'t str)> {
    let entries: Vec<_> = document.split(mark).skip(1).filter_map(|entry| entry.split_once('\n')).collect();
    assert!(!entries.is_empty(), "{mark}");
    entries
}

/// Collects all strings of a panel or variable, one per line.
fn strings(value: &Value, into: &mut String) {
    match value {
        Value::String(text) => into.extend([text, "\n"]),
        Value::Array(values) => values.iter().for_each(|value| strings(value, into)),
        Value::Object(members) => members.values().for_each(|value| strings(value, into)),
        _ => {}
    }
}

/// Returns the panels and variables of the dashboard by title.
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let all = panels.iter().chain(dashboard["templating"]["list"].as_array().unwrap());
    all.map(|panel| {
        let title = panel["title"].as_str().or(panel["label"].as_str()).unwrap().to_owned();
        let mut text = String::new();
        strings(panel, &mut text);
        (title, text)
    })
    .collect()
}

pub(super) async fn rules_and_dashboard_match_the_exported_metrics() {
    let exports = exports().await;
    let mut faults = Vec::new();
    let rules = entries(RULES, "- alert: ").into_iter().chain(entries(RULE_TESTS, "- name: "));
    for (name, text) in rules {
        faults.extend(exports.faults(text).into_iter().map(|fault| format!("{name}: {fault}")));
    }
    faults.extend(exports.made_up(RULE_TESTS));
    let panels = panels();
    for (title, text) in &panels {
        faults.extend(exports.faults(text).into_iter().map(|fault| format!("{title}: {fault}")));
    }
    assert_eq!(faults, [""; 0]);

    let families = exports.families();
    assert!(families.contains("hookwarden_body_bytes"), "{families:?}");
    let shown = |family: &str| panels.iter().any(|(_, text)| text.contains(&format!("{family}{{")));
    let hidden: Vec<_> = families.iter().filter(|family| !shown(family)).collect();
    assert!(hidden.is_empty(), "the dashboard does not show {hidden:?}");
}

pub(super) fn misspelt_names_are_found() {
    let mut exports = Exports::default();
    exports.add(
        "# TYPE hookwarden_a_total counter\nhookwarden_a_total{webhook_id=\"acme\",outcome=\"accepted\"} 1\n\
         hookwarden_a_total{webhook_id=\"acme\",outcome=\"refused\"} 0\nhookwarden_up 1\nhookwarden_b_sum 1\n\
         hookwarden_b_count 1\nhookwarden_b{quantile=\"0.5\"} 1\n",
    );
    assert_eq!(exports.families(), BTreeSet::from(["hookwarden_a_total", "hookwarden_b", "hookwarden_up"]));
    for (text, fault) in [
        (
            r#"sum by (job) (rate(hookwarden_a_total{outcome=~"accepted|refused", job="x"}[5m])) > 0 {{ $labels.job }}"#,
            "",
        ),
        (r#"sum by (webhook_id) (hookwarden_a_total{webhook_id!="x"}) {{webhook_id}} {{ printf "%f" $value }}"#, ""),
        ("min(hookwarden_up) + hookwarden_b_sum", ""),
        (r#"hookwarden_b{quantile="0.5"} {{ quantile }}"#, ""),
        ("labels: '{alertname=\"X\", job=\"shop\"}'", ""),
        ("hookwarden_a", "no metric hookwarden_a"),
        ("rate(hookwarden_a_totals[5m])", "no metric hookwarden_a_totals"),
        (r#"hookwarden_up{outcome="accepted"}"#, "hookwarden_up has no label outcome"),
        (r#"hookwarden_a_total{job="x", outcom="accepted"}"#, "hookwarden_a_total has no label outcom"),
        (r#"hookwarden_a_total{outcome="acepted"}"#, "hookwarden_a_total has no outcome=\"acepted\""),
        (r#"hookwarden_a_total{outcome=~"accepted|lost"}"#, "hookwarden_a_total has no outcome=\"lost\""),
        (r#"hookwarden_b{quantile="0.7"}"#, "hookwarden_b has no quantile=\"0.7\""),
        ("sum by (job, webhook) (hookwarden_a_total)", "no label webhook"),
        ("a and on (out) hookwarden_a_total", "no label out"),
        ("sum by (job) (hookwarden_a_total) {{ $labels.webhook_id }}", "no label webhook_id is left"),
        ("sum by (job) (hookwarden_a_total) {{outcome}}", "no label outcome is left"),
        ("hookwarden_up {{ $labels.outcome }}", "no label outcome is left"),
        ("labels: '{job=\"shop\", webhook=\"x\"}'", "no label webhook"),
    ] {
        assert_eq!(exports.faults(text).join("; "), fault, "{text}");
    }
    for (text, right) in [
        (r#"series: 'hookwarden_a_total{job="x", webhook_id="a", outcome="accepted"}'"#, true),
        (r#"series: 'hookwarden_a_total{job="x", webhook_id="a"}'"#, false),
        (r#"series: 'hookwarden_a_total{job="x", webhook_id="a", outcome="accepted", reason=""}'"#, false),
        ("series: 'hookwarden_up'", true),
        ("series: 'hookwarden_down'", false),
    ] {
        assert_eq!(exports.made_up(text).is_empty(), right, "{text}");
    }
}

pub(super) fn every_alert_has_a_runbook_and_test() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, text) in entries(RULES, "- alert: ") {
        assert_eq!(name.chars().filter(|char| !char.is_ascii_alphabetic()).count(), 0, "{name:?}");
        assert!(RULE_TESTS.contains(&format!("alertname=\"{name}\"")), "{name} has no test");
        assert!(
            ["critical", "warning"].iter().any(|severity| text.contains(&format!("severity: {severity}\n"))),
            "{name}"
        );
        for part in ["summary: ", "description: "] {
            assert!(text.contains(part), "{name} has no {part}");
        }
        let runbook = text.split_once("runbook_url: ").map(|(_, rest)| rest.lines().next().unwrap());
        let runbook = runbook.unwrap_or_else(|| panic!("{name} has no runbook"));
        assert!(["docs/guide/incidents.md", "docs/guide/rotation.md"].contains(&runbook), "{name}: {runbook}");
        assert!(docs.join(runbook).is_file() || !docs.join("docs/guide").exists(), "{runbook} is missing");
    }
}

pub(super) fn dashboard_panels_are_consistent() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 39));
    let mut ids = BTreeSet::new();
    let mut taken: Vec<[u64; 4]> = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = &panel["title"];
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title} has a duplicate id");
        let place = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        let [x, y, w, h] = place;
        assert!(x.saturating_add(w) <= 24, "{title} is out of the grid");
        for [ox, oy, ow, oh] in &taken {
            let apart = x >= ox.saturating_add(*ow)
                || *ox >= x.saturating_add(w)
                || y >= oy.saturating_add(*oh)
                || *oy >= y.saturating_add(h);
            assert!(apart, "{title} covers another");
        }
        taken.push(place);
        let targets = panel["targets"].as_array().unwrap();
        for source in targets.iter().map(|target| &target["datasource"]["uid"]).chain([&panel["datasource"]["uid"]]) {
            assert_eq!(source, "${datasource}", "{title}");
        }
        assert!(
            targets.iter().all(|target| target["expr"].as_str().is_some_and(|expr| expr.contains("job=~\"$job\""))),
            "{title}"
        );
    }
}
