//! `hookwarden providers`, and providers as schemes of other commands.

use super::scratch::Scratch;

fn run(arguments: &[&str]) -> String {
    Scratch::new().run([&["providers"], arguments].concat()).assert_code(0).stdout
}

#[test]
fn list_names_every_provider() {
    let text = run(&[]);
    for words in [["stripe", "Stripe"], ["shopify", "Shopify"], ["openai", "OpenAI"]] {
        assert!(text.lines().any(|line| line.split_whitespace().take(2).eq(words)), "{words:?}");
    }
    let count = text.lines().last().expect("a last line").split(' ').next().expect("a number");
    assert!(count.parse::<usize>().expect("a number") >= 120, "{count} names");
}

#[test]
fn facts_name_source_and_equal_bodies() {
    let text = run(&["GitHub"]);
    for part in ["https://docs.github.com/", "X-Hub-Signature-256", "X-GitHub-Delivery", "equal bodies", "retries"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn unknown_provider_is_refused_with_a_suggestion() {
    Scratch::new().run(["providers", "strpe"]).assert_refused("did you mean stripe?");
    let scratch = Scratch::new();
    scratch.file("file", "x");
    for command in [
        &["sign", "--body", "x"][..],
        &["verify", "file", "--secret-file", "file"],
        &["send", "http://127.0.0.1:9/", "--body", "x", "--secret-file", "file"],
        &["audit", "http://127.0.0.1:9/", "--secret-file", "file"],
        &["secret", "check", "file"],
        &["rotate", "file"],
    ] {
        scratch.run([command, &["--scheme", "strpe"]].concat()).assert_refused(
            "--scheme: must be a file or one of `hookwarden providers`; unknown provider \"strpe\": did you mean stripe?",
        );
    }
}

#[test]
fn message_under_a_provider_name_verifies() {
    let scratch = Scratch::new();
    scratch.file("body", "{\"id\":7}");
    for (provider, secret) in
        [("mux", "a-secret-of-the-tests"), ("openai", "whsec_bm90LWEtc2VjcmV0LW9mLWFueS1vbmUtYXQtYWxs")]
    {
        scratch.file("secret", secret);
        let signed = scratch.run(["sign", "body", "--scheme", provider, "--secret-file", "secret"]).assert_code(0);
        scratch.file("headers", signed.stdout);
        let files = ["--headers", "headers", "--body", "body", "--secret-file", "secret"];
        scratch.run([&["verify", "--scheme", provider], &files[..]].concat()).assert_code(0);
    }
}
