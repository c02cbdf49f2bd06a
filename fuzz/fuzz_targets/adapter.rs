//! For any bytes on a connection, the handler behind the tower layer receives only signed deliveries, and each only
//! once. It receives honest ones in any framing and in any pieces.
#![no_main]

use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use hookwarden_fuzz::keys::PlainKey;
use hookwarden_fuzz::scheme::DrawnPreset;
use hookwarden_fuzz::server::receive;
use hookwarden_fuzz::wire::DrawnStream;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case {
    scheme: DrawnPreset,
    stream: DrawnStream,
    sizes: Vec<u8>,
}

fuzz_target!(|case: Case| {
    let scheme = case.scheme.scheme();
    let keys = [PlainKey::new(b"the-new-key"), PlainKey::new(b"the-old-key")];
    let stream = case.stream.write(&scheme, &keys);
    let (bodies, answers) = receive(&scheme, &keys, &stream.bytes, &case.sizes);
    if let Some(honest) = stream.honest {
        let sent: BTreeSet<&[u8]> = honest.iter().map(|(body, _)| body.as_slice()).collect();
        let received: BTreeSet<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
        let shown = answers.escape_ascii();
        assert!(sent == received && bodies.len() == honest.len(), "sent {sent:?}, received {bodies:?}: {shown}");
    }
});
