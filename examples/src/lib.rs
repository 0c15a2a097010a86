//! Programs that show credfed at work; the programs themselves are in `src/bin/`.
//!
//! This library is here so that `cargo test` compiles the snippets of the repository's README.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
