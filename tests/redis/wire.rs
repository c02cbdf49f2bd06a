//! A proxy between a store and its server that delays and loses data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A proxy that stops on drop.
pub(crate) struct Wire {
    port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    server: AtomicU16,
    loses_answer: AtomicBool,
    connections: AtomicU64,
    /// Data of connections with smaller numbers is held back.
    held_below: watch::Sender<u64>,
    /// How long each connection waits before it carries data.
    delay: Duration,
}

impl Wire {
    pub(crate) async fn to(server: u16) -> Self {
        Self::slow(server, Duration::ZERO).await
    }

    /// A proxy whose connections take this long to be opened.
    pub(crate) async fn slow(server: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server: AtomicU16::new(server),
            loses_answer: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            held_below: watch::Sender::new(0),
            delay,
        });
        let carried = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carried.clone().carry(client));
            }
        });
        Self { port, state, task }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Connects new connections to another server. Existing ones stay.
    pub(crate) fn lead_to(&self, server: u16) {
        self.state.server.store(server, Ordering::Relaxed);
    }

    /// Loses the next answer and its connection.
    pub(crate) fn lose_next_answer(&self) {
        self.state.loses_answer.store(true, Ordering::Relaxed);
    }

    /// Holds back data of existing connections until [`let_go`](Self::let_go).
    pub(crate) fn hold(&self) {
        self.state.held_below.send_replace(self.state.connections.load(Ordering::Relaxed));
    }

    pub(crate) fn let_go(&self) {
        self.state.held_below.send_replace(0);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    async fn carry(self: Arc<Self>, client: TcpStream) {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        sleep(self.delay).await;
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server.load(Ordering::Relaxed))).await else { return };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let (this, mut held_below) = (self.clone(), self.held_below.subscribe());
        let questions = tokio::spawn(async move {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                let free = held_below.wait_for(|limit| number >= *limit).await.is_ok();
                if !free || to_server.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        });
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            if this.loses_answer.swap(false, Ordering::Relaxed) || to_client.write_all(&buffer[..count]).await.is_err()
            {
                break;
            }
        }
        questions.abort();
    }
}
