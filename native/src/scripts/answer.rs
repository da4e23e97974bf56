//! What a script returned, made into what is sent. All of it may be hostile: a getter runs code.

use super::{Changed, Failure, Kind, Limits, Outcome, thrown};
use rquickjs::{Ctx, Error, Function, Object, Value};
use serde_json::Value as Json;

/// Headers that are read off a script's answer; the caller allows fewer.
const MOST_HEADERS: usize = 256;

/// What is needed to read an answer.
pub struct Context<'a, 'js> {
    /// Where it was made.
    pub ctx: &'a Ctx<'js>,
    /// Puts U+FFFD for halves of surrogate pairs.
    pub well_formed: Function<'js>,
    /// The event's headers as the script got them.
    pub given: Value<'js>,
    /// What bounds it.
    pub limits: &'a Limits,
}

impl<'js> Context<'_, 'js> {
    fn failed(&self, error: &Error) -> Failure {
        thrown::failure(self.ctx, error)
    }

    /// Returns a string of the script's.
    fn text(&self, value: &Value<'js>) -> Result<String, Failure> {
        let failed = |error: Error| self.failed(&error);
        let text = value.as_string().ok_or_else(|| invalid("This is no text."))?;
        match text.to_string() {
            Err(Error::Utf8(_)) => self.well_formed.call((value.clone(),)).map_err(failed),
            other => other.map_err(failed),
        }
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(Kind::Invalid, message)
}

/// Reads what a script returned.
pub fn read<'js>(
    context: &Context<'_, 'js>,
    returned: &Value<'js>,
    event: &[u8],
) -> Result<Outcome, Failure> {
    if returned.is_null() || returned.is_undefined() || returned.as_bool() == Some(false) {
        return Ok(Outcome::Dropped);
    }
    if returned.is_promise() {
        return Err(invalid("`transform` returned a promise: it must return the value itself."));
    }
    let object = returned.as_object().filter(|_| !returned.is_array() && !returned.is_function());
    let Some(object) = object else {
        let kind = returned.type_name();
        return Err(invalid(format!(
            "`transform` returned no object, but something of type {kind}."
        )));
    };
    let field = |name: &str| -> Result<Value<'js>, Failure> {
        object.get(name).map_err(|error| context.failed(&error))
    };
    let content_type = optional(context, &field("content_type")?)?;
    let headers = headers(context, &field("headers")?, event)?;
    let (body, is_json) = body(context, &field("payload")?)?;
    Ok(Outcome::Changed(Changed { content_type, headers, body, is_json }))
}

fn optional<'js>(
    context: &Context<'_, 'js>,
    value: &Value<'js>,
) -> Result<Option<String>, Failure> {
    if value.is_null() || value.is_undefined() {
        return Ok(None);
    }
    context.text(value).map(Some).map_err(|failure| named(failure, "`content_type` is no text."))
}

/// Gives a failure that is the answer's its own words; memory and throws keep theirs.
fn named(failure: Failure, words: &str) -> Failure {
    if failure.kind == Kind::Invalid { invalid(words) } else { failure }
}

fn headers<'js>(
    context: &Context<'_, 'js>,
    value: &Value<'js>,
    event: &[u8],
) -> Result<Vec<(String, String)>, Failure> {
    if value.is_null() || value.is_undefined() {
        return Ok(Vec::new());
    }
    let object = value.as_object().filter(|_| !value.is_array() && !value.is_function());
    let Some(object) = object else { return Err(invalid("`headers` is no object.")) };
    let mut found = pairs(context, object)?;
    // The event's own, given back: what is meant is what was changed in it.
    if *value == context.given {
        let known: Json = serde_json::from_slice(event).unwrap_or_default();
        found.retain(|(name, text)| known["headers"][name].as_str() != Some(text));
    }
    Ok(found)
}

fn pairs<'js>(
    context: &Context<'_, 'js>,
    object: &Object<'js>,
) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    for pair in object.props::<Value<'js>, Value<'js>>() {
        let (name, value) = pair.map_err(|error| context.failed(&error))?;
        let name = context.text(&name)?;
        let text = context.text(&value).map_err(|failure| {
            named(failure, &format!("The header {name:?} is no text, but a {}.", value.type_name()))
        })?;
        found.push((name, text));
        if found.len() > MOST_HEADERS {
            return Err(invalid("There are too many headers."));
        }
    }
    Ok(found)
}

fn body<'js>(
    context: &Context<'_, 'js>,
    value: &Value<'js>,
) -> Result<(Option<Vec<u8>>, bool), Failure> {
    if value.is_undefined() {
        return Ok((None, false));
    }
    let is_json = !value.is_string();
    let text = if is_json {
        // The engine's own, whatever the script made of `JSON`.
        let json = context
            .ctx
            .json_stringify(value.clone())
            .map_err(|error| unsendable(context, &error))?;
        let json = json.ok_or_else(|| {
            invalid(format!("`payload` is a {}, which JSON has not.", value.type_name()))
        })?;
        context.text(json.as_value())?
    } else {
        context.text(value)?
    };
    if text.len() > context.limits.output {
        let words = format!("`payload` has {} bytes, over {}.", text.len(), context.limits.output);
        return Err(Failure::new(Kind::TooLarge, words));
    }
    Ok((Some(text.into_bytes()), is_json))
}

/// Says why a payload is no JSON: a circle, a `BigInt`, or a `toJSON` that threw.
fn unsendable(context: &Context<'_, '_>, error: &Error) -> Failure {
    let failure = context.failed(error);
    if failure.kind == Kind::Threw {
        let message = format!("`payload` can't be made JSON: {}", failure.message);
        return Failure { kind: Kind::Invalid, message, ..failure };
    }
    failure
}
