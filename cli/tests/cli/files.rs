//! The files that example lines use.

pub(crate) const FILES: [(&str, &str); 3] = [
    (".env", "WEBHOOK_SECRET=Zp4Xr9LmQv7Tk2WcYb6NsJd1HfGa8EuRo3KiVxMz5BtCqPwSnD\n"),
    (
        "events.log",
        "2026-11-20T10:00:00Z  INFO hookwarden: webhook accepted outcome=\"accepted\" webhook_id=\"acme\" key_id=\"2026\"\n",
    ),
    ("receiver.toml", "listen = \"127.0.0.1:3000\"\nkeys = \"keys.toml\"\nproxies.x_forwarded_for = 1\n"),
];

/// A keys file with one sender, the one of the events.
pub(crate) const KEYS: &str = r#"[[sender]]
id = "acme"
[[sender.key]]
id = "2026"
secret = "u3Yp0vTq8GdLr5XwZk1NcJb7HsEaMfQ2oViR9tKx6DmWjBzC4n"
"#;
