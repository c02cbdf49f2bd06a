//! Requests to valgrind. The only file with unsafe code.
#![expect(unsafe_code, reason = "valgrind's requests are C macros")]

use std::ffi::{CStr, c_char, c_uint, c_void};

/// Whether this program runs under valgrind.
#[must_use]
pub fn on_valgrind() -> bool {
    // SAFETY: the function takes no arguments and returns a number.
    unsafe { hookwarden_on_valgrind() != 0 }
}

/// Returns the number of memcheck's reports until now, without the suppressed ones.
#[must_use]
pub fn reports() -> u32 {
    // SAFETY: the function takes no arguments and returns a number.
    unsafe { hookwarden_reports() }
}

/// A memory range that contains a secret.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    start: *const u8,
    size: usize,
}

impl Place {
    /// Returns the memory range of `bytes`.
    #[must_use]
    pub const fn of(bytes: &[u8]) -> Self {
        Self { start: bytes.as_ptr(), size: bytes.len() }
    }

    /// Marks the content as undefined, and with it everything that is computed from it.
    pub fn poison(self) {
        // SAFETY: only valgrind's state of this memory changes. The memory is neither read nor written.
        unsafe { hookwarden_poison(self.start.cast(), self.size) }
    }

    /// Marks the content as defined.
    pub fn cure(self) {
        // SAFETY: only valgrind's state of this memory changes. The memory is neither read nor written.
        unsafe { hookwarden_cure(self.start.cast(), self.size) }
    }
}

/// Whether every bit of `bytes` is undefined.
#[must_use]
pub fn is_poisoned(bytes: &[u8]) -> bool {
    // SAFETY: the slice is valid for its length. Valgrind reads which bits are undefined, not the bytes.
    unsafe { hookwarden_is_poisoned(bytes.as_ptr(), bytes.len()) != 0 }
}

/// Runs `work` without reports. Undefined data stays undefined.
pub fn muted<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: both functions take no arguments and return nothing.
    unsafe { hookwarden_mute() };
    let done = work();
    // SAFETY: as above.
    unsafe { hookwarden_unmute() };
    done
}

/// Makes callgrind count the instructions of `work` and record them as `name`.
pub fn counted<T>(name: &CStr, work: impl FnOnce() -> T) -> T {
    // SAFETY: the function takes no arguments and returns nothing.
    unsafe { hookwarden_count_from_here() };
    let done = work();
    // SAFETY: the name ends with a zero byte, and is read only during the call.
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
