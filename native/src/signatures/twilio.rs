//! Twilio: the full URL and the sorted form, <https://www.twilio.com/docs/usage/webhooks/webhooks-security>.

use super::headers::{Names, Slot};
use super::key::{Algorithm, Encoding, Mac, Tag};
use super::message::Signed;
use super::url::{PublicUrl, with_and_without_port};
use super::{Refused, Request};
use crate::error::Error;
use crate::text::{form_decode, form_pairs, hex_decode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Twilio sends some dozens of parameters; sorting a body made of `&` would cost us, not the sender.
const MAX_PARAMETERS: usize = 512;

/// The check of one source.
pub struct TwilioCheck {
    keys: Vec<[Mac; 2]>,
    url: PublicUrl,
}

impl TwilioCheck {
    pub fn new(secrets: &[Zeroizing<String>], url: PublicUrl) -> Result<Self, Error> {
        let keys = secrets.iter().map(|secret| {
            let key = secret.as_bytes();
            Ok([Mac::new(Algorithm::Sha1, key)?, Mac::new(Algorithm::Sha256, key)?])
        });
        Ok(Self { keys: keys.collect::<Result<_, Error>>()?, url })
    }

    pub fn verify<'a>(&self, request: &Request<'a>, names: &Names) -> Result<Signed<'a>, Refused> {
        let signature = request.headers.once(Slot::Signature, names)?;
        let (place, size) = match request.headers.first(Slot::Settings) {
            Some(_) => named_algorithm(request.headers.once(Slot::Settings, names)?)?,
            None => (0, Algorithm::Sha1.size()),
        };
        if !Encoding::Base64.read(signature, &mut [0; 32][..size]) {
            return Err(Refused::invalid("the signature is not base64 of the right length"));
        }
        let url = self.url.of(request.url);
        let rest = signed_after_base(url.query, request.body)?;
        let bases = with_and_without_port(url.base);
        let mut matched = None;
        for (index, macs) in self.keys.iter().enumerate() {
            for base in &bases {
                if tag(&macs[place], base, &rest).matches(signature, Encoding::Base64) {
                    matched.get_or_insert(index);
                }
            }
        }
        let secret = matched.ok_or_else(Refused::no_match)?;
        Ok(Signed { secret, text: Some(rest), ..Signed::default() })
    }

    /// The signature that Twilio would send, with the first secret.
    pub fn sign(&self, url: &str, body: &[u8]) -> Result<String, Error> {
        let url = self.url.of(url);
        let rest = signed_after_base(url.query, body)
            .map_err(|refused| Error::Unsignable(refused.detail.into_owned()))?;
        let macs = self.keys.first().ok_or_else(|| Error::recipe("secrets is empty"))?;
        Ok(Encoding::Base64.write(tag(&macs[0], url.base, &rest).bytes()))
    }
}

fn tag(mac: &Mac, base: &str, rest: &[u8]) -> Tag {
    let mut mac = mac.clone();
    mac.update(base.as_bytes());
    mac.update(rest);
    mac.finish()
}

/// Twilio's newer shared keys name their algorithm: `key=…,algorithm=HMAC_SHA256`.
fn named_algorithm(settings: &[u8]) -> Result<(usize, usize), Refused> {
    let mut fields = settings.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let name = fields.find_map(|field| field.strip_prefix(b"algorithm="));
    match name {
        None | Some(b"HMAC_SHA1") => Ok((0, Algorithm::Sha1.size())),
        Some(b"HMAC_SHA256") => Ok((1, Algorithm::Sha256.size())),
        Some(_) => Err(Refused::invalid("the signature settings name an unknown algorithm")),
    }
}

/// What is signed after the URL's host and path.
///
/// The body is either named by its hash in the signed URL, or it is a form and signed parameter by
/// parameter. No header decides which: those are not signed.
fn signed_after_base(query: Option<&str>, body: &[u8]) -> Result<Vec<u8>, Refused> {
    let mut signed = Vec::with_capacity(body.len() + 64);
    let mut hash = None;
    if let Some(query) = query {
        signed.push(b'?');
        signed.extend_from_slice(query.as_bytes());
        hash = form_pairs(query.as_bytes()).find(|(name, _)| name == b"bodySHA256");
    }
    if let Some((_, hash)) = hash {
        let mut expected = [0; 32];
        let actual: [u8; 32] = Sha256::digest(body).into();
        if !hex_decode(hash, true, &mut expected) || !bool::from(actual.ct_eq(&expected)) {
            return Err(Refused::invalid("the body is not the one that bodySHA256 names"));
        }
        return Ok(signed);
    }
    let mut parameters: Vec<_> = form_pairs(body)
        .take(MAX_PARAMETERS + 1)
        .map(|(name, value)| (form_decode(name), form_decode(value)))
        .collect();
    if parameters.len() > MAX_PARAMETERS {
        return Err(Refused::invalid("the form has too many parameters"));
    }
    // As in Twilio's libraries: by name, then by value, each pair once.
    parameters.sort_unstable();
    parameters.dedup();
    for (name, value) in parameters {
        signed.extend_from_slice(&name);
        signed.extend_from_slice(&value);
    }
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilios_own_example_signs_as_published() -> Result<(), Error> {
        // Twilio's documentation, "Validating Signatures from Twilio".
        let secrets = [Zeroizing::new("12345".to_owned())];
        let check = TwilioCheck::new(&secrets, PublicUrl::parse(None)?)?;
        let body = b"CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234\
            &From=%2B14158675310&To=%2B18005551212";
        let url = "https://example.com/myapp.php?foo=1&bar=2";
        assert_eq!(check.sign(url, body)?, "L/OH5YylLD5NRKLltdqwSvS0BnU=");
        Ok(())
    }

    #[test]
    fn a_body_outside_the_form_must_be_named_by_its_hash() {
        assert!(signed_after_base(Some("bodySHA256=00"), b"{}").is_err());
        let many = vec!["a"; MAX_PARAMETERS + 1].join("&");
        assert!(signed_after_base(None, many.as_bytes()).is_err());
        let form = signed_after_base(None, b"b=2&a=1&b=1&b=2&c");
        assert_eq!(form, Ok(b"a1b1b2c".to_vec()));
    }
}
