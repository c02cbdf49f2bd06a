//! Runs under valgrind's callgrind, which counts the instructions of each call: `tests/constant_time/run`.

use std::ffi::CStr;
use std::hint::black_box;
use std::process::ExitCode;

use hookwarden_constant_time::message::{BODY, NOW, Sort};
use hookwarden_constant_time::receiver::{KNOWN, SECRET, UNKNOWN, receive, verifier, warden};
use hookwarden_constant_time::requests::{counted, on_valgrind};

fn main() -> ExitCode {
    if !on_valgrind() {
        eprintln!("nothing is counted without valgrind: use tests/constant_time/run");
        return ExitCode::FAILURE;
    }
    let sort = Sort::timestamped();
    let (verifier, warden) = (verifier(&sort), warden());
    let good = sort.sign(SECRET);
    let [first, last] = [0, 31].map(|place| good.clone().with_wrong([place]));
    let every = good.with_wrong(0..32);
    for (name, message) in [(c"none-right", &every), (c"first-wrong", &first), (c"last-wrong", &last)] {
        settled(name, || verifier.verify_at(&message.head, BODY, NOW).is_err());
    }
    for (name, id) in [(c"known", KNOWN), (c"unknown", UNKNOWN)] {
        settled(name, || receive(&warden, id, &every.head).is_err());
    }
    ExitCode::SUCCESS
}

/// Counts the second call, because the first may have initialized something.
fn settled(name: &CStr, refused: impl Fn() -> bool) {
    assert!(black_box(refused()));
    assert!(counted(name, || black_box(refused())));
}
