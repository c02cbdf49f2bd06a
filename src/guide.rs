//! The guide: from a first route to production, and through a bad day.
//!
//! * [`start`]: from nothing to production in ten minutes, with a check-list.
//! * [`migrate`]: from `standardwebhooks`, `svix`, `webhook-verify`, or a Django view.
//! * [`rotation`]: a runbook, for every year and for a leak.
//! * [`replay`]: deliveries that come twice, and what "once" means.
//! * [`testing`]: testing your handlers.
//! * [`proxies`]: addresses, bodies, time-outs and TLS.
//! * [`incidents`]: detect, contain, rotate, recover; what each refusal means.
//! * [`comparison`]: with other crates.
//! * [`architecture`]: the house in one page.
//! * [`command`]: the command `hookwarden`.
//!
//! The pages are files of `docs`. Running a fleet has its page at [`redis`](crate::redis).

/// A page by its file. There its links lead to other files; the first definition of a link is the one that counts, so
/// that here they lead to pages.
macro_rules! page {
    ($(#[$summary:meta])+ $name:ident, $file:literal) => {
        $(#[$summary])+
        ///
        /// [page-command]: crate::guide::command
        /// [page-fleet]: crate::redis
        /// [page-incidents]: crate::guide::incidents
        /// [page-proxies]: crate::guide::proxies
        /// [page-readme]: https://docs.rs/crate/hookwarden/latest
        /// [page-replay]: crate::guide::replay
        /// [page-rotation]: crate::guide::rotation
        /// [page-schemes]: crate::scheme::Scheme
        /// [page-testing]: crate::guide::testing
        ///
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

page! {
    /// From nothing to production in ten minutes.
    start, "../docs/guide/start.md"
}
page! {
    /// Moving over from another crate, or from a Django view.
    migrate, "../docs/guide/migrate.md"
}
page! {
    /// Rotating keys: a runbook.
    rotation, "../docs/guide/rotation.md"
}
page! {
    /// Replay and idempotency: what "once" means.
    replay, "../docs/guide/replay.md"
}
page! {
    /// Testing your handlers.
    testing, "../docs/guide/testing.md"
}
page! {
    /// Addresses, bodies, time-outs and TLS behind proxies.
    proxies, "../docs/guide/proxies.md"
}
page! {
    /// Incidents: detect, contain, rotate, recover.
    incidents, "../docs/guide/incidents.md"
}
page! {
    /// Compared with other crates.
    comparison, "../docs/guide/comparison.md"
}
// The picture is part of the page, since there are no files beside it; the one that the file shows is hidden.
page! {
    /// The house in one page.
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
