//! TLS of client connections: certificate and key from files, taken up again when they change.
//!
//! A connection keeps the certificate it began with. Files that cannot be used leave the old ones in force, with a warning.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What clients of direct TLS must ask for by ALPN, so that no other protocol is mistaken for ours.
pub const ALPN: &[u8] = b"postgresql";
/// How often the files are looked at: a renewed certificate is in use seconds later.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What one handshake needs.
#[derive(Clone)]
pub struct Identity {
    pub acceptor: TlsAcceptor,
    /// The certificate's hash for channel binding; `None` for a kind of signature that has none.
    pub end_point: Option<Arc<[u8]>>,
}

pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    /// Replaced as a whole; held for the copying of an Arc.
    current: RwLock<Arc<Identity>>,
}

impl Tls {
    /// Reads the files. The error is a sentence for the user.
    pub fn load(certificate: &Path, key: &Path) -> Result<Tls, String> {
        Ok(Tls {
            current: RwLock::new(Arc::new(read(certificate, key)?)),
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })
    }

    pub fn identity(&self) -> Arc<Identity> {
        self.current.read().clone()
    }

    /// Takes up the files as they are now.
    pub fn reload(&self) {
        match read(&self.certificate, &self.key) {
            Ok(identity) => {
                *self.current.write() = Arc::new(identity);
                tracing::info!(certificate = %self.certificate.display(), "TLS certificate taken up again");
            }
            Err(error) => tracing::warn!(error, "TLS certificate stays as it was"),
        }
    }

    /// Looks at the files now and then, and at once after SIGHUP. Never ends.
    pub async fn watch(self: Arc<Tls>) {
        let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok();
        let mut seen = self.modified();
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::select! {
                _ = hung_up => true,
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
            };
            let now = self.modified();
            if asked || now != seen {
                seen = now;
                self.reload();
            }
        }
    }

    fn modified(&self) -> [Option<SystemTime>; 2] {
        let of = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
        [of(&self.certificate), of(&self.key)]
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Identity, String> {
    let cannot =
        |path: &Path, error: &dyn std::fmt::Display| format!("cannot use TLS file \"{}\": {error}", path.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>())
        .map_err(|error| cannot(certificate, &error))?;
    let Some(own) = chain.first() else {
        return Err(cannot(certificate, &"it holds no certificate"));
    };
    let end_point = end_point(own).map(Into::into);
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| cannot(key, &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| cannot(certificate, &error))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Identity {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        end_point,
    })
}

/// The hash of a certificate that `tls-server-end-point` (RFC 5929) binds to: the one of its signature, and at least SHA-256.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    // RSA and ECDSA with these hashes; Ed25519 and RSA-PSS name none there.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    let algorithm = signature_algorithm(certificate)?;
    let sha256 = || Some(Sha256::digest(certificate).to_vec());
    if let Some(rest) = algorithm.strip_prefix(RSA) {
        return match rest {
            // MD5 and SHA-1 are raised to SHA-256.
            [4 | 5 | 11] => sha256(),
            [12] => Some(Sha384::digest(certificate).to_vec()),
            [13] => Some(Sha512::digest(certificate).to_vec()),
            _ => None,
        };
    }
    match algorithm.strip_prefix(ECDSA)? {
        [1] | [3, 2] => sha256(),
        [3, 3] => Some(Sha384::digest(certificate).to_vec()),
        [3, 4] => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// The OID of a certificate's signature: `SEQUENCE { tbsCertificate, SEQUENCE { OID, … }, … }`.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OID: u8 = 0x06;
    let (outer, _) = element(certificate, SEQUENCE)?;
    let (_, after_body) = element(outer, SEQUENCE)?;
    let (algorithm, _) = element(after_body, SEQUENCE)?;
    Some(element(algorithm, OID)?.0)
}

/// Contents of the first DER element, which must be of this kind, and what follows it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    if found != kind {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // The length follows in this many bytes; certificates are far below 4 GiB.
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (
                digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)),
                rest,
            )
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_the_binding_is_that_of_the_signature() {
        // A certificate in outline: a body, the signature's kind, nothing else.
        let outline = |oid: &[u8]| {
            let algorithm = [&[0x30, oid.len() as u8 + 2, 0x06, oid.len() as u8], oid].concat();
            let inner = [&[0x30, 0x02, 0x05, 0x00][..], &algorithm].concat();
            [&[0x30, 0x81, inner.len() as u8][..], &inner].concat()
        };
        let length = |oid: &[u8]| end_point(&outline(oid)).map(|hash| hash.len());
        assert_eq!(length(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 11]), Some(32));
        assert_eq!(length(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 13]), Some(64));
        assert_eq!(length(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 3, 3]), Some(48));
        assert_eq!(length(&[0x2b, 0x65, 0x70]), None);
        assert_eq!(end_point(&[]), None);
        assert_eq!(end_point(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
