//! Ways to verify a webhook, each called as in a receiver: with the head of a real request, with a prepared secret, and
//! with the clock read if the library reads it. All of them accept their message.

mod by_hand;
mod crates;
mod ours;

#[expect(dead_code, reason = "the benchmarks of the crate use the rest")]
#[path = "../../util/floor.rs"]
mod floor;
#[expect(dead_code, reason = "the benchmarks of the crate use the rest")]
#[path = "../../util/sender.rs"]
mod sender;

/// One way to verify.
#[derive(Debug)]
pub struct Peer {
    /// The name in tables and in the plot.
    pub name: &'static str,
    pub kind: Kind,
    pub scheme: Scheme,
    prepare: fn(usize) -> Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// This crate.
    Ours,
    /// A MAC and a comparison, with the minimum code around them.
    Mac,
    /// Another crate that verifies webhooks.
    Verifier,
}

/// The scheme that a peer verifies, or the closest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Timestamped,
    StandardWebhooks,
    Stripe,
}

/// Verifies one message, and panics if it is not accepted.
pub type Call = Box<dyn Fn()>;

impl Peer {
    /// Returns a call that verifies a message with a body of `size` bytes, signed now. It must be called within five
    /// minutes, while the message is fresh.
    #[must_use]
    pub fn call(&self, size: usize) -> Call {
        let call = (self.prepare)(size);
        call();
        call
    }

    /// Returns ours with the same scheme.
    #[must_use]
    pub fn ours(&self) -> &'static Self {
        let ours = PEERS.iter().find(|peer| peer.kind == Kind::Ours && peer.scheme == self.scheme);
        ours.unwrap_or(&PEERS[0])
    }
}

/// All peers. The first is ours with the default scheme.
pub static PEERS: [Peer; 13] = {
    use Kind::{Mac, Ours, Verifier};
    use Scheme::{StandardWebhooks, Stripe, Timestamped};
    const fn peer(name: &'static str, kind: Kind, scheme: Scheme, prepare: fn(usize) -> Call) -> Peer {
        Peer { name, kind, scheme, prepare }
    }
    [
        peer("hookwarden", Ours, Timestamped, ours::timestamped),
        peer("hookwarden, Standard Webhooks", Ours, StandardWebhooks, ours::standard_webhooks),
        peer("hookwarden, Stripe", Ours, Stripe, ours::stripe),
        peer("floor", Mac, Timestamped, by_hand::floor),
        peer("hmac, keyed anew", Mac, Timestamped, by_hand::keyed_anew),
        peer("ring", Mac, Timestamped, by_hand::ring),
        peer("aws-lc-rs", Mac, Timestamped, by_hand::aws_lc_rs),
        peer("standardwebhooks", Verifier, StandardWebhooks, crates::standardwebhooks),
        peer("svix", Verifier, StandardWebhooks, crates::svix),
        peer("webhook-verify, Stripe", Verifier, Stripe, crates::webhook_verify_stripe),
        peer("webhook-verify, Standard Webhooks", Verifier, StandardWebhooks, crates::webhook_verify_standard),
        peer("webhook-verify, timestamped", Verifier, Timestamped, crates::webhook_verify_timestamped),
        peer("hook0-client", Verifier, Stripe, crates::hook0_client),
    ]
};

/// Ours if the caller has read the clock already. It does less work than most peers, so it is not drawn.
pub static VERIFY_AT: Peer =
    Peer { name: "verify_at", kind: Kind::Ours, scheme: Scheme::Timestamped, prepare: ours::verify_at };

/// The sizes of the measured bodies, in bytes.
pub const SIZES: [usize; 5] = [0, 256, 1 << 10, 16 << 10, 1 << 20];
