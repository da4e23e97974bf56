//! What a script threw, as its author should see it.

use super::{Failure, Kind};
use rquickjs::{Coerced, Ctx, Error, Object, Value};

/// Characters of a message.
const LONGEST: usize = 500;
/// The name under which a script's frames stand in a stack.
pub const NAME: &str = "transform.js";

/// Says why a step in the engine failed.
pub fn failure(ctx: &Ctx<'_>, error: &Error) -> Failure {
    match error {
        Error::Exception => thrown(&ctx.catch()),
        // The engine's word for a string that it had no memory to make.
        Error::Unknown | Error::Allocation => {
            ctx.catch();
            out_of_memory()
        }
        other => Failure::new(Kind::Invalid, cut(&other.to_string(), LONGEST)),
    }
}

/// Says what a thrown value says.
pub fn thrown(value: &Value<'_>) -> Failure {
    // Where not even an error could be made, the engine throws null.
    if value.is_null() || value.type_of() == rquickjs::Type::Uninitialized {
        return out_of_memory();
    }
    let Some(error) = value.as_object().filter(|_| value.is_error()) else {
        return Failure::new(Kind::Threw, described(value));
    };
    let text = |name: &str| error.get::<_, Coerced<String>>(name).map(|one| one.0).ok();
    let name = text("name").unwrap_or_else(|| "Error".into());
    let message = text("message").unwrap_or_default();
    if name == "InternalError" && message == "out of memory" {
        return out_of_memory();
    }
    let (line, column) = place(error);
    let words = if message.is_empty() { name } else { format!("{name}: {message}") };
    Failure { kind: Kind::Threw, message: cut(&words, LONGEST), line, column }
}

/// Returns the beginning of a text, at most so many bytes.
fn cut(text: &str, longest: usize) -> String {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn out_of_memory() -> Failure {
    Failure::new(Kind::Memory, "It wanted more memory than a script has.")
}

/// Says what is no error: a text, a number, an object.
fn described(value: &Value<'_>) -> String {
    let text = value.get::<Coerced<String>>().map(|one| one.0);
    let _ = value.ctx().catch(); // of a `toString` that throws as well
    match text {
        Ok(text) => cut(&format!("It threw {text}"), LONGEST),
        Err(_) => format!("It threw something of type {}.", value.type_name()),
    }
}

/// Reads the uppermost frame in the script off an error's stack.
fn place(error: &Object<'_>) -> (u32, u32) {
    let stack = error.get::<_, Coerced<String>>("stack").map(|one| one.0);
    let _ = error.ctx().catch();
    let Ok(stack) = stack else { return (0, 0) };
    let Some((_, rest)) = stack.split_once(&format!("{NAME}:")) else { return (0, 0) };
    let end = rest.find(|one: char| !one.is_ascii_digit() && one != ':').unwrap_or(rest.len());
    let mut numbers = rest[..end].split(':').map(|one| one.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
