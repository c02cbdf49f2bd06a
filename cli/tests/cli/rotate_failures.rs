//! `hookwarden rotate`: failed runs, dry runs, and keys that a rotation must not change.

use super::scratch::Scratch;

const FILE: &str = r#"[[sender]]
id = "acme"

[[sender.key]]
id = "current"
secret = "u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n"
not_before = 2024-01-01T00:00:00Z

[[sender.key]]
id = "leaked"
secret = "R8kVd2mXq6TzJw0YbLs9HnGfCe3UaPo5ItQxZr7KvMj1WyNhB4"
not_before = 2024-01-01T00:00:00Z
not_after = 2099-01-01T00:00:00Z
"#;

#[test]
fn earlier_end_of_leaked_key_stays() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let start = ["--start", "2099-06-01T00:00:00Z", "--overlap", "24h"];
    let ran = scratch.run(["rotate", "keys.toml", "--id", "acme", "--json"].iter().chain(&start)).assert_code(0);
    let ended = &ran.json()["ended"];
    assert_eq!((ended.as_array().unwrap().len(), &ended[0]["key_id"]), (1, &"current".into()), "{ended}");
    let after = scratch.read("keys.toml");
    assert!(after.contains("not_after = 2099-01-01T00:00:00Z\n"), "{after}");
    assert_eq!(after.matches("not_after = 2099-06-02T00:00:00Z").count(), 1, "only the current key: {after}");
}

#[test]
fn secret_file_of_failed_rotation_is_removed() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    let rotate = ["rotate", "keys.toml", "--id", "acme", "--secret-output", "acme.txt", "--key-id"];
    scratch.run(rotate.iter().chain(&["leaked"])).assert_refused("two keys have the id leaked");
    assert!(!scratch.path("acme.txt").exists(), "no receiver accepts this secret");
    assert_eq!(scratch.read("keys.toml"), FILE);
    // The same command works with another id, since nothing was left behind.
    scratch.run(rotate.iter().chain(&["new"])).assert_code(0);
    assert!(scratch.path("acme.txt").exists());
}

#[test]
fn dry_run_refuses_what_rotation_would() {
    let scratch = Scratch::new();
    scratch.write("keys.toml", FILE);
    for dry_run in [&["--dry-run"][..], &[]] {
        let rotate = ["rotate", "keys.toml", "--id", "acme", "--key-id", "leaked"];
        scratch.run(rotate.iter().chain(dry_run)).assert_refused("two keys have the id leaked");
    }
}

#[test]
fn report_finds_no_fault_in_running_rotation() {
    let scratch = Scratch::new();
    let (old, _) = FILE.split_once("[[sender.key]]\nid = \"leaked\"").unwrap();
    scratch.write("keys.toml", old);
    scratch.run(["rotate", "keys.toml", "--id", "acme", "--key-id", "new"]).assert_code(0);
    // This key is not valid yet, so no request can have used it.
    let start = ["--key-id", "next", "--start", "2098-01-01T00:00:00Z"];
    scratch.run(["rotate", "keys.toml", "--id", "acme"].iter().chain(&start)).assert_code(0);
    let used = |id: &str| format!("{{\"outcome\":\"accepted\",\"webhook_id\":\"acme\",\"key_id\":\"{id}\"}}\n");
    scratch.write("events.json", &(used("current") + &used("new")));
    let report = ["rotate", "keys.toml", "--report", "--json", "--events", "events.json"];
    assert_eq!(scratch.run(report).assert_code(0).findings(), []);
}
