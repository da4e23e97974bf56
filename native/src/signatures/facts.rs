//! What an accepted request says about itself: its type, its id, and what makes it a duplicate.

use super::handshake::Question;
use super::headers::{Headers, Names, Slot};
use super::layout::{Clock, Layout, Part};
use super::message::{MessageCheck, Signed};
use super::recipe::{Dedupe, EventType, Recipe};
use super::scheme::Scheme;
use super::{Refusal, Refused, Request, timestamp};
use crate::json::{Fault, Found, MAX_POINTERS, Pointer, scan};
use crate::text::{form_decode, form_pairs, label, says_json};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

const MAX_EVENT_TYPE: usize = 128;
const MAX_PROVIDER_ID: usize = 255;

/// The rules of one source. Numbers are places in `pointers`.
pub struct Facts {
    pointers: Vec<Pointer>,
    /// The source's own rule, or its scheme's clock, cannot do without a JSON body.
    json: bool,
    event_type: Kind,
    identity: Identity,
    provider_id: ProviderId,
    clock: Option<usize>,
    question: Question,
}

enum Kind {
    Unnamed,
    Fixed(String),
    Header,
    /// The first that is there.
    Body(Vec<usize>),
    /// All that are there, with dots between (Linear's `Issue.create`).
    Joined(Vec<usize>),
}

/// What two requests must share to be the same event. Only signed things count: an id in an
/// unsigned header could be changed to replay an event.
enum Identity {
    Unchecked,
    /// The signed id header.
    Id,
    /// A string in the body; where it is missing, the signed text.
    Body {
        id: usize,
        only: Option<(usize, &'static str)>,
    },
    /// Everything signed but the timestamp.
    Signed,
    /// The body around the value of the clock, which changes from one attempt to the next (Linear).
    Around(usize),
    /// The source's own choice of values.
    Chosen(Vec<usize>),
}

enum ProviderId {
    Unnamed,
    Header(Slot),
    Body {
        id: usize,
        only: Option<(usize, &'static str)>,
    },
    /// A form parameter (Twilio).
    Form,
}

impl Facts {
    pub fn new(recipe: &Recipe, layout: Option<&Layout>, names: &mut Names) -> Self {
        let mut facts = Self {
            pointers: Vec::new(),
            json: false,
            event_type: Kind::Unnamed,
            identity: Identity::Signed,
            provider_id: ProviderId::Unnamed,
            clock: None,
            question: Question::Nothing,
        };
        facts.scheme(recipe.scheme, names);
        if let Some(layout) = layout {
            if let Some(id) = &layout.id {
                names.set(Slot::Id, id);
                facts.provider_id = ProviderId::Header(Slot::Id);
                if layout.template.delimits_id() {
                    facts.identity = Identity::Id;
                }
            }
            if let Clock::Body(pointer) = layout.clock {
                facts.clock = Some(facts.preset(pointer));
            }
        }
        if let Some(clock) = facts.clock {
            facts.json = true;
            facts.identity = Identity::Around(clock);
        }
        facts.choices(recipe, names);
        facts
    }

    /// What each provider's events look like, by their documentation.
    fn scheme(&mut self, scheme: Scheme, names: &mut Names) {
        match scheme {
            Scheme::Standard => self.event_type = Kind::Body(vec![self.preset("/type")]),
            Scheme::Stripe => self.named("/id", "/type", None),
            Scheme::Square => self.named("/event_id", "/type", None),
            Scheme::Paddle => self.named("/event_id", "/event_type", None),
            Scheme::Github => self.labelled("x-github-event", "x-github-delivery", names),
            Scheme::Shopify => self.labelled("x-shopify-topic", "x-shopify-webhook-id", names),
            Scheme::Slack => {
                self.named("/event_id", "/type", None);
                let (inner, outer) = (self.preset("/event/type"), self.preset("/type"));
                self.event_type = Kind::Body(vec![inner, outer]);
                let challenge = self.preset("/challenge");
                self.question = Question::Slack { kind: outer, challenge };
            }
            Scheme::Zoom => {
                let (kind, token) = (self.preset("/event"), self.preset("/payload/plainToken"));
                self.event_type = Kind::Body(vec![kind]);
                self.question = Question::Zoom { kind, token };
            }
            // A trigger's webhook has a body of the customer's own making, with ids of anything.
            Scheme::Zendesk => self.named("/id", "/type", Some("zen:event-type:")),
            Scheme::Linear => {
                let (kind, action) = (self.preset("/type"), self.preset("/action"));
                self.event_type = Kind::Joined(vec![kind, action]);
                names.set(Slot::Label, "linear-delivery");
                self.provider_id = ProviderId::Header(Slot::Label);
            }
            Scheme::Twilio => self.provider_id = ProviderId::Form,
            Scheme::Hmac | Scheme::Basic | Scheme::Bearer | Scheme::Open => {}
        }
    }

    fn named(&mut self, id: &'static str, kind: &'static str, only: Option<&'static str>) {
        let (id, kind) = (self.preset(id), self.preset(kind));
        let only = only.map(|prefix| (kind, prefix));
        self.event_type = Kind::Body(vec![kind]);
        self.identity = Identity::Body { id, only };
        self.provider_id = ProviderId::Body { id, only };
    }

    fn labelled(&mut self, kind: &str, id: &str, names: &mut Names) {
        names.set(Slot::EventType, kind);
        names.set(Slot::Label, id);
        self.event_type = Kind::Header;
        self.provider_id = ProviderId::Header(Slot::Label);
    }

    fn choices(&mut self, recipe: &Recipe, names: &mut Names) {
        match &recipe.event_type {
            None => {}
            Some(EventType::Fixed(name)) => {
                self.event_type = Kind::Fixed(label(name.as_bytes(), MAX_EVENT_TYPE));
            }
            Some(EventType::Header(name)) => {
                names.set(Slot::EventType, name);
                self.event_type = Kind::Header;
            }
            Some(EventType::Pointer(pointer)) => {
                self.json = true;
                self.event_type = Kind::Body(vec![self.point(pointer.clone())]);
            }
        }
        match &recipe.dedupe {
            Dedupe::Auto => {}
            Dedupe::Off => self.identity = Identity::Unchecked,
            Dedupe::Chosen(pointers) => {
                self.json = true;
                let places = pointers.iter().map(|pointer| self.point(pointer.clone())).collect();
                self.identity = Identity::Chosen(places);
            }
        }
    }

    fn preset(&mut self, pointer: &'static str) -> usize {
        // A preset that were no pointer would show in any test of its scheme.
        Pointer::parse(pointer).map_or(0, |pointer| self.point(pointer))
    }

    fn point(&mut self, pointer: Pointer) -> usize {
        let known = self.pointers.iter().position(|known| *known == pointer);
        known.unwrap_or_else(|| {
            debug_assert!(self.pointers.len() < MAX_POINTERS, "presets and choices fit");
            self.pointers.push(pointer);
            self.pointers.len() - 1
        })
    }

    /// Reads the body, if there is a reason to.
    ///
    /// Presets look into any body that is JSON, whatever its content type says: that header is not
    /// signed, and must not choose how an event is recognised.
    pub fn read<'a>(&self, request: &Request<'a>) -> Result<Found<'a>, Refused> {
        let promised = request.headers.first(Slot::ContentType).is_some_and(says_json);
        if self.pointers.is_empty() && !promised {
            return Ok(Found::default());
        }
        let detail = match scan(request.body, &self.pointers) {
            Ok(found) => return Ok(found),
            Err(_) if !promised && !self.json => return Ok(Found::default()),
            Err(Fault::Encoding) => "the body is not UTF-8",
            Err(Fault::Syntax) => "the body is not valid JSON",
            Err(Fault::Depth) => "the body is nested deeper than 128 levels",
        };
        Err(Refused { refusal: Refusal::Body, detail: detail.into() })
    }

    /// The clock within the body, where the scheme has it there.
    pub fn check_clock(&self, found: &Found<'_>, now: f64, tolerance: f64) -> Result<(), Refused> {
        let Some(clock) = self.clock else {
            return Ok(());
        };
        let sent = found.raw(clock).and_then(|text| timestamp::digits(text, 15));
        let sent = sent.ok_or_else(|| Refused {
            refusal: Refusal::Tolerance,
            detail: "the body has no timestamp in whole milliseconds".into(),
        })?;
        timestamp::check(sent / 1000.0, now, tolerance)
    }

    pub fn event_type(&self, headers: &Headers<'_>, found: &Found<'_>) -> String {
        match &self.event_type {
            Kind::Unnamed => String::new(),
            Kind::Fixed(name) => name.clone(),
            Kind::Header => headers
                .first(Slot::EventType)
                .map_or_else(String::new, |value| label(value, MAX_EVENT_TYPE)),
            Kind::Body(places) => {
                let value = places.iter().find_map(|place| name_of(found, *place));
                value.map_or_else(String::new, |value| label(&value, MAX_EVENT_TYPE))
            }
            Kind::Joined(places) => {
                let values = places.iter().filter_map(|place| name_of(found, *place));
                label(&values.collect::<Vec<_>>().join(&b'.'), MAX_EVENT_TYPE)
            }
        }
    }

    pub fn provider_id(&self, request: &Request<'_>, found: &Found<'_>) -> Option<String> {
        let name =
            |value: &[u8]| Some(label(value, MAX_PROVIDER_ID)).filter(|name| !name.is_empty());
        match self.provider_id {
            ProviderId::Unnamed => None,
            ProviderId::Header(slot) => request.headers.first(slot).and_then(name),
            ProviderId::Body { id, only } => name(&id_of(found, id, only)?),
            ProviderId::Form => ["MessageSid", "CallSid", "SmsSid"].iter().find_map(|wanted| {
                let found = form_pairs(request.body).find(|(key, _)| *key == wanted.as_bytes());
                found.and_then(|(_, value)| name(&form_decode(value)))
            }),
        }
    }

    /// The hash that two copies of one event share: SHA-256 cut to 128 bits, with the kind of
    /// thing that was hashed in front so that no kind can pass for another.
    pub fn dedupe(
        &self,
        request: &Request<'_>,
        signed: &Signed<'_>,
        found: &Found<'_>,
        message: Option<&MessageCheck>,
    ) -> Option<[u8; 16]> {
        let hash = match &self.identity {
            Identity::Unchecked => return None,
            Identity::Id => Sha256::new_with_prefix(b"crossdock:id\0")
                .chain_update(signed.id.unwrap_or_default()),
            Identity::Body { id, only } => match id_of(found, *id, *only) {
                Some(id) => Sha256::new_with_prefix(b"crossdock:body-id\0").chain_update(id),
                None => signed_text(request, signed, message),
            },
            Identity::Signed => signed_text(request, signed, message),
            Identity::Around(place) => {
                let [before, after] = found.around(*place)?;
                let hash = Sha256::new_with_prefix(b"crossdock:around\0");
                hash.chain_update(before).chain_update(after)
            }
            Identity::Chosen(places) => {
                // With nothing of what was chosen all events would be one: better none is.
                if places.iter().all(|place| found.raw(*place).is_none()) {
                    signed_text(request, signed, message)
                } else {
                    self.chosen(places, found)
                }
            }
        };
        hash.finalize().first_chunk().copied()
    }

    fn chosen(&self, places: &[usize], found: &Found<'_>) -> Sha256 {
        let mut hash = Sha256::new_with_prefix(b"crossdock:chosen\0");
        for place in places {
            let text = found.string(*place);
            let (kind, value) = match (&text, found.raw(*place)) {
                (Some(text), _) => (b"s", &**text),
                (None, Some(raw)) => (b"r", raw),
                (None, None) => (b"-", &[][..]),
            };
            for part in [self.pointers[*place].text().as_bytes(), kind, value] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash
    }

    /// The answer to a signed handshake.
    pub fn question(&self) -> Question {
        self.question
    }
}

/// Everything signed but the timestamp; the body where nothing is signed.
///
/// The pieces are run together as they are signed, so that moving bytes from one to the next, which
/// a template without separators allows, makes no new event.
fn signed_text(
    request: &Request<'_>,
    signed: &Signed<'_>,
    message: Option<&MessageCheck>,
) -> Sha256 {
    let mut hash = Sha256::new_with_prefix(b"crossdock:signed\0");
    match (&signed.text, message) {
        (Some(text), _) => hash.update(text),
        (None, None) => hash.update(request.body),
        (None, Some(message)) => {
            let pieces = message.pieces(request, signed.id.unwrap_or_default());
            for part in &message.layout().template.0 {
                match part {
                    Part::Literal(_) | Part::Timestamp => {}
                    Part::Id => hash.update(pieces.id),
                    Part::Url => pieces.url.pieces().iter().for_each(|piece| hash.update(piece)),
                    Part::Body => hash.update(pieces.body),
                }
            }
        }
    }
    hash
}

/// An id in the body, unless the event's type says that it is something else.
fn id_of<'a>(
    found: &Found<'a>,
    id: usize,
    only: Option<(usize, &'static str)>,
) -> Option<Cow<'a, [u8]>> {
    if let Some((kind, prefix)) = only {
        found.string(kind).filter(|kind| kind.starts_with(prefix.as_bytes()))?;
    }
    found.string(id).filter(|id| !id.is_empty())
}

/// A string's characters or a number's digits.
fn name_of<'a>(found: &Found<'a>, place: usize) -> Option<Cow<'a, [u8]>> {
    let number = |raw: &&[u8]| matches!(raw.first(), Some(b'-' | b'0'..=b'9'));
    found.string(place).or_else(|| found.raw(place).filter(number).map(Cow::Borrowed))
}
