//! A large body that streams through the layer is in memory once, in its original frames.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use allocation_counter::measure;
use hookwarden::tower::{ReceivedBody, WardenLayer};
use hookwarden::warden::BodyLimits;
use hookwarden::{IdSource, Warden};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::harness::frames::Frames;
use crate::harness::sender::{Post, warden};

const BODY: usize = 10 << 20;

/// Returns the peak of allocated bytes while a body of 10 MiB in frames of `size` bytes is verified and read by the
/// handler. Each frame is allocated when it is polled, as on a connection.
fn most_allocated(warden: &Warden, number: u8, size: usize) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let request = Post::signed(vec![number; BODY]).request(());
    let frames = (0..BODY / size).map(move |_| Frame::data(Bytes::from(vec![number; size])));
    static READ: AtomicUsize = AtomicUsize::new(0);
    READ.store(0, Ordering::Relaxed);
    let handler = service_fn(async |request: Request<ReceivedBody>| {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let bytes = frame.ok().and_then(|frame| frame.into_data().ok()).map_or(0, |data| data.len());
            READ.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let service = WardenLayer::new(warden.clone()).layer(handler);
    let measured = measure(|| drop(runtime.block_on(service.oneshot(request.map(|()| Frames::new(frames))))));
    assert_eq!(READ.load(Ordering::Relaxed), BODY, "frames of {size} bytes");
    usize::try_from(measured.bytes_max).unwrap()
}

#[test]
fn streamed_body_takes_at_most_64_kib_more() {
    // From 4 KiB on, frames are kept as they arrive, and each handle takes about a hundred bytes.
    let large = [(32 << 10, 64 << 10), (64 << 10, 64 << 10), (1 << 20, 64 << 10)];
    let small = [4 << 10, 16 << 10].map(|size| (size, (4 << 10) + BODY / size * 112));
    let warden =
        warden().webhook_id(IdSource::path_segment(1)).body(BodyLimits::new().max_bytes(BODY)).build().unwrap();
    for (number, (size, overhead)) in (0_u8..).zip(large.into_iter().chain(small)) {
        let most = most_allocated(&warden, number, size);
        println!("frames of {size} bytes: {} bytes over the body's size", most.saturating_sub(BODY));
        assert!((BODY..=BODY + overhead).contains(&most), "{most} bytes with frames of {size}");
    }
}
