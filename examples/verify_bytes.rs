//! Verifies the headers and the raw body of a request from any server, queue or file.
//!
//! ```sh
//! cargo run --example verify_bytes
//! ```

use std::error::Error;

use hookwarden::{Keyring, Scheme, Signer, Verifier};

fn main() -> Result<(), Box<dyn Error>> {
    let scheme = Scheme::timestamped();
    // A new secret for each run. A real one comes from a secrets manager.
    let secret = scheme.secret(&format!("example-{:?}", std::time::SystemTime::now()))?;
    let keys = Keyring::new(secret);

    let body = br#"{"type":"order.paid","id":7}"#;
    let signed = Signer::new(scheme.clone(), keys.clone())?.sign_body(body)?;
    let head: Vec<(&str, &str)> = signed.iter().collect();

    let verifier = Verifier::new(scheme, keys)?;
    let verified = verifier.verify(&head, body)?;
    println!("accepted: signed with key {} {:?} s ago", verified.key_id(), verified.skew().unwrap_or_default());

    match verifier.verify(&head, br#"{"type":"order.paid","id":8}"#) {
        Ok(_) => Err("a tampered body was accepted".into()),
        // The error's text is the same for every reason. The reason is for the operator.
        Err(rejection) => {
            println!("{rejection}: {}", rejection.reason());
            Ok(())
        }
    }
}
