//! What each provider signs and how it is written down: the table of the documentation, as data.

use super::key::{Algorithm, Encoding};
use super::recipe::HmacRecipe;
use super::scheme::Scheme;
use super::timestamp::Form;
use crate::error::Error;
use crate::text;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Five minutes, as Stripe, Slack and Standard Webhooks have it.
const DEFAULT_TOLERANCE: f64 = 300.0;

/// How a message is signed under one scheme.
pub struct Layout {
    /// The header that carries the signature.
    pub signature: Cow<'static, str>,
    pub listing: Listing,
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    pub key_encoding: KeyEncoding,
    pub template: Template,
    pub clock: Clock,
    /// The header with the message's id, if there is one and it matters here.
    pub id: Option<Cow<'static, str>>,
    /// Seconds either way, unless the recipe says otherwise.
    pub tolerance: f64,
}

/// How signatures stand in their header.
pub enum Listing {
    /// One, after a prefix.
    Single(Cow<'static, str>),
    /// `t=…,v1=…` (Stripe, Paddle).
    Fields { separator: u8, time: &'static str, signature: &'static str },
    /// `v1,… v1a,…` (Standard Webhooks).
    Versions,
}

/// Where the time of sending is found.
pub enum Clock {
    /// Nowhere that is signed.
    Unsigned,
    /// In a header of its own.
    Header(Cow<'static, str>, Form),
    /// Among the fields of the signature header.
    Field,
    /// In the body, in milliseconds, at a JSON pointer (Linear).
    Body(&'static str),
}

/// How a secret is turned into a key.
#[derive(Clone, Copy)]
pub enum KeyEncoding {
    Raw,
    Hex,
    Base64,
}

impl KeyEncoding {
    pub fn key(self, secret: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut key = Zeroizing::new(Vec::new());
        match self {
            Self::Raw => key.extend_from_slice(secret.as_bytes()),
            Self::Hex => {
                key.resize(secret.len() / 2, 0);
                if !text::hex_decode(secret.as_bytes(), true, &mut key) {
                    return Err(Error::recipe(
                        "a secret is not hex, which key_encoding says it is",
                    ));
                }
            }
            Self::Base64 => {
                *key = text::base64_key(secret).ok_or_else(|| {
                    Error::recipe("a secret is not base64, which key_encoding says it is")
                })?;
            }
        }
        Ok(key)
    }
}

/// A piece of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Literal(Box<[u8]>),
    Timestamp,
    Id,
    Url,
    Body,
}

/// What is signed, such as `{timestamp}.{body}`.
pub struct Template(pub Vec<Part>);

impl Template {
    fn parse(template: &str) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut rest = template;
        while !rest.is_empty() {
            let at = rest.find(['{', '}']).unwrap_or(rest.len());
            let (literal, tail) = rest.split_at(at);
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.as_bytes().into()));
            }
            rest = tail;
            if !rest.is_empty() {
                let known = [
                    ("{timestamp}", Part::Timestamp),
                    ("{id}", Part::Id),
                    ("{url}", Part::Url),
                    ("{body}", Part::Body),
                ];
                let next = known
                    .into_iter()
                    .find_map(|(name, part)| rest.strip_prefix(name).map(|tail| (part, tail)));
                let Some((part, tail)) = next else {
                    return Err(Error::recipe(
                        "hmac.template may hold {timestamp}, {id}, {url} and {body}, and no other \
                         braces",
                    ));
                };
                if parts.contains(&part) {
                    return Err(Error::recipe("hmac.template names a placeholder twice"));
                }
                parts.push(part);
                rest = tail;
            }
        }
        Ok(Self(parts))
    }

    pub fn has(&self, part: &Part) -> bool {
        self.0.contains(part)
    }

    /// Whether the id is set apart from what stands beside it. If it is not, an attacker could move
    /// bytes between the two without breaking the signature, and the id would not identify.
    pub fn delimits_id(&self) -> bool {
        let literal = |part: Option<&Part>| matches!(part, None | Some(Part::Literal(_)));
        self.0.iter().position(|part| *part == Part::Id).is_some_and(|at| {
            literal(at.checked_sub(1).and_then(|before| self.0.get(before)))
                && literal(self.0.get(at + 1))
        })
    }
}

/// The layout of a scheme whose signature is a MAC over a template; `None` for the others.
pub fn layout(scheme: Scheme, hmac: Option<&HmacRecipe>) -> Result<Option<Layout>, Error> {
    use Cow::Borrowed as Text;
    let template = |text| Template::parse(text);
    let header = |name| Clock::Header(Text(name), Form::Unix);
    let body_in_lower_hex = Layout {
        signature: Text(""),
        listing: Listing::Single(Text("")),
        algorithm: Algorithm::Sha256,
        encoding: Encoding::LowerHex,
        key_encoding: KeyEncoding::Raw,
        template: template("{body}")?,
        clock: Clock::Unsigned,
        id: None,
        tolerance: DEFAULT_TOLERANCE,
    };
    Ok(Some(match scheme {
        Scheme::Standard => Layout {
            signature: Text("webhook-signature"),
            listing: Listing::Versions,
            encoding: Encoding::Base64,
            template: template("{id}.{timestamp}.{body}")?,
            clock: header("webhook-timestamp"),
            id: Some(Text("webhook-id")),
            ..body_in_lower_hex
        },
        Scheme::Stripe => Layout {
            signature: Text("stripe-signature"),
            listing: Listing::Fields { separator: b',', time: "t", signature: "v1" },
            template: template("{timestamp}.{body}")?,
            clock: Clock::Field,
            ..body_in_lower_hex
        },
        Scheme::Github => Layout {
            signature: Text("x-hub-signature-256"),
            listing: Listing::Single(Text("sha256=")),
            ..body_in_lower_hex
        },
        Scheme::Shopify => Layout {
            signature: Text("x-shopify-hmac-sha256"),
            encoding: Encoding::Base64,
            ..body_in_lower_hex
        },
        Scheme::Slack => Layout {
            signature: Text("x-slack-signature"),
            listing: Listing::Single(Text("v0=")),
            template: template("v0:{timestamp}:{body}")?,
            clock: header("x-slack-request-timestamp"),
            ..body_in_lower_hex
        },
        Scheme::Zoom => Layout {
            signature: Text("x-zm-signature"),
            listing: Listing::Single(Text("v0=")),
            template: template("v0:{timestamp}:{body}")?,
            clock: header("x-zm-request-timestamp"),
            ..body_in_lower_hex
        },
        Scheme::Zendesk => Layout {
            signature: Text("x-zendesk-webhook-signature"),
            encoding: Encoding::Base64,
            template: template("{timestamp}{body}")?,
            clock: Clock::Header(Text("x-zendesk-webhook-signature-timestamp"), Form::Iso8601),
            ..body_in_lower_hex
        },
        Scheme::Square => Layout {
            signature: Text("x-square-hmacsha256-signature"),
            encoding: Encoding::Base64,
            template: template("{url}{body}")?,
            ..body_in_lower_hex
        },
        Scheme::Paddle => Layout {
            signature: Text("paddle-signature"),
            listing: Listing::Fields { separator: b';', time: "ts", signature: "h1" },
            template: template("{timestamp}:{body}")?,
            clock: Clock::Field,
            ..body_in_lower_hex
        },
        Scheme::Linear => Layout {
            signature: Text("linear-signature"),
            encoding: Encoding::Hex,
            clock: Clock::Body("/webhookTimestamp"),
            tolerance: 60.0,
            ..body_in_lower_hex
        },
        Scheme::Hmac => match hmac {
            Some(recipe) => generic(recipe)?,
            None => return Ok(None),
        },
        Scheme::Twilio | Scheme::Basic | Scheme::Bearer | Scheme::Open => return Ok(None),
    }))
}

fn generic(recipe: &HmacRecipe) -> Result<Layout, Error> {
    let wrong = |message: &str| Err(Error::recipe(message));
    let template = Template::parse(&recipe.template)?;
    if !template.has(&Part::Body) {
        return wrong("hmac.template lacks {body}, so the body would not be signed");
    }
    if template.has(&Part::Timestamp) != recipe.timestamp_header.is_some() {
        return wrong("hmac.template needs {timestamp} just when there is a timestamp_header");
    }
    if template.has(&Part::Id) && recipe.id_header.is_none() {
        return wrong("hmac.template has {id}, but there is no id_header");
    }
    if recipe.prefix.len() > 32 || !recipe.prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
        return wrong("hmac.prefix must be at most 32 visible ASCII characters");
    }
    let owned = |name: &String| Cow::Owned(name.clone());
    Ok(Layout {
        signature: owned(&recipe.signature_header),
        listing: Listing::Single(owned(&recipe.prefix)),
        algorithm: match &*recipe.algorithm {
            "sha1" => Algorithm::Sha1,
            "sha256" => Algorithm::Sha256,
            "sha384" => Algorithm::Sha384,
            "sha512" => Algorithm::Sha512,
            _ => return wrong("hmac.algorithm must be sha1, sha256, sha384 or sha512"),
        },
        encoding: match &*recipe.encoding {
            "hex" => Encoding::Hex,
            "base64" => Encoding::Base64,
            _ => return wrong("hmac.encoding must be hex or base64"),
        },
        key_encoding: match &*recipe.key_encoding {
            "raw" => KeyEncoding::Raw,
            "hex" => KeyEncoding::Hex,
            "base64" => KeyEncoding::Base64,
            _ => return wrong("hmac.key_encoding must be raw, hex or base64"),
        },
        template,
        clock: recipe
            .timestamp_header
            .as_ref()
            .map_or(Clock::Unsigned, |name| Clock::Header(owned(name), Form::Unix)),
        id: recipe.id_header.as_ref().map(owned),
        tolerance: DEFAULT_TOLERANCE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_read_into_parts() -> Result<(), Error> {
        let parts = Template::parse("v0:{timestamp}:{body}")?.0;
        let literal = |text: &str| Part::Literal(text.as_bytes().into());
        assert_eq!(parts, [literal("v0:"), Part::Timestamp, literal(":"), Part::Body]);
        for bad in ["{", "}", "{body", "{Body}", "{body}{body}", "{{body}}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
        Ok(())
    }

    #[test]
    fn an_id_identifies_only_where_it_is_set_apart() -> Result<(), Error> {
        for (template, delimited) in [
            ("{id}.{timestamp}.{body}", true),
            ("{body}.{id}", true),
            ("{id}{body}", false),
            ("{body}{id}", false),
            ("{body}", false),
        ] {
            assert_eq!(Template::parse(template)?.delimits_id(), delimited, "{template}");
        }
        Ok(())
    }
}
