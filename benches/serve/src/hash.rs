//! The time of one pre-keyed HMAC-SHA-256 over a body.

use std::hint::black_box;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::deliveries::{self, SECRET};

/// Returns the average time. The body is in the cache, as in a server that has just read it.
pub(crate) fn hmac_time(bytes: usize) -> Duration {
    let keyed = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let body = deliveries::body(0, bytes);
    let hash = || {
        let mut mac = keyed.clone();
        mac.update(black_box(&body));
        black_box(mac.finalize().into_bytes());
    };
    let calls = u32::try_from((HASHED / bytes).max(1)).unwrap();
    // Take the shortest turn, because other processes can only add time.
    let time = || {
        let began = Instant::now();
        (0..calls).for_each(|_| hash());
        began.elapsed()
    };
    (0..TURNS).map(|_| time()).min().unwrap() / calls
}

/// The number of bytes that are hashed in each turn.
const HASHED: usize = 4 << 20;
const TURNS: usize = 9;
