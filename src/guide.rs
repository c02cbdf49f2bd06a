//! The guide: from a first route to production, and through incidents.
//!
//! * [`start`]: from an empty project to production, with a checklist.
//! * [`migrate`]: from `standardwebhooks`, `svix`, `webhook-verify`, or a Django view.
//! * [`rotation`]: rotating keys, planned and after a leak.
//! * [`replay`]: duplicate deliveries and idempotency.
//! * [`testing`]: testing your handlers.
//! * [`proxies`]: addresses, bodies, timeouts and TLS behind proxies.
//! * [`incidents`]: detect, contain, rotate, recover; the meaning of each refusal.
//! * [`comparison`]: other crates.
//! * [`architecture`]: layers and modules.
//! * [`command`]: the command `hookwarden`.
//!
//! Several replicas with a shared store: see the module `redis`.

/// A page from a file. The links of the file lead to other files. The first definition of a link takes precedence, so here
/// they lead to pages instead.
macro_rules! page {
    ($(#[$summary:meta])+ $name:ident, $file:literal) => {
        $(#[$summary])+
        ///
        /// [page-command]: crate::guide::command
        /// [page-incidents]: crate::guide::incidents
        /// [page-proxies]: crate::guide::proxies
        /// [page-readme]: https://docs.rs/crate/hookwarden/latest
        /// [page-replay]: crate::guide::replay
        /// [page-replay-github]: crate::guide::replay#github
        /// [page-rotation]: crate::guide::rotation
        /// [page-schemes]: crate::scheme::Scheme
        /// [page-start-live]: crate::guide::start#4-before-it-goes-live
        /// [page-start-probes]: crate::guide::start#metrics-and-health-probes
        /// [page-start-send]: crate::guide::start#3-a-delivery-and-an-attack
        #[cfg_attr(feature = "redis", doc = "[page-fleet]: crate::redis")]
        #[cfg_attr(not(feature = "redis"), doc = "[page-fleet]: https://docs.rs/hookwarden/latest/hookwarden/redis/")]
        /// [page-testing]: crate::guide::testing
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
    /// Moving from another crate or from a Django view.
    migrate, "../docs/guide/migrate.md"
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
    /// Testing your handlers.
    testing, "../docs/guide/testing.md"
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
    /// Comparison with other crates.
    comparison, "../docs/guide/comparison.md"
}
// The picture is part of the page, since there are no files beside it; the one that the file shows is hidden.
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
    /// The command `hookwarden`.
    command, "../docs/command.md"
}
