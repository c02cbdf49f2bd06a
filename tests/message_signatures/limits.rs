//! Inputs at and above their limits.

use hookwarden::message_signatures::{Problem, Profile, StructuredType};

use crate::message::{Message, NOW, builder};

fn profile() -> Profile {
    builder().danger_unsigned_body().build().unwrap()
}

const MALFORMED: Problem = Problem::MalformedHeader("signature-input");

#[test]
fn signatures_are_limited() {
    let labelled = builder().label("sig").danger_unsigned_body().build().unwrap();
    for (count, is_accepted) in [(8, true), (9, false)] {
        let mut message = Message::signed_as(&[], "();created=1800000000");
        let others: String = (1..count).map(|n| format!(", s{n}=()")).collect();
        let input = message.get("Signature-Input").to_owned() + &others;
        message.set("Signature-Input", &input);
        if is_accepted {
            message.assert_verifies(&labelled);
        } else {
            message.assert_problem(&labelled, &Problem::TooManySignatures);
        }
    }
}

#[test]
fn components_are_limited() {
    for (count, is_accepted) in [(32, true), (33, false), (64, false), (65, false)] {
        let names: Vec<String> = (0..count).map(|n| format!("\"x-{n}\"")).collect();
        let lines: Vec<String> = names.iter().map(|name| format!("{name}: 1")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut message = Message::signed_as(&lines, &format!("({});created=1800000000", names.join(" ")));
        (0..count).for_each(|n| message.set(&format!("X-{n}"), "1"));
        if is_accepted {
            message.assert_verifies(&profile());
        } else {
            message.assert_problem(&profile(), &MALFORMED);
        }
    }
}

#[test]
fn parameters_are_limited() {
    for (count, is_accepted) in [(63, true), (64, false)] {
        let parameters: String = (0..count).map(|n| format!(";p{n}")).collect();
        let message = Message::signed_as(&[], &format!("();created=1800000000{parameters}"));
        if is_accepted {
            message.assert_verifies(&profile());
        } else {
            message.assert_problem(&profile(), &MALFORMED);
        }
    }
}

#[test]
fn sizes_are_limited() {
    for (size, is_accepted) in [(8192, true), (8193, false)] {
        let value = "a".repeat(size);
        let message =
            Message::signed_as(&[&format!("\"x\": {value}")], r#"("x");created=1800000000"#).with("X", &value);
        let path = "/".to_owned() + &value[1..];
        let target = Message {
            path: path.clone(),
            ..Message::signed_as(&[&format!("\"@path\": {path}")], r#"("@path");created=1800000000"#)
        };
        let nonce = "n".repeat(size - "sig=();created=1800000000;nonce=\"\"".len());
        let input = Message::signed_as(&[], &format!("();created=1800000000;nonce=\"{nonce}\""));
        for (message, problem) in
            [(message, Problem::ComponentValue), (target, Problem::ComponentValue), (input, MALFORMED)]
        {
            if is_accepted {
                message.assert_verifies(&profile());
            } else {
                message.assert_problem(&profile(), &problem);
            }
        }
    }
}

#[test]
fn lines_of_a_header_are_limited() {
    let profile = builder().danger_unsigned_body().structured_field("x", StructuredType::List).build().unwrap();
    for (count, is_accepted) in [(32, true), (33, false)] {
        let value = vec!["1"; count].join(", ");
        let mut message = Message::signed_as(&[&format!("\"x\": {value}")], r#"("x");created=1800000000"#);
        message.headers.extend((0..count).map(|_| ("X".to_owned(), "1".to_owned())));
        if is_accepted {
            message.assert_verifies(&profile);
        } else {
            message.assert_problem(&profile, &Problem::ComponentValue);
        }
    }
}

#[test]
fn signature_base_is_limited() {
    let value = "a".repeat(8_000);
    for (count, is_accepted) in [(8, true), (9, false)] {
        let names: Vec<String> = (0..count).map(|n| format!("\"x-{n}\"")).collect();
        let lines: Vec<String> = names.iter().map(|name| format!("{name}: {value}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut message = Message::signed_as(&lines, &format!("({});created=1800000000", names.join(" ")));
        (0..count).for_each(|n| message.set(&format!("X-{n}"), &value));
        if is_accepted {
            message.assert_verifies(&profile());
        } else {
            message.assert_problem(&profile(), &Problem::ComponentValue);
        }
    }
}

/// The bytes allocated while the head of a request is checked that covers `components`. No key is known then.
fn allocated(profile: &Profile, message: &Message, components: &[String]) -> u64 {
    let input = format!("sig=({});created=1800000000", components.join(" "));
    let message = message.clone().with("Signature-Input", &input).with("Signature", "sig=:AAAA:");
    let head = message.head();
    let mut problem = None;
    let measured = allocation_counter::measure(|| {
        problem = Some(profile.explain_at(&head, b"", NOW));
    });
    assert_eq!(problem, Some(None), "all values are found");
    measured.bytes_total
}

/// Asserts that the padding costs about as much with 32 components as with one.
fn assert_padding_is_read_once(profile: &Profile, message: impl Fn(usize) -> Message, components: &[String]) {
    let [one, all] = [components.get(31..).unwrap(), components].map(|components| {
        allocated(profile, &message(7_500), components) - allocated(profile, &message(1), components)
    });
    assert!(one > 7_500 && all < 2 * one, "{one} bytes for one component, {all} for all");
}

#[test]
fn long_query_is_decoded_once() {
    let parameters: String = (0..32).map(|n| format!("p{n}=1&")).collect();
    // A name is decoded to compare it.
    let message = |length| Message { path: format!("/?{parameters}{}=1", "a".repeat(length)), ..Message::unsigned() };
    let components: Vec<String> = (0..32).map(|n| format!("\"@query-param\";name=\"p{n}\"")).collect();
    assert_padding_is_read_once(&profile(), message, &components);
}

#[test]
fn long_dictionary_is_parsed_once() {
    let members: String = (0..32).map(|n| format!("m{n}=1, ")).collect();
    let message = |length| Message::unsigned().with("X", &format!("{members}pad=\"{}\"", "a".repeat(length)));
    let mut components: Vec<String> = (0..32).map(|n| format!("\"x\";key=\"m{n}\"")).collect();
    assert_padding_is_read_once(&profile(), message, &components);

    // The member with the label of the signature is the last one that is compared.
    let message = |length| Message::unsigned().with("X", &format!("{members}sig=\"{}\"", "a".repeat(length)));
    components[31] = "\"x\";key=\"sig\"".into();
    let profile = builder().danger_unsigned_body().covers_if_present(["x"]).build().unwrap();
    assert_padding_is_read_once(&profile, message, &components);
}

/// Any short text in the three headers gets an answer, and never verifies.
#[test]
fn arbitrary_headers_are_refused_without_a_panic() {
    use proptest::prelude::*;
    let pieces = prop::sample::select(vec![
        "sig1",
        "=",
        "(",
        ")",
        "\"@method\"",
        "\"x\"",
        ";",
        "created=1800000000",
        ",",
        " ",
        ":AAAA:",
        "sha-256",
        "\"",
        "?1",
        "keyid",
        "é",
        "\\",
        "tag=\"a\"",
        ";bs",
        ";sf",
        ";key=\"a\"",
        "@1",
        "1.5",
        "%\"a\"",
        "alg=\"hmac-sha256\"",
    ]);
    let text = prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(input in text.clone(), signature in text.clone(), x in text)| {
        let message = Message::unsigned().with("Signature-Input", &input).with("Signature", &signature).with("X", &x);
        let message = message.with("Content-Digest", &x);
        prop_assert!(message.verify_at(&profile(), crate::message::NOW).is_err());
    });
}
