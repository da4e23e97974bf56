//! Checks a MAC, or an ed25519 signature, over a template.

use super::headers::{Names, Slot};
use super::key::{Encoding, Mac, StandardKey};
use super::layout::{Clock, Layout, Listing, Part};
use super::url::{PublicUrl, Url};
use super::{Refused, Request};
use crate::error::Error;
use ed25519_dalek::{Signature, VerifyingKey};
use zeroize::Zeroizing;

/// A sender in the middle of a rotation signs with each of its live secrets, at most ten.
const MAX_SIGNATURES: usize = 10;

/// The check of one source.
pub struct MessageCheck {
    layout: Layout,
    macs: Vec<Mac>,
    publics: Vec<VerifyingKey>,
    url: PublicUrl,
}

/// What a matching signature vouches for.
#[derive(Default)]
pub struct Signed<'a> {
    /// Which HMAC secret matched.
    pub secret: usize,
    /// When it was sent, in seconds since 1970, where a header or field says so.
    pub sent: Option<f64>,
    /// The id header's value.
    pub id: Option<&'a [u8]>,
    /// The text that was signed, where it is not the request as it stands (Twilio).
    pub text: Option<Vec<u8>>,
}

/// The changing pieces of a message.
#[derive(Clone, Copy)]
pub struct Pieces<'a> {
    pub timestamp: &'a [u8],
    pub id: &'a [u8],
    pub url: Url<'a>,
    pub body: &'a [u8],
}

impl Layout {
    /// Hands over what is signed, piece by piece: the body is never copied for a MAC.
    pub fn feed(&self, pieces: &Pieces<'_>, mut take: impl FnMut(&[u8])) {
        for part in &self.template.0 {
            match part {
                Part::Literal(text) => take(text),
                Part::Timestamp => take(pieces.timestamp),
                Part::Id => take(pieces.id),
                Part::Url => pieces.url.pieces().into_iter().for_each(&mut take),
                Part::Body => take(pieces.body),
            }
        }
    }
}

impl MessageCheck {
    pub fn new(
        layout: Layout,
        secrets: &[Zeroizing<String>],
        url: PublicUrl,
    ) -> Result<Self, Error> {
        let mut check = Self { layout, macs: Vec::new(), publics: Vec::new(), url };
        for secret in secrets {
            if !matches!(check.layout.listing, Listing::Versions) {
                let key = check.layout.key_encoding.key(secret)?;
                check.macs.push(Mac::new(check.layout.algorithm, &key)?);
                continue;
            }
            match StandardKey::parse(secret)? {
                StandardKey::Shared(mac) => check.macs.push(mac),
                StandardKey::Public(key) => check.publics.push(key),
                StandardKey::Private(key) => check.publics.push(key.verifying_key()),
            }
        }
        Ok(check)
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The keyed state of the secret that matched.
    pub fn mac(&self, secret: usize) -> Option<&Mac> {
        self.macs.get(secret)
    }

    /// The pieces of a request that was accepted.
    pub fn pieces<'a>(&'a self, request: &Request<'a>, id: &'a [u8]) -> Pieces<'a> {
        Pieces { timestamp: b"", id, url: self.url.of(request.url), body: request.body }
    }

    pub fn verify<'a>(&self, request: &Request<'a>, names: &Names) -> Result<Signed<'a>, Refused> {
        let headers = request.headers;
        let presented =
            Presented::read(headers.once(Slot::Signature, names)?, &self.layout.listing)?;
        let timestamp = match &self.layout.clock {
            Clock::Header(_, form) => Some((headers.once(Slot::Timestamp, names)?, *form)),
            Clock::Field => Some((presented.time, super::timestamp::Form::Unix)),
            Clock::Unsigned | Clock::Body(_) => None,
        };
        let sent = timestamp.map(|(text, form)| form.read(text)).transpose()?;
        let id = if self.layout.template.has(&Part::Id) {
            Some(headers.once(Slot::Id, names)?)
        } else {
            None
        };
        let pieces = Pieces {
            timestamp: timestamp.map_or(b"", |(text, _)| text),
            id: id.unwrap_or_default(),
            url: self.url.of(request.url),
            body: request.body,
        };
        let secret = self.find(&presented, &pieces)?;
        Ok(Signed { secret, sent, id, text: None })
    }

    /// Which secret signed this. Each is tried, so that the time taken does not tell which.
    fn find(&self, presented: &Presented<'_>, pieces: &Pieces<'_>) -> Result<usize, Refused> {
        let mut secret = None;
        if presented.macs.len > 0 {
            for (place, mac) in self.macs.iter().enumerate() {
                let mut mac = mac.clone();
                self.layout.feed(pieces, |piece| mac.update(piece));
                let tag = mac.finish();
                for text in presented.macs.iter() {
                    if tag.matches(text, self.layout.encoding) {
                        secret.get_or_insert(place);
                    }
                }
            }
        }
        let mut public = false;
        if secret.is_none() && !self.publics.is_empty() {
            let mut message = Vec::with_capacity(pieces.body.len() + 128);
            self.layout.feed(pieces, |piece| message.extend_from_slice(piece));
            for text in presented.eds.iter() {
                let mut bytes = [0; 64];
                public |= Encoding::Base64.read(text, &mut bytes)
                    && self.publics.iter().any(|key| {
                        key.verify_strict(&message, &Signature::from_bytes(&bytes)).is_ok()
                    });
            }
        }
        if public { Ok(0) } else { secret.ok_or_else(Refused::no_match) }
    }
}

/// The signatures that a header presents.
#[derive(Default)]
struct Presented<'a> {
    time: &'a [u8],
    macs: List<'a>,
    eds: List<'a>,
}

#[derive(Default)]
struct List<'a> {
    items: [&'a [u8]; MAX_SIGNATURES],
    len: usize,
}

impl<'a> List<'a> {
    fn push(&mut self, item: &'a [u8]) -> Result<(), Refused> {
        let place = self.items.get_mut(self.len);
        *place.ok_or_else(|| Refused::invalid("the header lists too many signatures"))? = item;
        self.len += 1;
        Ok(())
    }

    fn iter(&self) -> impl Iterator<Item = &&'a [u8]> {
        self.items[..self.len].iter()
    }
}

impl<'a> Presented<'a> {
    fn read(header: &'a [u8], listing: &Listing) -> Result<Self, Refused> {
        let mut presented = Self::default();
        match listing {
            Listing::Single(prefix) => {
                let signature = header.strip_prefix(prefix.as_bytes()).ok_or_else(|| {
                    Refused::invalid("the signature header does not start as its scheme says")
                })?;
                presented.macs.push(signature)?;
            }
            Listing::Fields { separator, time, signature } => {
                let mut timed = false;
                for field in header.split(|byte| byte == separator) {
                    let (name, value) = split(field, b'=')?;
                    if name == time.as_bytes() {
                        if std::mem::replace(&mut timed, true) {
                            return Err(Refused::invalid(
                                "the signature header has two timestamps",
                            ));
                        }
                        presented.time = value;
                    } else if name == signature.as_bytes() {
                        presented.macs.push(value)?;
                    }
                }
                if !timed {
                    return Err(Refused::invalid("the signature header has no timestamp"));
                }
            }
            Listing::Versions => {
                for item in header.split(|byte| *byte == b' ').filter(|item| !item.is_empty()) {
                    let (version, value) = split(item, b',')?;
                    match version {
                        b"v1" => presented.macs.push(value)?,
                        b"v1a" => presented.eds.push(value)?,
                        // A version that is still to come.
                        _ => {}
                    }
                }
            }
        }
        if presented.macs.len + presented.eds.len == 0 {
            return Err(Refused::invalid("the header has no signature of a version known here"));
        }
        Ok(presented)
    }
}

fn split(field: &[u8], mark: u8) -> Result<(&[u8], &[u8]), Refused> {
    let at = field.iter().position(|byte| *byte == mark);
    at.map(|at| (&field[..at], &field[at + 1..]))
        .ok_or_else(|| Refused::invalid("the signature header is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: Listing = Listing::Fields { separator: b',', time: "t", signature: "v1" };

    #[test]
    fn fields_may_repeat_their_signature_but_not_their_time() {
        let read = |header: &'static str| Presented::read(header.as_bytes(), &FIELDS);
        let presented = read("t=1,v1=a,v0=b,v1=c").unwrap_or_default();
        assert_eq!(presented.time, b"1");
        assert_eq!(presented.macs.iter().copied().collect::<Vec<_>>(), [b"a", b"c"]);
        for bad in ["", "t=1", "v1=a", "t=1,t=1,v1=a", "t=1,v1", "t=1,,v1=a", "t=1;v1=a"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_versions_are_passed_over() {
        let read = |header: &'static str| Presented::read(header.as_bytes(), &Listing::Versions);
        let presented = read("v2,x v1,a  v1a,b").unwrap_or_default();
        assert_eq!((presented.macs.len, presented.eds.len), (1, 1));
        for bad in ["", "v2,x", "v1", "v1,a v1", " "] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn eleven_signatures_are_too_many() {
        let header = |count| vec!["v1,a"; count].join(" ");
        assert!(Presented::read(header(10).as_bytes(), &Listing::Versions).is_ok());
        assert!(Presented::read(header(11).as_bytes(), &Listing::Versions).is_err());
    }
}
