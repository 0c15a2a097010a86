//! An STS endpoint that any AWS SDK talks to.
