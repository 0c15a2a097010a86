//! The discovery document and the key set of an issuer, as a service.
