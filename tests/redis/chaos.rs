//! Two receivers under load during outages of their server.

use std::time::Duration;

use axum::http::StatusCode;

use crate::harness::redis_server::Server;
use crate::harness::sender::ID;
use crate::load::{Load, SENDERS};

pub(crate) async fn chaos_over_a_running_load() {
    let mut server = Server::durable();
    let (load, tasks) = Load::start(&server.url(), &[ID.to_owned()]).await;
    load.until(StatusCode::OK, 200).await;
    load.check("steady", Duration::ZERO);

    server.kill();
    load.until(StatusCode::SERVICE_UNAVAILABLE, 40).await;
    server.run();
    load.check("killed and started", load.served_again().await);

    for _ in 0..3 {
        server.signal("STOP");
        load.until(StatusCode::SERVICE_UNAVAILABLE, 40).await;
        server.signal("CONT");
        load.check("stopped and continued", load.served_again().await);
        load.until(StatusCode::OK, 40).await;
    }

    server.terminate();
    server.run();
    load.check("restarted", load.served_again().await);

    let () = server.ask(&["SCRIPT", "FLUSH"]);
    load.until(StatusCode::OK, 100).await;
    load.check("scripts flushed", load.served_again().await);

    for _ in 0..5 {
        let _: i64 = server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        load.until(StatusCode::OK, 20).await;
    }
    load.check("connections cut", load.served_again().await);
    load.until(StatusCode::OK, 100).await;
    load.check("steady", Duration::ZERO);

    // The server has lost no data so far.
    assert_eq!(load.twice(), 0, "deliveries were handled twice");
    let before = load.handled();
    let () = server.ask(&["FLUSHALL"]);
    load.until(StatusCode::OK, 100).await;
    load.check("flushed", load.served_again().await);

    load.stop(tasks).await;
    // Deliveries in progress during the flush may have been handled twice.
    assert!(load.twice() <= SENDERS, "{} were handled twice after the flush", load.twice());
    let (accepted, longest) = (load.handled(), load.longest_wait());
    println!(
        "{accepted} deliveries handled, {before} of them before the flush and each of those once; the longest waited {longest:?}"
    );
    assert!(before > 200, "only {before} deliveries");
}
