//! The event that filters look at, read once for all of them.

use super::budget::Budget;
use super::node::{Field, Root};
use super::number;
use super::value::{Value, equal};
use super::wrong::Wrong;
use crate::ids;
use crate::json::Fault;
use crate::json::tree::{Name, Tree, Unread};

/// An event, as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its id, a `UUIDv7`: it also tells when it was received.
    pub id: [u8; 16],
    /// The source it came to.
    pub source_id: [u8; 16],
    /// Its type.
    pub event_type: &'a str,
    /// Its media type.
    pub content_type: &'a str,
    /// The provider's own id.
    pub provider_id: Option<&'a str>,
    /// Names and values, in their order.
    pub headers: &'a [(&'a str, &'a str)],
    /// Plain; `None` where it cannot be opened any more.
    pub body: Option<&'a [u8]>,
}

/// What is known of an event by name.
pub const FIELDS: [&str; 6] =
    ["id", "type", "source_id", "content_type", "received_at", "provider_id"];

/// A body, parsed.
#[derive(Debug)]
enum Payload<'a> {
    Read(Tree<'a>),
    /// It is no JSON: null.
    Nothing,
    Unread(&'static str),
}

/// An event, parsed as far as any filter looks.
#[derive(Debug)]
pub struct Scene<'a> {
    event: Event<'a>,
    payload: Payload<'a>,
    headers: Vec<(String, &'a str)>,
    id: String,
    source_id: String,
}

impl<'a> Scene<'a> {
    /// Reads what filters look at.
    pub fn new(event: Event<'a>, roots: &[Root]) -> Self {
        let payload =
            if roots.contains(&Root::Payload) { parse(event.body) } else { Payload::Nothing };
        let mut headers: Vec<(String, &str)> = Vec::new();
        if roots.contains(&Root::Headers) {
            for (name, value) in event.headers {
                let name = name.to_lowercase();
                // The first of a name counts.
                if headers.iter().all(|(known, _)| *known != name) {
                    headers.push((name, value));
                }
            }
        }
        let (mut id, mut source_id) = (String::new(), String::new());
        if roots.contains(&Root::Event) {
            id = ids::typeid("evt", &event.id).unwrap_or_default();
            source_id = ids::typeid("src", &event.source_id).unwrap_or_default();
        }
        Self { event, payload, headers, id, source_id }
    }

    /// A variable.
    pub fn root(&self, root: Root) -> Result<Value<'_>, Wrong> {
        match (root, &self.payload) {
            (Root::Headers, _) => Ok(Value::Headers),
            (Root::Event, _) => Ok(Value::Event),
            (Root::Payload, Payload::Read(tree)) => Ok(Value::at(tree, 0)),
            (Root::Payload, Payload::Nothing) => Ok(Value::Null),
            (Root::Payload, Payload::Unread(why)) => Err(Wrong::new(why)),
        }
    }

    /// The payload; whoever holds a place in it has it.
    fn tree(&self) -> Option<&Tree<'a>> {
        if let Payload::Read(tree) = &self.payload { Some(tree) } else { None }
    }

    /// How many elements or entries a list or map has; `None` for anything else.
    pub fn length(&self, value: &Value<'_>) -> Option<usize> {
        match value {
            Value::List(list) => Some(list.len()),
            Value::Map(map) => Some(map.len()),
            Value::Array(place) | Value::Object(place) => Some(self.tree()?.len(*place)),
            Value::Headers => Some(self.headers.len()),
            Value::Event => Some(FIELDS.len()),
            _ => None,
        }
    }

    /// The elements of a list, or the keys of a map; nothing of anything else.
    pub fn elements<'s>(&'s self, value: &Value<'s>) -> Box<dyn Iterator<Item = Value<'s>> + 's> {
        match (value, self.tree()) {
            (Value::List(list), _) => {
                let list = list.clone();
                Box::new((0..list.len()).map(move |place| list[place].clone()))
            }
            (Value::Map(map), _) => {
                let map = map.clone();
                Box::new((0..map.len()).map(move |place| map[place].0.clone()))
            }
            (Value::Array(place), Some(tree)) => {
                Box::new(tree.elements(*place).map(|place| Value::at(tree, place)))
            }
            (Value::Object(place), Some(tree)) => {
                Box::new(tree.names(*place).map(|place| Value::lent(tree.scalar(place))))
            }
            (Value::Headers, _) => Box::new(self.headers.iter().map(|(name, _)| Value::lent(name))),
            (Value::Event, _) => Box::new(FIELDS.into_iter().map(Value::lent)),
            _ => Box::new(std::iter::empty()),
        }
    }

    /// The value of a field of a map; `None` where there is none of that name.
    pub fn select<'s>(
        &'s self,
        map: &Value<'s>,
        field: &Field,
        budget: &Budget<'_>,
    ) -> Result<Option<Value<'s>>, Wrong> {
        match map {
            Value::Object(place) => self.member(*place, &field.name, budget),
            Value::Event => Ok(self.fact(&field.text)),
            Value::Headers => self.header(&field.text, budget),
            Value::Map(map) => {
                budget.spend(map.len() as u64)?;
                let is = |key: &Value<'_>| matches!(key, Value::Text(text) if text.as_str() == &*field.text);
                Ok(map.iter().find(|(key, _)| is(key)).map(|(_, value)| value.clone()))
            }
            other => Err(Wrong::new(format!("{} has no field {}", other.kind(), field.text))),
        }
    }

    /// The value of a key of a map; `None` where there is none.
    pub fn get<'s>(
        &'s self,
        map: &Value<'s>,
        key: &Value<'_>,
        budget: &Budget<'_>,
    ) -> Result<Option<Value<'s>>, Wrong> {
        if !matches!(key, Value::Text(_) | Value::Bool(_)) && key.number().is_none() {
            return Err(Wrong::new(format!("{} is no key of a map", key.kind())));
        }
        match (map, key) {
            (Value::Object(place), Value::Text(text)) => {
                budget.spend_bytes(text.as_str().len())?;
                self.member(*place, &Name::new(text.as_str()), budget)
            }
            (Value::Event, Value::Text(text)) => Ok(self.fact(text.as_str())),
            (Value::Headers, Value::Text(text)) => self.header(text.as_str(), budget),
            (Value::Map(map), key) => {
                for (known, value) in map.iter() {
                    if equal(self, known, key, budget)? {
                        return Ok(Some(value.clone()));
                    }
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// The element of a list at a place; `None` beyond its end.
    pub fn element<'s>(
        &'s self,
        list: &Value<'s>,
        place: usize,
        budget: &Budget<'_>,
    ) -> Result<Option<Value<'s>>, Wrong> {
        match (list, self.tree()) {
            (Value::List(list), _) => Ok(list.get(place).cloned()),
            (Value::Array(at), Some(tree)) if place < tree.len(*at) => {
                // Its elements are found one after another.
                budget.spend(place as u64 / 4)?;
                Ok(tree.elements(*at).nth(place).map(|place| Value::at(tree, place)))
            }
            _ => Ok(None),
        }
    }

    fn member(
        &self,
        place: u32,
        name: &Name,
        budget: &Budget<'_>,
    ) -> Result<Option<Value<'_>>, Wrong> {
        let Some(tree) = self.tree() else {
            return Ok(None);
        };
        let (found, looked) = tree.get(place, name);
        budget.spend(u64::from(looked) / 4)?;
        Ok(found.map(|place| Value::at(tree, place)))
    }

    fn header(&self, name: &str, budget: &Budget<'_>) -> Result<Option<Value<'_>>, Wrong> {
        budget.spend(self.headers.len() as u64 / 4)?;
        let found = self.headers.iter().find(|(known, _)| known == name);
        Ok(found.map(|(_, value)| Value::lent(value)))
    }

    fn fact(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "id" => Value::lent(&self.id),
            "type" => Value::lent(self.event.event_type),
            "source_id" => Value::lent(&self.source_id),
            "content_type" => Value::lent(self.event.content_type),
            "provider_id" => self.event.provider_id.map_or(Value::Null, Value::lent),
            "received_at" => {
                let mut millis = [0; 8];
                millis[2..].copy_from_slice(&self.event.id[..6]);
                Value::Time(i128::from(u64::from_be_bytes(millis)) * 1_000_000)
            }
            _ => return None,
        })
    }
}

/// Reads a body; one that is no JSON is null.
fn parse(body: Option<&[u8]>) -> Payload<'_> {
    let Some(body) = body else {
        return Payload::Unread("the payload cannot be opened any more");
    };
    match Tree::read(body) {
        Ok(tree) => Payload::Read(tree),
        Err(Unread::Fault(Fault::Encoding | Fault::Syntax)) => Payload::Nothing,
        Err(Unread::Fault(Fault::Depth)) => {
            Payload::Unread("the payload nests more than 128 levels")
        }
        Err(Unread::Surrogate) => Payload::Unread("the payload has half of a surrogate pair"),
        Err(Unread::Values) => Payload::Unread("the payload has more than a million values"),
    }
}

/// What a value says about a place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is one.
    At(usize),
    /// It is below or beyond any.
    Nowhere,
    /// It is no whole number.
    No,
}

impl Place {
    /// Reads a value.
    pub fn of(value: &Value<'_>) -> Self {
        let place = match value {
            Value::Int(value) => usize::try_from(*value).ok(),
            Value::Uint(value) => usize::try_from(*value).ok(),
            Value::Double(value) if value.fract() == 0.0 => {
                number::to_uint(*value).and_then(|value| usize::try_from(value).ok())
            }
            _ => return Self::No,
        };
        place.map_or(Self::Nowhere, Self::At)
    }
}
