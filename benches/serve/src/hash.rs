//! What one pre-keyed HMAC-SHA-256 over a body costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::deliveries::{self, SECRET};

/// The time of one, on average. The body is in the cache, as it is in a server that has just read it.
pub(crate) fn hmac_time(bytes: usize) -> Duration {
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let body = deliveries::body(0, bytes);
    let hash = || {
        let mut mac = keyed.clone();
        mac.update(black_box(&body));
        black_box(mac.finalize().into_bytes());
    };
    let calls = u32::try_from((HASHED / bytes).max(1)).unwrap();
    // The shortest of some, since another process can only add to them.
    let time = || {
        let began = Instant::now();
        (0..calls).for_each(|_| hash());
        began.elapsed()
    };
    (0..TURNS).map(|_| time()).min().unwrap() / calls
}

/// Bytes of each turn.
const HASHED: usize = 4 << 20;
const TURNS: usize = 9;
