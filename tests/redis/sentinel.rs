//! A primary and its replicas that Sentinels watch.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use hookwarden::redis::RedisStore;

use crate::endpoint::{Endpoint, RETURN, Reports, builder};
use crate::harness::PATIENCE;
use crate::harness::redis_sentinel::{NAME, Passwords, SentinelSet};
use crate::harness::redis_server::{Server, free_port, patient_store};
use crate::harness::sender::{ID, Post};
use crate::load::{Load, SENDERS, TIMEOUT};
use crate::loss::{Lost, entries, missing, unreplicated};
use crate::processes::start;
use crate::secrets::{TLS, write_certificates};
use crate::troubles::scripts_run;

/// Counts the entries of deliveries.
fn deliveries(server: &Server) -> usize {
    server.ask::<Vec<String>>(&["KEYS", "*:d:*"]).len()
}

/// Replication is asynchronous: what the primary has answered and not yet sent to the replicas is lost.
pub(crate) async fn failover_under_load_handles_deliveries_once() {
    let mut set = SentinelSet::start();
    let (load, tasks) = Load::start(&set.url(), &[ID.to_owned()]).await;
    load.until(StatusCode::OK, 200).await;
    load.check("steady", Duration::ZERO);

    let old = set.primary();
    set.servers[old].kill();
    let mut lost = fail_over(&set, old);
    load.check("primary killed", load.served_again().await);
    // It returns as a primary with old data, until the Sentinels make it a replica.
    set.servers[old].run();
    load.until(StatusCode::OK, 100).await;
    set.settle();
    load.check("killed primary restarted", load.served_again().await);

    let old = set.primary();
    set.servers[old].signal("STOP");
    lost.extend(fail_over(&set, old));
    load.check("primary stopped", load.served_again().await);
    // Both stores have left it.
    load.wake(&set.servers[old], || ());
    load.until(StatusCode::OK, 100).await;
    set.settle();
    load.check("stopped primary continued", load.served_again().await);

    let old = set.primary();
    set.sentinels[1].signal("STOP");
    set.servers[old].kill();
    lost.extend(fail_over(&set, old));
    load.check("primary killed with a Sentinel stopped", load.served_again().await);
    load.until(StatusCode::OK, 100).await;
    set.sentinels[1].signal("CONT");
    load.check("steady", load.served_again().await);

    load.stop(tasks).await;
    let (handled, twice) = (load.handled(), load.twice());
    println!(
        "{handled} deliveries handled, {twice} of them twice after three failovers, which lost {} entries; the longest \
         waited {:?}",
        lost.len(),
        load.longest_wait()
    );
    let unexplained = load.twice_without_loss(&lost);
    assert!(unexplained.is_empty(), "handled twice although their entries were not lost: {unexplained:?}");
}

/// Lets the Sentinels replace a primary that does not answer any more, and returns the entries that are lost with it.
fn fail_over(set: &SentinelSet, old: usize) -> Lost {
    let mut lost = unreplicated(&set.servers[old], &set.replicas(old));
    set.fail_over_soon(true);
    let new = set.wait_for_promotion(old);
    set.wait_for_decision(old);
    set.fail_over_soon(false);
    // Those of the replica that was promoted.
    lost.swap_remove(new - usize::from(new > old))
}

pub(crate) async fn planned_failover_leaves_the_old_primary() {
    let set = SentinelSet::start();
    // Half of the time between two questions to the Sentinels.
    let (load, tasks) = Load::start_with(&set.url(), &[ID.to_owned()], TIMEOUT, Duration::from_millis(125)).await;
    load.until(StatusCode::OK, 200).await;
    load.check("steady", Duration::ZERO);
    let old = set.primary();
    let () = set.sentinels[0].ask(&["SENTINEL", "FAILOVER", NAME]);
    let new = set.wait_for_promotion(old);
    let received = entries(&set.servers[new]);
    // Usually 0, because the stores do not know the new primary yet.
    let early = usize::try_from(scripts_run(&set.servers[new])).unwrap();
    set.wait_for_decision(old);
    let (decided, before) = (Instant::now(), load.handled());
    // The old primary answers and accepts writes, until the Sentinels make it a replica seconds later.
    loop {
        let (scripts, handled) = (scripts_run(&set.servers[old]), load.handled());
        load.until(StatusCode::OK, 20).await;
        if scripts_run(&set.servers[old]) == scripts {
            assert!(scripts_run(&set.servers[new]) > 0);
            break;
        }
        let waited = decided.elapsed();
        assert!(waited < RETURN, "{handled} deliveries, and the old primary is still used after {waited:?}");
    }
    let (left, after) = (decided.elapsed(), load.handled());
    let lost = missing(&entries(&set.servers[old]), &received);
    load.check("planned failover", load.served_again().await);
    load.stop(tasks).await;
    // Writes to the old primary after the promotion are lost. So a delivery of each sender that is in progress when the
    // stores leave it is handled twice. The stores leave it together; otherwise more deliveries would be.
    let (twice, meanwhile, unexplained) = (load.twice(), after - before, load.twice_without_loss(&lost));
    let lost = lost.len();
    println!(
        "the old primary was left {left:?} after the Sentinels' decision; {meanwhile} deliveries were handled meanwhile; \
         {lost} entries were lost since the promotion, and {twice} deliveries were handled twice"
    );
    assert!(twice <= SENDERS * 2, "{twice} deliveries were handled twice");
    // A store that had left before the entries were read may have written some of them again.
    assert!(unexplained.len() <= early, "handled twice although their entries were not lost: {unexplained:?}");
}

pub(crate) async fn stopped_primary_does_not_hold_the_store() {
    let set = SentinelSet::start();
    set.fail_over_soon(true);
    // The new connection to the stopped primary would wait longer than the test.
    let setting = RedisStore::builder(set.url()).timeout(TIMEOUT).connect_timeout(PATIENCE);
    let endpoint = Endpoint::new(builder().shared_store(setting.connect().await.unwrap()));
    assert_eq!(endpoint.status(&Post::signed("before")).await, StatusCode::OK);
    let old = set.primary();
    set.servers[old].signal("STOP");
    assert_eq!(endpoint.status(&Post::signed("refused")).await, StatusCode::SERVICE_UNAVAILABLE);
    set.wait_for_promotion(old);
    set.wait_for_decision(old);
    endpoint.recovers().await;
    set.servers[old].signal("CONT");
}

pub(crate) async fn isolated_sentinel_does_not_lead_back() {
    let mut set = SentinelSet::start();
    set.fail_over_soon(true);
    let old = set.primary();
    // It has the view of a Sentinel that was cut off before the failover, and its primary accepts writes.
    let past = Server::start();
    let isolated = set.new_sentinel(past.port());
    set.servers[old].kill();
    let new = set.wait_for_promotion(old);
    for sentinel in &set.sentinels {
        while sentinel.ask::<(String, u16)>(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).1 != set.servers[new].port()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let sentinels = [&isolated, &set.sentinels[0], &set.sentinels[1], &set.sentinels[2]];
    let store = patient_store(SentinelSet::url_of(&sentinels)).connect().await.unwrap();
    let reports = Reports::default();
    let endpoint = Endpoint::new(builder().shared_store(store).observer(reports.clone()));
    assert_eq!(endpoint.status(&Post::signed("to the new primary")).await, StatusCode::OK);
    assert_eq!((deliveries(&set.servers[new]), deliveries(&past)), (1, 0));

    // Only the isolated one answers now, and the connections to the others end.
    for sentinel in &mut set.sentinels {
        sentinel.kill();
    }
    // Each question of the store is two commands, and each of this test one.
    let mut connection = isolated.connection();
    let mut commands = || {
        let statistics: String = redis::cmd("INFO").arg("stats").query(&mut connection).unwrap();
        let line = statistics.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.unwrap().parse::<u64>().unwrap()
    };
    let (began, before, mut asked) = (Instant::now(), commands(), 0);
    while commands() < before + asked + 6 {
        asked += 1;
        assert!(began.elapsed() < RETURN, "the store does not ask the Sentinels");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let () = set.servers[new].ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert_eq!(endpoint.status(&Post::signed("another")).await, StatusCode::OK);
    assert_eq!((deliveries(&set.servers[new]), deliveries(&past)), (2, 0));
    assert!(!reports.has("failed"), "{:?}", reports.all());
    // Without an answer of any Sentinel, the store returns to the primary that it knows.
    drop(isolated);
    set.servers[new].kill();
    assert_eq!(endpoint.status(&Post::signed("refused")).await, StatusCode::SERVICE_UNAVAILABLE);
    set.servers[new].run();
    // It was started as a replica.
    let () = set.servers[new].ask(&["REPLICAOF", "NO", "ONE"]);
    endpoint.recovers().await;
}

pub(crate) async fn replica_that_sentinel_names_is_refused() {
    let replica = Server::with(&["--replicaof", "127.0.0.1", "1"]);
    let set = SentinelSet::start();
    let sentinel = set.new_sentinel(replica.port());
    let error = patient_store(SentinelSet::url_of(&[&sentinel])).connect().await.unwrap_err();
    let expected = format!("the Sentinels name 127.0.0.1:{} as the primary, but it is a replica", replica.port());
    assert_eq!(error.to_string(), expected);
}

pub(crate) async fn stopped_sentinel_delays_no_first_request() {
    let set = SentinelSet::start();
    set.sentinels[0].signal("STOP");
    // The store would wait half a second for the answer of a single Sentinel.
    let store = RedisStore::builder(set.url()).timeout(Duration::from_millis(450)).connect_later().unwrap();
    let endpoint = Endpoint::new(builder().shared_store(store));
    assert_eq!(endpoint.status(&Post::signed("the first")).await, StatusCode::OK);
    set.sentinels[0].signal("CONT");
}

pub(crate) async fn tls_by_url_reaches_sentinel_and_primary() {
    let mut primary = Server::stopped(&[]);
    let directory = primary.directory();
    write_certificates(&directory);
    let ports = [free_port().to_string(), free_port().to_string()];
    primary.add_settings(&["--tls-port", &ports[0]]);
    primary.add_settings(TLS);
    primary.run();
    let mut sentinel = Server::sentinel(&format!("sentinel monitor {NAME} 127.0.0.1 {} 1\n", ports[0]));
    for file in ["cert.pem", "key.pem", "ca.pem"] {
        std::fs::copy(directory.join(file), sentinel.directory().join(file)).unwrap();
    }
    sentinel.add_settings(&["--tls-port", &ports[1], "--tls-replication", "yes"]);
    sentinel.add_settings(TLS);
    sentinel.run();

    let url = format!("rediss+sentinel://localhost:{}/{NAME}", ports[1]);
    let receiver = start(&url, &[("SSL_CERT_FILE", directory.join("ca.pem").to_str().unwrap())]);
    assert_eq!(receiver.send(&Post::signed("over TLS")).await.status, StatusCode::OK.as_u16());
    // A certificate authority that the system does not know is not trusted.
    let stranger = start(&url, &[]);
    assert_eq!(stranger.send(&Post::signed("not trusted")).await.status, StatusCode::SERVICE_UNAVAILABLE.as_u16());
    assert_eq!(deliveries(&primary), 1);
}

pub(crate) async fn sentinels_and_servers_have_their_own_passwords() {
    let passwords = Passwords { servers: "canary-1", sentinels: "canary-2" };
    let set = SentinelSet::with(passwords);
    let store = patient_store(set.url()).connect().await.unwrap();
    let primary = &set.servers[set.primary()];
    let () = primary.ask(&["CONFIG", "RESETSTAT"]);
    let endpoint = Endpoint::new(builder().shared_store(store.clone()));
    for number in 0..10 {
        assert_eq!(endpoint.status(&Post::signed(format!("{number}"))).await, StatusCode::OK);
    }
    assert_eq!(["evalsha", "eval"].map(|command| primary.calls(command)), [20, 0], "two for each request");

    let sentinels: Vec<_> = set.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
    let (list, one) = (sentinels.join(","), &sentinels[0]);
    let server = format!("127.0.0.1:{}", primary.port());
    // A user that may do only what the store needs.
    let user = ["ACL", "SETUSER", "reader", "on", ">canary-4", "+sentinel|get-master-addr-by-name", "+sentinel|master"];
    let () = set.sentinels[0].ask(&user);
    let reader = format!("redis+sentinel://:canary-1@{one}/main?sentinel_user=reader&sentinel_password=canary-4");
    let _connected = RedisStore::builder(reader).connect().await.unwrap();
    for (url, problem) in [
        (
            format!("redis+sentinel://:canary-3@{list}/main?sentinel_password=canary-2"),
            "redis did not accept the user or the password".into(),
        ),
        (format!("redis+sentinel://{list}/main?sentinel_password=canary-2"), "redis refused with NOAUTH".into()),
        (
            format!("redis+sentinel://:canary-1@{one}/main?sentinel_password=canary-3"),
            format!("Sentinel {one}: redis did not accept the user or the password"),
        ),
        (format!("redis+sentinel://:canary-1@{one}/main"), format!("Sentinel {one}: redis refused with NOAUTH")),
        (
            format!("redis+sentinel://:canary-1@{one}/other?sentinel_password=canary-2"),
            format!("Sentinel {one} knows no primary of the name in the URL"),
        ),
        (
            format!("redis+sentinel://{server}/main?sentinel_password=canary-1"),
            format!("{server} must be a Sentinel: use redis:// for one server"),
        ),
        (
            format!("redis+sentinel://127.0.0.1:1,{one}/main?sentinel_password=canary-3"),
            format!("Sentinel {one}: redis did not accept the user or the password"),
        ),
        ("redis+sentinel://127.0.0.1:1/main".into(), "Sentinel 127.0.0.1:1: redis refused the connection".into()),
    ] {
        let error = RedisStore::builder(&url).connect().await.unwrap_err();
        assert_eq!(error.to_string(), problem, "{url}");
        assert!(!format!("{error:?} {store:?}").contains("canary"));
    }
}
