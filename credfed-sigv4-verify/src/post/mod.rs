//! POST forms: uploads from a browser, whose signature covers a policy and the policy the fields.
//!
//! Follows "Browser-Based Uploads Using POST (AWS Signature Version 4)" of the Amazon S3 API reference. What a
//! form says comes in three steps of trust: [`FormFields`] is what was read, [`SignedForm`] what the client claims,
//! [`VerifiedForm`] what was verified.

mod condition;
mod fields;
mod object;
mod policy;
mod signed;

pub use fields::FormFields;
pub use object::{PostObject, SizeCheck, VerifiedForm};
pub use signed::SignedForm;

pub(crate) use fields::check_head;
pub(crate) use object::Verified;
pub(crate) use policy::Policy;
