//! TLS at the gateway's own port, for where nothing in front ends it: a certificate chain and its key, from two files
//! in PEM that are read once, at the start.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use credfed_core::runtime::{Runtime, TokioRuntime};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{Error as TlsError, InconsistentKeys, ServerConfig};
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use crate::cli::BadSetting;

/// How long a client may take for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest file that is read, in bytes. Chains are of a few KiB.
const LARGEST: usize = 256 << 10;

/// The files of --tls-cert and --tls-key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// What a connection is secured with.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// Reads both files and makes sure that they belong together.
    pub(crate) fn read(files: &TlsFiles) -> Result<Self, BadSetting> {
        let bad_cert = |what: &dyn Display| bad("--tls-cert", &files.cert, what);
        let bad_key = |what: &dyn Display| bad("--tls-key", &files.key, what);

        let text = read(&files.cert).map_err(|what| bad_cert(&what))?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| bad_cert(&not_pem(&error, CERTIFICATE)))?;
        if chain.is_empty() {
            return Err(bad_cert(&CERTIFICATE));
        }
        // What is ours of the key is wiped when this function ends: the text, and the key as it was decoded.
        let text = read(&files.key).map_err(|what| bad_key(&what))?;
        let key = PrivateKeyDer::from_pem_slice(&text).map(Zeroizing::new);
        let key = key.map_err(|error| bad_key(&not_pem(&error, KEY)))?;
        let signing = aws_lc_rs::sign::any_supported_type(&key)
            .map_err(|_| bad_key(&"its key is none of RSA, ECDSA (P-256, P-384, P-521) and Ed25519"))?;

        let certified = CertifiedKey::new(chain, signing);
        match certified.keys_match() {
            // Of this kind of key it cannot be told.
            Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(TlsError::InconsistentKeys(_)) => {
                let what =
                    "does not belong to the certificate of --tls-cert, whose own has to stand first there";
                return Err(bad_key(&what));
            }
            Err(error) => return Err(bad_cert(&error)),
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| BadSetting::new(format!("--tls-cert: {error}")))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The connection once the client has shaken hands, in time.
    pub(crate) async fn shake_hands(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        tokio::select! {
            secured = self.0.accept(stream) => secured,
            () = TokioRuntime.sleep(HANDSHAKE_TIMEOUT) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

const CERTIFICATE: &str = "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";

const KEY: &str = "holds no private key in PEM that can be used: PKCS#8, PKCS#1 or SEC1, and not encrypted";

fn bad(option: &str, path: &Path, what: &dyn Display) -> BadSetting {
    BadSetting::new(format!("{option}: {}: {what}", path.display()))
}

/// A file as a whole, into one buffer that does not move: there is one copy to wipe.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut text = Zeroizing::new(Vec::with_capacity(LARGEST + 1));
    let read = File::open(path).and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut text));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() > LARGEST {
        return Err("is larger than 256 KiB: is it the right file?".to_owned());
    }
    Ok(text)
}

/// Never in the words of the error itself, which quote the file.
fn not_pem(error: &PemError, nothing_found: &'static str) -> &'static str {
    match error {
        PemError::NoItemsFound => nothing_found,
        PemError::MissingSectionEnd { .. } => "breaks off: the PEM has no END line",
        _ => "is no good PEM",
    }
}

/// For tests: certificates that are made when they are needed.
#[cfg(test)]
pub(crate) mod made {
    use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
    use tempfile::TempDir;

    use super::*;

    /// A certificate for 127.0.0.1 and its key, as files; and the certificate as one that a client trusts.
    pub(crate) fn files(folder: &TempDir) -> (TlsFiles, CertificateDer<'static>) {
        let CertifiedKey { cert, signing_key }: CertifiedKey<KeyPair> =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        std::fs::write(&files.cert, cert.pem()).unwrap();
        std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        (files, cert.der().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(files: &TlsFiles) -> String {
        Tls::read(files).err().unwrap().to_string()
    }

    #[test]
    fn a_certificate_and_its_key_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Tls::read(&made::files(&folder).0).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_option() {
        let folder = tempfile::tempdir().unwrap();
        let (files, _) = made::files(&folder);
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let certificate = std::fs::read_to_string(&files.cert).unwrap();
        let key = std::fs::read_to_string(&files.key).unwrap();
        let half = |text: &str| text[..text.len() / 2].to_owned();
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let no_key = nonsense.replace("CERTIFICATE", "PRIVATE KEY");

        for (cert, says) in [
            (folder.path().join("missing"), "missing: cannot be read: "),
            (folder.path().to_owned(), "cannot be read: "),
            (write("empty.pem", ""), "empty.pem: holds no certificate in PEM"),
            (files.key.clone(), "key.pem: holds no certificate in PEM"),
            (write("half.pem", &half(&certificate)), "half.pem: breaks off"),
            (write("garbled.pem", &certificate.replace('M', "\u{1}")), "garbled.pem: is no good PEM"),
            (write("nonsense.pem", nonsense), "nonsense.pem: "),
            (write("huge.pem", &certificate.repeat(2000)), "huge.pem: is larger than 256 KiB"),
        ] {
            let said = refused(&TlsFiles { cert, ..files.clone() });
            assert!(said.starts_with("--tls-cert: ") && said.contains(says), "{said}");
        }
        for (key, says) in [
            (folder.path().join("missing"), "missing: cannot be read: "),
            (files.cert.clone(), "cert.pem: holds no private key in PEM"),
            (write("half.pem", &half(&key)), "half.pem: breaks off"),
            (write("encrypted.pem", &key.replace("PRIVATE", "ENCRYPTED PRIVATE")), "and not encrypted"),
            (write("huge.pem", &"#\n".repeat(1 << 18)), "huge.pem: is larger than 256 KiB"),
            (write("nonsense.pem", &no_key), "nonsense.pem: its key is none of RSA"),
        ] {
            let said = refused(&TlsFiles { key, ..files.clone() });
            assert!(said.starts_with("--tls-key: ") && said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = TlsFiles { key: made::files(&two).0.key, ..made::files(&one).0 };
        let said = refused(&files);
        assert!(said.contains("key.pem: does not belong to the certificate"), "{said}");
    }

    #[test]
    fn no_complaint_repeats_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let (files, _) = made::files(&folder);
        for text in ["-----BEGIN canary\ncanary", "-----BEGIN PRIVATE KEY-----\ncanary canary!\n", "canary"] {
            std::fs::write(&files.key, text).unwrap();
            let said = refused(&files);
            assert!(!said.contains("canary"), "{said}");
        }
    }
}
