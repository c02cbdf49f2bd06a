//! Any capture is diagnosed within the bounds, and `holds` is true exactly if a verifier accepts it. If a proven cause
//! has a single correction (newlines at the end, a byte order mark, the time, the scheme), the corrected request
//! verifies.
#![no_main]

use arbitrary::Arbitrary;
use hookwarden::diagnose::{Capture, CauseKind, Diagnosis};
use hookwarden::{Keyring, Scheme, Timestamp, Verifier};
use hookwarden_fuzz::clock::{DrawnNow, NOW};
use hookwarden_fuzz::draft::Draft;
use hookwarden_fuzz::fault::DrawnFault;
use hookwarden_fuzz::json::DrawnJson;
use hookwarden_fuzz::keys::PlainKey;
use hookwarden_fuzz::mutation::Mutation;
use hookwarden_fuzz::oracle;
use hookwarden_fuzz::request::Request;
use hookwarden_fuzz::scheme::{DrawnPreset, DrawnScheme};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Case {
    sender: DrawnScheme,
    /// The receiver's scheme, if it is another one.
    receiver: Option<DrawnPreset>,
    secrets: Vec<String>,
    now: DrawnNow,
    later: i16,
    draft: Draft,
    fault: DrawnFault,
    mutations: Vec<Mutation>,
    json: Option<DrawnJson>,
}

fuzz_target!(|case: Case| {
    let Ok(sender) = case.sender.build() else { return };
    let receiver = case.receiver.map_or(sender.clone(), DrawnPreset::scheme);
    let secrets: Vec<String> = case.secrets.iter().take(4).map(|text| format!("{CANARY}{text}")).collect();
    let Some(first) = secrets.first() else { return };
    let keys = [PlainKey::new(first.as_bytes())];
    let sent = case.now.seconds();
    let draft = match &case.json {
        Some(json) => case.draft.with_body(json.text()),
        None => case.draft,
    };
    let mut request = draft.signed(&sender, &keys, sent);
    case.fault.apply(&mut request.body);
    case.mutations.iter().for_each(|mutation| mutation.apply(&mut request));
    request.body.truncate(MAX_BODY);
    let now = sent.saturating_add(case.later.into());
    let diagnosis = request.with_head(|head| {
        let mut capture = Capture::new(&receiver, first, head, &request.body).with_headers(request.headers.clone());
        for secret in &secrets[1..] {
            capture = capture.with_secret(secret);
        }
        capture.diagnose_at(Timestamp::from_unix(now))
    });
    let held = secrets.iter().any(|secret| holds(&receiver, secret, &request, now));
    assert_eq!(diagnosis.holds(), held, "{diagnosis} of {request:?}");
    assert_lawful(&diagnosis, &secrets);
    assert_proven(&diagnosis, &receiver, &secrets, &request, now);
});

fn holds(scheme: &Scheme, secret: &str, request: &Request, now: i64) -> bool {
    let Ok(secret) = scheme.secret(secret) else { return false };
    let verifier = Verifier::new(scheme.clone(), Keyring::new(secret)).expect("the scheme read the secret");
    request.with_head(|head| verifier.verify_at(head, &request.body, Timestamp::from_unix(now)).is_ok())
}

fn assert_lawful(diagnosis: &Diagnosis, secrets: &[String]) {
    assert!(diagnosis.tried() <= 60_000);
    assert_eq!(diagnosis.holds(), diagnosis.causes().is_empty(), "{diagnosis}");
    let proven = diagnosis.causes().iter().any(|cause| cause.is_proven());
    assert_eq!(diagnosis.fitting_secret().is_some(), diagnosis.holds() || proven, "{diagnosis}");
    assert!(diagnosis.fitting_secret().is_none_or(|place| place < secrets.len()), "{diagnosis}");
    let shown = diagnosis.to_string();
    assert!(secrets.iter().all(|secret| !shown.contains(secret.as_str())), "{shown}");
}

/// Corrects a proven cause, if it is the only one and has a single correction, and checks that the signature verifies.
fn assert_proven(diagnosis: &Diagnosis, receiver: &Scheme, secrets: &[String], request: &Request, now: i64) {
    let [cause] = diagnosis.causes() else { return };
    let (true, Some(place)) = (cause.is_proven(), diagnosis.fitting_secret()) else { return };
    let secret = &secrets[place];
    let with_body = |body: &[u8]| Request { body: body.to_vec(), ..request.clone() };
    let body = &request.body;
    let is_right = match cause.kind() {
        CauseKind::BodyNewlineAdded => {
            let ends: [&[u8]; 3] = [b"\n", b"\r\n", b"\r"];
            ends.iter()
                .filter_map(|end| body.strip_suffix(*end))
                .any(|body| holds(receiver, secret, &with_body(body), now))
        }
        CauseKind::BodyNewlineLost => {
            let ends: [&[u8]; 3] = [b"\n", b"\r\n", b"\r"];
            ends.iter().any(|end| holds(receiver, secret, &with_body(&[body, *end].concat()), now))
        }
        CauseKind::BodyBomAdded => {
            body.strip_prefix(BOM).is_some_and(|body| holds(receiver, secret, &with_body(body), now))
        }
        CauseKind::BodyBomLost => holds(receiver, secret, &with_body(&[BOM, body].concat()), now),
        CauseKind::TimestampStale | CauseKind::TimestampEarly => match oracle::stamp(receiver, request) {
            Some(stamp) => holds(receiver, secret, request, stamp),
            None => false,
        },
        CauseKind::OtherScheme => DrawnPreset::ALL.into_iter().map(DrawnPreset::scheme).any(|preset| {
            let times = [Some(now), Some(NOW), oracle::stamp(&preset, request)];
            times.into_iter().flatten().any(|now| holds(&preset, secret, request, now))
        }),
        _ => return,
    };
    assert!(is_right, "{diagnosis} of {request:?} under {receiver:?}");
}

/// A prefix of every secret that distinguishes it from other text.
const CANARY: &str = "Canary00Canary00";

/// Larger bodies only make a search slower.
const MAX_BODY: usize = 512;

const BOM: &[u8] = b"\xef\xbb\xbf";
