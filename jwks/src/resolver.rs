//! Resolving the names of sources.

use std::io;
use std::net::IpAddr;

use hookwarden::BoxFuture;

/// Resolves the host names of sources. The default asks the operating system.
///
/// The addresses are checked after it, so it cannot lead to an address that the source may not have.
///
/// ```
/// use std::io;
/// use std::net::IpAddr;
///
/// use hookwarden::BoxFuture;
/// use hookwarden_jwks::Resolver;
///
/// /// Answers from a fixed list, for a host without DNS.
/// struct Fixed(Vec<(String, IpAddr)>);
///
/// impl Resolver for Fixed {
///     fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
///         let found = self.0.iter().filter(|(name, _)| name == host).map(|(_, address)| *address).collect();
///         Box::pin(std::future::ready(Ok(found)))
///     }
/// }
/// ```
pub trait Resolver: Send + Sync + 'static {
    /// Returns the addresses of `host`, the preferred ones first. It is called within the time limit for connecting.
    ///
    /// # Errors
    /// The host cannot be resolved.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) })
    }
}
