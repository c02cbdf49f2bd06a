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
    "affirm" [];
    "airship" ["airship_open_channels", "urban_airship"];
    "airtable" [];
    "airwallex" [];
    "alchemy" ["alchemy_notify"];
    "asana" [];
    "authorize_net" ["authnet", "authorizenet"];
    "autodesk" ["autodesk_aps", "autodesk_forge"];
    "bitbucket" ["bitbucket_cloud", "bitbucket_server"];
    "bolt" ["bolt_checkout"];
    "box" [];
    "buildkite" [];
    "cal_com" ["calcom"];
    "calendly" [];
    "cashfree" ["cashfree_payments"];
    "castle" [];
    "chatwoot" [];
    "checkout_com" ["checkout"];
    "checkr" [];
    "circleci" [];
    "clickup" [];
    "cloudflare_stream" [];
    "codat" [];
    "coinbase" ["coinbase_cdp", "coinbase_onramp"];
    "coinbase_commerce" [];
    "configcat" [];
    "contentful" [];
    "creem_legacy" [];
    "crisp" [];
    "cronofy" [];
    "customer_io" ["cio", "customerio"];
    "deel" [];
    "discord" ["discord_interactions"];
    "discord_webhook_events" [];
    "docuseal" [];
    "docusign" ["docusign_connect"];
    "dropbox" [];
    "dub" [];
    "dwolla" [];
    "easypost" [];
    "elevenlabs" [];
    "expo" ["eas", "expo_eas"];
    "fal_ai" ["fal", "falai"];
    "fastspring" [];
    "fintoc" [];
    "flutterwave" [];
    "frame_io" ["frameio"];
    "front" ["frontapp"];
    "front_rules" [];
    "github" ["github_enterprise"];
    "gocardless" [];
    "help_scout" ["helpscout"];
    "heroku" [];
    "hook0_v0" [];
    "hook0_v1" ["hook0"];
    "hookdeck" [];
    "hubspot_v3" ["hubspot"];
    "intercom" [];
    "jira" ["jira_cloud"];
    "klaviyo" [];
    "knock" [];
    "kontent_ai" ["kentico_kontent"];
    "launchdarkly" ["launch_darkly"];
    "lemon_squeezy" [];
    "line" ["line_messaging_api"];
    "linear" [];
    "linkedin" [];
    "lovable" [];
    "merge" ["merge_dev"];
    "meta" ["facebook", "instagram", "messenger", "whatsapp"];
    "metronome" [];
    "modern_treasury" [];
    "mollie" [];
    "mongodb_atlas" ["atlas", "mongodb"];
    "ms_teams" ["microsoft_teams", "teams"];
    "mux" ["mux_video"];
    "nango" [];
    "notion" [];
    "nylas" [];
    "onfido" [];
    "onfleet" [];
    "paddle" ["paddle_billing"];
    "pagerduty" [];
    "paystack" [];
    "persona" [];
    "pinwheel" [];
    "pusher" ["pusher_channels"];
    "quickbooks" ["intuit", "quickbooks_online"];
    "razorpay" [];
    "recurly" [];
    "retell" ["retell_ai"];
    "revolut" ["revolut_business", "revolut_merchant"];
    "ripple_collections" [];
    "sanity" [];
    "seam" ["seam_api"];
    "segment" ["twilio_segment"];
    "sendbird" [];
    "sendgrid" ["twilio_sendgrid"];
    "sentry" [];
    "shippo" ["goshippo"];
    "shopify" [];
    "shortcut" ["clubhouse"];
    "sinch_conversation" ["sinch"];
    "sinch_numbers" [];
    "slack" [];
    "snyk" [];
    "square" [];
    "standard_webhooks" ["anthropic", "brex", "browserbase", "creem", "dodo_payments", "etsy", "fathom", "gemini", "gitlab", "incident_io", "lithic", "liveblocks", "loops", "make", "novu", "openai", "quartr", "recall_ai", "render", "replicate", "sardine", "scalekit", "signatureapi", "standardwebhooks", "supabase"];
    "standard_webhooks_literal" ["ahasend", "composio", "imagekit", "increase", "parallel", "polar", "whop"];
    "standard_webhooks_v1a" ["standard_webhooks_ed25519", "svix_ed25519"];
    "stream_chat" ["getstream"];
    "stripe" [];
    "svix" ["agentmail", "autumn", "chargeblast", "clerk", "crossmint", "flowglad", "goody", "juo", "openmeter", "privy", "resend", "riyadh_parking", "stytch", "vanta"];
    "tailscale" [];
    "tally" [];
    "telnyx" [];
    "terraform_cloud" ["hcp_terraform", "terraform_enterprise"];
    "tiktok" ["tiktok_for_developers"];
    "timestamped" [];
    "trello" ["atlassian_trello"];
    "trigger_dev" [];
    "turnkey" [];
    "twitch" ["twitch_eventsub"];
    "typeform" [];
    "vercel" [];
    "viber" ["rakuten_viber"];
    "webflow" [];
    "wise" ["transferwise"];
    "wistia" [];
    "woocommerce" [];
    "workos" [];
    "x" ["twitter"];
    "xero" [];
    "zendesk" [];
    "zoom" [];
};
