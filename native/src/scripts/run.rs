//! One run of one script over one event.

use super::engine::Engine;
use super::{Failure, Kind, Limits, Outcome, answer, thrown};
use rquickjs::context::EvalOptions;
use rquickjs::{Ctx, Error, Function, Object, String as Text, Value};

/// What is run over what.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The script.
    pub source: &'a str,
    /// The event as a JSON object, but for its `payload`.
    pub event: &'a [u8],
    /// The body, of which `payload` is made: its value where it is JSON, else its text.
    pub body: &'a [u8],
}

/// Runs a script over an event.
pub fn run(request: &Request<'_>, limits: &Limits) -> Outcome {
    let engine = match Engine::new(limits) {
        Ok(engine) => engine,
        Err(failure) => return Outcome::Failed(failure),
    };
    let outcome = engine.with(|ctx| transformed(&ctx, request, limits));
    if engine.is_late() {
        let words = format!("It took more than {} ms.", limits.cpu.as_millis());
        return Outcome::Failed(Failure::new(Kind::Timeout, words));
    }
    outcome.unwrap_or_else(Outcome::Failed)
}

fn transformed(ctx: &Ctx<'_>, request: &Request<'_>, limits: &Limits) -> Result<Outcome, Failure> {
    let failed = |error: Error| thrown::failure(ctx, &error);
    // Ours before the script's: it may put others in their places.
    let well_formed = well_formed(ctx).map_err(failed)?;
    let event = event(ctx, request).map_err(failed)?;
    let headers: Value<'_> = event.get("headers").map_err(failed)?;
    evaluate(ctx, request.source).map_err(failed)?;
    let transform: Value<'_> = evaluate(ctx, "transform").map_err(failed)?;
    let Some(transform) = transform.as_function() else {
        return Err(Failure::new(Kind::Invalid, "`transform` is not a function."));
    };
    let returned: Value<'_> = transform.call((event,)).map_err(failed)?;
    let context = answer::Context { ctx, well_formed, given: headers, limits };
    answer::read(&context, &returned, request.event)
}

/// Runs a text as a script of its own, in strict mode.
pub fn evaluate<'js>(ctx: &Ctx<'js>, text: impl Into<Vec<u8>>) -> Result<Value<'js>, Error> {
    let mut options = EvalOptions::default();
    options.filename = Some(thrown::NAME.into());
    ctx.eval_with_options(text, options)
}

fn well_formed<'js>(ctx: &Ctx<'js>) -> Result<Function<'js>, Error> {
    ctx.eval("Function.prototype.call.bind(String.prototype.toWellFormed)")
}

/// Makes the object that the script gets.
fn event<'js>(ctx: &Ctx<'js>, request: &Request<'_>) -> Result<Object<'js>, Error> {
    let event = ctx.json_parse(request.event)?;
    let event = event.into_object().ok_or(Error::Unknown)?;
    event.set("payload", payload(ctx, request.body)?)?;
    Ok(event)
}

fn payload<'js>(ctx: &Ctx<'js>, body: &[u8]) -> Result<Value<'js>, Error> {
    if let Ok(text) = std::str::from_utf8(body)
        && !text.contains('\0')
    {
        if let Ok(value) = ctx.json_parse(text) {
            return Ok(value);
        }
        let error = ctx.catch();
        if thrown::thrown(&error).kind == Kind::Memory {
            return Err(ctx.throw(error));
        }
    }
    let text = Text::from_str(ctx.clone(), &String::from_utf8_lossy(body))?;
    Ok(text.into_value())
}
