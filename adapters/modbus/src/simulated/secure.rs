//! Modbus/TCP Security from the server's side: [`accept`] lets in whoever shows a certificate, and [`role`] reads the
//! role out of it.

use super::bind::{Rights, Security};
use crate::session::tls::{Loaded, Now};
use gridloop_clock::SharedClock;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::server::TlsStream;

/// A client and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Client {
    /// The role that its certificate names.
    pub(super) role: Option<String>,
    /// What the role may do; `None`: nothing.
    pub(super) rights: Option<Rights>,
}

/// Shakes hands. The certificates are read from their files, so that new ones count from the next connection on.
pub(super) async fn accept(
    stream: TcpStream,
    security: &Security,
    clock: &SharedClock,
) -> Result<(TlsStream<TcpStream>, Client), String> {
    let (made_for, for_clock) = (security.clone(), SharedClock::clone(clock));
    let making = tokio::task::spawn_blocking(move || configuration(&made_for, for_clock));
    let configuration = making.await.map_err(|_| "the server is ending".to_owned())??;
    let accepting = TlsAcceptor::from(Arc::new(configuration)).accept(stream);
    let stream = accepting.await.map_err(|error| error.to_string())?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let role = certificate.and_then(|certificate| role(certificate));
    let rights = role.as_ref().and_then(|role| security.roles.get(role)).copied();
    Ok((stream, Client { role, rights }))
}

fn configuration(security: &Security, clock: SharedClock) -> Result<ServerConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let Loaded { roots, chain, key } = security.files.load(&provider).map_err(|error| error.to_string())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| format!("{}: {error}", security.files.ca_file.display()))?;
    ServerConfig::builder_with_details(provider, Arc::new(Now(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| format!("{}: {error}", security.files.certificate_file.display()))
}

/// 1.3.6.1.4.1.50316.802.1, the extension with the role ("MODBUS/TCP Security Protocol Specification", 8.3), in DER.
const ROLE: [u8; 11] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x83, 0x89, 0x0C, 0x86, 0x22, 0x01];

const BOOLEAN: u8 = 0x01;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0C;
const SEQUENCE: u8 = 0x30;
const EXTENSIONS: u8 = 0xA3;

/// The role that a certificate names: the UTF8String in the role extension. `None` when there is no such extension,
/// more than one, or one that holds something else.
pub(super) fn role(certificate: &[u8]) -> Option<String> {
    let (certificate, _) = within(certificate, SEQUENCE)?;
    let (fields, _) = within(certificate, SEQUENCE)?;
    let extensions = Elements(fields).find(|(tag, _)| *tag == EXTENSIONS)?.1;
    let (extensions, _) = within(extensions, SEQUENCE)?;
    let mut roles = Elements(extensions).filter_map(|(tag, extension)| {
        let (id, value) = within(extension, OBJECT_IDENTIFIER)?;
        (tag == SEQUENCE && id == ROLE).then_some(value)
    });
    let (only, None) = (roles.next()?, roles.next()) else { return None };
    let value = within(only, BOOLEAN).map_or(only, |(_critical, rest)| rest);
    let (value, _) = within(value, OCTET_STRING)?;
    let (role, rest) = within(value, UTF8_STRING)?;
    let role = std::str::from_utf8(role).ok()?;
    (rest.is_empty() && !role.is_empty()).then(|| role.to_owned())
}

/// The content of the first element, which must have this tag, and what stands behind it.
fn within(der: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    let (tag, content, rest) = element(der)?;
    (tag == expected).then_some((content, rest))
}

/// The elements of a sequence, as far as they are sound.
struct Elements<'a>(&'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, content, rest) = element(self.0)?;
        self.0 = rest;
        Some((tag, content))
    }
}

/// Tag and content of the first element, and what stands behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (bytes, behind) = rest.split_at_checked(usize::from(first & 0x7F))?;
        if bytes.len() > 4 {
            return None;
        }
        length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        rest = behind;
    }
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, CustomExtension, KeyPair};

    fn with_roles(contents: &[&[u8]], critical: bool) -> Vec<u8> {
        let mut parameters = CertificateParams::new(vec!["client".into()]).unwrap();
        parameters.custom_extensions = contents
            .iter()
            .map(|content| {
                let id = [1, 3, 6, 1, 4, 1, 50_316, 802, 1];
                let mut extension = CustomExtension::from_oid_content(&id, content.to_vec());
                extension.set_criticality(critical);
                extension
            })
            .collect();
        let key = KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    const OPERATOR: &[u8] = b"\x0C\x08operator";

    #[test]
    fn the_role_is_read_out_of_its_extension() {
        for critical in [false, true] {
            assert_eq!(role(&with_roles(&[OPERATOR], critical)).as_deref(), Some("operator"));
        }
    }

    #[test]
    fn a_certificate_without_exactly_one_sound_role_has_none() {
        for contents in [
            &[][..],
            &[OPERATOR, OPERATOR],
            &[b"\x0C\x00"],
            &[b"\x0C\x09operator"],
            &[b"\x0C\x01a\x00"],
            &[b"\x13\x01a"],
            &[b"\x0C\x02\xFF\xFE"],
            &[b""],
        ] {
            assert_eq!(role(&with_roles(contents, false)), None, "{contents:?}");
        }
    }

    #[test]
    fn a_certificate_that_is_cut_or_bent_is_read_without_harm() {
        let sound = with_roles(&[OPERATOR], false);
        for at in 0..sound.len() {
            role(&sound[..at]);
            let mut bent = sound.clone();
            bent[at] ^= 0xFF;
            role(&bent);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            role(&bytes);
        }
    }
}
