//! Certificates of the tests' own, sound and otherwise.
//!
//! An [`Authority`] signs what a [`Request`] asks for. Both give PEM texts.

use anyhow::Context;
use gridloop_clock::{Clock, WallClock};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// What a certificate is to say.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Whose it is; RabbitMQ takes it as a user name.
    pub common_name: &'a str,
    /// Host names and addresses.
    pub hosts: &'a [&'a str],
    /// The days between which it is valid, counted from today.
    pub days: (i64, i64),
}

/// A certificate and its private key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// PEM.
    pub certificate: String,
    /// PEM.
    pub key: String,
}

impl Request<'static> {
    /// A sound certificate for a broker on the loopback interface.
    pub const BROKER: Self =
        Self { common_name: "broker", hosts: &["localhost", "127.0.0.1"], days: (-1, 365) };
}

impl Authority {
    /// A new authority, valid for years.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs a certificate.
    ///
    /// # Errors
    /// When the request makes no sense.
    pub fn issue(&self, request: Request<'_>) -> anyhow::Result<Issued> {
        self.sign(request, None)
    }

    /// Signs a certificate with the role extension of Modbus/TCP Security.
    ///
    /// # Errors
    /// When the request makes no sense, or the role is longer than 127 bytes.
    pub fn issue_for_role(&self, request: Request<'_>, role: &str) -> anyhow::Result<Issued> {
        self.sign(request, Some(role))
    }

    fn sign(&self, request: Request<'_>, role: Option<&str>) -> anyhow::Result<Issued> {
        let hosts: Vec<String> = request.hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, request.common_name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let today = WallClock::start()?.utc().timestamp();
        let day = |days: i64| -> anyhow::Result<_> {
            let seconds = u64::try_from(today + days * 24 * 3600)?;
            Ok(rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds))
        };
        (params.not_before, params.not_after) = (day(request.days.0)?, day(request.days.1)?);
        if let Some(role) = role {
            // A UTF8String, whose length takes one byte.
            let length = u8::try_from(role.len()).ok().filter(|length| *length < 0x80);
            let length = length.context("the role is too long")?;
            let content = [&[0x0C, length], role.as_bytes()].concat();
            let id = [1, 3, 6, 1, 4, 1, 50_316, 802, 1];
            params.custom_extensions.push(CustomExtension::from_oid_content(&id, content));
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

impl Issued {
    /// Writes both into `folder`; their paths.
    ///
    /// # Errors
    /// When that fails.
    pub fn write(&self, folder: &Path, name: &str) -> std::io::Result<(PathBuf, PathBuf)> {
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key.pem")));
        std::fs::write(&certificate, &self.certificate)?;
        std::fs::write(&key, &self.key)?;
        Ok((certificate, key))
    }
}
