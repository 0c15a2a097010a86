//! Named master keys: which one seals now, which ones still open, which one is next.
