//! Random bytes and text from the operating system.

use zeroize::Zeroizing;

use crate::failure::Failure;

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, Failure> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes)
        .map_err(|_| Failure::outside("random numbers", "the operating system's generator failed"))?;
    Ok(bytes)
}

/// `N` random bytes in hex.
pub(crate) fn hex<const N: usize>() -> Result<String, Failure> {
    Ok(const_hex::encode(*bytes::<N>()?))
}

/// `length` characters of `alphabet`, uniformly distributed. Draws outside of the alphabet are rejected, because a
/// remainder would favour its first characters. The alphabet has 1 to 256 ASCII characters.
pub(crate) fn text(alphabet: &[u8], length: usize) -> Result<Zeroizing<String>, Failure> {
    let mask = u8::try_from(alphabet.len().next_power_of_two().saturating_sub(1)).unwrap_or(u8::MAX);
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        let draws = bytes::<128>()?;
        let characters = draws.iter().filter_map(|draw| alphabet.get(usize::from(draw & mask)));
        for character in characters.take(length.saturating_sub(text.len())) {
            text.push(char::from(*character));
        }
    }
    Ok(text)
}
