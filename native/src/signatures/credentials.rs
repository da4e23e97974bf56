//! Schemes that sign nothing but show a shared secret (RFC 7617, RFC 6750).

use super::headers::{Names, Slot};
use super::{Refused, Request};
use crate::error::Error;
use crate::text;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret by its hash: two are compared in a time that tells neither length nor content.
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.ct_eq(&Self::of(presented).0).into()
    }
}

/// The live credentials of one source.
pub struct Credentials {
    basic: bool,
    secrets: Vec<Fingerprint>,
}

impl Credentials {
    pub fn new(basic: bool, secrets: &[Zeroizing<String>]) -> Result<Self, Error> {
        for secret in secrets {
            if basic && secret.split_once(':').is_none_or(|(_, password)| password.is_empty()) {
                return Err(Error::recipe("a secret of the scheme basic must be user:password"));
            }
        }
        let secrets = secrets.iter().map(|secret| Fingerprint::of(secret.as_bytes())).collect();
        Ok(Self { basic, secrets })
    }

    pub fn verify(&self, request: &Request<'_>, names: &Names) -> Result<(), Refused> {
        let header = request.headers.once(Slot::Signature, names)?;
        let scheme: &[u8] = if self.basic { b"basic " } else { b"bearer " };
        let presented = match header.split_at_checked(scheme.len()) {
            Some((start, rest)) if start.eq_ignore_ascii_case(scheme) => rest,
            _ => return Err(Refused::invalid("the authorization is of another kind")),
        };
        let decoded;
        let presented = if self.basic {
            let text = std::str::from_utf8(presented).ok();
            decoded = text
                .and_then(text::base64_key)
                .map(Zeroizing::new)
                .ok_or_else(|| Refused::invalid("the authorization is malformed"))?;
            decoded.as_slice()
        } else {
            presented
        };
        // Every one is compared, whichever matches.
        let matched = self.secrets.iter().fold(false, |any, known| any | known.matches(presented));
        if matched {
            Ok(())
        } else {
            Err(Refused::invalid("the credentials match no live secret of this source"))
        }
    }
}
