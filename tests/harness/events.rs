//! Owned events.

use std::net::IpAddr;

use hookwarden::event::{Observer, Outcome, SecurityEvent};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::PATIENCE;

/// An owned copy of a `SecurityEvent`.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    pub(crate) known_id: bool,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) webhook_id: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) header: Option<String>,
    pub(crate) capture: Option<String>,
    pub(crate) skew: Option<i64>,
    pub(crate) body_bytes: u64,
    pub(crate) report_only: bool,
}

/// The events of the Wardens that have the observer.
#[derive(Debug)]
pub(crate) struct Events(UnboundedReceiver<Event>);

/// Creates an observer, and the events that it will receive.
pub(crate) fn events() -> (impl Observer, Events) {
    let (sender, receiver) = unbounded_channel();
    let observer = move |event: &SecurityEvent<'_>| {
        // Fails if the test has ended.
        let _ = sender.send(Event {
            outcome: event.outcome,
            status: event.status.map(|status| status.as_u16()),
            known_id: event.known_id,
            peer: event.peer,
            webhook_id: event.webhook_id.map(str::to_owned),
            key_id: event.key_id.map(|id| id.to_string()),
            header: event.header.map(str::to_owned),
            capture: event.capture.map(str::to_owned),
            skew: event.skew,
            body_bytes: event.body_bytes,
            report_only: event.report_only,
        });
    };
    (observer, Events(receiver))
}

impl Events {
    /// Waits for the next event.
    pub(crate) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.0.recv())
            .await
            .expect("no event in time")
            .expect("every Warden with the observer is dropped")
    }

    /// Returns the remaining events once the last Warden with the observer is dropped.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut rest = Vec::new();
        while let Some(event) = timeout(PATIENCE, self.0.recv()).await.expect("a Warden is still alive") {
            rest.push(event);
        }
        rest
    }

    /// Returns the only event once the last Warden is dropped.
    pub(crate) async fn only(self) -> Event {
        let rest = self.rest().await;
        let [event] = rest.as_slice() else { panic!("not exactly one event: {rest:?}") };
        event.clone()
    }

    /// Returns the remaining outcomes once the last Warden is dropped.
    pub(crate) async fn outcomes(self) -> Vec<Outcome> {
        self.rest().await.iter().map(|event| event.outcome).collect()
    }
}
