//! The examples in the help of every command, run as pasted.
//!
//! Each line after `Example:` is run by bash in a directory with [`FILES`] and [`KEYS`], one after the other, and must end
//! with 0, or with the code in a comment at its end: `# exit code 1`. Commands are found by walking through the help, so
//! that none is left out.

use super::files::FILES;
use super::scratch::Scratch;

#[test]
fn examples_in_the_help_of_every_command_work_as_pasted() {
    let mut commands = Vec::new();
    collect(&mut Vec::new(), &mut commands);
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let name = command.join(" ");
        let scratch = Scratch::new();
        for (file, content) in FILES.into_iter().chain([("keys.toml", KEYS)]) {
            scratch.write(file, content);
        }
        let help = help(&command);
        let examples = examples(&help);
        if WITH_RECEIVER.contains(&name.as_str()) {
            assert!(help.contains("\nExample, with a receiver on port 3000:\n"), "{name} has no example");
            continue;
        }
        assert!(!examples.is_empty(), "{name} has no example");
        for line in examples {
            let expected = line.rsplit_once("# exit code ").map_or(0, |(_, code)| code.trim().parse().unwrap());
            let ran = scratch.paste(&line);
            assert_eq!(ran.code, Some(expected), "{name}: {line}: {ran:?}");
        }
    }
}

#[test]
fn example_that_fails_is_noticed() {
    let help = "Usage: x\n\nExample:\n  false | true\n  exit 1 # exit code 1\n\nMore:\n  no example\n";
    let lines = examples(help);
    assert_eq!(lines, ["false | true", "exit 1 # exit code 1"]);
    assert_eq!(Scratch::new().paste(&lines[0]).code, Some(1));
    assert_eq!(Scratch::new().paste(&lines[1]).code, Some(1));
}

/// The commands that have no commands of their own, and those that can do without one.
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
    Scratch::new().run(arguments).ended_with(0).out
}

fn examples(help: &str) -> Vec<String> {
    let lines = section(help, "Example:");
    lines.map(|line| line.trim().to_owned()).collect()
}

/// The lines after a heading, up to an empty one.
fn section<'h>(help: &'h str, heading: &str) -> impl Iterator<Item = &'h str> {
    let after = help.lines().skip_while(move |line| *line != heading).skip(1).collect::<Vec<_>>();
    after.into_iter().take_while(|line| !line.is_empty())
}

/// The commands whose examples need a receiver. The tests that have one run them.
const WITH_RECEIVER: [&str; 2] = ["audit", "send"];

/// Two senders, of which one sends nothing that the events tell of.
const KEYS: &str = r#"[[sender]]
id = "acme"
[[sender.key]]
id = "2026"
secret = "u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n"

[[sender]]
id = "globex"
[[sender.key]]
id = "first"
secret = "R8kVd2mXq6TzJw0YbLs9HnGfCe3UaPo5ItQxZr7KvMj1WyNhB4"
"#;
