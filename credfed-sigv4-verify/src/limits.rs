//! Bounds that hold before any cryptography runs (rule 15).

/// Upper bounds on what one request may make the verifier read. Over a bound is an error, never a
/// truncation.
///
/// ```
/// use credfed_sigv4_verify::Limits;
/// let mut limits = Limits::default();
/// limits.session_token = 4 * 1024;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Names in SignedHeaders; 100.
    pub signed_header_names: usize,
    /// Bytes of signed header names and values together; 16 KiB.
    pub signed_header_bytes: usize,
    /// Bytes of the path as on the wire; 16 KiB.
    pub path_bytes: usize,
    /// Bytes of the query as on the wire; 16 KiB.
    pub query_bytes: usize,
    /// Parameters in the query; 256.
    pub query_parameters: usize,
    /// Bytes of a session token; 8 KiB.
    pub session_token: usize,
    /// Bytes of a body that has to be buffered because its hash is part of the canonical request
    /// ([`SignedRequest::needs_body_hash`](crate::SignedRequest::needs_body_hash)); 1 MiB. Kept here
    /// for the caller that buffers; the verifier itself never holds a body.
    pub buffered_body: usize,
    /// Bytes of data in one signed chunk of an `aws-chunked` body, all of which is held until its
    /// signature was compared; 1 MiB. SDKs send 64 KiB to 128 KiB. Chunks without signatures stream, and
    /// have no bound but the decoded length.
    pub signed_chunk: usize,
    /// Fields of a POST form before its file; 100.
    pub form_fields: usize,
    /// Bytes of the name of one field; 256.
    pub form_name_bytes: usize,
    /// Bytes of the value of one field, with the file's name in place; 8 KiB.
    pub form_value_bytes: usize,
    /// Bytes of the policy of a POST form, in base64 as sent; 20 KiB. It repeats the session token.
    pub policy_bytes: usize,
    /// Bytes of the names and values of all fields together; 48 KiB (AWS reads 20).
    pub form_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            signed_header_names: 100,
            signed_header_bytes: 16 * 1024,
            path_bytes: 16 * 1024,
            query_bytes: 16 * 1024,
            query_parameters: 256,
            session_token: 8 * 1024,
            buffered_body: 1024 * 1024,
            signed_chunk: 1024 * 1024,
            form_fields: 100,
            form_name_bytes: 256,
            form_value_bytes: 8 * 1024,
            policy_bytes: 20 * 1024,
            form_bytes: 48 * 1024,
        }
    }
}

/// Which of the [`Limits`] a request went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The method, which has 32 bytes at most.
    Method,
    /// [`Limits::signed_header_names`]
    SignedHeaderNames,
    /// [`Limits::signed_header_bytes`]
    SignedHeaderBytes,
    /// [`Limits::path_bytes`]
    PathBytes,
    /// [`Limits::query_bytes`]
    QueryBytes,
    /// [`Limits::query_parameters`]
    QueryParameters,
    /// [`Limits::session_token`]
    SessionToken,
    /// [`Limits::signed_chunk`]
    SignedChunk,
    /// Chunks of a body signed with SigV4A that have less than 8,192 bytes of data, the last one aside: 64. S3 takes
    /// none, and each costs a verification.
    SmallChunks,
    /// [`Limits::form_fields`]
    FormFields,
    /// [`Limits::form_name_bytes`]
    FormNameBytes,
    /// [`Limits::form_value_bytes`]
    FormValueBytes,
    /// [`Limits::policy_bytes`]
    PolicyBytes,
    /// [`Limits::form_bytes`]
    FormBytes,
}
