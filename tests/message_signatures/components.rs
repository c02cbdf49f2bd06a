//! The components that a signature can cover (RFC 9421 section 2). The expected values are written by hand.

use hookwarden::message_signatures::{Problem, Profile, StructuredType};

use crate::message::{Message, builder};

fn profile() -> Profile {
    builder()
        .danger_unsigned_body()
        .structured_field("example-item", StructuredType::Item)
        .structured_field("example-list", StructuredType::List)
        .structured_field("Example-Dict", StructuredType::Dictionary)
        .structured_field("cache-control", StructuredType::Dictionary)
        .build()
        .unwrap()
}

/// Asserts that the value of `component` is `value`.
#[track_caller]
fn assert_value(component: &str, value: &str, change: impl FnOnce(&mut Message)) {
    let mut message =
        Message::signed_as(&[&format!("{component}: {value}")], &format!("({component});created=1800000000"));
    change(&mut message);
    message.assert_verifies(&profile());
}

/// Asserts that a signature that covers `component` is refused.
#[track_caller]
fn assert_refused(component: &str, problem: &Problem, change: impl FnOnce(&mut Message)) {
    let mut message = Message::signed_as(&[&format!("{component}: ")], &format!("({component});created=1800000000"));
    change(&mut message);
    message.assert_problem(&profile(), problem);
}

fn lines(name: &str, values: &[&str]) -> impl FnOnce(&mut Message) {
    let added: Vec<_> = values.iter().map(|value| (name.to_owned(), (*value).to_owned())).collect();
    move |message| message.headers.extend(added)
}

fn path(path: &str) -> impl FnOnce(&mut Message) {
    let path = path.to_owned();
    move |message| message.path = path
}

#[test]
fn derived_components_have_the_values_of_the_rfc() {
    assert_value("\"@method\"", "POST", |_| {});
    assert_value("\"@method\"", "post", |message| message.method = "post");
    assert_value("\"@target-uri\"", "https://hooks.example.com/path?param=value", path("/path?param=value"));
    assert_value("\"@authority\"", "hooks.example.com", |_| {});
    assert_value("\"@scheme\"", "https", |_| {});
    assert_value("\"@path\"", "/path", path("/path?param=value"));
    assert_value("\"@path\"", "/", path("?param=value"));
    assert_value("\"@path\"", "/a%2Fb/../c", path("/a%2Fb/../c"));
    assert_value("\"@query\"", "?param=value&foo=bar&baz=bat%2Dman", path("/path?param=value&foo=bar&baz=bat%2Dman"));
    assert_value("\"@query\"", "?queryString", path("/path?queryString"));
    assert_value("\"@query\"", "?", path("/path"));
    assert_value("\"@query\"", "?", path("/path?"));
    assert_value("\"@target-uri\"", "https://hooks.example.com/path?", path("/path?"));
    assert_value("\"@query-param\";name=\"baz\"", "batman", path("/path?param=value&foo=bar&baz=batman&qux="));
    assert_value("\"@query-param\";name=\"qux\"", "", path("/path?param=value&foo=bar&baz=batman&qux="));
}

#[test]
fn missing_or_repeated_query_param_is_refused() {
    for query in ["/", "/?b=1", "/?a=1&a=2", "/?a=1&%61=2"] {
        assert_refused("\"@query-param\";name=\"a\"", &Problem::ComponentValue, path(query));
    }
}

#[test]
fn fields_have_the_values_of_the_rfc() {
    // RFC 9421 section 2.1.
    assert_value(
        "\"cache-control\"",
        "max-age=60, must-revalidate",
        lines("Cache-Control", &["max-age=60", "   must-revalidate"]),
    );
    assert_value("\"x-empty-header\"", "", lines("X-Empty-Header", &[""]));
    assert_value(
        "\"x-ows-header\"",
        "Leading and trailing whitespace.",
        lines("X-OWS-Header", &["  Leading and trailing whitespace.   "]),
    );
    assert_refused("\"x-none\"", &Problem::ComponentValue, |_| {});
    // Section 2.1.1.
    let dict = "  a=1,    b=2;x=1;y=2,   c=(a   b   c)";
    assert_value("\"example-dict\"", "a=1,    b=2;x=1;y=2,   c=(a   b   c)", lines("Example-Dict", &[dict]));
    assert_value("\"example-dict\";sf", "a=1, b=2;x=1;y=2, c=(a b c)", lines("Example-Dict", &[dict]));
    assert_value("\"example-list\";sf", "a, (b c);d, ?0", lines("Example-List", &["a ,  (b  c);d", "?0"]));
    assert_value("\"example-item\";sf", "1;a;b=?0", lines("Example-Item", &["1; a=?1; b=?0 "]));
    // Section 2.1.2.
    let dict = "  a=1, b=2;x=1;y=2, c=(a   b    c), d";
    assert_value("\"example-dict\";key=\"a\"", "1", lines("Example-Dict", &[dict]));
    assert_value("\"example-dict\";key=\"d\"", "?1", lines("Example-Dict", &[dict]));
    assert_value("\"example-dict\";key=\"b\"", "2;x=1;y=2", lines("Example-Dict", &[dict]));
    assert_value("\"example-dict\";key=\"c\"", "(a b c)", lines("Example-Dict", &[dict]));
    assert_value("\"other-dict\";key=\"c\"", "(a b c)", lines("Other-Dict", &[dict]));
    // Section 2.1.3.
    assert_value(
        "\"example-header\";bs",
        ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:",
        lines("Example-Header", &["value, with, lots", "of, commas"]),
    );
    assert_value(
        "\"example-header\";bs",
        ":dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:",
        lines("Example-Header", &["value, with, lots, of, commas"]),
    );
}

#[test]
fn undeclared_header_in_several_lines_is_refused() {
    let two = |component: &str, value: &str| {
        let name = component.split('"').nth(1).unwrap().to_owned();
        let line = format!("{component}: {value}");
        let mut message = Message::signed_as(&[&line], &format!("({component});created=1800000000"));
        message.headers.extend([(name.clone(), "a=1".into()), (name, "b=2".into())]);
        message
    };
    for (component, value) in [("\"x-undeclared\"", "a=1, b=2"), ("\"x-undeclared\";key=\"a\"", "1")] {
        two(component, value).assert_problem(&profile(), &Problem::ComponentValue);
    }
    two("\"example-item\"", "a=1, b=2").assert_problem(&profile(), &Problem::ComponentValue);
    for (component, value) in [
        ("\"x-undeclared\";bs", ":YT0x:, :Yj0y:"),
        ("\"example-list\"", "a=1, b=2"),
        ("\"example-dict\"", "a=1, b=2"),
        ("\"example-dict\";key=\"a\"", "1"),
        ("\"priority\"", "a=1, b=2"),
    ] {
        two(component, value).assert_verifies(&profile());
    }
}

#[test]
fn structured_form_of_another_field_is_refused() {
    let refused = |component, name, value| assert_refused(component, &Problem::ComponentValue, lines(name, &[value]));
    refused("\"x-unknown\";sf", "X-Unknown", "1");
    refused("\"example-item\";sf", "Example-Item", "1, 2");
    refused("\"example-list\";sf", "Example-List", "\"");
    refused("\"example-dict\";sf", "Example-Dict", "a=1, a=2");
    refused("\"example-dict\";key=\"a\"", "Example-Dict", "a=1, a=2");
    refused("\"example-dict\";key=\"a\"", "Example-Dict", "b=1");
    refused("\"example-list\";key=\"a\"", "Example-List", "a=1");
}

#[test]
fn unsupported_components_are_refused_with_their_reason() {
    let cases = [
        ("\"@status\"", "`@status` is only for the signature of a response"),
        ("\"content-type\";req", "`req` is only for the signature of a response"),
        ("\"@method\";req", "`req` is only for the signature of a response"),
        ("\"content-type\";tr", "`tr` is not supported: trailers arrive after the body"),
        ("\"@request-target\"", "`@request-target` is not supported: use `@method` and `@target-uri`"),
        ("\"@signature-params\"", "`@signature-params` is always covered and must not be listed"),
        ("\"@unknown\"", "an unknown derived component"),
        ("\"@method\";sf", "a derived component has a parameter that is not for it"),
        ("\"@query-param\"", "`@query-param` needs the parameter `name` and no other"),
        ("\"@query-param\";name=a", "`@query-param` needs the parameter `name` and no other"),
        ("\"Content-Type\"", "the name of a header is not in lower case"),
        ("\"content type\"", "not the name of a header"),
        ("\"\"", "not the name of a header"),
        ("content-type", "its name is not a string"),
        ("\"content-type\";x", "an unknown parameter of a header"),
        ("\"content-type\";sf=?0", "`sf` and `bs` take no value"),
        ("\"content-type\";bs=1", "`sf` and `bs` take no value"),
        ("\"content-type\";key=a", "`key` is not a string"),
        ("\"content-type\";bs;sf", "`bs` must not be used with `sf` or `key`"),
        ("\"content-type\";bs;key=\"a\"", "`bs` must not be used with `sf` or `key`"),
    ];
    for (component, why) in cases {
        assert_refused(component, &Problem::Component(why), |_| {});
        // In a profile, a name needs no quotes.
        if component.starts_with('"') {
            let error = builder().covers([component]).build().unwrap_err();
            assert_eq!(error.field(), "covers", "{component}");
            assert!(error.to_string().ends_with(why), "{error}");
        }
    }
}

#[test]
fn request_target_without_a_path_is_refused() {
    for target in ["*", "https://hooks.example.com/", "hooks.example.com:443"] {
        assert_refused("\"@path\"", &Problem::ComponentValue, path(target));
        assert_refused("\"@target-uri\"", &Problem::ComponentValue, path(target));
    }
    let profile = profile();
    let message = Message::signed_as(&["\"@method\": POST"], r#"("@method");created=1800000000"#);
    let problem = profile.explain_at(&message.headers, b"", crate::message::NOW);
    assert_eq!(problem, Some(Problem::NoRequestLine));
}
