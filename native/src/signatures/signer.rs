//! The other side: signs as a provider would.

use super::key::{Mac, StandardKey};
use super::layout::{Clock, Layout, Listing, layout};
use super::message::Pieces;
use super::recipe::Recipe;
use super::scheme::Scheme;
use super::timestamp::{Form, whole_seconds};
use super::twilio::TwilioCheck;
use super::url::PublicUrl;
use crate::error::Error;
use crate::ids;
use crate::text::base64;
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

/// Headers by their lower-case names.
pub type SignedHeaders = Vec<(String, String)>;

/// A sender of one scheme.
pub struct Signer {
    way: Way,
}

enum Way {
    Message { layout: Box<Layout>, keys: Vec<Key>, url: PublicUrl, label: Option<&'static str> },
    Twilio(TwilioCheck),
    Authorization(Zeroizing<String>),
    Open,
}

enum Key {
    Mac(Box<Mac>),
    Private(Box<SigningKey>),
}

impl Signer {
    /// Prepares a sender with the secrets of a recipe.
    pub fn new(recipe: &Recipe) -> Result<Self, Error> {
        let url = PublicUrl::parse(recipe.public_url.as_deref())?;
        let first = recipe.secrets.first().map_or("", |secret| secret.as_str());
        let way = match (recipe.scheme, layout(recipe.scheme, recipe.hmac.as_ref())?) {
            (scheme, Some(layout)) => {
                let keys = recipe.secrets.iter().map(|secret| key(&layout, secret));
                let keys = keys.collect::<Result<Vec<_>, _>>()?;
                let label = match scheme {
                    Scheme::Github => Some("x-github-delivery"),
                    Scheme::Shopify => Some("x-shopify-webhook-id"),
                    Scheme::Linear => Some("linear-delivery"),
                    _ => None,
                };
                Way::Message { layout: Box::new(layout), keys, url, label }
            }
            (Scheme::Twilio, _) => Way::Twilio(TwilioCheck::new(&recipe.secrets, url)?),
            (Scheme::Basic, _) => {
                Way::Authorization(Zeroizing::new(format!("Basic {}", base64(first.as_bytes()))))
            }
            (Scheme::Bearer, _) => Way::Authorization(Zeroizing::new(format!("Bearer {first}"))),
            _ => Way::Open,
        };
        Ok(Self { way })
    }

    /// All the headers that say who sent this: signature, timestamp and id.
    pub fn sign(
        &self,
        url: &str,
        body: &[u8],
        now: f64,
        message_id: Option<&str>,
    ) -> Result<SignedHeaders, Error> {
        let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        Ok(match &self.way {
            Way::Open => Vec::new(),
            Way::Authorization(value) => header("authorization", value),
            Way::Twilio(check) => header("x-twilio-signature", &check.sign(url, body)?),
            Way::Message { layout, keys, url: public, label } => {
                let id_header = layout.id.as_deref().or(*label);
                let id = id_header.map(|_| id(message_id, now)).transpose()?.unwrap_or_default();
                let form = match &layout.clock {
                    Clock::Header(_, form) => Some(*form),
                    Clock::Field => Some(Form::Unix),
                    Clock::Unsigned | Clock::Body(_) => None,
                };
                let timestamp = form.map(|form| form.write(now)).transpose()?.unwrap_or_default();
                let pieces = Pieces {
                    timestamp: timestamp.as_bytes(),
                    id: id.as_bytes(),
                    url: public.of(url),
                    body,
                };
                let signature = written(layout, keys, &pieces, &timestamp);
                let mut headers = vec![(layout.signature.to_string(), signature)];
                if let Clock::Header(name, _) = &layout.clock {
                    headers.insert(0, (name.to_string(), timestamp));
                }
                if let Some(name) = id_header {
                    headers.insert(0, (name.to_owned(), id));
                }
                headers
            }
        })
    }
}

fn key(layout: &Layout, secret: &str) -> Result<Key, Error> {
    if !matches!(layout.listing, Listing::Versions) {
        return Mac::new(layout.algorithm, &layout.key_encoding.key(secret)?)
            .map(|mac| Key::Mac(Box::new(mac)));
    }
    match StandardKey::parse(secret)? {
        StandardKey::Shared(mac) => Ok(Key::Mac(Box::new(mac))),
        StandardKey::Private(key) => Ok(Key::Private(key)),
        StandardKey::Public(_) => Err(Error::recipe("a whpk_ secret is public and cannot sign")),
    }
}

/// The id to send.
fn id(given: Option<&str>, now: f64) -> Result<String, Error> {
    match given {
        Some(id) if (1..=255).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) => {
            Ok(id.to_owned())
        }
        Some(_) => Err(Error::MessageId),
        None => ids::typeid("msg", &ids::detached_uuid7(whole_seconds(now)? * 1000)?),
    }
}

/// The signature header. Where it can list several signatures there is one for each secret,
/// otherwise the first secret signs.
fn written(layout: &Layout, keys: &[Key], pieces: &Pieces<'_>, timestamp: &str) -> String {
    let mut signatures = keys.iter().map(|key| match key {
        Key::Mac(mac) => {
            let mut mac = Mac::clone(mac);
            layout.feed(pieces, |piece| mac.update(piece));
            ("v1", layout.encoding.write(mac.finish().bytes()))
        }
        Key::Private(key) => {
            let mut message = Vec::new();
            layout.feed(pieces, |piece| message.extend_from_slice(piece));
            ("v1a", base64(&key.sign(&message).to_bytes()))
        }
    });
    match &layout.listing {
        Listing::Single(prefix) => {
            let first = signatures.next().map(|(_, signature)| signature);
            format!("{prefix}{}", first.unwrap_or_default())
        }
        Listing::Fields { separator, time, signature: name } => {
            let mark = char::from(*separator);
            signatures.fold(format!("{time}={timestamp}"), |header, (_, signature)| {
                format!("{header}{mark}{name}={signature}")
            })
        }
        Listing::Versions => signatures
            .map(|(version, signature)| format!("{version},{signature}"))
            .collect::<Vec<_>>()
            .join(" "),
    }
}
