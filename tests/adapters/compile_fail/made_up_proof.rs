//! Only the checks make the values that prove them, and a claim can't be copied.

use hookwarden::tower::VerifiedBody;
use hookwarden::verifier::Verified;
use hookwarden::warden::{Admitted, VerifiedDelivery};

fn made_up<T: Default>() {}
fn copied<T: Clone>() {}

fn main() {
    made_up::<Verified>();
    made_up::<VerifiedBody>();
    made_up::<VerifiedDelivery>();
    made_up::<Admitted>();
    copied::<Admitted>();
}
