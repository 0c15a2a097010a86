//! AWS Security Token Service: exchanges without I/O, and the providers that carry them.
