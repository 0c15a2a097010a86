//! Session tokens: sealed, stateless, opened on every request without a store.
