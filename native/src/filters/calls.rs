//! The functions of the language.

use super::budget::Budget;
use super::number;
use super::scene::Scene;
use super::time::{self, Part};
use super::value::{Text, Value};
use super::wrong::Wrong;
use std::rc::Rc;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Bool,
    Type,
    Dyn,
    Timestamp,
    Duration,
    Part(Part),
    LowerAscii,
    UpperAscii,
    Trim,
    IndexOf,
    Substring,
    Split,
    Replace,
    Join,
}

/// How a function is called, and with how many arguments: its target is one of them.
struct Shape(Function, &'static str, bool, bool, usize, usize);

/// Name, whether it is called on a target, whether without one, arguments at least and at most.
const SHAPES: &[Shape] = &[
    Shape(Function::Size, "size", true, true, 1, 1),
    Shape(Function::Contains, "contains", true, false, 2, 2),
    Shape(Function::StartsWith, "startsWith", true, false, 2, 2),
    Shape(Function::EndsWith, "endsWith", true, false, 2, 2),
    Shape(Function::Matches, "matches", true, true, 2, 2),
    Shape(Function::Int, "int", false, true, 1, 1),
    Shape(Function::Uint, "uint", false, true, 1, 1),
    Shape(Function::Double, "double", false, true, 1, 1),
    Shape(Function::Text, "string", false, true, 1, 1),
    Shape(Function::Bytes, "bytes", false, true, 1, 1),
    Shape(Function::Bool, "bool", false, true, 1, 1),
    Shape(Function::Type, "type", false, true, 1, 1),
    Shape(Function::Dyn, "dyn", false, true, 1, 1),
    Shape(Function::Timestamp, "timestamp", false, true, 1, 1),
    Shape(Function::Duration, "duration", false, true, 1, 1),
    Shape(Function::Part(Part::Year), "getFullYear", true, false, 1, 2),
    Shape(Function::Part(Part::Month), "getMonth", true, false, 1, 2),
    Shape(Function::Part(Part::Date), "getDate", true, false, 1, 2),
    Shape(Function::Part(Part::DayOfMonth), "getDayOfMonth", true, false, 1, 2),
    Shape(Function::Part(Part::DayOfWeek), "getDayOfWeek", true, false, 1, 2),
    Shape(Function::Part(Part::DayOfYear), "getDayOfYear", true, false, 1, 2),
    Shape(Function::Part(Part::Hours), "getHours", true, false, 1, 2),
    Shape(Function::Part(Part::Minutes), "getMinutes", true, false, 1, 2),
    Shape(Function::Part(Part::Seconds), "getSeconds", true, false, 1, 2),
    Shape(Function::Part(Part::Milliseconds), "getMilliseconds", true, false, 1, 2),
    Shape(Function::LowerAscii, "lowerAscii", true, false, 1, 1),
    Shape(Function::UpperAscii, "upperAscii", true, false, 1, 1),
    Shape(Function::Trim, "trim", true, false, 1, 1),
    Shape(Function::IndexOf, "indexOf", true, false, 2, 2),
    Shape(Function::Substring, "substring", true, false, 2, 3),
    Shape(Function::Split, "split", true, false, 2, 2),
    Shape(Function::Replace, "replace", true, false, 3, 3),
    Shape(Function::Join, "join", true, false, 1, 2),
];

impl Function {
    /// Finds a function by how it is called, its target among the arguments.
    pub fn find(name: &str, on_target: bool, arguments: usize) -> Result<Self, String> {
        let Some(shape) = SHAPES.iter().find(|shape| shape.1 == name) else {
            return Err(format!("there is no function {}", quoted(name)));
        };
        let Shape(function, _, target, plain, least, most) = *shape;
        if on_target && !target {
            return Err(format!("{name} is called as {name}(x)"));
        }
        if !on_target && !plain {
            return Err(format!("{name} is called as x.{name}(…)"));
        }
        if arguments < least || arguments > most {
            let shown = usize::from(on_target);
            return Err(if least == most {
                format!("{name} takes {} arguments here", least - shown)
            } else {
                format!("{name} takes {} to {} arguments here", least - shown, most - shown)
            });
        }
        Ok(function)
    }

    /// As it is written.
    fn name(self) -> &'static str {
        SHAPES.iter().find(|shape| shape.0 == self).map_or("", |shape| shape.1)
    }
}

/// A name in quotes, cut to what an error can show.
pub fn quoted(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    format!("'{short}'")
}

/// Calls a function, but for `matches`.
pub fn call<'s>(
    function: Function,
    arguments: &[Value<'s>],
    scene: &'s Scene<'_>,
    budget: &Budget<'_>,
) -> Result<Value<'s>, Wrong> {
    let unfit = || {
        let kinds: Vec<_> = arguments.iter().map(Value::kind).collect();
        Err(Wrong::overload(function.name(), &kinds))
    };
    match (function, arguments) {
        (Function::Size, [value]) => match size(value, scene, budget)? {
            Some(size) => Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX))),
            None => unfit(),
        },
        (Function::Type, [value]) => Ok(Value::Type(value.kind())),
        (Function::Dyn, [value]) => Ok(value.clone()),
        (Function::Part(part), [Value::Time(nanos)]) => {
            time::part_of_moment(*nanos, part, None).map(Value::Int)
        }
        (Function::Part(part), [Value::Time(nanos), Value::Text(zone)]) => {
            budget.spend(8)?;
            time::part_of_moment(*nanos, part, Some(zone.as_str())).map(Value::Int)
        }
        (Function::Part(part), [Value::Span(nanos)]) => {
            time::part_of_span(*nanos, part).map_or_else(unfit, |part| Ok(Value::Int(part)))
        }
        (Function::Join, [list, rest @ ..]) => {
            join(list, rest, scene, budget)?.map_or_else(unfit, Ok)
        }
        (_, [Value::Text(text), rest @ ..]) => {
            budget.spend_bytes(text.as_str().len())?;
            match on_text(function, text, rest, budget)? {
                Some(value) => Ok(value),
                None => unfit(),
            }
        }
        (_, [value]) => convert(function, value, budget)?.map_or_else(unfit, Ok),
        _ => unfit(),
    }
}

fn size(value: &Value<'_>, scene: &Scene<'_>, budget: &Budget<'_>) -> Result<Option<usize>, Wrong> {
    match value {
        Value::Text(text) => {
            budget.spend_bytes(text.as_str().len())?;
            Ok(Some(text.as_str().chars().count()))
        }
        Value::Bytes(bytes) => Ok(Some(bytes.len())),
        other => Ok(scene.length(other)),
    }
}

/// Makes another type of a value that is no string; `None` where there is no such way.
fn convert<'s>(
    function: Function,
    value: &Value<'s>,
    budget: &Budget<'_>,
) -> Result<Option<Value<'s>>, Wrong> {
    let fits = |found: Option<Value<'s>>| {
        found.map(Some).ok_or_else(|| Wrong::new(format!("{} overflows", function.name())))
    };
    match (function, value) {
        (Function::Int, Value::Int(_))
        | (Function::Uint, Value::Uint(_))
        | (Function::Double, Value::Double(_))
        | (Function::Bool, Value::Bool(_))
        | (Function::Bytes, Value::Bytes(_))
        | (Function::Timestamp, Value::Time(_))
        | (Function::Duration, Value::Span(_)) => Ok(Some(value.clone())),
        (Function::Int, Value::Uint(value)) => fits(i64::try_from(*value).ok().map(Value::Int)),
        (Function::Int, Value::Double(value)) => fits(number::to_int(*value).map(Value::Int)),
        (Function::Int, Value::Time(nanos)) => fits(time::seconds(*nanos).map(Value::Int)),
        (Function::Uint, Value::Int(value)) => fits(u64::try_from(*value).ok().map(Value::Uint)),
        (Function::Uint, Value::Double(value)) => fits(number::to_uint(*value).map(Value::Uint)),
        (Function::Double, value) => {
            Ok(value.number().map(|number| Value::Double(number.double())))
        }
        (Function::Timestamp, Value::Int(value)) => time::moment_of_seconds(*value).map(Some),
        (Function::Text, Value::Bool(value)) => Ok(Some(Value::own(value.to_string()))),
        (Function::Text, Value::Int(value)) => Ok(Some(Value::own(value.to_string()))),
        (Function::Text, Value::Uint(value)) => Ok(Some(Value::own(value.to_string()))),
        (Function::Text, Value::Double(value)) => Ok(Some(Value::own(value.to_string()))),
        (Function::Text, Value::Time(nanos)) => Ok(Some(Value::own(time::write_moment(*nanos)))),
        (Function::Text, Value::Span(nanos)) => Ok(Some(Value::own(time::write_span(*nanos)))),
        (Function::Text, Value::Bytes(bytes)) => {
            budget.spend_bytes(bytes.len())?;
            let text = std::str::from_utf8(bytes);
            text.map(|text| Some(Value::own(text)))
                .map_err(|_| Wrong::new("these bytes are no UTF-8"))
        }
        _ => Ok(None),
    }
}

/// A function of a string; `None` where it takes no such arguments.
fn on_text<'s>(
    function: Function,
    target: &Text<'s>,
    rest: &[Value<'s>],
    budget: &Budget<'_>,
) -> Result<Option<Value<'s>>, Wrong> {
    let text = target.as_str();
    let unread = |what: &str| Wrong::new(format!("this string is no {what}"));
    Ok(Some(match (function, rest) {
        (Function::Contains, [Value::Text(part)]) => {
            // Two-way search: linear in both.
            budget.spend_bytes(part.as_str().len())?;
            Value::Bool(text.contains(part.as_str()))
        }
        (Function::StartsWith, [Value::Text(part)]) => Value::Bool(text.starts_with(part.as_str())),
        (Function::EndsWith, [Value::Text(part)]) => Value::Bool(text.ends_with(part.as_str())),
        (Function::Int, []) => Value::Int(text.parse().map_err(|_| unread("int"))?),
        (Function::Uint, []) => Value::Uint(text.parse().map_err(|_| unread("uint"))?),
        (Function::Double, []) => Value::Double(text.parse().map_err(|_| unread("double"))?),
        (Function::Text, []) => Value::Text(target.clone()),
        (Function::Bytes, []) => Value::Bytes(Rc::from(text.as_bytes())),
        (Function::Bool, []) => Value::Bool(match text {
            "1" | "t" | "true" | "TRUE" | "True" => true,
            "0" | "f" | "false" | "FALSE" | "False" => false,
            _ => return Err(unread("bool")),
        }),
        (Function::Timestamp, []) => time::read_moment(text)?,
        (Function::Duration, []) => time::read_span(text)?,
        (Function::LowerAscii, []) => Value::own(text.to_ascii_lowercase()),
        (Function::UpperAscii, []) => Value::own(text.to_ascii_uppercase()),
        (Function::Trim, []) => Value::own(text.trim()),
        (Function::IndexOf, [Value::Text(part)]) => {
            budget.spend_bytes(part.as_str().len())?;
            let place = text.find(part.as_str()).map(|at| text[..at].chars().count());
            Value::Int(place.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1))
        }
        (Function::Substring, [Value::Int(start)]) => substring(text, *start, None)?,
        (Function::Substring, [Value::Int(start), Value::Int(end)]) => {
            substring(text, *start, Some(*end))?
        }
        (Function::Split, [Value::Text(separator)]) => {
            let mut parts = Vec::new();
            for part in text.split(separator.as_str()) {
                budget.spend_bytes(part.len())?;
                parts.push(Value::own(part));
            }
            Value::list(parts)
        }
        (Function::Replace, [Value::Text(old), Value::Text(new)]) => {
            let (old, new) = (old.as_str(), new.as_str());
            let found = text.matches(old).count();
            budget.spend_bytes(text.len().saturating_add(found.saturating_mul(new.len())))?;
            Value::own(text.replace(old, new))
        }
        _ => return Ok(None),
    }))
}

/// Part of a string, by code points.
fn substring<'s>(text: &str, start: i64, end: Option<i64>) -> Result<Value<'s>, Wrong> {
    let beyond = || Wrong::new("substring is beyond the string");
    let place = |at: i64| {
        let at = usize::try_from(at).ok()?;
        let mut places = text.char_indices().map(|(place, _)| place).chain([text.len()]);
        places.nth(at)
    };
    let start = place(start).ok_or_else(beyond)?;
    let end = end.map_or(Some(text.len()), place).ok_or_else(beyond)?;
    text.get(start..end).map(Value::own).ok_or_else(beyond)
}

/// The strings of a list, one after another.
fn join<'s>(
    list: &Value<'s>,
    rest: &[Value<'s>],
    scene: &'s Scene<'_>,
    budget: &Budget<'_>,
) -> Result<Option<Value<'s>>, Wrong> {
    let separator = match rest {
        [] => "",
        [Value::Text(separator)] => separator.as_str(),
        _ => return Ok(None),
    };
    if list.kind() != "list" {
        return Ok(None);
    }
    let mut joined = String::new();
    for (place, part) in scene.elements(list).enumerate() {
        let Value::Text(part) = part else {
            return Ok(None);
        };
        budget.spend_bytes(part.as_str().len() + separator.len())?;
        if place > 0 {
            joined.push_str(separator);
        }
        joined.push_str(part.as_str());
    }
    Ok(Some(Value::own(joined)))
}
