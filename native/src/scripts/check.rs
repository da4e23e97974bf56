//! Whether a text is a script with a `transform`, told without running any of it.

use super::engine::Engine;
use super::run::evaluate;
use super::{Failure, Kind, Limits, thrown};
use rquickjs::Ctx;
use std::time::Duration;

/// For parsing 32 KiB, which takes a few milliseconds.
const LIMITS: Limits = Limits { cpu: Duration::from_secs(1), memory: 32 * 1024 * 1024, output: 0 };

/// Stands before the script, which is parsed as a whole before any of it runs: all that runs is
/// this line, and of the script there is what was hoisted. A declaration is; what is assigned to a
/// name is not yet there, and is no declaration.
const FIRST_LINE: &str =
    "throw typeof transform === \"function\" ? transform.constructor.name : \"\";\n";

/// Returns what is wrong with a script, if anything.
pub fn check(source: &str) -> Option<Failure> {
    let engine = match Engine::new(&LIMITS) {
        Ok(engine) => engine,
        Err(failure) => return Some(failure),
    };
    let found = engine.with(|ctx| parsed(&ctx, source));
    if engine.is_late() {
        return Some(Failure::new(Kind::Timeout, "It takes too long to read."));
    }
    found
}

fn parsed(ctx: &Ctx<'_>, source: &str) -> Option<Failure> {
    let Err(error) = evaluate(ctx, format!("{FIRST_LINE}{source}")) else {
        return Some(Failure::new(Kind::Invalid, "This is no script."));
    };
    if !matches!(error, rquickjs::Error::Exception) {
        return Some(thrown::failure(ctx, &error));
    }
    let value = ctx.catch();
    let Some(kind) = value.as_string() else {
        let mut failure = thrown::thrown(&value);
        if failure.message.starts_with("ReferenceError") {
            return Some(undeclared()); // `let transform = …`
        }
        failure.line = failure.line.saturating_sub(1);
        return Some(failure);
    };
    match kind.to_string().as_deref() {
        Ok("Function") => None,
        Ok("") | Err(_) => Some(undeclared()),
        Ok(_) => Some(Failure::new(
            Kind::Invalid,
            "`transform` must be a plain function: neither async nor a generator.",
        )),
    }
}

fn undeclared() -> Failure {
    Failure::new(Kind::Invalid, "It must declare `function transform(event)`.")
}
