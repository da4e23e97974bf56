//! Regular expressions of schemas: only those that are matched in time linear in the text.

use regex_automata::dfa::dense;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_syntax::hir::{Hir, HirKind};

/// Bytes of a pattern.
pub const MAX_PATTERN: usize = 1_000;
/// Places of a pattern, each repetition counted.
const MAX_PLACES: u64 = 10_000;
/// Places of a pattern whose automaton is too large to be made.
const MAX_OPEN_PLACES: u64 = 500;
/// Bytes of a pattern's automaton.
const AUTOMATON: usize = 1 << 20;
/// Bytes of a compiled pattern.
pub const COMPILED: usize = 4 << 20;
/// Bytes of what the engine remembers of an automaton.
pub const REMEMBERED: usize = 2 << 20;
/// Bytes of all that the patterns of one schema are compiled to.
const MAX_COMPILED: usize = 512 << 10;
/// Bytes of what may come to be remembered of them, and of what it takes to find that out.
const MAX_REMEMBERED: usize = 4 << 20;

/// Steps, in eighths, for each byte of a text that is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight(pub u64);

/// What the patterns of one schema may still take, in bytes.
#[derive(Debug)]
pub struct Room {
    compiled: usize,
    remembered: usize,
}

impl Room {
    /// The room of a schema without any yet.
    pub const fn new() -> Self {
        Self { compiled: MAX_COMPILED, remembered: MAX_REMEMBERED }
    }

    /// What they are compiled to by now.
    pub const fn taken(&self) -> usize {
        MAX_COMPILED - self.compiled
    }

    /// Compiles an expression, to be matched forwards or backwards.
    fn compile(&mut self, hir: &Hir, backwards: bool) -> Result<NFA, String> {
        let config = thompson::Config::new()
            .reverse(backwards)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(self.compiled));
        let built = thompson::Compiler::new().configure(config).build_from_hir(hir);
        let nfa = built.map_err(|_| full())?;
        self.compiled = self.compiled.checked_sub(nfa.memory_usage()).ok_or_else(full)?;
        Ok(nfa)
    }

    /// Whether an expression has an automaton that can be made.
    fn determine(&mut self, nfa: &NFA) -> Result<bool, String> {
        let limits = dense::Config::new()
            .dfa_size_limit(Some(AUTOMATON))
            .determinize_size_limit(Some(AUTOMATON));
        let built = dense::Builder::new().configure(limits).build_from_nfa(nfa);
        let size = built.as_ref().map_or(AUTOMATON, dense::DFA::memory_usage);
        self.remembered = self.remembered.checked_sub(size).ok_or_else(full)?;
        Ok(built.is_ok())
    }
}

fn full() -> String {
    let most = MAX_COMPILED >> 10;
    format!(
        "the patterns of a schema are compiled to at most {most} KiB together: this one is too \
         much; long counts of large classes are better told by maxLength"
    )
}

/// What a pattern costs, or why it is not taken.
pub fn weigh(pattern: &str, room: &mut Room) -> Result<Weight, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("a pattern has at most {MAX_PATTERN} bytes"));
    }
    if let Some(construct) = unbounded(pattern) {
        return Err(format!("{construct} cannot be matched in time linear in the text"));
    }
    let unknown = || "this is not a regular expression (ECMA-262, with its flag u)".to_owned();
    let translated = jsonschema_regex::to_rust_regex(pattern).map_err(|()| unknown())?;
    let hir = regex_syntax::parse(&translated).map_err(|_| unknown())?;
    if places(&hir) > MAX_PLACES {
        return Err("this regular expression is too large, its repetitions counted".to_owned());
    }
    // What the crate counts by itself, character by character.
    if jsonschema_regex::RepeatedClass::from_translated(&translated).is_some() {
        return Ok(Weight(1));
    }
    price(&hir, room)
}

/// What matching an expression costs, or why it is not taken.
pub fn price(hir: &Hir, room: &mut Room) -> Result<Weight, String> {
    let places = places(hir);
    if places > MAX_PLACES {
        return Err("this regular expression is too large, its repetitions counted".to_owned());
    }
    let nfa = room.compile(hir, false)?;
    room.compile(hir, true)?;
    if room.determine(&nfa)? {
        return Ok(Weight(1));
    }
    if places > MAX_OPEN_PLACES {
        return Err("this regular expression is too ambiguous for its size".to_owned());
    }
    // The engine follows up to all of its places at once.
    Ok(Weight(8 * places))
}

/// A construct that needs backtracking.
fn unbounded(pattern: &str) -> Option<&'static str> {
    let bytes = pattern.as_bytes();
    let (mut at, mut class) = (0, false);
    while let Some(byte) = bytes.get(at) {
        let rest = &bytes[at + 1..];
        match byte {
            b'\\' => {
                if !class && matches!(rest.first(), Some(b'1'..=b'9' | b'k')) {
                    return Some("a back-reference");
                }
                at += 1;
            }
            b'[' => class = true,
            b']' => class = false,
            b'(' if !class => {
                let around: [&[u8]; 4] = [b"?=", b"?!", b"?<=", b"?<!"];
                if around.iter().any(|start| rest.starts_with(start)) {
                    return Some("lookaround");
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// How many places of an expression a match can stand at, more or less.
pub fn places(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len() as u64,
        HirKind::Class(_) => 4,
        HirKind::Capture(capture) => places(&capture.sub).saturating_add(2),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            places(&repetition.sub).saturating_add(1).saturating_mul(u64::from(most))
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(0, |sum, part| places(part).saturating_add(sum))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weigh(pattern: &str) -> Result<Weight, String> {
        super::weigh(pattern, &mut Room::new())
    }

    #[test]
    fn usual_patterns_are_cheap() {
        for pattern in [
            "^[a-z0-9_]+$",
            "^evt_[0-9A-Za-z]{24}$",
            r"^\d{4}-\d{2}-\d{2}$",
            r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
            r"^\p{L}+$",
            "^.{1,200}$",
            r"^[\p{L} ]{1,500}$",
            "a|b|(c|d)*",
            r"^[\w.-]+[\](?=]$",
        ] {
            assert_eq!(weigh(pattern), Ok(Weight(1)), "{pattern}");
        }
    }

    #[test]
    fn ambiguous_ones_cost_what_they_may() {
        assert!(matches!(weigh("[01]*1[01]{30}$"), Ok(Weight(weight)) if weight > 8 * 30));
        let why = weigh("[01]*1[01]{900}$").err();
        assert!(why.is_some_and(|why| why.contains("ambiguous")));
    }

    #[test]
    fn what_needs_backtracking_is_refused_by_name() {
        for pattern in ["(?=a)b", "a(?!b)", "(?<=a)b", "(?<!a)b", "^(?=.*a)(?=.*b)"] {
            assert!(weigh(pattern).is_err_and(|why| why.starts_with("lookaround")), "{pattern}");
        }
        for pattern in [r"(a)\1", r"(?<x>a)\k<x>"] {
            assert!(weigh(pattern).is_err_and(|why| why.contains("back-ref")), "{pattern}");
        }
    }

    #[test]
    fn patterns_of_one_schema_share_its_room() {
        let mut room = Room::new();
        let taken = |room: &mut Room, pattern: &dyn Fn(usize) -> String| {
            (0..200).take_while(|n| super::weigh(&pattern(*n), room).is_ok()).count()
        };
        let counted = taken(&mut room, &|n| format!(r"^\w{{1,40}}x{n}$"));
        assert!((30..100).contains(&counted), "{counted}");
        assert!(room.taken() <= MAX_COMPILED && room.taken() > MAX_COMPILED / 2);
        // They are small, but it takes long to find out what they cost.
        let ambiguous = taken(&mut Room::new(), &|n| format!("[01]*1[01]{{30}}{n}$"));
        assert_eq!(ambiguous, MAX_REMEMBERED / AUTOMATON);
        assert!(weigh(r"^\p{Lu}\p{Ll}{1,100}-$").is_err_and(|why| why.contains("maxLength")));
    }

    #[test]
    fn what_is_too_large_is_refused() {
        assert!(weigh(&"a".repeat(1_001)).is_err());
        for pattern in ["((a{100}){100}){100}", "(x{1000}){1000}", r"(\p{L}{1000}){1000}"] {
            assert!(weigh(pattern).is_err_and(|why| why.contains("too large")), "{pattern}");
        }
        for pattern in ["(", "[", "a{2,1}", "*", r"\"] {
            assert!(weigh(pattern).is_err(), "{pattern}");
        }
    }
}
