//! Runs the examples in the help of every command.
//!
//! Bash runs each line after `Example:` in a directory with [`FILES`] and a keys file. A line must exit with 0, or with
//! the code in its last comment: `# exit code 1`. The commands are found by walking through the help. The example of
//! `audit` needs another receiver, and is in the tests of `audit`. `listen` is interrupted when it listens.

use super::endpoint::Endpoint;
use super::files::{FILES, KEYS};
use super::listener::interrupt_when_listening;
use super::scratch::Scratch;

#[test]
fn help_examples_of_every_command_run() {
    let mut commands = Vec::new();
    collect(&mut Vec::new(), &mut commands);
    for nested in [["secret", "check"], ["audit", "config"]] {
        assert!(commands.iter().any(|command| *command == nested), "{commands:?}");
    }
    let endpoint = Endpoint::http1();
    for command in commands {
        let name = command.join(" ");
        let (scratch, keys) = (Scratch::new(), format!("{KEYS}{OTHER_SENDER}"));
        for (file, content) in FILES.into_iter().chain([("keys.toml", &*keys), ("request.http", REQUEST)]) {
            scratch.write(file, content);
        }
        let help = help(&command);
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{name} has no example");
        if name == "audit" {
            continue;
        }
        for line in examples {
            let expected = line.rsplit_once("# exit code ").map_or(0, |(_, code)| code.trim().parse().unwrap());
            let line = line.replace("http://127.0.0.1:3000/webhooks/acme", &endpoint.url("/open"));
            let ran = if name == "listen" { interrupt_when_listening(&scratch, &line) } else { scratch.shell(&line) };
            assert_eq!(ran.code, Some(expected), "{name}: {line}: {ran:?}");
        }
    }
    // The examples of `send`: one request, and a run of 20. The example of `resend`.
    assert_eq!(endpoint.seen().count(), 22);
}

#[test]
fn failing_example_is_detected() {
    let help = "Usage: x\n\nExample:\n  false | true\n  exit 1 # exit code 1\n\nMore:\n  no example\n";
    let lines = examples(help);
    assert_eq!(lines, ["false | true", "exit 1 # exit code 1"]);
    for line in lines {
        Scratch::new().shell(&line).assert_code(1);
    }
}

/// Collects the commands without subcommands, and those that have an example although they have subcommands.
fn collect(command: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let help = help(command);
    let below: Vec<String> = section(&help, "Commands:")
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    if below.is_empty() || (!command.is_empty() && help.contains("\nExample")) {
        found.push(command.clone());
    }
    for name in below {
        command.push(name);
        collect(command, found);
        command.pop();
    }
}

fn help(command: &[String]) -> String {
    let arguments = command.iter().map(String::as_str).chain(["--help"]);
    Scratch::new().run(arguments).assert_code(0).stdout
}

fn examples(help: &str) -> Vec<String> {
    let headings = ["Example:", "Example, with a receiver on port 3000:", "Example, with an application on port 3000:"];
    headings.into_iter().flat_map(|heading| section(help, heading)).map(|line| line.trim().to_owned()).collect()
}

/// The lines after a heading, up to an empty line.
fn section<'h>(help: &'h str, heading: &str) -> impl Iterator<Item = &'h str> {
    let after = help.lines().skip_while(move |line| *line != heading).skip(1).collect::<Vec<_>>();
    after.into_iter().take_while(|line| !line.is_empty())
}

const REQUEST: &str = "POST /webhooks/acme HTTP/1.1\r\ncontent-type: text/plain\r\n\r\ntext";

/// A sender without events in [`FILES`].
const OTHER_SENDER: &str = r#"
[[sender]]
id = "globex"
[[sender.key]]
id = "first"
secret = "R8kVd2mXq6TzJw0YbLs9HnGfCe3UaPo5ItQxZr7KvMj1WyNhB4"
"#;
