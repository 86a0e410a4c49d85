//! Whom a connection trusts, and as whom it shows itself, where the settings say that: an authority of one's own instead
//! of the machine's, and a certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::Deserialize;
use ureq::tls::{Certificate, PrivateKey};

use crate::secret::secret;

/// What settings say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Authorities that alone are trusted, as PEM; the machine's where it is left out.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show, as PEM, and those above it.
    pub cert_file: Option<PathBuf>,
    /// Its key, as PEM.
    pub key_file: Option<PathBuf>,
}

/// The same, read.
#[derive(Debug, Default)]
pub struct Trust {
    /// Authorities that alone are trusted.
    pub authorities: Option<Vec<Certificate<'static>>>,
    /// What to show.
    pub own: Option<(Vec<Certificate<'static>>, PrivateKey<'static>)>,
}

impl Trust {
    /// Reads the files.
    ///
    /// # Errors
    /// One that can't be read or used, as a sentence fragment.
    pub fn read(tls: &Tls) -> Result<Self, String> {
        let authorities = tls.ca_file.as_deref().map(certificates).transpose()?;
        let own = match (&tls.cert_file, &tls.key_file) {
            (None, None) => None,
            (Some(cert), Some(key)) => {
                let bad = |_| format!("{} holds no private key", key.display());
                Some((certificates(cert)?, PrivateKey::from_pem(secret(key)?.as_bytes()).map_err(bad)?))
            }
            _ => return Err("`cert_file` and `key_file` go together".to_owned()),
        };
        Ok(Self { authorities, own })
    }

    /// The same for a connection that is no HTTP.
    ///
    /// # Errors
    /// What can't be used of it, as a sentence fragment.
    pub fn client(&self) -> Result<ClientConfig, String> {
        let say = |e: rustls::Error| format!("TLS can't be set up: {e}");
        let der = |cert: &Certificate<'_>| CertificateDer::from(cert.der().to_vec());
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(say)?;
        let builder = match &self.authorities {
            None => builder.with_platform_verifier().map_err(say)?,
            Some(all) => {
                let mut roots = RootCertStore::empty();
                all.iter().try_for_each(|cert| roots.add(der(cert))).map_err(say)?;
                builder.with_root_certificates(roots)
            }
        };
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certs, key)) => {
                let key = PrivateKeyDer::try_from(key.der().to_vec())
                    .map_err(|e| format!("the private key can't be used: {e}"))?;
                builder.with_client_auth_cert(certs.iter().map(der).collect(), key).map_err(say)?
            }
        };
        // OpenSSL's servers that ask for certificates answer a resumed session with an internal error, unless their makers
        // thought of a session's context. rsyslog's did not.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let bad = |e: rustls::pki_types::pem::Error| format!("{} holds no certificates: {e}", path.display());
    let all = CertificateDer::pem_file_iter(path).map_err(bad)?;
    let all = all.map(|cert| Ok(Certificate::from_der(&cert.map_err(bad)?).to_owned()));
    let all = all.collect::<Result<Vec<_>, String>>()?;
    if all.is_empty() { Err(format!("{} holds no certificates", path.display())) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ca.pem");
        let tls = Tls { ca_file: Some(path.clone()), ..Tls::default() };
        assert!(Trust::read(&tls).is_err_and(|why| why.contains("ca.pem")));
        std::fs::write(&path, "no certificate").expect("written");
        assert!(Trust::read(&tls).is_err_and(|why| why.contains("holds no certificates")));
        let half = Tls { cert_file: Some(path), ..Tls::default() };
        assert!(Trust::read(&half).is_err_and(|why| why.contains("go together")));
        assert!(Trust::default().client().is_ok());
    }
}
