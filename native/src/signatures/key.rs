//! Keyed hashes whose key schedule is computed once, and signatures as they are written.

use crate::error::Error;
use crate::text;
use ed25519_dalek::{SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac as _};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The hash within an HMAC (RFC 2104).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    pub const fn size(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hex only, where the provider's SDK compares text.
    LowerHex,
    /// Hex in either case, where the provider's SDK compares bytes.
    Hex,
    /// Canonical base64.
    Base64,
}

impl Encoding {
    pub fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::LowerHex | Self::Hex => text::hex(bytes),
            Self::Base64 => text::base64(bytes),
        }
    }

    /// Fills `out`, or says that `written` is not a signature of that size.
    pub fn read(self, written: &[u8], out: &mut [u8]) -> bool {
        match self {
            Self::LowerHex => text::hex_decode(written, false, out),
            Self::Hex => text::hex_decode(written, true, out),
            Self::Base64 => text::base64_decode(written, out),
        }
    }
}

/// An HMAC in progress. A clone of one with nothing added skips the key schedule.
#[derive(Clone)]
pub enum Mac {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Mac {
    /// Takes any key but an empty one.
    pub fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, Error> {
        if key.is_empty() {
            return Err(Error::recipe("a secret holds an empty key, which would verify nothing"));
        }
        // An HMAC key may have any length.
        let unreachable = |_| Error::recipe("a secret is no HMAC key");
        Ok(match algorithm {
            Algorithm::Sha1 => Self::Sha1(Hmac::new_from_slice(key).map_err(unreachable)?),
            Algorithm::Sha256 => Self::Sha256(Hmac::new_from_slice(key).map_err(unreachable)?),
            Algorithm::Sha384 => Self::Sha384(Hmac::new_from_slice(key).map_err(unreachable)?),
            Algorithm::Sha512 => Self::Sha512(Hmac::new_from_slice(key).map_err(unreachable)?),
        })
    }

    pub fn update(&mut self, part: &[u8]) {
        match self {
            Self::Sha1(mac) => mac.update(part),
            Self::Sha256(mac) => mac.update(part),
            Self::Sha384(mac) => mac.update(part),
            Self::Sha512(mac) => mac.update(part),
        }
    }

    pub fn finish(self) -> Tag {
        let mut tag = Tag { bytes: [0; 64], size: 0 };
        match self {
            Self::Sha1(mac) => tag.fill(&mac.finalize().into_bytes()),
            Self::Sha256(mac) => tag.fill(&mac.finalize().into_bytes()),
            Self::Sha384(mac) => tag.fill(&mac.finalize().into_bytes()),
            Self::Sha512(mac) => tag.fill(&mac.finalize().into_bytes()),
        }
        tag
    }
}

/// The output of an HMAC.
pub struct Tag {
    bytes: [u8; 64],
    size: usize,
}

impl Tag {
    fn fill(&mut self, output: &[u8]) {
        self.size = output.len();
        self.bytes[..output.len()].copy_from_slice(output);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.size]
    }

    /// Whether `written` is this tag, compared as bytes and in constant time.
    pub fn matches(&self, written: &[u8], encoding: Encoding) -> bool {
        let mut presented = [0; 64];
        let presented = &mut presented[..self.size];
        encoding.read(written, presented) && bool::from(self.bytes().ct_eq(presented))
    }
}

/// A secret of the `standard` scheme.
pub enum StandardKey {
    /// `whsec_`: v1.
    Shared(Mac),
    /// `whpk_`, or the public half of `whsk_`: v1a.
    Public(VerifyingKey),
    /// `whsk_`, where a signer needs it.
    Private(Box<SigningKey>),
}

impl StandardKey {
    /// Reads `whsec_`, `whpk_` or `whsk_` and base64; without a prefix it is a `whsec_`, as in the
    /// Standard Webhooks libraries.
    pub fn parse(secret: &str) -> Result<Self, Error> {
        if let Some(encoded) = secret.strip_prefix("whpk_") {
            let bytes = decode(encoded)?;
            let key = bytes.as_slice().try_into().ok().and_then(|bytes: &[u8; 32]| {
                VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak())
            });
            return key
                .map(Self::Public)
                .ok_or_else(|| Error::recipe("a whpk_ secret is not an ed25519 public key"));
        }
        if let Some(encoded) = secret.strip_prefix("whsk_") {
            let bytes = decode(encoded)?;
            let key = match bytes.len() {
                32 => bytes.first_chunk().map(SigningKey::from_bytes),
                64 => {
                    bytes.first_chunk().and_then(|pair| SigningKey::from_keypair_bytes(pair).ok())
                }
                _ => None,
            };
            return key
                .map(|key| Self::Private(Box::new(key)))
                .ok_or_else(|| Error::recipe("a whsk_ secret is not an ed25519 private key"));
        }
        let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
        Mac::new(Algorithm::Sha256, &decode(encoded)?).map(Self::Shared)
    }
}

fn decode(encoded: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    text::base64_key(encoded).map(Zeroizing::new).ok_or_else(|| {
        Error::recipe("a secret of the scheme standard is not base64 after its whsec_ prefix")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231_case_2() -> Result<(), Error> {
        for (algorithm, start) in [
            (Algorithm::Sha256, "5bdcc146bf60754e"),
            (Algorithm::Sha384, "af45d2e376484031"),
            (Algorithm::Sha512, "164b7a7bfcf819e2"),
        ] {
            let mut mac = Mac::new(algorithm, b"Jefe")?;
            mac.update(b"what do ya want ");
            mac.update(b"for nothing?");
            let tag = mac.finish();
            assert_eq!(tag.bytes().len(), algorithm.size());
            assert!(text::hex(tag.bytes()).starts_with(start));
            assert!(tag.matches(text::hex(tag.bytes()).as_bytes(), Encoding::LowerHex));
            assert!(tag.matches(text::hex(tag.bytes()).to_uppercase().as_bytes(), Encoding::Hex));
            assert!(!tag.matches(&text::hex(tag.bytes()).as_bytes()[2..], Encoding::Hex));
            assert!(tag.matches(text::base64(tag.bytes()).as_bytes(), Encoding::Base64));
        }
        Ok(())
    }

    #[test]
    fn empty_and_weak_keys_are_refused() {
        assert!(Mac::new(Algorithm::Sha1, b"").is_err());
        for secret in ["", "whsec_", "whsec_!", "whpk_", "whpk_AAAA", "whsk_AAAA"] {
            assert!(StandardKey::parse(secret).is_err(), "{secret}");
        }
        // The identity point, of order 1: any message verifies under it.
        let weak = format!("whpk_{}", text::base64(&[&[1][..], &[0; 31]].concat()));
        assert!(StandardKey::parse(&weak).is_err());
    }
}
