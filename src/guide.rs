//! The guide: from a first route to production, and through incidents.
//!
//! First steps:
//!
//! * [`start`]: from an empty project to production, with a checklist.
//! * [`recipes`]: one sender, several schemes, state, verifying plain bytes, local development.
//! * [`migrate`]: from `standardwebhooks`, `svix`, `webhook-verify`, or a Django view.
//! * [`rollout`]: switching live traffic step by step.
//! * [`testing`]: testing your handlers.
//! * [`message_signatures`]: HTTP Message Signatures: profiles, keys by `keyid`, proxies, AdCP and UCP.
//! * [`handshakes`]: challenges that providers send when a webhook is registered.
//!
//! In production:
//!
//! * [`secrets`]: secrets from Kubernetes, Docker, Vault, AWS or a database.
//! * [`rotation`]: rotating keys, planned and after a leak.
//! * [`replay`]: duplicate deliveries and idempotency.
//! * [`proxies`]: addresses, bodies, timeouts and TLS behind proxies.
//! * [`incidents`]: detect, contain, rotate, recover; the meaning of each refusal.
#![cfg_attr(feature = "redis", doc = "* [`redis`](crate::redis): several replicas with a shared store.")]
//!
//! Reference:
//!
//! * [`providers`]: the providers that `Scheme::provider` knows by name.
//! * [`defaults`]: the default of each check, and the status of each outcome.
//! * [`command`]: the command `hookwarden`.
//! * [`corpus`]: test vectors and near misses for other languages.
//! * [`architecture`]: layers and modules.
//! * [`comparison`]: other crates.

/// Includes a page. In the file its links lead to other files. The definitions below come first and take precedence, so in
/// rustdoc the links lead to pages.
macro_rules! page {
    ($(#[$summary:meta])+ $name:ident, $file:literal) => {
        $(#[$summary])+
        ///
        /// [page-architecture]: crate::guide::architecture
        /// [page-command]: crate::guide::command
        /// [page-corpus]: crate::guide::corpus
        /// [page-corpus-py]: https://docs.rs/crate/hookwarden/latest/source/examples/corpus.py
        /// [page-custom]: crate::scheme::CustomScheme
        /// [page-defaults]: crate::guide::defaults
        /// [page-handshakes]: crate::guide::handshakes
        /// [page-incidents]: crate::guide::incidents
        /// [page-message-signatures]: crate::guide::message_signatures
        /// [page-migrate-side]: crate::guide::migrate#run-both-side-by-side
        /// [page-monitoring]: https://docs.rs/crate/hookwarden/latest/source/examples/monitoring/README.md
        /// [page-providers]: crate::guide::providers
        /// [page-proxies]: crate::guide::proxies
        /// [page-reason]: crate::Reason
        /// [page-recipes]: crate::guide::recipes
        /// [page-recipes-custom]: crate::guide::recipes#verify-a-provider-with-your-own-code
        /// [page-recipes-provider]: crate::guide::recipes#use-a-provider-without-a-preset
        /// [page-replay]: crate::guide::replay
        /// [page-replay-equal]: crate::guide::replay#equal-bodies
        /// [page-replay-github]: crate::guide::replay#github
        /// [page-rollout]: crate::guide::rollout
        /// [page-rotation]: crate::guide::rotation
        /// [page-rotation-files]: crate::guide::rotation#files-of-secrets
        /// [page-schemes]: crate::scheme::Scheme
        /// [page-secrets]: crate::guide::secrets
        /// [page-speed]: https://docs.rs/crate/hookwarden/latest/source/docs/performance.md
        /// [page-start]: crate::guide::start
        /// [page-start-live]: crate::guide::start#4-before-it-goes-live
        /// [page-start-probes]: crate::guide::start#metrics-and-health-probes
        /// [page-start-send]: crate::guide::start#3-a-delivery-and-an-attack
        #[cfg_attr(feature = "redis", doc = "[page-fleet]: crate::redis")]
        #[cfg_attr(not(feature = "redis"), doc = "[page-fleet]: https://docs.rs/hookwarden/latest/hookwarden/redis/")]
        /// [page-testing]: crate::guide::testing
        /// [page-threats-time]: https://docs.rs/crate/hookwarden/latest/source/docs/threat-model.md
        ///
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

page! {
    /// From an empty project to production.
    start, "../docs/guide/start.md"
}
page! {
    /// Code for common tasks.
    recipes, "../docs/guide/recipes.md"
}
page! {
    /// The providers that `Scheme::provider` knows by name.
    providers, "../docs/guide/providers.md"
}
page! {
    /// Moving from another crate or from a Django view.
    migrate, "../docs/guide/migrate.md"
}
page! {
    /// Switching live traffic step by step.
    rollout, "../docs/guide/rollout.md"
}
page! {
    /// Testing your handlers.
    testing, "../docs/guide/testing.md"
}
page! {
    /// HTTP Message Signatures: profiles, keys by `keyid`, proxies, AdCP and UCP.
    message_signatures, "../docs/guide/message-signatures.md"
}
page! {
    /// Challenges that providers send when a webhook is registered.
    handshakes, "../docs/guide/handshakes.md"
}
page! {
    /// Secrets from Kubernetes, Docker, Vault, AWS or a database.
    secrets, "../docs/guide/secrets.md"
}
page! {
    /// Rotating keys.
    rotation, "../docs/guide/rotation.md"
}
page! {
    /// Duplicate deliveries and idempotency.
    replay, "../docs/guide/replay.md"
}
page! {
    /// Addresses, bodies, timeouts and TLS behind proxies.
    proxies, "../docs/guide/proxies.md"
}
page! {
    /// Incidents: detect, contain, rotate, recover.
    incidents, "../docs/guide/incidents.md"
}
page! {
    /// The default of each step, and the answer to each request.
    defaults, "../docs/guide/defaults.md"
}
page! {
    /// The command `hookwarden`.
    command, "../docs/command.md"
}
page! {
    /// Test vectors and near misses for other languages.
    corpus, "../docs/guide/corpus.md"
}
// Embed the picture, because rustdoc copies no files, and hide the page's own link to it.
page! {
    /// Layers and modules.
    ///
    #[doc = include_str!("../docs/guide/steps.svg")]
    ///
    /// <style>img[src="steps.svg"] { display: none }</style>
    ///
    architecture, "../docs/guide/architecture.md"
}
page! {
    /// Comparison with other crates.
    comparison, "../docs/guide/comparison.md"
}
