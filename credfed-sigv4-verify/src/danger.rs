//! Knobs that loosen a rule. Each says which rule, and why one might; none is on by default.

/// Loosened rules, for [`VerifierBuilder::danger`](crate::VerifierBuilder::danger).
///
/// ```
/// use credfed_sigv4_verify::{Profile, Verifier, danger::Knobs};
///
/// let verifier = Verifier::builder()
///     .profile(Profile::General { normalize: true })
///     .service("execute-api")
///     .region("eu-west-1")
///     .danger(Knobs::new().accept_non_normal_paths())
///     .build()?;
/// # Ok::<(), credfed_sigv4_verify::BuildError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Knobs {
    pub(crate) accept_non_normal_paths: bool,
    pub(crate) token_outside_signature: bool,
    pub(crate) behind_cloudfront: bool,
}

impl Knobs {
    /// No rule loosened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loosens rule 8 for profiles that normalise: a path with dot segments or doubled slashes is
    /// accepted when the signature covers its normal form.
    ///
    /// Whoever turns this on **must** hand the inner service
    /// [`SignedRequest::normal_path`](crate::SignedRequest::normal_path) in place of the path on the
    /// wire: the signature of `/admin` also fits `/public/../admin`.
    pub fn accept_non_normal_paths(mut self) -> Self {
        self.accept_non_normal_paths = true;
        self
    }

    /// Loosens rule 7 for services whose clients add the session token after signing: in the header
    /// it need not be signed, in a presigned query it is left out of the canonical query. Never for S3
    /// or STS: [`build`](crate::VerifierBuilder::build) refuses that.
    ///
    /// The token can then be exchanged for another one in transit. That is harmless only as long as
    /// the resolver checks that token and access key belong together.
    pub fn token_outside_signature(mut self) -> Self {
        self.token_outside_signature = true;
        self
    }

    /// Loosens rule 6 behind CloudFront, which adds `x-amz-cf-id` to requests that were signed without it: that one
    /// header may be there unsigned.
    ///
    /// Anybody can send it. Whoever turns this on **must** take away
    /// [`SignedRequest::exempted_headers`](crate::SignedRequest::exempted_headers) before the inner service, as
    /// `credfed-tower` does.
    pub fn behind_cloudfront(mut self) -> Self {
        self.behind_cloudfront = true;
        self
    }
}
