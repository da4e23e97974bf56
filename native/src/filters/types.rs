//! Subscriptions by the types they want: whole types by a hash, patterns by what they begin with.

use super::matcher::OWN;
use std::collections::HashMap;

/// A pattern with a `*` in it, and whose it is.
#[derive(Debug)]
struct Pattern {
    place: u32,
    text: Box<str>,
}

/// Places of subscriptions.
#[derive(Debug, Default)]
pub struct Types {
    /// Of those that want every type.
    all: Vec<u32>,
    whole: HashMap<Box<str>, Vec<u32>>,
    /// By what stands before their first `*`.
    open: HashMap<Box<str>, Vec<Pattern>>,
    /// The lengths of those beginnings, each once, ascending.
    lengths: Vec<usize>,
}

impl Types {
    /// Adds a subscription.
    pub fn add(&mut self, place: u32, patterns: &[String]) {
        if patterns.is_empty() {
            self.all.push(place);
        }
        for pattern in patterns {
            let Some((head, _)) = pattern.split_once('*') else {
                self.whole.entry(pattern.as_str().into()).or_default().push(place);
                continue;
            };
            if let Err(at) = self.lengths.binary_search(&head.len()) {
                self.lengths.insert(at, head.len());
            }
            let text = pattern.as_str().into();
            self.open.entry(head.into()).or_default().push(Pattern { place, text });
        }
    }

    /// Adds the places of those that want a type; one may be added several times.
    pub fn find(&self, event_type: &str, found: &mut Vec<u32>) {
        let own = event_type.starts_with(OWN);
        if !own {
            found.extend(&self.all);
        }
        if let Some(places) = self.whole.get(event_type) {
            found.extend(places);
        }
        for length in &self.lengths {
            // Own types are for those that name them.
            if own && *length < OWN.len() {
                continue;
            }
            let Some(head) = event_type.get(..*length) else {
                continue;
            };
            for pattern in self.open.get(head).into_iter().flatten() {
                if glob(&pattern.text, event_type) {
                    found.push(pattern.place);
                }
            }
        }
    }
}

/// Whether a pattern takes a text: `*` stands for any, dots and nothing included. Linear in the
/// text, whatever the pattern.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut text) = text.strip_prefix(head).and_then(|text| text.strip_suffix(tail)) else {
        return false;
    };
    for piece in middle.split('*') {
        let Some(at) = text.find(piece) else {
            return false;
        };
        text = &text[at + piece.len()..];
    }
    true
}
