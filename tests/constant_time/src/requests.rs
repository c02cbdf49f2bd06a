//! What valgrind is asked, and the one file with unsafe code.
#![expect(unsafe_code, reason = "valgrind's requests are macros of C")]

use std::ffi::{CStr, c_char, c_uint, c_void};

/// Whether valgrind runs this program.
#[must_use]
pub fn on_valgrind() -> bool {
    // SAFETY: it takes nothing and returns a number.
    unsafe { hookwarden_on_valgrind() != 0 }
}

/// How many reports memcheck has made until now, the suppressed ones left out.
#[must_use]
pub fn reports() -> u32 {
    // SAFETY: it takes nothing and returns a number.
    unsafe { hookwarden_reports() }
}

/// A place in memory whose content is a secret.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    start: *const u8,
    size: usize,
}

impl Place {
    /// Where `bytes` are.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        Self { start: bytes.as_ptr(), size: bytes.len() }
    }

    /// Marks the content as undefined, and so all that is computed of it.
    pub fn poison(self) {
        // SAFETY: only valgrind's own notes on this memory change; nothing is read or written.
        unsafe { hookwarden_poison(self.start.cast(), self.size) }
    }

    /// Marks the content as defined.
    pub fn cure(self) {
        // SAFETY: only valgrind's own notes on this memory change; nothing is read or written.
        unsafe { hookwarden_cure(self.start.cast(), self.size) }
    }
}

/// Whether no bit of `bytes` is defined.
#[must_use]
pub fn is_poisoned(bytes: &[u8]) -> bool {
    // SAFETY: the slice is valid for its length, and valgrind reads its notes on it alone.
    unsafe { hookwarden_is_poisoned(bytes.as_ptr(), bytes.len()) != 0 }
}

/// Does `work` without reports of it. What is undefined stays so.
pub fn muted<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: both take nothing and return nothing.
    unsafe { hookwarden_mute() };
    let done = work();
    // SAFETY: as above.
    unsafe { hookwarden_unmute() };
    done
}

/// Lets callgrind count the instructions of `work`, and write them down under `name`.
pub fn counted<T>(name: &CStr, work: impl FnOnce() -> T) -> T {
    // SAFETY: it takes nothing and returns nothing.
    unsafe { hookwarden_count_from_here() };
    let done = work();
    // SAFETY: the name ends with a zero byte and is read during the call alone.
    unsafe { hookwarden_count_to_here(name.as_ptr()) };
    done
}

unsafe extern "C" {
    fn hookwarden_on_valgrind() -> c_uint;
    fn hookwarden_reports() -> c_uint;
    fn hookwarden_poison(start: *const c_void, size: usize);
    fn hookwarden_cure(start: *const c_void, size: usize);
    fn hookwarden_is_poisoned(start: *const u8, size: usize) -> c_uint;
    fn hookwarden_mute();
    fn hookwarden_unmute();
    fn hookwarden_count_from_here();
    fn hookwarden_count_to_here(name: *const c_char);
}
