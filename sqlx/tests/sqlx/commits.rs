//! Deliveries that are committed in the handler's own transaction.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::post;
use axum::{Extension, Router};
use hookwarden::axum::{UncommittedWebhook, WardenLayer};
use hookwarden::headers::RequestHead;
use hookwarden::warden::{Admitted, Refused, Replay, VerifiedDelivery, WardenBuilder};
use hookwarden::{Scheme, Warden};
use hookwarden_sqlx::{CommitError, SqlxStore};
use sqlx::pool::PoolOptions;
use tokio::sync::Mutex;
use tower::ServiceExt as _;

use crate::databases::TestDatabase;
use crate::harness::sender::{ID, PATH, Post, SECRET, keyring, now, signer};

/// What a handler needs.
struct Site<D: TestDatabase> {
    database: D,
    store: SqlxStore<D::Kind>,
    /// What the next handlers do, the last one first. They commit by default.
    acts: Mutex<Vec<Act>>,
    /// The errors of commits.
    errors: Mutex<Vec<CommitError>>,
}

enum Act {
    /// Commits the delivery, rolls the transaction back, and answers with a status.
    RollBack(u16),
    /// Commits the delivery and the transaction, and answers with a status.
    Commit(u16),
    /// Commits the delivery twice in one transaction.
    Twice,
    /// Rolls one transaction back and commits another.
    SecondTry,
    /// Runs the store's statement.
    Statement,
}

impl<D: TestDatabase> Site<D> {
    async fn open() -> Arc<Self> {
        let database = D::open(PoolOptions::new()).await;
        database.create_payments().await;
        let store = database.store().await;
        Arc::new(Self { database, store, acts: Mutex::default(), errors: Mutex::default() })
    }

    async fn then(&self, act: Act) {
        self.acts.lock().await.push(act);
    }

    /// Lets time pass for all rows.
    async fn age(&self, seconds: u64) {
        let mut transaction = self.database.begin().await;
        D::run(&mut transaction, D::age(Duration::from_secs(seconds))).await.unwrap();
        transaction.commit().await.unwrap();
    }

    fn warden(&self, scheme: Scheme, settings: impl FnOnce(WardenBuilder) -> WardenBuilder) -> Warden {
        let keys = keyring(&scheme, SECRET);
        settings(Warden::builder(scheme).sender(ID, keys).shared_store(self.store.clone())).build().unwrap()
    }

    fn app(self: &Arc<Self>, warden: Warden) -> App {
        let site = Arc::clone(self);
        let handle = move |delivery: Extension<VerifiedDelivery>| {
            let site = Arc::clone(&site);
            async move { site.handle(&delivery).await }
        };
        App(Router::new().route("/webhooks/{id}", post(handle).layer(WardenLayer::new(warden))))
    }

    /// Pays in a transaction, as the next act says.
    async fn handle(&self, delivery: &VerifiedDelivery) -> StatusCode {
        let act = self.acts.lock().await.pop().unwrap_or(Act::Commit(200));
        match self.pay(delivery, act).await {
            Ok(status) => StatusCode::from_u16(status).unwrap(),
            Err(error) => {
                self.errors.lock().await.push(error);
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    async fn pay(&self, delivery: &VerifiedDelivery, act: Act) -> Result<u16, CommitError> {
        let mut transaction = self.database.begin().await;
        D::pay(&mut transaction, "event").await;
        let status = match act {
            Act::Commit(status) => {
                self.store.commit_in(&mut transaction, delivery).await?;
                status
            }
            Act::RollBack(status) => {
                self.store.commit_in(&mut transaction, delivery).await?;
                transaction.rollback().await?;
                return Ok(status);
            }
            Act::Twice => {
                self.store.commit_in(&mut transaction, delivery).await?;
                self.store.commit_in(&mut transaction, delivery).await?;
                200
            }
            Act::SecondTry => {
                self.store.commit_in(&mut transaction, delivery).await?;
                transaction.rollback().await?;
                transaction = self.database.begin().await;
                D::pay(&mut transaction, "event").await;
                self.store.commit_in(&mut transaction, delivery).await?;
                200
            }
            Act::Statement => {
                let sql = self.store.commit_sql(delivery)?;
                D::run(&mut transaction, sql).await?;
                200
            }
        };
        transaction.commit().await?;
        Ok(status)
    }
}

struct App(Router);

impl App {
    async fn send(&self, delivery: &Post) -> Response<Body> {
        self.0.clone().oneshot(delivery.clone().into_request()).await.unwrap()
    }

    async fn status(&self, delivery: &Post) -> u16 {
        self.send(delivery).await.status().as_u16()
    }
}

pub(crate) async fn work_and_commit_are_kept_together<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let app = site.app(site.warden(Scheme::timestamped(), |warden| warden));
    let delivery = Post::signed("event");
    assert_eq!(app.status(&delivery).await, 200);
    assert_eq!(app.status(&delivery).await, 200, "a duplicate");
    assert_eq!(site.database.payments().await, 1);
    // The answer is lost: the delivery stays committed, whatever the handler answers.
    let delivery = Post::signed("another");
    site.then(Act::Commit(500)).await;
    assert_eq!(app.status(&delivery).await, 500);
    assert_eq!(app.status(&delivery).await, 200, "a duplicate");
    assert_eq!(site.database.payments().await, 2);
}

pub(crate) async fn rollback_releases_the_delivery<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let app = site.app(site.warden(Scheme::timestamped(), |warden| warden));
    let delivery = Post::signed("event");
    site.then(Act::RollBack(503)).await;
    assert_eq!(app.status(&delivery).await, 503);
    assert_eq!(site.database.payments().await, 0);
    assert_eq!(app.status(&delivery).await, 200, "the retry runs the handler");
    assert_eq!(site.database.payments().await, 1);
}

pub(crate) async fn status_does_not_commit_a_taken_claim<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let app = site.app(site.warden(Scheme::timestamped(), |warden| warden));
    let delivery = Post::signed("event");
    site.then(Act::RollBack(200)).await;
    assert_eq!(app.status(&delivery).await, 503, "a sender does not retry after 200");
    assert_eq!(site.database.payments().await, 0);
    assert_eq!(app.status(&delivery).await, 200);
    assert_eq!(site.database.payments().await, 1, "the second request ran the handler");
}

pub(crate) async fn extractor_without_layer_commits<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let warden = site.warden(Scheme::timestamped(), |warden| warden);
    let handle = |State(site): State<Arc<Site<D>>>, webhook: UncommittedWebhook<Bytes>| async move {
        let (_, admitted) = webhook.into_parts();
        site.pay(admitted.delivery(), Act::Commit(200)).await.unwrap();
        admitted.commit_async().await.unwrap();
    };
    let state = AppState { warden, site: Arc::clone(&site) };
    let app = App(Router::new().route("/webhooks/{id}", post(handle)).with_state(state));
    let delivery = Post::signed("event");
    assert_eq!(app.status(&delivery).await, 200);
    assert_eq!(app.status(&delivery).await, 200, "a duplicate");
    assert_eq!(site.database.payments().await, 1);
}

struct AppState<D: TestDatabase> {
    warden: Warden,
    site: Arc<Site<D>>,
}

impl<D: TestDatabase> Clone for AppState<D> {
    fn clone(&self) -> Self {
        Self { warden: self.warden.clone(), site: Arc::clone(&self.site) }
    }
}

impl<D: TestDatabase> axum::extract::FromRef<AppState<D>> for Warden {
    fn from_ref(state: &AppState<D>) -> Self {
        state.warden.clone()
    }
}

impl<D: TestDatabase> axum::extract::FromRef<AppState<D>> for Arc<Site<D>> {
    fn from_ref(state: &AppState<D>) -> Self {
        Self::clone(&state.site)
    }
}

pub(crate) async fn request_without_framework_commits<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let warden = site.warden(Scheme::timestamped(), |warden| warden);
    let delivery = Post::signed("event");
    let first = admitted(&warden, &delivery).await;
    site.pay(first.delivery(), Act::RollBack(200)).await.unwrap();
    let error = first.commit_async().await.unwrap_err();
    assert_eq!(error.to_string(), "the handler's transaction did not commit the delivery");
    let other = admitted(&warden, &delivery).await;
    site.pay(other.delivery(), Act::RollBack(200)).await.unwrap();
    other.release_async().await.unwrap();
    let second = admitted(&warden, &delivery).await;
    site.pay(second.delivery(), Act::Commit(200)).await.unwrap();
    second.commit_async().await.unwrap();
    let refused = try_admit(&warden, &delivery).await.unwrap_err();
    assert_eq!(refused.answer().status(), 200, "a duplicate");
    assert_eq!(site.database.payments().await, 1);
}

/// Another request has done the work, and the database has forgotten it since.
pub(crate) async fn late_handler_finds_its_claim_gone<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let warden = site.warden(Scheme::timestamped(), |warden| warden);
    let post = Post::signed("event");
    let late = admitted(&warden, &post).await;
    site.age(60).await;
    let other = admitted(&warden, &post).await;
    site.pay(other.delivery(), Act::Commit(200)).await.unwrap();
    for is_swept in [false, true] {
        site.age(86_400).await;
        if is_swept {
            site.store.sweep().await.unwrap();
        }
        let lost = site.pay(late.delivery(), Act::Commit(200)).await.unwrap_err();
        assert!(matches!(lost, CommitError::ClaimLost), "{lost:?}");
        let lost = site.pay(late.delivery(), Act::Statement).await.unwrap_err();
        assert!(matches!(lost, CommitError::Database(_)), "{lost:?}");
    }
    assert_eq!(site.database.payments().await, 1);
}

pub(crate) async fn late_handler_commits_if_no_other_claimed<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let warden = site.warden(Scheme::timestamped(), |warden| warden);
    for (late_by, is_kept) in [(3_500, true), (3_700, false)] {
        let late = admitted(&warden, &Post::signed(format!("{late_by} s after the lease"))).await;
        site.age(60 + late_by).await;
        site.store.sweep().await.unwrap();
        assert_eq!(site.pay(late.delivery(), Act::Commit(200)).await.is_ok(), is_kept, "{late_by} s");
    }
    assert_eq!(site.database.payments().await, 1);
}

pub(crate) async fn lost_claim_fails_and_rolls_back<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let short = |warden: WardenBuilder| warden.replay(Replay::new().lease(Duration::from_secs(1)));
    let warden = site.warden(Scheme::timestamped(), short);
    let first = admitted(&warden, &Post::signed_at("event", now(-1))).await;
    // The same delivery, after the lease of the first claim.
    let copy = Post::signed_at("event", now(-1));
    let second = loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Ok(second) = try_admit(&warden, &copy).await {
            break second;
        }
    };
    let lost = site.pay(first.delivery(), Act::Commit(200)).await.unwrap_err();
    assert!(matches!(lost, CommitError::ClaimLost), "{lost:?}");
    let lost = site.pay(first.delivery(), Act::Statement).await.unwrap_err();
    assert!(matches!(lost, CommitError::Database(_)), "{lost:?}");
    assert_eq!(site.database.payments().await, 0);
    first.release_async().await.unwrap();
    site.pay(second.delivery(), Act::Commit(200)).await.unwrap();
    assert_eq!(site.database.payments().await, 1);
}

pub(crate) async fn delivery_finished_by_another_fails<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let short = |warden: WardenBuilder| warden.replay(Replay::new().lease(Duration::from_millis(1)));
    let warden = site.warden(Scheme::timestamped(), short);
    let delivery = Post::signed("event");
    let first = admitted(&warden, &delivery).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let second = admitted(&warden, &delivery).await;
    site.pay(second.delivery(), Act::Commit(200)).await.unwrap();
    let late = site.pay(first.delivery(), Act::Commit(200)).await.unwrap_err();
    assert!(matches!(late, CommitError::AlreadyFinished), "{late:?}");
    assert_eq!(site.database.payments().await, 1);
}

pub(crate) async fn second_commit_in_one_transaction_fails<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let app = site.app(site.warden(Scheme::timestamped(), |warden| warden));
    site.then(Act::Twice).await;
    assert_eq!(app.status(&Post::signed("event")).await, 503);
    let errors = std::mem::take(&mut *site.errors.lock().await);
    assert!(matches!(errors[..], [CommitError::AlreadyFinished]), "{errors:?}");
    assert_eq!(site.database.payments().await, 0);
}

pub(crate) async fn failed_transaction_can_be_tried_again<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let app = site.app(site.warden(Scheme::timestamped(), |warden| warden));
    let delivery = Post::signed("event");
    site.then(Act::SecondTry).await;
    assert_eq!(app.status(&delivery).await, 200);
    assert_eq!(app.status(&delivery).await, 200, "a duplicate");
    assert_eq!(site.database.payments().await, 1);
}

pub(crate) async fn local_replay_has_no_claim_to_commit<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let scheme = Scheme::timestamped();
    let warden = Warden::builder(scheme.clone()).sender(ID, keyring(&scheme, SECRET)).build().unwrap();
    let admitted = admitted(&warden, &Post::signed("event")).await;
    let error = site.pay(admitted.delivery(), Act::Commit(200)).await.unwrap_err();
    assert!(matches!(error, CommitError::NotClaimed), "{error:?}");
    let error = site.store.commit_sql(admitted.delivery()).unwrap_err();
    assert!(matches!(error, CommitError::NotClaimed), "{error:?}");
    assert_eq!(site.database.payments().await, 0);
}

pub(crate) async fn statement_commits_in_any_client<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    // The id of the sender is a part of the statement.
    let (scheme, id) = (Scheme::timestamped(), "o'brien\"; --\u{0}");
    let warden = Warden::builder(scheme.clone()).sender(id, keyring(&scheme, SECRET)).shared_store(site.store.clone());
    let app = site.app(warden.build().unwrap());
    let delivery = Post::signed("event").to("/webhooks/o'brien%22%3B%20--%00");
    site.then(Act::Statement).await;
    assert_eq!(app.status(&delivery).await, 200);
    assert_eq!(app.status(&delivery).await, 200, "a duplicate");
    assert_eq!(site.database.payments().await, 1);
}

pub(crate) async fn signed_again_retry_is_a_duplicate<D: TestDatabase>() {
    let site = Site::<D>::open().await;
    let scheme = Scheme::timestamped().into_builder().delivery_id_in_body("/id").build().unwrap();
    let warden = site.warden(scheme.clone(), |warden| warden.replay(Replay::new().body_delivery_id()));
    let app = site.app(warden.clone());
    let signed =
        |seconds| Post::signed_by(&signer(scheme.clone(), SECRET), PATH, &[], r#"{"id":"event"}"#, now(seconds));
    site.then(Act::RollBack(500)).await;
    assert_eq!(app.status(&signed(-3)).await, 500);
    assert_eq!(app.status(&signed(-2)).await, 200);
    assert_eq!(app.status(&signed(-1)).await, 200, "a duplicate");
    assert_eq!(site.database.payments().await, 1);
    assert!(warden.forget(ID, "event").await.unwrap());
    assert_eq!(app.status(&signed(0)).await, 200);
    assert_eq!(site.database.payments().await, 2, "the delivery was sent again on purpose");
}

/// Verifies and claims a delivery step by step.
async fn try_admit(warden: &Warden, delivery: &Post) -> Result<Admitted, Refused> {
    let text = |value: &Vec<u8>| String::from_utf8(value.clone()).unwrap();
    let headers: Vec<(String, String)> =
        delivery.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    let head = RequestHead::new("POST", PATH, &headers);
    let mut receiving = warden.examine(&head, None)?.identify_async(ID).await?;
    receiving.update(&delivery.body)?;
    receiving.finish_async().await
}

pub(crate) async fn admitted(warden: &Warden, delivery: &Post) -> Admitted {
    try_admit(warden, delivery).await.unwrap()
}
