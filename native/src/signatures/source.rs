//! A source's settings, prepared once and used for every request.

use super::credentials::Credentials;
use super::facts::Facts;
use super::handshake::Handshake;
use super::headers::{Names, Slot};
use super::layout::{Clock, layout};
use super::message::{MessageCheck, Signed};
use super::recipe::Recipe;
use super::scheme::Scheme;
use super::twilio::TwilioCheck;
use super::url::PublicUrl;
use super::{Answer, Refused, Request, timestamp};
use crate::error::Error;

/// One source.
pub struct Source {
    scheme: Scheme,
    check: Check,
    tolerance: f64,
    names: Names,
    facts: Facts,
    handshake: Handshake,
}

enum Check {
    Message(Box<MessageCheck>),
    Twilio(TwilioCheck),
    Credentials(Credentials),
    Open,
}

/// What is known of a request that passed.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The hash shared by copies of this event; `None` when the source wants no dedupe.
    pub dedupe: Option<[u8; 16]>,
    /// The event type, empty when the provider names none.
    pub event_type: String,
    /// The provider's own id, signed or not: a label.
    pub provider_id: Option<String>,
    /// The answer, when this is a handshake rather than an event.
    pub handshake: Option<Answer>,
}

impl Source {
    /// Prepares a source; the errors say what of the recipe cannot be used.
    pub fn new(recipe: &Recipe) -> Result<Self, Error> {
        let layout = layout(recipe.scheme, recipe.hmac.as_ref())?;
        let mut names = Names::default();
        names.set(Slot::ContentType, "content-type");
        let facts = Facts::new(recipe, layout.as_ref(), &mut names);
        let url = PublicUrl::parse(recipe.public_url.as_deref())?;
        let timed = layout.as_ref().filter(|layout| !matches!(layout.clock, Clock::Unsigned));
        if recipe.tolerance.is_some() && timed.is_none() {
            return Err(Error::recipe(
                "tolerance must be null: this scheme signs no timestamp to hold against it",
            ));
        }
        let tolerance = recipe.tolerance.or(timed.map(|layout| layout.tolerance));
        let check = match (recipe.scheme, layout) {
            (_, Some(layout)) => {
                names.set(Slot::Signature, &layout.signature);
                if let Clock::Header(name, _) = &layout.clock {
                    names.set(Slot::Timestamp, name);
                }
                Check::Message(Box::new(MessageCheck::new(layout, &recipe.secrets, url)?))
            }
            (Scheme::Twilio, _) => {
                names.set(Slot::Signature, "x-twilio-signature");
                names.set(Slot::Settings, "x-twilio-webhooks-signature-settings");
                Check::Twilio(TwilioCheck::new(&recipe.secrets, url)?)
            }
            (scheme @ (Scheme::Basic | Scheme::Bearer), _) => {
                names.set(Slot::Signature, "authorization");
                Check::Credentials(Credentials::new(scheme == Scheme::Basic, &recipe.secrets)?)
            }
            _ => Check::Open,
        };
        Ok(Self {
            scheme: recipe.scheme,
            check,
            tolerance: tolerance.unwrap_or_default(),
            names,
            facts,
            handshake: Handshake::new(recipe),
        })
    }

    /// The scheme's name.
    pub fn scheme(&self) -> &'static str {
        self.scheme.name()
    }

    /// A bit for each of the source's uses of a header; 0 for headers it never looks at.
    #[inline]
    pub fn slots(&self, header: &[u8]) -> u8 {
        self.names.slots(header)
    }

    /// Whether a header with these uses is what proves the sender: never to be stored.
    pub const fn is_credential(slots: u8) -> bool {
        slots & (1 << Slot::Signature as u8) != 0
    }

    /// Signature, then timestamp, then body: nothing is read of a body that nobody signed.
    pub fn verify(&self, request: &Request<'_>) -> Result<Accepted, Refused> {
        let mut message = None;
        let signed = match &self.check {
            Check::Message(check) => {
                message = Some(&**check);
                check.verify(request, &self.names)?
            }
            Check::Twilio(check) => check.verify(request, &self.names)?,
            Check::Credentials(check) => {
                check.verify(request, &self.names).map(|()| Signed::default())?
            }
            Check::Open => Signed::default(),
        };
        if let Some(sent) = signed.sent {
            timestamp::check(sent, request.now, self.tolerance)?;
        }
        let found = self.facts.read(request)?;
        self.facts.check_clock(&found, request.now, self.tolerance)?;
        let mac = message.and_then(|check| check.mac(signed.secret));
        Ok(Accepted {
            dedupe: self.facts.dedupe(request, &signed, &found, message),
            event_type: self.facts.event_type(request.headers, &found),
            provider_id: self.facts.provider_id(request, &found),
            handshake: self.facts.question().answer(&found, mac),
        })
    }

    /// The answer to a handshake that carries no signature.
    pub fn handshake(&self, method: &str, query: &[u8], body: &[u8]) -> Option<Answer> {
        self.handshake.answer(method, query, body)
    }
}
