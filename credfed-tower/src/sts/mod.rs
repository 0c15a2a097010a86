//! An STS endpoint: any AWS SDK turns a web identity, or a key of this service, into temporary credentials of this
//! service.
//!
//! | action | authenticated by | rules |
//! |---|---|---|
//! | AssumeRoleWithWebIdentity | the token alone; an Authorization header beside it is ignored | a trust of the role admits the token: issuer, audiences, subject, claims |
//! | AssumeRole | a signature, of a long-lived or of a session key | a trust of the role admits the caller, with the external id that it asks for |
//! | GetSessionToken | a signature of a long-lived key | 15 minutes to 36 hours, 12 hours by default |
//! | GetCallerIdentity | a signature, presigned too | none |
//!
//! # Rules
//! 1. Parameters stand in the query or in the form, never in both, each once, at most 64 KiB, in version 2011-06-15.
//!    A parameter that an action does not have is refused and never ignored. Queries are never logged.
//! 2. The signed actions stand behind [`VerifySigV4Layer`](crate::VerifySigV4Layer): they take a
//!    [`VerifiedBody`](crate::VerifiedBody), and nothing else makes one. Only GetCallerIdentity may be presigned.
//! 3. The issuer of a web identity is found in the configuration before anything is fetched, and the token is
//!    validated before a role is looked at.
//! 4. A trust names at least one audience; every audience of the token is among them. Where tenants share an issuer,
//!    a subject or an immutable claim tells them apart. A trust that does not is refused by [`RoleTable::new`], and
//!    admits nobody wherever it comes from.
//! 5. An unknown role and a role that does not trust the caller are answered alike.
//! 6. `DurationSeconds` out of range is a ValidationError, never cut. Roles: 900 seconds to the role's longest
//!    session, an hour by default. A role assumed by a session of a role: an hour at most. What a role allows is told
//!    only to callers that it trusts.
//! 7. A session policy is a barrier here, too: a restricted session assumes no role, unless an [`AssumeHook`] that
//!    has seen the policy lets it. A session has the policy that was passed for it, and inherits none.
//! 8. Tags and source identity each need their own permission in the trust, passed or inherited. Keys of tags are
//!    unique without regard to case; `aws:` is reserved; an inherited key cannot be passed again. A source identity
//!    that is set stays. Claims of a token count for either only where the configuration says so of its issuer.
//! 9. What a caller or a token says is data: it is compared, stored and escaped, and never expanded.
//!
//! ```
//! # use credfed_core::keyring::{KeyRing, SharedKeyRing};
//! # use credfed_core::session::SealedSessions;
//! # use credfed_core::{Clock, Secret, SystemClock};
//! # use credfed_tower::sts::{Account, IssuerFacts, Role, RoleTable, StsService, Trust};
//! # use credfed_tower::{ByShape, SealedSessionResolver, StaticKeys};
//! # use http::Request;
//! # use tower::ServiceExt;
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = SealedSessions::new("https://sts.example.org", SharedKeyRing::new(KeyRing::generate(SystemClock.wall())?));
//! let secret = Secret::new(std::env::var("BACKUP_SECRET")?);
//! let keys = ByShape::new()
//!     .static_keys(StaticKeys::new().with_key("AKIABACKUP", secret, "backup"))?
//!     .sealed(SealedSessionResolver::new(sessions.clone()));
//! let account = Account::new("123456789012")?;
//! let role = Role::new(&account, "reader")?
//!     .trust(Trust::principals().principal(account.user_arn("backup")));
//! let roles = RoleTable::new([role], &IssuerFacts::new())?;
//! let sts = StsService::builder(account, sessions, keys).roles(roles).build()?;
//!
//! let request = Request::get("/?Action=GetCallerIdentity&Version=2011-06-15").body(String::new())?;
//! let answer = sts.oneshot(request).await?;
//! assert_eq!(answer.status(), 403, "nobody signed it");
//! # Ok(()) }
//! ```
//!
//! # Deployment
//! - Tokens and secrets travel in requests and answers: serve it over TLS, and keep queries out of access logs
//!   (object_store puts the web identity token there).
//! - Where it shares an address with S3, [`StsService::handles`] tells the requests apart, before the layer that
//!   verifies those of S3.
//! - The web identity action is open to everybody; validation is bounded, and rate limits belong in front.
//!
//! # Errors
//! Refusals are AWS's XML; the typed [`StsError`] (or, where the signature was at fault, the
//! [`Reason`](credfed_sigv4_verify::Reason)) stands in the extensions of the answer. The service itself never fails.

mod actions;
mod arn;
mod body;
mod call;
mod caller;
pub mod danger;
mod error;
mod future;
mod hook;
mod lint;
mod parameters;
mod pattern;
mod response;
mod role;
mod service;
mod shared;
mod signed;
mod tags;
mod trust;

pub use self::arn::{Account, InvalidName};
pub use self::body::StsBody;
pub use self::caller::{CallerKind, KeyHolder, StsCaller};
pub use self::error::{Denial, IdentityFault, StsError};
pub use self::future::StsFuture;
pub use self::hook::{AssumeHook, AssumeRequest, DefaultRules, Verdict};
pub use self::lint::{Finding, IssuerFacts, Rule, Severity, lint};
pub use self::pattern::Pattern;
pub use self::role::{RefusedRoles, Role, RoleTable, Roles, RolesUnavailable};
pub use self::service::{StsService, StsServiceBuilder};
pub use self::tags::Tag;
pub use self::trust::{PrincipalTrust, Trust, WebIdentityTrust};
