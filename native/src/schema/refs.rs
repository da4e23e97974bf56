//! References of a schema. All of them lead to places of its own, or to the dialect's own schema:
//! nothing is ever fetched.

use super::Unusable;
use super::guard::{MAX_DEPTH, escaped};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// The only dialect.
pub const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Keywords whose values are data.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];

/// Where a reference leads.
pub enum Target<'s> {
    /// To a place of the schema, with a pointer to it.
    Here(&'s Value, String),
    /// To the dialect's own schema.
    Metaschema,
}

/// The names that a schema gives to its places.
pub struct Named<'s> {
    root: &'s Value,
    id: Option<&'s str>,
    anchors: HashMap<&'s str, (&'s Value, String)>,
}

impl<'s> Named<'s> {
    /// Reads them, and refuses what would change the meaning of references.
    pub fn read(root: &'s Value) -> Result<Self, Unusable> {
        let id = root.get("$id").and_then(Value::as_str).map(|id| id.trim_end_matches('#'));
        if id == Some(DIALECT) {
            return Err(Unusable::at("/$id", "this $id is that of the dialect's own schema"));
        }
        let mut named = Self { root, id, anchors: HashMap::new() };
        named.collect(root, "", 0)?;
        Ok(named)
    }

    fn collect(&mut self, value: &'s Value, here: &str, depth: usize) -> Result<(), Unusable> {
        if depth > MAX_DEPTH {
            let reason = format!("a schema nests at most {MAX_DEPTH} levels");
            return Err(Unusable::at(here, reason));
        }
        match value {
            Value::Object(map) => {
                self.names(value, map, here)?;
                for (name, inner) in map {
                    let path = format!("{here}/{}", escaped(name));
                    if DATA.contains(&name.as_str()) && !matches!(inner, Value::Object(_)) {
                        Self::measure(inner, &path, depth + 1)?;
                    } else {
                        self.collect(inner, &path, depth + 1)?;
                    }
                }
                Ok(())
            }
            Value::Array(list) => list.iter().enumerate().try_for_each(|(index, inner)| {
                self.collect(inner, &format!("{here}/{index}"), depth + 1)
            }),
            _ => Ok(()),
        }
    }

    /// Measures the depth of what is only data.
    fn measure(value: &Value, here: &str, depth: usize) -> Result<(), Unusable> {
        let mut inner: Box<dyn Iterator<Item = &Value>> = match value {
            _ if depth > MAX_DEPTH => {
                let reason = format!("a schema nests at most {MAX_DEPTH} levels");
                return Err(Unusable::at(here, reason));
            }
            Value::Object(map) => Box::new(map.values()),
            Value::Array(list) => Box::new(list.iter()),
            _ => return Ok(()),
        };
        inner.try_for_each(|value| Self::measure(value, here, depth + 1))
    }

    fn names(
        &mut self,
        value: &'s Value,
        map: &'s Map<String, Value>,
        here: &str,
    ) -> Result<(), Unusable> {
        let text = |keyword: &str| map.get(keyword).and_then(Value::as_str);
        let refuse = |keyword: &str, reason: &str| {
            Err(Unusable::at(format!("{here}/{}", escaped(keyword)), reason))
        };
        if text("$schema").is_some_and(|dialect| dialect.trim_end_matches('#') != DIALECT) {
            return refuse("$schema", "the only dialect is JSON Schema 2020-12");
        }
        if !here.is_empty() && text("$id").is_some() {
            return refuse("$id", "only the whole schema may have an $id");
        }
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = text(keyword)
                && self.anchors.insert(name, (value, here.to_owned())).is_some()
            {
                return refuse(keyword, "this anchor is there twice");
            }
        }
        Ok(())
    }

    /// Follows a reference.
    pub fn resolve(&self, reference: &str) -> Result<Target<'s>, String> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        if address == DIALECT && fragment.is_empty() {
            return Ok(Target::Metaschema);
        }
        if !(address.is_empty() || self.id == Some(address)) {
            return Err("references lead to places of the same schema: nothing is fetched".into());
        }
        let nowhere = || "this reference leads nowhere".to_owned();
        let fragment = percent_decoded(fragment).ok_or_else(nowhere)?;
        if !fragment.is_empty() && !fragment.starts_with('/') {
            let (value, path) = self.anchors.get(fragment.as_str()).ok_or_else(nowhere)?;
            return Ok(Target::Here(value, path.clone()));
        }
        let mut value = self.root;
        for token in fragment.split('/').skip(1) {
            let name = token.replace("~1", "/").replace("~0", "~");
            value = match value {
                Value::Object(map) => map.get(&name),
                Value::Array(list) => {
                    let index = name.parse().ok().filter(|index: &usize| index.to_string() == name);
                    index.and_then(|index| list.get(index))
                }
                _ => None,
            }
            .ok_or_else(nowhere)?;
        }
        if !matches!(value, Value::Object(_) | Value::Bool(_)) {
            return Err("this reference leads to what is no schema".into());
        }
        Ok(Target::Here(value, fragment))
    }
}

/// Undoes percent-encoding; `None` where it is broken.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let code = part.get(..2).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}
