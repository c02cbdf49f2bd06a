//! Texts from which requests and profiles are drawn, so that they are often near valid ones.

/// Returns one of `words`.
pub(super) fn pick(words: &[&'static str], index: u8) -> &'static str {
    words[usize::from(index) % words.len()]
}

/// Components that profiles require and signatures cover, as profiles write them.
pub(super) const COMPONENTS: &[&str] = &[
    "@method",
    "@target-uri",
    "@authority",
    "@scheme",
    "@path",
    "@query",
    "@query-param;name=\"id\"",
    "@query-param;name=\"a%20b\"",
    "content-type",
    "content-digest",
    "content-digest;sf",
    "content-digest;bs",
    "content-digest;key=\"sha-256\"",
    "x-list",
    "x-list;sf",
    "x-list;key=\"a\"",
    "x-dict",
    "x-dict;sf",
    "x-dict;key=\"a\"",
    "x-dict;sf;key=\"b\"",
    "x-item;sf",
    "x-text",
    "x-text;bs",
    "date",
    "host",
    "signature;key=\"sig2\"",
];

/// Components that a request must not have.
pub(super) const FOREIGN: &[&str] = &[
    "@status",
    "@request-target",
    "@signature-params",
    "@unknown",
    "@query-param",
    "@method;req",
    "@path;name=\"a\"",
    "X-Text",
    "x-text;tr",
    "x-text;req",
    "x-text;unknown",
    "x-text;sf=?0",
    "x-text;bs;sf",
    "x-text;key=a",
    "x text",
    "x-absent",
    "",
];

/// The names of headers.
pub(super) const HEADERS: &[&str] = &[
    "Content-Type",
    "X-List",
    "X-Dict",
    "X-Item",
    "X-Text",
    "Date",
    "Host",
    "Content-Digest",
    "Signature-Input",
    "Signature",
    "Authorization",
];

/// The values of headers.
pub(super) const VALUES: &[&str] = &[
    "application/json",
    "text/plain; charset=\"a,b\"",
    "hooks.example.com",
    "HOOKS.internal.:8080",
    "Fri, 15 Jan 2027 08:00:00 GMT",
    "a, b",
    "a;x=1;y, (b \"c\");z,1.50",
    "a=1, b;x=2",
    "a=(1  2);q=?1,b=:AAA:, c=tok",
    "a=\"q\\\"\\\\\", b=@-12, c=%\"f%c3%bc\"",
    " 1.50 ",
    "-0.0;a",
    "\t*t/o:k;q=?0 ",
    "sha-256=:LO3d+FMKp2uTJ9HCqvAcuG8vzJm+fPTnMFZc7Drz2TU=:",
    "md5=:AAAA:",
    "",
];

/// Methods.
pub(super) const METHODS: &[&str] = &["POST", "PUT", "GET", "post", "Post", "M-SEARCH"];

/// Request targets.
pub(super) const PATHS: &[&str] = &[
    "/hooks/acme",
    "/hooks/acme?id=7&kind=a",
    "/?id=%37&a+b=c%20d&a%20c",
    "/a%2fb?",
    "/?a%20b=%zz&id=&&=x",
    "/?id=1&id=2",
    "",
    "?id=7",
    "//a/b",
    "/a/./b/../c/%7e%2e?id=/../7",
    "/%61/..//%2E%2e/b/..",
    "/hooks/./acme",
];

/// Request targets that profiles which cover the URL refuse.
pub(super) const OTHER_PATHS: &[&str] =
    &["*", "https://hooks.example.com/hooks/acme", "hooks.example.com:443", "/a#b", "/a b"];

/// The values of text parameters.
pub(super) const TEXTS: &[&str] =
    &["acme", "2027-01", "b3k2pp5k7z", "other", "a \"q\\", "hmac-sha256", "ed25519", "ecdsa-p256-sha256", " ", ""];

/// Hosts that a proxy can put into `Host`.
pub(super) const HOSTS: &[&str] = &["hooks.internal:8080", "Hooks.Example.com", "a.example.:443", "a.example:80"];

/// Labels of signatures.
pub(super) const LABELS: &[&str] = &["sig1", "sig2", "*", "a.b-c_1"];

/// Parts of a signed head, each of which can be replaced by another.
pub(super) const WORDS: &[&str] = &[
    "sig1",
    "sig2",
    "sig1=",
    "sig1=(), sig2=",
    ", ",
    ",",
    " ",
    "  ",
    "\t",
    "",
    "(",
    ")",
    ";",
    "; ",
    "=",
    ":",
    "::",
    "=:",
    "?1",
    "?0",
    "1800000000",
    "1800000001",
    "01800000000",
    "-1",
    "1.5",
    "created",
    "expires",
    "nonce",
    "alg",
    "keyid",
    "tag",
    ";created=1800000000",
    ";keyid=\"2027-01\"",
    ";alg=\"hmac-sha256\"",
    ";alg=\"ed25519\"",
    ";tag=\"acme\"",
    ";x",
    "\"@method\"",
    "\"@path\"",
    "\"content-digest\"",
    "\"content-type\"",
    "\"x-text\"",
    ";sf",
    ";bs",
    ";key=\"a\"",
    ";req",
    ";tr",
    "sha-256",
    "sha-512",
    "md5",
    "SHA-256",
    "\\",
    "\"",
    "/./",
    "/../",
    "%2e",
    "a",
    "A",
    "b",
];
