//! Compares the times of pairs of calls that must not differ, by Welch's t-test on calls in random order, with the
//! method of dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017): `tests/constant_time/run
//! --timing`.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hookwarden_constant_time::early_exit;
use hookwarden_constant_time::message::{BODY, Message, NOW, Sort};
use hookwarden_constant_time::receiver::{KNOWN, SECRET, UNKNOWN, receive, verifier, warden};

fn main() -> ExitCode {
    let sort = Sort::timestamped();
    let (verifier, warden) = (verifier(&sort), warden());
    let good = sort.sign(SECRET);
    let mac = good.mac();
    let wrong = |places: &[usize]| Call::new(KNOWN, good.clone().with_wrong(places.iter().copied()));
    let every: Vec<usize> = (0..sort.mac_size).collect();
    let (nothing_right, last_wrong, first_wrong) = (wrong(&every), wrong(&[31]), wrong(&[0]));
    let unknown = Call { id: UNKNOWN.to_owned(), ..nothing_right.clone() };

    let verify = |call: &Call| drop(black_box(verifier.verify_at(black_box(&call.head), BODY, NOW)));
    let guard = |call: &Call| drop(black_box(receive(&warden, black_box(&call.id), black_box(&call.head))));
    let careless = |call: &Call| {
        verify(call);
        black_box(early_exit(&mac, &call.mac));
    };

    println!("{:<42} {:>9} {:>8} {:>10} {:>8}  expected", "", "calls", "mean ns", "differ ns", "max |t|");
    let mut table = Table::default();
    table.row("31 bytes right / none right", [&last_wrong, &nothing_right], verify, Expected::Same);
    table.row("first byte wrong / last byte wrong", [&first_wrong, &last_wrong], verify, Expected::Same);
    // A table lookup takes a different time for an unknown id, but the MAC must be computed for both.
    table.row("Warden: known id / unknown id", [&nothing_right, &unknown], guard, Expected::Near);
    table.row("control: stops at the first difference", [&last_wrong, &nothing_right], careless, Expected::Different);
    if table.unexpected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The arguments of a call.
#[derive(Clone)]
struct Call {
    id: String,
    head: Vec<(String, String)>,
    mac: Vec<u8>,
}

impl Call {
    fn new(id: &str, message: Message) -> Self {
        Self { id: id.to_owned(), mac: message.mac(), head: message.head }
    }

    /// Copies another call into the memory of this one, so that both are read from the same addresses.
    fn take(&mut self, other: &Self) {
        self.id.clone_from(&other.id);
        self.mac.clone_from(&other.mac);
        for ((_, own), (_, value)) in self.head.iter_mut().zip(&other.head) {
            own.clone_from(value);
        }
    }
}

#[derive(Clone, Copy)]
enum Expected {
    /// No difference is found.
    Same,
    /// The difference is a small part of the whole.
    Near,
    /// A difference is found.
    Different,
}

impl Expected {
    const fn text(self) -> &'static str {
        match self {
            Self::Same => "|t| up to 10",
            Self::Near => "up to 2 %",
            Self::Different => "|t| over 10",
        }
    }

    fn holds(self, found: &Found) -> bool {
        match self {
            Self::Same => !found.differs(),
            Self::Near => found.difference.abs() <= found.mean * NEAR,
            Self::Different => found.differs(),
        }
    }
}

#[derive(Default)]
struct Table {
    unexpected: u32,
}

impl Table {
    /// Measures an unexpected result twice more, because other load on the machine may have caused it.
    fn row(&mut self, name: &str, classes: [&Call; 2], work: impl Fn(&Call), expected: Expected) {
        for attempt in 1..=ATTEMPTS {
            let found = measure(classes, &work);
            let as_expected = expected.holds(&found);
            let verdict = if as_expected { "ok" } else { "UNEXPECTED" };
            let Found { calls, mean, difference, t } = found;
            let (t, expected) = (t.abs(), expected.text());
            println!("{name:<42} {calls:>9} {mean:>8.0} {difference:>10.2} {t:>8.1}  {expected:<12} {verdict}");
            if as_expected {
                return;
            }
            self.unexpected += u32::from(attempt == ATTEMPTS);
        }
    }
}

struct Found {
    calls: usize,
    mean: f64,
    /// The difference of the means, for the largest `t`.
    difference: f64,
    t: f64,
}

impl Found {
    fn differs(&self) -> bool {
        self.t.abs() > THRESHOLD && self.difference.abs() > CYCLE
    }
}

/// Measures calls of both classes in random order. Returns the largest t of several cuts: other load on the machine
/// makes some calls much longer, which hides a difference between the others.
fn measure(classes: [&Call; 2], work: &impl Fn(&Call)) -> Found {
    let mut times = [Vec::new(), Vec::new()];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut call = classes[0].clone();
    let begin = Instant::now();
    while begin.elapsed() < FOR && times.iter().map(Vec::len).sum::<usize>() < CALLS {
        for _ in 0..1_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let class = usize::from(random & (1 << 40) != 0);
            call.take(classes[class]);
            let began = Instant::now();
            work(&call);
            times[class].push(began.elapsed().as_nanos() as f64);
        }
    }
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let cuts = CUTS.map(|cut| all[((all.len() - 1) as f64 * cut) as usize]);
    let tests = cuts.map(|cut| welch(times.each_ref().map(|times| Sample::of(times, cut))));
    let (difference, t) = tests.into_iter().max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs())).unwrap_or_default();
    Found { calls: all.len(), mean: all.iter().sum::<f64>() / all.len() as f64, difference, t }
}

struct Sample {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Sample {
    /// Computes the sample of the times up to `cut`.
    fn of(times: &[f64], cut: f64) -> Self {
        let within = || times.iter().filter(|time| **time <= cut);
        let count = within().count() as f64;
        let mean = within().sum::<f64>() / count;
        let variance = within().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { count, mean, variance }
    }
}

/// Returns the difference of the means, and the same in units of its standard error.
fn welch([a, b]: [Sample; 2]) -> (f64, f64) {
    let error = (a.variance / a.count + b.variance / b.count).sqrt();
    (a.mean - b.mean, (a.mean - b.mean) / error)
}

/// The maximum number of calls. With more, |t| grows until it detects differences that the program does not cause.
const CALLS: usize = 1_000_000;
/// The maximum time of a measurement.
const FOR: Duration = Duration::from_secs(4);
/// The |t| above which times differ.
const THRESHOLD: f64 = 10.0;
/// A cycle of a processor at 4 GHz, in nanoseconds. An additional instruction takes at least that.
const CYCLE: f64 = 0.25;
/// The maximum small difference, as a share of the mean.
const NEAR: f64 = 0.02;
const ATTEMPTS: u32 = 3;
/// The shares of the shortest times that each test uses.
const CUTS: [f64; 6] = [0.5, 0.75, 0.9, 0.95, 0.99, 1.0];
