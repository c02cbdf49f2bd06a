//! The files of `providers/` with the names that lead to them, written by `.ci/providers --write`.

/// A provider's file.
pub(super) struct File {
    pub(super) name: &'static str,
    /// Aliases, and senders that adopted the scheme.
    pub(super) others: &'static [&'static str],
    pub(super) text: &'static str,
}

impl File {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        core::iter::once(self.name).chain(self.others.iter().copied())
    }
}

macro_rules! files {
    ($($name:literal $others:expr;)+) => {
        &[$(File { name: $name, others: &$others, text: include_str!(concat!("../../providers/", $name, ".toml")) }),+]
    };
}

pub(super) const FILES: &[File] = files! {
    "adyen" ["adyen_balance_platform", "adyen_platforms"];
    "box" [];
    "buildkite" [];
    "calendly" [];
    "cashfree" ["cashfree_payments"];
    "circleci" [];
    "coinbase_commerce" [];
    "contentful" [];
    "creem_legacy" ["creem"];
    "crisp" [];
    "discord" ["discord_interactions", "discord_webhook_events"];
    "docuseal" [];
    "docusign" ["docusign_connect"];
    "dropbox" [];
    "easypost" [];
    "elevenlabs" [];
    "razorpay" [];
    "retell" ["retell_ai"];
    "sentry" [];
    "slack" [];
    "standard_webhooks_v1a" ["standard_webhooks_ed25519", "svix_ed25519"];
    "stream_chat" ["getstream"];
    "stripe" [];
    "telnyx" [];
    "trigger_dev" [];
    "twitch" ["twitch_eventsub"];
    "woocommerce" [];
};
