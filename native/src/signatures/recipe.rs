//! A source's settings, read from JSON. No message quotes a value: it could be a secret.

use super::scheme::Scheme;
use crate::error::Error;
use crate::json::Pointer;
use crate::text;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// At most so many secrets are live at a time.
const MAX_SECRETS: usize = 10;
/// At most so many values make up a source's own dedupe rule.
const MAX_DEDUPE_POINTERS: usize = 8;
/// A week: past that, a window would stand open rather than tolerate a slow clock.
const MAX_TOLERANCE: f64 = 604_800.0;

/// What a source or a signer is prepared from.
pub struct Recipe {
    pub(super) scheme: Scheme,
    pub(super) secrets: Vec<Zeroizing<String>>,
    pub(super) tolerance: Option<f64>,
    pub(super) public_url: Option<String>,
    pub(super) dedupe: Dedupe,
    pub(super) event_type: Option<EventType>,
    pub(super) verify_token: Option<Zeroizing<String>>,
    pub(super) hmac: Option<HmacRecipe>,
}

/// How a source tells two events apart.
pub enum Dedupe {
    Auto,
    Off,
    Chosen(Vec<Pointer>),
}

/// Where a source's own rule finds the event type.
pub enum EventType {
    Header(String),
    Pointer(Pointer),
    Fixed(String),
}

/// The settings of the scheme `hmac`.
pub struct HmacRecipe {
    pub algorithm: String,
    pub encoding: String,
    pub key_encoding: String,
    pub signature_header: String,
    pub prefix: String,
    pub timestamp_header: Option<String>,
    pub id_header: Option<String>,
    pub template: String,
}

impl Recipe {
    /// Reads and checks the JSON of a recipe.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        // serde_json's own message may quote what it choked on.
        let value = serde_json::from_slice(json).map_err(|_| Error::recipe("not valid JSON"))?;
        let mut fields = Fields::new("the recipe", value)?;
        let scheme = fields.required("scheme")?;
        let scheme =
            Scheme::parse(&scheme).map_err(|_| Error::recipe("scheme is not one that is known"))?;
        let recipe = Self {
            scheme,
            secrets: secrets(fields.take("secrets"))?,
            tolerance: tolerance(fields.take("tolerance"))?,
            public_url: fields.string("public_url")?,
            dedupe: dedupe(fields.take("dedupe"))?,
            event_type: fields.take("event_type").map(event_type).transpose()?,
            verify_token: fields.string("verify_token")?.map(Zeroizing::new),
            hmac: fields.take("hmac").map(HmacRecipe::read).transpose()?,
        };
        fields.done()?;
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |message: &str| Err(Error::recipe(message));
        if self.scheme == Scheme::Open && !self.secrets.is_empty() {
            return wrong("the scheme none takes no secrets: it would not check them");
        }
        if self.scheme != Scheme::Open && self.secrets.is_empty() {
            return wrong("secrets is empty; the scheme none must be chosen by name");
        }
        if (self.scheme == Scheme::Hmac) != self.hmac.is_some() {
            return wrong("the scheme hmac, and it alone, needs the settings under hmac");
        }
        if self.verify_token.as_ref().is_some_and(|token| token.trim().is_empty()) {
            return wrong("verify_token is empty");
        }
        Ok(())
    }
}

impl HmacRecipe {
    fn read(value: Value) -> Result<Self, Error> {
        let mut fields = Fields::new("hmac", value)?;
        let text = |found: Result<Option<String>, Error>, default: &str| {
            found.map(|found| found.unwrap_or_else(|| default.to_owned()))
        };
        let recipe = Self {
            algorithm: text(fields.string("algorithm"), "sha256")?,
            encoding: text(fields.string("encoding"), "hex")?,
            key_encoding: text(fields.string("key_encoding"), "raw")?,
            signature_header: header("signature_header", &fields.required("signature_header")?)?,
            prefix: text(fields.string("prefix"), "")?,
            timestamp_header: fields
                .string("timestamp_header")?
                .map(|name| header("timestamp_header", &name))
                .transpose()?,
            id_header: fields
                .string("id_header")?
                .map(|name| header("id_header", &name))
                .transpose()?,
            template: text(fields.string("template"), "{body}")?,
        };
        fields.done()?;
        Ok(recipe)
    }
}

/// An object whose fields are taken one by one, so that what is left over is unknown.
struct Fields {
    at: &'static str,
    map: Map<String, Value>,
}

impl Fields {
    fn new(at: &'static str, value: Value) -> Result<Self, Error> {
        match value {
            Value::Object(map) => Ok(Self { at, map }),
            _ => Err(Error::recipe(format!("{at} must be an object"))),
        }
    }

    /// A field that is there and not null.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    fn string(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::recipe(format!("{name} must be a string"))),
        }
    }

    fn required(&mut self, name: &str) -> Result<String, Error> {
        self.string(name)?.ok_or_else(|| Error::recipe(format!("{name} is missing in {}", self.at)))
    }

    fn done(self) -> Result<(), Error> {
        match self.map.keys().next() {
            Some(name) => {
                let name = text::label(name.as_bytes(), 32);
                Err(Error::recipe(format!("{} has the unknown field {name}", self.at)))
            }
            None => Ok(()),
        }
    }
}

fn secrets(value: Option<Value>) -> Result<Vec<Zeroizing<String>>, Error> {
    let wrong = |message: &str| Err(Error::recipe(message));
    let values = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(_) => return wrong("secrets must be a list of strings"),
    };
    if values.len() > MAX_SECRETS {
        return wrong("secrets holds more than ten");
    }
    let mut secrets = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Value::String(secret) if secret.trim().is_empty() => {
                return wrong("secrets holds an empty one, which would verify nothing");
            }
            Value::String(secret) => secrets.push(Zeroizing::new(secret)),
            _ => return wrong("secrets must be a list of strings"),
        }
    }
    Ok(secrets)
}

fn tolerance(value: Option<Value>) -> Result<Option<f64>, Error> {
    let Some(value) = value else { return Ok(None) };
    match value.as_f64() {
        Some(seconds) if (1.0..=MAX_TOLERANCE).contains(&seconds) => Ok(Some(seconds)),
        _ => Err(Error::recipe("tolerance must be 1 to 604800 seconds, or null")),
    }
}

fn dedupe(value: Option<Value>) -> Result<Dedupe, Error> {
    const FORM: &str = "dedupe must be \"auto\", \"none\" or a list of 1 to 8 JSON pointers";
    let wrong = || Error::recipe(FORM);
    match value {
        None => Ok(Dedupe::Auto),
        Some(Value::String(word)) if word == "auto" => Ok(Dedupe::Auto),
        Some(Value::String(word)) if word == "none" => Ok(Dedupe::Off),
        Some(Value::Array(items)) if (1..=MAX_DEDUPE_POINTERS).contains(&items.len()) => {
            let pointers = items.iter().map(|item| item.as_str().and_then(Pointer::parse));
            pointers.collect::<Option<_>>().map(Dedupe::Chosen).ok_or_else(wrong)
        }
        Some(_) => Err(wrong()),
    }
}

fn event_type(value: Value) -> Result<EventType, Error> {
    let mut fields = Fields::new("event_type", value)?;
    let rule = match (fields.string("header")?, fields.string("pointer")?, fields.string("fixed")?)
    {
        (Some(name), None, None) => EventType::Header(header("event_type.header", &name)?),
        (None, Some(text), None) => EventType::Pointer(Pointer::parse(&text).ok_or_else(|| {
            Error::recipe("event_type.pointer must be a JSON pointer such as /type")
        })?),
        (None, None, Some(fixed)) if !fixed.is_empty() => EventType::Fixed(fixed),
        _ => {
            return Err(Error::recipe(
                "event_type must be null or have one of header, pointer and fixed",
            ));
        }
    };
    fields.done()?;
    Ok(rule)
}

/// A header's name in lower case (RFC 9110, section 5.1).
fn header(field: &str, name: &str) -> Result<String, Error> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(token) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(Error::recipe(format!("{field} must be a header name of 1 to 64 characters")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> String {
        Recipe::parse(json.as_bytes()).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_refusal_says_what_to_mend_and_quotes_no_secret() {
        for json in [
            r#"{"scheme": "stripe", "secrets": "whsec_hush"}"#,
            r#"{"scheme": "stripe", "secrets": [1, "whsec_hush"]}"#,
            r#"{"scheme": "whsec_hush"}"#,
            r#"{"scheme": "stripe", "secrets": ["whsec_hush"], "tolerance": "whsec_hush"}"#,
            r#"{"scheme": "stripe", "secrets": ["whsec_hush"], "dedupe": ["whsec_hush"]}"#,
            r#"{"scheme": "stripe", "secrets": ["whsec_hush"], "verify_token": ["whsec_hush"]}"#,
            r#"{"scheme": "stripe", "secrets": ["whsec_hush"#,
            r#"{"scheme": "none", "secrets": ["whsec_hush"]}"#,
            r#"{"scheme": "stripe", "secrets": ["whsec_hush", " "]}"#,
        ] {
            let fault = fault(json);
            assert!(!fault.is_empty() && !fault.contains("hush"), "{json}: {fault}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_at_every_level() {
        let fault = |json| fault(json).contains("unknown field x");
        assert!(fault(r#"{"scheme": "none", "x": 1}"#));
        assert!(fault(r#"{"scheme": "none", "event_type": {"fixed": "a", "x": 1}}"#));
        assert!(fault(
            r#"{"scheme": "hmac", "secrets": ["s"], "hmac": {"signature_header": "s", "x": 1}}"#
        ));
    }

    #[test]
    fn eleven_secrets_are_too_many() {
        let secrets = |count| {
            let list = vec!["\"s\""; count].join(",");
            format!(r#"{{"scheme": "github", "secrets": [{list}]}}"#)
        };
        assert_eq!(fault(&secrets(10)), "");
        assert_eq!(fault(&secrets(11)), "secrets holds more than ten");
    }
}
