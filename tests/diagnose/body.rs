//! Faults of the body.

use std::io::Write as _;

use hookwarden::Scheme;
use hookwarden::diagnose::{Capture, CauseKind};

use crate::sender::{
    NOW, SECRET, assert_causes, assert_hidden, assert_kinds, base64, headers, hex, sha256, signed_body, signed_message,
};

/// The signed body, the received body, the named fault, and the first differing byte.
type Case = (&'static str, &'static str, CauseKind, usize);

#[track_caller]
fn assert_each(cases: &[Case]) {
    for (signed, body, kind, offset) in cases {
        let diagnosis = assert_causes(&signed_body(signed.as_bytes()), body.as_bytes(), &[*kind]);
        assert_eq!(diagnosis.causes()[0].offset(), Some(*offset), "{signed:?} as {body:?}: {diagnosis}");
    }
}

#[test]
fn body_with_another_end_is_named() {
    use CauseKind::*;
    assert_each(&[
        ("{\"a\":1}", "{\"a\":1}\n", BodyNewlineAdded, 7),
        ("{\"a\":1}", "{\"a\":1}\r\n", BodyNewlineAdded, 7),
        ("{\"a\":1}\n", "{\"a\":1}", BodyNewlineLost, 7),
        ("hello\r\n", "hello", BodyNewlineLost, 5),
        ("hello", "hello \t ", BodyWhiteSpace, 5),
        ("hello", " hello\n\n", BodyWhiteSpace, 0),
        ("hello", "hello\0\0\0", BodyWhiteSpace, 5),
        ("hello", "\u{feff}hello", BodyBomAdded, 0),
        ("\u{feff}hello", "hello", BodyBomLost, 0),
    ]);
}

#[test]
fn body_with_other_line_ends_is_named() {
    use CauseKind::*;
    assert_each(&[
        ("a\r\nb\r\nc", "a\nb\nc", BodyCrlfLost, 1),
        ("a\nb\nc", "a\r\nb\r\nc", BodyCrlfAdded, 1),
        ("a\r\n", "a\n", BodyCrlfLost, 1),
    ]);
}

#[test]
fn rewritten_json_is_named_in_every_style() {
    let compact = r#"{"name":"Zoë <z@x.de>","url":"https://x/y","n":[1.0,1e5,{}],"b":{"d":true,"c":null},"empty":[]}"#;
    let spaced = r#"{"name": "Zoë <z@x.de>", "url": "https://x/y", "n": [1.0, 1e5, {}], "b": {"d": true, "c": null}, "empty": []}"#;
    let python = spaced.replace('ë', "\\u00eb");
    let php = compact.replace('ë', "\\u00eb").replace('/', "\\/");
    let php_unicode = compact.replace('/', "\\/");
    let go = compact.replace('<', "\\u003c").replace('>', "\\u003e");
    let dot_net = go.replace('ë', "\\u00EB").replace("\\u003c", "\\u003C").replace("\\u003e", "\\u003E");
    let sorted = r#"{"b":{"c":null,"d":true},"empty":[],"n":[1.0,1e5,{}],"name":"Zoë <z@x.de>","url":"https://x/y"}"#;
    let sorted_python = r#"{"b": {"c": null, "d": true}, "empty": [], "n": [1.0, 1e5, {}], "name": "Zo\u00eb <z@x.de>", "url": "https://x/y"}"#;
    let indented = "{\n  \"name\": \"Zoë <z@x.de>\",\n  \"url\": \"https://x/y\",\n  \"n\": [\n    1.0,\n    1e5,\n    {}\n  ],\n  \"b\": {\n    \"d\": true,\n    \"c\": null\n  },\n  \"empty\": []\n}";
    let (indented4, tabs) = (indented.replace("  ", "    "), indented.replace("  ", "\t"));
    let styles = [
        ("compact", compact),
        ("spaced", spaced),
        ("python", &python),
        ("php", &php),
        ("php unicode", &php_unicode),
        ("go", &go),
        (".net", &dot_net),
        ("indented", indented),
        ("indented by four", &indented4),
        ("tabs", &tabs),
    ];
    // A sender and a parser may use any two styles that keep the key order.
    for (signed_as, signed) in styles {
        for (received_as, received) in styles.iter().filter(|(name, _)| *name != signed_as) {
            let diagnosis =
                assert_causes(&signed_body(signed.as_bytes()), received.as_bytes(), &[CauseKind::BodyJsonRewritten]);
            assert!(diagnosis.causes()[0].offset().is_some(), "{signed_as} as {received_as}");
        }
    }
    for signed in [sorted, sorted_python] {
        let diagnosis =
            assert_causes(&signed_body(signed.as_bytes()), indented.as_bytes(), &[CauseKind::BodyJsonRewritten]);
        assert!(diagnosis.causes()[0].what().contains("sorted keys"), "{diagnosis}");
    }
}

#[test]
fn json_keeps_what_a_parser_would_lose() {
    let signed = r#"{"big":12345678901234567890123,"f":1.50,"e":1E+2,"k":1,"k":2,"half":"\ud800"}"#;
    let received = signed.replace(',', ", ").replace(':', ": ");
    assert_causes(&signed_body(signed.as_bytes()), received.as_bytes(), &[CauseKind::BodyJsonRewritten]);
    let astral = r#"{"a":"\ud83d\ude00"}"#;
    let diagnosis =
        assert_causes(&signed_body(astral.as_bytes()), r#"{"a":"😀"}"#.as_bytes(), &[CauseKind::BodyJsonRewritten]);
    assert!(diagnosis.causes()[0].what().contains(r"\uXXXX"), "{diagnosis}");
}

#[test]
fn rewritten_json_with_line_break_is_two_faults() {
    let kinds = [CauseKind::BodyJsonRewritten, CauseKind::BodyNewlineLost];
    assert_causes(&signed_body(b"{\n  \"a\": 1\n}\n"), br#"{"a":1}"#, &kinds);
}

#[test]
fn numbers_that_a_json_parser_changed_are_proven() {
    use CauseKind::BodyJsonNumbers;
    assert_each(&[
        (r#"{"cvss":{"score":0.0}}"#, r#"{"cvss":{"score":0}}"#, BodyJsonNumbers, 18),
        (r#"{"weight":136.0,"id":"trk_1"}"#, r#"{"weight":136,"id":"trk_1"}"#, BodyJsonNumbers, 13),
        (r#"{"amount":10.50}"#, r#"{"amount":10.5}"#, BodyJsonNumbers, 14),
        (r#"{"a":10.00,"b":10.50,"c":9.99}"#, r#"{"a":10,"b":10.5,"c":9.99}"#, BodyJsonNumbers, 7),
        (r#"{"v":1.0E7}"#, r#"{"v":10000000}"#, BodyJsonNumbers, 6),
        (r#"{"v":-2.5E-4,"w":3.0}"#, r#"{"v":-0.00025,"w":3}"#, BodyJsonNumbers, 6),
        (r#"{"v":1e+16}"#, r#"{"v":10000000000000000}"#, BodyJsonNumbers, 6),
        (r#"{"v":[1e5]}"#, r#"{"v":[100000]}"#, BodyJsonNumbers, 7),
        // Only the keys with fractions were changed.
        (r#"{"id":7,"at":[1.0,2.5,3.0],"n":2}"#, r#"{"id":7,"at":[1,2.5,3],"n":2}"#, BodyJsonNumbers, 15),
        // The integer was rounded to a double.
        (r#"{"id":12345678901234567890}"#, r#"{"id":12345678901234567000}"#, BodyJsonNumbers, 23),
        (r#"{"id":9007199254740993,"n":1}"#, r#"{"id":9007199254740992,"n":1}"#, BodyJsonNumbers, 21),
        (r#"[-1234567890123456789]"#, r#"[-1234567890123456800]"#, BodyJsonNumbers, 18),
    ]);
}

#[test]
fn numbers_and_spaces_changed_together_are_both_proven() {
    let kinds = [CauseKind::BodyJsonRewritten, CauseKind::BodyJsonNumbers];
    let signed = r#"{"weight": 136.0, "name": "Zoë", "id": 7}"#;
    assert_causes(&signed_body(signed.as_bytes()), r#"{"weight":136,"name":"Zoë","id":7}"#.as_bytes(), &kinds);
    let signed = r#"{"id": 1234567890123456789}"#;
    assert_causes(&signed_body(signed.as_bytes()), br#"{"id":1234567890123456800}"#, &kinds);
    // What json_encode of PHP and Jackson write.
    for signed in [r#"{"weight":136.0,"url":"https:\/\/x\/\u00e9"}"#, r#"{"weight":136.0,"url":"https://x/\u00E9"}"#] {
        assert_causes(&signed_body(signed.as_bytes()), r#"{"weight":136,"url":"https://x/é"}"#.as_bytes(), &kinds);
    }
}

#[test]
fn json_of_another_length_suggests_a_parser() {
    let scheme = Scheme::timestamped();
    let (shown, length) = (r#"{"a":1.5,"b":[2],"c":"x"}"#, "27");
    let head = |signed: &str, length| {
        let mut head = signed_body(signed.as_bytes());
        head.extend(headers(&[("Content-Length", length)]));
        head
    };
    for (signed, body, length, kind) in [
        // The search does not try this many zeros.
        (r#"{"a":1.500000,"b":[2],"c":"x"}"#, shown, length, CauseKind::BodyJsonNumbers),
        (r#"{"a":"x","c":null}"#, r#"{"a":"x"}"#, "18", CauseKind::BodyJsonRewritten),
    ] {
        let diagnosis = Capture::new(&scheme, SECRET, &head(signed, length), body.as_bytes()).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[kind, CauseKind::Unexplained]);
        assert!(!diagnosis.causes()[0].is_proven(), "{diagnosis}");
        assert_eq!(diagnosis.causes()[0].header(), Some("Content-Length"));
        assert!(!diagnosis.to_string().contains("another secret"), "{diagnosis}");
    }
    // The search does not restore two rounded integers, and the length of the body is unchanged.
    let signed = r#"{"a":1234567890123456789,"b":1234567890123456999}"#;
    let body = r#"{"a":1234567890123456800,"b":1234567890123457000}"#;
    let length = signed.len().to_string();
    let diagnosis = Capture::new(&scheme, SECRET, &head(signed, &length), body.as_bytes()).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::BodyJsonNumbers, CauseKind::Unexplained]);
    assert!(!diagnosis.to_string().contains("another secret"), "{diagnosis}");
    // The length is right, and the body has nothing that a parser could have changed.
    let diagnosis = Capture::new(&scheme, "other", &head(shown, "25"), shown.as_bytes()).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::Unexplained]);
    assert!(diagnosis.to_string().contains("another secret"), "{diagnosis}");
}

#[test]
fn json_within_a_string_is_named_either_way() {
    assert_causes(&signed_body(br#"{"a":"b"}"#), br#""{\"a\":\"b\"}""#, &[CauseKind::BodyJsonString]);
    assert_causes(&signed_body(br#""{\"a\":\"b\"}""#), br#"{"a":"b"}"#, &[CauseKind::BodyJsonString]);
}

#[test]
fn body_in_another_character_encoding_is_named() {
    use CauseKind::BodyCharset;
    let (plain, twice, twice_1252) = ("Zoë — €", "ZoÃ« â\u{80}\u{94} â\u{82}¬", "ZoÃ« â€” â‚¬");
    for (signed, body) in [(plain, twice), (plain, twice_1252), (twice, plain), (twice_1252, plain)] {
        assert_causes(&signed_body(signed.as_bytes()), body.as_bytes(), &[BodyCharset]);
    }
    assert_causes(&signed_body(b"Zo\xeb"), "Zoë".as_bytes(), &[BodyCharset]);
    assert_causes(&signed_body("Zoë".as_bytes()), b"Zo\xeb", &[BodyCharset]);
}

#[test]
fn body_encoded_or_decoded_is_named() {
    let plain = br#"{"a":"b?>"}"#;
    for encoded in [base64(plain), hex(plain)] {
        assert_causes(&signed_body(plain), encoded.as_bytes(), &[CauseKind::BodyEncoded]);
        assert_causes(&signed_body(encoded.as_bytes()), plain, &[CauseKind::BodyEncoded]);
    }
}

#[test]
fn body_signed_before_compression_is_named() {
    let plain = br#"{"a":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbb"}"#;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(plain).unwrap();
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(plain).unwrap();
    for compressed in [gzip.finish().unwrap(), zlib.finish().unwrap()] {
        assert_causes(&signed_body(plain), &compressed, &[CauseKind::BodyCompressed]);
    }
}

#[test]
fn body_decompressed_before_verifying_is_suspected() {
    let mut head = signed_body(b"\x1f\x8b what a compressor of another make wrote");
    head.extend(headers(&[("Content-Encoding", "gzip"), ("Content-Length", "41")]));
    let scheme = Scheme::timestamped();
    let diagnosis = Capture::new(&scheme, SECRET, &head, r#"{"a":"ë"}"#.as_bytes()).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::BodyDecompressed, CauseKind::Unexplained]);
    assert_eq!(diagnosis.causes()[0].header(), Some("Content-Encoding"));
}

#[test]
fn reencoded_form_is_named() {
    use CauseKind::*;
    assert_each(&[
        (r#"{"a":"b c"}"#, "payload=%7B%22a%22%3A%22b+c%22%7D&x=1", BodyFormField, 0),
        ("payload=%7B%22a%22%3A%22b+c%22%7D", r#"{"a":"b c"}"#, BodyFormField, 0),
        ("payload=%7B%22a%22%3A%22b%20c%22%7D", r#"{"a":"b c"}"#, BodyFormField, 0),
        ("a=b c&d=é", "a=b+c&d=%C3%A9", BodyFormEncoding, 3),
        ("a=b%20c", "a=b+c", BodyFormEncoding, 3),
        ("a=b+c", "a=b%20c", BodyFormEncoding, 3),
        ("a=%c3%a9&b=1", "a=%C3%A9&b=1", BodyFormEncoding, 3),
        ("a=%7Eb", "a=~b", BodyFormEncoding, 2),
    ]);
}

#[test]
fn body_not_signed_is_named() {
    assert_causes(&signed_body(b""), b"{}", &[CauseKind::BodyNotSigned]);
    assert_causes(&signed_message(b""), b"{}", &[CauseKind::BodyNotSigned]);
}

#[test]
fn body_of_another_length_than_declared_is_named() {
    let whole = br#"{"event":"user.created"}"#;
    let mut head = signed_body(whole);
    head.extend(headers(&[("content-length", "24")]));
    let scheme = Scheme::timestamped();
    let diagnosis = Capture::new(&scheme, SECRET, &head, &whole[..20]).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::BodyTruncated, CauseKind::Unexplained]);
    assert!(diagnosis.causes()[0].what().contains("4 are missing"), "{diagnosis}");
    assert_eq!(diagnosis.causes()[0].offset(), Some(20));
    assert_hidden(&diagnosis, SECRET, &[sha256(SECRET.as_bytes(), &[&b"1800000000."[..], &whole[..20]].concat())]);

    let longer = [whole, &b"<!-- trace 17 -->"[..]].concat();
    let diagnosis = assert_causes(&head, &longer, &[CauseKind::BodyTooLong]);
    assert_eq!(diagnosis.causes()[0].offset(), Some(24));
}

#[test]
fn replaced_characters_are_suspected() {
    let scheme = Scheme::timestamped();
    let head = signed_body(b"ab\xff");
    let diagnosis = Capture::new(&scheme, SECRET, &head, "ab\u{fffd}".as_bytes()).diagnose_at(NOW);
    assert_kinds(&diagnosis, &[CauseKind::BodyLossy, CauseKind::Unexplained]);
    assert_eq!(diagnosis.causes()[0].offset(), Some(2));
}

/// What each library writes for one text. The sources are its documentation and what it prints.
#[test]
fn escapes_of_each_json_library_are_named() {
    // JSON.stringify of the parsed body.
    let received = "{\"t\":\"a/b <c> & 'd' + e=f é \u{2028} @ 5%\"}";
    for (library, signed, words) in [
        ("Python json.dumps", "{\"t\": \"a/b <c> & 'd' + e=f \\u00e9 \\u2028 @ 5%\"}", "json.dumps"),
        ("PHP json_encode", "{\"t\":\"a\\/b <c> & 'd' + e=f \\u00e9 \\u2028 @ 5%\"}", "PHP"),
        ("PHP, unescaped slashes", "{\"t\":\"a/b <c> & 'd' + e=f \\u00e9 \\u2028 @ 5%\"}", "\\uXXXX"),
        (
            "Symfony JsonResponse",
            "{\"t\":\"a\\/b \\u003Cc\\u003E \\u0026 \\u0027d\\u0027 + e=f \\u00e9 \\u2028 @ 5%\"}",
            "Symfony",
        ),
        ("Go encoding/json", "{\"t\":\"a/b \\u003cc\\u003e \\u0026 'd' + e=f é \\u2028 @ 5%\"}", "Go"),
        ("Gson", "{\"t\":\"a/b \\u003cc\\u003e \\u0026 \\u0027d\\u0027 + e\\u003df é \\u2028 @ 5%\"}", "Gson"),
        ("Jackson, ESCAPE_NON_ASCII", "{\"t\":\"a/b <c> & 'd' + e=f \\u00E9 \\u2028 @ 5%\"}", "Jackson"),
        ("Apache Commons", "{\"t\":\"a\\/b <c> & 'd' + e=f \\u00E9 \\u2028 @ 5%\"}", "Apache"),
        (
            "System.Text.Json",
            "{\"t\":\"a/b \\u003Cc\\u003E \\u0026 \\u0027d\\u0027 \\u002B e=f \\u00E9 \\u2028 @ 5%\"}",
            ".NET",
        ),
        ("Rails to_json", "{\"t\":\"a/b \\u003cc\\u003e \\u0026 'd' + e=f é \\u2028 @ 5%\"}", "Rails"),
    ] {
        let diagnosis =
            assert_causes(&signed_body(signed.as_bytes()), received.as_bytes(), &[CauseKind::BodyJsonRewritten]);
        assert!(diagnosis.causes()[0].what().contains(words), "{library}: {diagnosis}");
    }
    // Meta documents non-ASCII characters in lower-case hex. Receivers saw / < % and @ escaped too.
    let meta = "{\"t\":\"\\u00e4\\u00f6\\u00e5 a\\/b \\u003Cc> 5\\u0025 \\u0040\"}";
    let diagnosis = assert_causes(
        &signed_body(meta.as_bytes()),
        "{\"t\":\"äöå a/b <c> 5% @\"}".as_bytes(),
        &[CauseKind::BodyJsonRewritten],
    );
    assert!(diagnosis.causes()[0].what().contains("Meta"), "{diagnosis}");
}

#[test]
fn form_parsed_into_json_is_named() {
    let indented = "{\n  \"name\": \"Zoë O'Neil\",\n  \"note\": \"1+1 ~ 2*\",\n  \"tags\": [\n    \"a\",\n    \"b\"\n  ],\n  \"to\": {\n    \"id\": \"7\"\n  }\n}";
    for signed in [
        // URLSearchParams of a browser
        "name=Zo%C3%AB+O%27Neil&note=1%2B1+%7E+2*&tags%5B%5D=a&tags%5B%5D=b&to%5Bid%5D=7",
        // urllib.parse.urlencode of Python
        "name=Zo%C3%AB+O%27Neil&note=1%2B1+~+2%2A&tags=a&tags=b&to%5Bid%5D=7",
        // http_build_query of PHP
        "name=Zo%C3%AB+O%27Neil&note=1%2B1+%7E+2%2A&tags%5B0%5D=a&tags%5B1%5D=b&to%5Bid%5D=7",
        // qs of Node
        "name=Zo%C3%AB%20O%27Neil&note=1%2B1%20~%202%2A&tags%5B0%5D=a&tags%5B1%5D=b&to%5Bid%5D=7",
        // encodeURIComponent of JavaScript
        "name=Zo%C3%AB%20O'Neil&note=1%2B1%20~%202*&tags%5B%5D=a&tags%5B%5D=b&to%5Bid%5D=7",
    ] {
        let head = signed_body(signed.as_bytes());
        assert_causes(&head, indented.as_bytes(), &[CauseKind::BodyFormParsed]);
    }
}

#[test]
fn body_as_a_program_prints_it_is_named() {
    use CauseKind::*;
    let signed = "{\"id\":7,\"ok\":true,\"no\":null,\"who\":\"O'Neil\"}\n";
    let buffer = signed.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(",");
    let printed = |quoted: &str| quoted.replace('\n', "\\n");
    for (signed, body, kind) in [
        (signed, format!("{{\"type\":\"Buffer\",\"data\":[{buffer}]}}"), BodyEncoded),
        (signed, printed(&format!("b'{}'", signed.replace('\'', "\\'"))), BodyEncoded),
        (
            &signed.replace('7', "é"),
            printed("b'{\"id\":\\xc3\\xa9,\"ok\":true,\"no\":null,\"who\":\"O\\'Neil\"}\n'"),
            BodyEncoded,
        ),
        (signed.trim_end(), "{'id': 7, 'ok': True, 'no': None, 'who': \"O'Neil\"}".to_owned(), BodyJsonRewritten),
    ] {
        assert_causes(&signed_body(signed.as_bytes()), body.as_bytes(), &[kind]);
    }
}

#[test]
fn body_that_was_read_before_is_suspected() {
    let scheme = Scheme::timestamped();
    let signed = br#"{"event":"user.created"}"#;
    for (body, length) in [
        ("", Some("24")),
        ("", None),
        ("{}", Some("24")),
        ("{}", None),
        ("[object Object]", None),
        ("undefined", Some("24")),
    ] {
        let mut head = signed_body(signed);
        head.extend(length.map(|length| ("Content-Length".to_owned(), length.as_bytes().to_vec())));
        let diagnosis = Capture::new(&scheme, SECRET, &head, body.as_bytes()).diagnose_at(NOW);
        assert_kinds(&diagnosis, &[CauseKind::BodyNotCaptured, CauseKind::Unexplained]);
        assert!(!diagnosis.to_string().contains("another secret"), "{diagnosis}");
        assert_hidden(&diagnosis, SECRET, &[sha256(SECRET.as_bytes(), &[b"1800000000.", body.as_bytes()].concat())]);
    }
}
