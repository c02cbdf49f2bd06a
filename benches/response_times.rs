//! Measures whether the time of a refusal reveals which webhook ids exist: response times of forged requests for known
//! and for unknown ids over TCP, during a key rotation and outside it: `cargo bench --features axum --bench
//! response_times`.
//!
//! A child process runs an axum receiver on loopback. Requests for both kinds of ids are sent in random order, one at a
//! time, over keep-alive connections. For each pair the table has the quartiles of both, the ratio of their medians,
//! and `p`: the share of random assignments of the labels with a difference of medians at least as large. A pair
//! *agrees* if that happens in at least one of a thousand assignments. Otherwise it *almost agrees* if the medians
//! differ by less than half of the smaller interquartile range: distinguishing the two takes many requests.
//! `docs/threat-model.md` explains this. The benchmark fails only if an answer is not the expected one.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic ends the measurement"
)]

use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use hookwarden::axum::WardenLayer;
use hookwarden::error::StoreError;
use hookwarden::keys::{AsyncKeyStore, CachedKeys, StaticKeys};
use hookwarden::warden::{BodyLimits, Quotas, WardenBuilder};
use hookwarden::{BoxFuture, Key, Keyring, Scheme, Timestamp, Warden};

fn main() {
    if std::env::var_os(RECEIVER).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(receive());
    }
    let began = Instant::now();
    let receiver = Receiver::start();
    let mut random = Random(RandomState::new().hash_one("the order of the requests") | 1);
    println!("response times in µs of forged requests: quartiles, known ids against unknown ids\n");
    println!("| keys | ids | body | known | unknown | ratio | p | |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (body, requests) in [(1 << 10, 4_000), (256 << 10, 600)] {
        for pair in PAIRS {
            println!("{}", measure(&receiver, pair, body, requests, &mut random));
        }
    }
    println!("\n{:.0} s in all", began.elapsed().as_secs_f64());
}

/// Two kinds of ids whose requests are compared.
struct Pair {
    route: &'static str,
    keys: &'static str,
    ids: &'static str,
    /// The ids. `*` is replaced by the number of one of the receiver's senders, `?` by a new number.
    known: &'static str,
    unknown: &'static str,
    /// Whether the documentation says that the times differ.
    differs: bool,
}

const PAIRS: [Pair; 10] = [
    Pair { route: "one", keys: "one live key", ids: "unknown, twice", known: "a?", unknown: "b?", differs: false },
    Pair {
        route: "one",
        keys: "one live key, one expired",
        ids: "outside a rotation",
        known: "k*",
        unknown: "u?",
        differs: false,
    },
    Pair {
        route: "one",
        keys: "one live key, one expired",
        ids: "one repeated id",
        known: "k-00000000",
        unknown: "u?",
        differs: false,
    },
    Pair { route: "two", keys: "two live keys", ids: "during a rotation", known: "k*", unknown: "u?", differs: false },
    Pair {
        route: "one",
        keys: "one live key",
        ids: "id without a live key",
        known: "x*",
        unknown: "u?",
        differs: false,
    },
    Pair { route: "one", keys: "one live key", ids: "id in rotation", known: "r*", unknown: "u?", differs: true },
    Pair { route: "two", keys: "two live keys", ids: "id not in rotation", known: "r*", unknown: "u?", differs: true },
    Pair { route: "cached", keys: "cached", ids: "both in the cache", known: "k*", unknown: "u*", differs: false },
    Pair { route: "cached", keys: "cached", ids: "neither in the cache", known: "k?", unknown: "u?", differs: false },
    Pair {
        route: "cached",
        keys: "cached",
        ids: "unknown id not in the cache",
        known: "k*",
        unknown: "u?",
        differs: true,
    },
];

fn measure(receiver: &Receiver, pair: Pair, body: usize, requests: usize, random: &mut Random) -> String {
    let mut connections = [(); CONNECTIONS].map(|()| Connection::open(receiver.address));
    let body_bytes = vec![b'x'; body];
    let mut send = |id: &str, random: &mut Random| {
        let connection = &mut connections[random.below(CONNECTIONS)];
        connection.exchange(&format!("/{}/{id}", pair.route), &body_bytes)
    };
    // Warm up every connection and every id.
    for number in 0..PROBED {
        for ids in [pair.known, pair.unknown] {
            send(&ids.replace('*', &format!("-{number:08}")).replace('?', &random.number()), random);
        }
    }
    let mut order: Vec<bool> = (0..2 * requests).map(|index| index < requests).collect();
    random.shuffle(&mut order);
    let began = Instant::now();
    let mut times = [Vec::new(), Vec::new()];
    for is_known in order {
        if began.elapsed() > LONGEST {
            break;
        }
        let ids = if is_known { pair.known } else { pair.unknown };
        let sender = format!("-{:08}", random.below(PROBED));
        let id = ids.replace('*', &sender).replace('?', &random.number());
        times[usize::from(!is_known)].push(send(&id, random));
    }
    let p = permuted(&times, random);
    let [known, unknown] = times.map(|mut times| quartiles(&mut times));
    let spread = (known[2] - known[0]).min(unknown[2] - unknown[0]);
    let is_close = (known[1] - unknown[1]).abs() < spread / 2.0;
    let verdict = match (p >= SIGNIFICANT, pair.differs) {
        (true, false) => "agree",
        (true, true) => "agree, though documented to differ",
        (false, true) => "differ, as documented",
        (false, false) if is_close => "almost agree",
        (false, false) => "**differ**",
    };
    let shown = |[low, middle, high]: [f64; 3]| format!("{low:.1} / {middle:.1} / {high:.1}");
    let Pair { keys, ids, .. } = pair;
    let (ratio, kib) = (known[1] / unknown[1], body >> 10);
    format!("| {keys} | {ids} | {kib} KiB | {} | {} | {ratio:.3} | {p:.4} | {verdict} |", shown(known), shown(unknown))
}

/// Returns the share of random assignments of the labels whose medians differ at least as much as these.
fn permuted([known, unknown]: &[Vec<f64>; 2], random: &mut Random) -> f64 {
    let distance = |known: &mut [f64], unknown: &mut [f64]| (median(known) - median(unknown)).abs();
    let measured = distance(&mut known.clone(), &mut unknown.clone());
    let mut all = [known.as_slice(), unknown].concat();
    let mut as_far = 1;
    for _ in 0..PERMUTATIONS {
        random.shuffle(&mut all);
        let mut assigned = all.clone();
        let (left, right) = assigned.split_at_mut(known.len());
        as_far += u32::from(distance(left, right) >= measured);
    }
    f64::from(as_far) / f64::from(PERMUTATIONS + 1)
}

fn median(times: &mut [f64]) -> f64 {
    let middle = times.len() / 2;
    *times.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn quartiles(times: &mut [f64]) -> [f64; 3] {
    times.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| times[times.len() * quarter / 4])
}

struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Sends a forgery, and returns the time until its refusal in microseconds.
    fn exchange(&mut self, path: &str, body: &[u8]) -> f64 {
        let time = Timestamp::now().as_unix();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Webhook-Timestamp: {time}\r\nX-Webhook-Signature: {}\r\n\
             Content-Length: {}\r\n\r\n",
            "0".repeat(64),
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        let began = Instant::now();
        self.stream.get_mut().write_all(&request).unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let status = line.clone();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
        }
        self.stream.read_exact(&mut vec![0; length]).unwrap();
        let took = began.elapsed();
        assert!(status.starts_with("HTTP/1.1 401 "), "{path}: {status}");
        took.as_secs_f64() * 1e6
    }
}

/// A child process of this program that runs the receiver.
struct Receiver {
    child: Child,
    address: SocketAddr,
}

impl Receiver {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.env(RECEIVER, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().parse().unwrap() }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn receive() {
    let scheme = Scheme::timestamped();
    // The number of live keys of common ids, and of the exceptional ids.
    let fixed = |common: usize, exception: usize| {
        let senders = (0..PROBED).flat_map(|number| {
            let usual = [("k", common), ("m", common)].into_iter();
            let all = usual.chain([("r", exception), ("x", 0)]);
            all.map(move |(kind, live)| keyring(&format!("{kind}-{number:08}"), live))
        });
        let keys = StaticKeys::new(&Scheme::timestamped(), senders).unwrap();
        warden(|warden| warden.keys(keys))
    };
    let hour = Duration::from_secs(3_600);
    let cached = CachedKeys::builder(Distant).unknown_ttl(hour).build(&scheme).unwrap();
    let guarded = |warden| post(async || ()).layer(WardenLayer::new(warden));
    let router = Router::new()
        .route("/one/{id}", guarded(fixed(1, 2)))
        .route("/two/{id}", guarded(fixed(2, 1)))
        .route("/cached/{id}", guarded(warden(|warden| warden.cached_keys(cached))));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    axum::serve(listener, router).await.unwrap();
}

fn warden(set: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Warden {
    let quotas = Quotas::new().danger_unlimited_rejected();
    let limits = BodyLimits::new().max_bytes(1 << 20);
    set(Warden::builder(Scheme::timestamped()).quotas(quotas).body(limits)).build().unwrap()
}

/// A sender with `live` keys that are valid and one that has expired.
fn keyring(id: &str, live: usize) -> (String, Keyring) {
    let key = |number: usize| {
        let secret = Scheme::timestamped().secret(&format!("the secret {number} of {id}")).unwrap();
        let key = Key::new(&number.to_string(), secret).unwrap();
        if number < live { key } else { key.not_after(Timestamp::from_unix(1)) }
    };
    (id.to_owned(), Keyring::from_keys((0..=live).map(key)).unwrap())
}

/// A slow store that knows all ids that begin with a `k`.
struct Distant;

impl AsyncKeyStore for Distant {
    fn find<'a>(&'a self, webhook_id: &'a str) -> BoxFuture<'a, Result<Option<Keyring>, StoreError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            // Prepare the keys for unknown ids too, so that the time of the store does not differ.
            let (_, keys) = keyring(webhook_id, 1);
            Ok(webhook_id.starts_with('k').then_some(keys))
        })
    }
}

/// Xorshift: an order that does not repeat is enough.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// Returns a number that no sender has, with the same length as those of the senders.
    fn number(&mut self) -> String {
        format!("-{:08}", 1_000_000 + self.below(99_000_000))
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}

/// The environment variable that makes this program the receiver.
const RECEIVER: &str = "HOOKWARDEN_RESPONSE_TIMES_RECEIVER";
const CONNECTIONS: usize = 4;
/// The number of probed ids of each kind. There are twice as many ids with the common number of live keys.
const PROBED: usize = 50;
/// The maximum time for a pair.
const LONGEST: Duration = Duration::from_millis(2_500);
const PERMUTATIONS: u32 = 3_999;
const SIGNIFICANT: f64 = 0.001;
