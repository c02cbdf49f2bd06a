//! `hookwarden audit` with an address of this host that is not loopback.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};

use libtest_mimic::{Completion, Trial};

use super::scratch::Scratch;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::ignorable_test("own_address_requires_ownership_flag", || {
        let Some(address) = own_address() else {
            return Ok(Completion::ignored_with("this host has only loopback addresses"));
        };
        own_address_requires_ownership_flag(address);
        Ok(Completion::Completed)
    })]
}

fn own_address_requires_ownership_flag(address: IpAddr) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/webhooks/acme", listener.local_addr().unwrap());
    Scratch::new().run(["audit", &url]).assert_refused("--yes-i-own-this");
    let accepted = listener.accept().map_err(|error| error.kind());
    assert_eq!(accepted.err(), Some(ErrorKind::WouldBlock), "the audit connected");
}

/// The source address of this host for packets to other hosts. Connecting a UDP socket sends nothing.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}
