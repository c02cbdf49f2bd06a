//! Generated secrets are random: among 10^5 of each kind none repeats, and all characters are equally frequent.

use std::collections::HashSet;

use super::scratch::Scratch;

const COUNT: usize = 100_000;

/// A kind, the format of its secrets, and the upper bound of chi-square.
///
/// A bound is the quantile at 1 - 10^-9 of the distribution with one degree of freedom fewer than there are characters:
/// a good generator fails one of the six comparisons in 6 of 10^9 runs. A generator that takes a remainder instead of
/// rejecting makes 8 of 62 characters a quarter more frequent, and exceeds the bound by a factor of hundreds.
struct Form {
    kind: &'static str,
    prefix: &'static str,
    /// The number of characters that are fully random.
    random: usize,
    suffix: usize,
    alphabet: String,
    bound: f64,
}

#[test]
fn generated_secrets_are_unique_and_uniform() {
    let alphanumeric: String = ('A'..='Z').chain('a'..='z').chain('0'..='9').collect();
    let form = |kind, prefix, random, suffix, extra: &str, bound| {
        let alphabet = if extra == "hex" { "0123456789abcdef".into() } else { format!("{alphanumeric}{extra}") };
        Form { kind, prefix, random, suffix, alphabet, bound }
    };
    let forms = [
        form("webhook", "", 64, 0, "", BOUND_62),
        form("jwt", "", 88, 0, "", BOUND_62),
        form("django", "", 64, 0, "-_", BOUND_64),
        form("whsec", "whsec_", 64, 0, "+/", BOUND_64),
        form("encryption", "", 64, 0, "hex", BOUND_16),
        // The last character before the padding has two bits that are always zero.
        form("fernet", "", 42, 2, "-_", BOUND_64),
    ];
    let scratch = Scratch::new();
    for form in forms {
        let ran = scratch.run(["secret", form.kind, "--count", &COUNT.to_string()]).assert_code(0);
        assert_eq!(ran.stderr, "");
        let secrets: HashSet<&str> = ran.stdout.lines().collect();
        assert_eq!((ran.stdout.lines().count(), secrets.len()), (COUNT, COUNT), "{}", form.kind);
        let mut counts = vec![0_u32; form.alphabet.len()];
        let positions: Vec<_> = (0..=u8::MAX).map(|byte| form.alphabet.find(char::from(byte))).collect();
        for secret in secrets {
            let random = secret.strip_prefix(form.prefix).unwrap();
            assert_eq!(random.len(), form.random + form.suffix, "{}", form.kind);
            for byte in random[..form.random].bytes() {
                let position = positions[usize::from(byte)];
                counts[position.unwrap_or_else(|| panic!("{}: {byte:#x}", form.kind))] += 1;
            }
        }
        let statistic = chi_square(&counts);
        assert!(statistic < form.bound, "{}: {statistic} of {}", form.kind, form.bound);
    }
}

#[test]
fn biased_counts_exceed_the_bound() {
    let mut counts = vec![100_000_u32; 62];
    assert!(chi_square(&counts) < BOUND_62);
    counts[0] = 101_300;
    assert!(chi_square(&counts) < BOUND_62, "within chance");
    counts[0] = 104_000;
    assert!(chi_square(&counts) > BOUND_62, "beyond chance");
}

fn chi_square(counts: &[u32]) -> f64 {
    let total: f64 = counts.iter().copied().map(f64::from).sum();
    let expected = total / f64::from(u32::try_from(counts.len()).unwrap());
    counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
}

const BOUND_16: f64 = 73.6;
const BOUND_62: f64 = 152.0;
const BOUND_64: f64 = 155.1;
