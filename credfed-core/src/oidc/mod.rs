//! OpenID Connect both ways: assertions that we issue, and those of others that we check.
