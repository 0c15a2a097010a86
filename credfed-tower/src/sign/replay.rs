//! Which bodies can be sent a second time.

use http_body::Body;

/// Makes a second copy of a body before the first one is sent, where that is possible.
pub trait Replay<B> {
    /// A body with the same bytes, or `None` where the request is sent once only.
    fn replay(&self, body: &B) -> Option<B>;
}

/// Replays requests without a payload: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayEmpty;

impl<B: Body + Default> Replay<B> for ReplayEmpty {
    fn replay(&self, body: &B) -> Option<B> {
        let empty = B::default();
        (body.is_end_stream() && empty.is_end_stream()).then_some(empty)
    }
}

/// Made from a verified request's body alone: an empty one from nowhere would be no evidence.
#[cfg(feature = "verify")]
impl<B> Replay<crate::verify::VerifiedBody<B>> for ReplayEmpty
where
    B: Body<Data = bytes::Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn replay(&self, body: &crate::verify::VerifiedBody<B>) -> Option<crate::verify::VerifiedBody<B>> {
        body.is_end_stream().then(|| crate::verify::VerifiedBody::empty(body))
    }
}

/// Replays every request whose body can be cloned, such as `Full<Bytes>`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplayClone;

impl<B: Clone> Replay<B> for ReplayClone {
    fn replay(&self, body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Sends each request once.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverReplay;

impl<B> Replay<B> for NeverReplay {
    fn replay(&self, _: &B) -> Option<B> {
        None
    }
}
