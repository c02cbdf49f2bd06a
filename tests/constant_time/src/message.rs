//! Signed messages, and almost correct ones.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwarden::crypto::Algorithm;
use hookwarden::{Keyring, Scheme, Secret, Signer, Timestamp};

/// The time of all calls.
pub const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

/// The body: three blocks of the hash.
pub const BODY: &[u8] = &[b'x'; 150];

/// A scheme, with the data needed to change its signatures.
#[derive(Debug, Clone)]
pub struct Sort {
    /// The scheme.
    pub scheme: Scheme,
    /// The size of its MAC in bytes.
    pub mac_size: usize,
    base64: bool,
    /// The text before each further signature in the header, if there may be several.
    next: Option<&'static str>,
}

impl Sort {
    /// `Scheme::timestamped`.
    #[must_use]
    pub fn timestamped() -> Self {
        Self { scheme: Scheme::timestamped(), mac_size: 32, base64: false, next: None }
    }

    /// `Scheme::standard_webhooks`.
    #[must_use]
    pub fn standard_webhooks() -> Self {
        Self { scheme: Scheme::standard_webhooks(), mac_size: 32, base64: true, next: Some(" v1,") }
    }

    /// `Scheme::stripe`.
    #[must_use]
    pub fn stripe() -> Self {
        Self { scheme: Scheme::stripe(), mac_size: 32, base64: false, next: Some(",v1=") }
    }

    /// Returns every preset, and both algorithms that no preset has.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let plain = |scheme| Self { scheme, ..Self::timestamped() };
        let with = |name, algorithm, mac_size| {
            let scheme = Scheme::timestamped().into_builder().name(name).algorithm(algorithm).build();
            Self { scheme: scheme.expect("a scheme"), mac_size, base64: false, next: None }
        };
        vec![
            Self::timestamped(),
            Self::standard_webhooks(),
            Self::stripe(),
            plain(Scheme::github()),
            plain(Scheme::slack()),
            with("timestamped-sha1", Algorithm::HmacSha1, 20),
            with("timestamped-sha512", Algorithm::HmacSha512, 64),
        ]
    }

    /// Creates a message that is signed with `secret`.
    #[must_use]
    pub fn sign(&self, secret: &str) -> Message {
        let keys = Keyring::new(Secret::from_bytes(secret).expect("a secret"));
        let own = [("webhook-id", "msg_1")];
        let signer = Signer::new(self.scheme.clone(), keys).expect("a signer");
        let signed = signer.sign_at(&own, BODY, NOW).expect("a signature");
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let head: Vec<_> = own.into_iter().chain(signed.iter()).map(owned).collect();
        let names = self.scheme.signature_headers();
        let signature = head.iter().position(|(name, _)| names.iter().any(|known| known.as_str() == name));
        Message { sort: self.clone(), head, signature: signature.expect("a signature header") }
    }

    fn encode(&self, mac: &[u8]) -> String {
        if self.base64 { STANDARD.encode(mac) } else { const_hex::encode(mac) }
    }

    fn decode(&self, text: &str) -> Vec<u8> {
        if self.base64 { STANDARD.decode(text).expect("base64") } else { const_hex::decode(text).expect("hex") }
    }
}

/// A message whose body is [`BODY`].
#[derive(Debug, Clone)]
pub struct Message {
    sort: Sort,
    /// The names and values of its headers.
    pub head: Vec<(String, String)>,
    signature: usize,
}

impl Message {
    /// Returns the message with the bytes of its MAC changed at the indices `wrong`.
    #[must_use]
    pub fn with_wrong(mut self, wrong: impl IntoIterator<Item = usize>) -> Self {
        let mut mac = self.mac();
        wrong.into_iter().for_each(|place| mac[place] ^= 1);
        let before = self.before_mac();
        let text = self.sort.encode(&mac);
        self.value().replace_range(before.., &text);
        self
    }

    /// Returns the message with `more` invalid signatures before or after the valid one.
    #[must_use]
    pub fn among(mut self, more: u8, own_is_last: bool) -> Self {
        let next = self.sort.next.expect("a header for several signatures");
        let own = self.mac();
        let noise = (0..more).map(|number| vec![number; self.sort.mac_size]);
        let macs: Vec<_> =
            if own_is_last { noise.chain([own]).collect() } else { [own].into_iter().chain(noise).collect() };
        let texts: Vec<_> = macs.iter().map(|mac| self.sort.encode(mac)).collect();
        let before = self.before_mac();
        self.value().replace_range(before.., &texts.join(next));
        self
    }

    /// Returns the MAC, if it is the only one.
    #[must_use]
    pub fn mac(&self) -> Vec<u8> {
        let (_, value) = &self.head[self.signature];
        self.sort.decode(&value[self.before_mac()..])
    }

    /// Returns the index at which the MAC begins. It is the last part of the header in every scheme.
    fn before_mac(&self) -> usize {
        let (_, value) = &self.head[self.signature];
        value.len() - self.sort.encode(&vec![0; self.sort.mac_size]).len()
    }

    fn value(&mut self) -> &mut String {
        &mut self.head[self.signature].1
    }
}
