//! A JSON text read once into a flat list of its values, for whoever must look at all of it.
//!
//! Nothing is copied but strings with escapes. A value is 20 bytes, whatever it is; the values
//! within an array or object follow it, and each says where its next neighbour is.

use super::{Fault, reader};

/// A text with more values than this, names of members included, is not read.
pub const MAX_VALUES: usize = 1_000_000;
/// Objects that name more members, however often, have an index of their own.
pub(super) const NARROW: u32 = 32;
pub(super) const NO_INDEX: u32 = u32::MAX;
/// A hash that is kept has so many bits.
const HASH_SHIFT: u32 = 8;

/// Why a text is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// Not JSON that we take.
    Fault(Fault),
    /// A string that is no text: it has half of a surrogate pair (RFC 8259, section 8.2).
    Surrogate,
    /// More than [`MAX_VALUES`].
    Values,
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number, as it was written.
    Number,
    /// A string, or the name of a member.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub kind: Kind,
    /// The text is in `owned`, unescaped.
    pub owned: bool,
    /// A member whose name comes again: the last one counts.
    pub dead: bool,
    /// Bytes of a scalar. An object's index starts at `start`, if it has one.
    pub start: u32,
    /// An array's or object's length.
    pub end: u32,
    /// The place after all that is within.
    pub next: u32,
    /// Of a member's name; in an object, how many of its members are dead.
    pub hash: u32,
}

/// A text's values; the whole is the one at place 0.
#[derive(Debug)]
pub struct Tree<'a> {
    pub(super) text: &'a str,
    pub(super) owned: String,
    pub(super) values: Vec<Value>,
    /// Places of names, by hash, of each object that is not narrow.
    pub(super) index: Vec<(u32, u32)>,
}

/// A name to look up.
#[derive(Clone, Debug)]
pub struct Name {
    text: Box<str>,
    hash: u32,
}

impl Name {
    /// Prepares a name.
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), hash: hash(text.as_bytes()) }
    }
}

impl<'a> Tree<'a> {
    /// Reads a whole text.
    pub fn read(text: &'a [u8]) -> Result<Self, Unread> {
        reader::read(text)
    }

    /// A tree of one string.
    pub fn of_string(text: &'a str) -> Self {
        let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let value = Value::scalar(Kind::String, 0, end);
        Self { text, owned: String::new(), values: vec![value], index: Vec::new() }
    }

    /// What the value at a place is.
    #[inline]
    pub fn kind(&self, place: u32) -> Kind {
        self.values[place as usize].kind
    }

    /// A scalar as it was written; of a string the characters, unescaped.
    #[inline]
    pub fn scalar(&self, place: u32) -> &str {
        let value = &self.values[place as usize];
        let text = if value.owned { &*self.owned } else { self.text };
        text.get(value.start as usize..value.end as usize).unwrap_or_default()
    }

    /// How many elements or members an array or object has.
    #[inline]
    pub fn len(&self, place: u32) -> usize {
        self.values[place as usize].end as usize
    }

    /// How many members of an object were replaced by later ones of the same name.
    #[inline]
    pub fn dead(&self, place: u32) -> u32 {
        self.values[place as usize].hash
    }

    /// The places of an array's elements.
    #[inline]
    pub fn elements(&self, place: u32) -> Elements<'_> {
        Elements { values: &self.values, at: place + 1, end: self.values[place as usize].next }
    }

    /// The places of an object's names, each followed by its value's.
    #[inline]
    pub fn names(&self, place: u32) -> Names<'_> {
        Names(self.elements(place))
    }

    /// The place of a member's value, and how many names were looked at.
    pub fn get(&self, place: u32, name: &Name) -> (Option<u32>, u32) {
        let object = &self.values[place as usize];
        let same = |at: u32| self.scalar(at) == &*name.text;
        if object.start == NO_INDEX {
            let mut looked = 0;
            let found = self.names(place).find(|at| {
                looked += 1;
                self.values[*at as usize].hash == name.hash && same(*at)
            });
            return (found.map(|at| at + 1), looked);
        }
        let index = &self.index[object.start as usize..][..object.end as usize];
        let first = index.partition_point(|(hash, _)| *hash < name.hash);
        let run = index[first..].iter().take_while(|(hash, _)| *hash == name.hash);
        let mut looked = 8;
        let found = run.map(|(_, at)| *at).find(|at| {
            looked += 1;
            same(*at)
        });
        (found.map(|at| at + 1), looked)
    }
}

/// Places side by side.
#[derive(Clone, Debug)]
pub struct Elements<'t> {
    pub(super) values: &'t [Value],
    pub(super) at: u32,
    pub(super) end: u32,
}

impl Iterator for Elements<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let at = self.at;
        (at < self.end).then(|| {
            self.at = self.values[at as usize].next;
            at
        })
    }
}

/// Places of names that count.
#[derive(Clone, Debug)]
pub struct Names<'t>(pub(super) Elements<'t>);

impl Iterator for Names<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        loop {
            let at = self.0.next()?;
            if !self.0.values[at as usize].dead {
                return Some(at);
            }
        }
    }
}

impl Value {
    #[inline]
    pub const fn scalar(kind: Kind, start: u32, end: u32) -> Self {
        Self { kind, owned: false, dead: false, start, end, next: 1, hash: 0 }
    }
}

/// A quick hash: names that share one are compared, and a lookup among them is counted.
#[inline]
pub(super) fn hash(name: &[u8]) -> u32 {
    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = SEED ^ name.len() as u64;
    let mut chunks = name.chunks_exact(8);
    for chunk in &mut chunks {
        let word = chunk.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        state = (state ^ word).wrapping_mul(SEED).rotate_left(29);
    }
    let last = ending(name, chunks.remainder().len());
    let state = (state ^ last).wrapping_mul(SEED);
    u32::try_from(state >> (32 + HASH_SHIFT)).unwrap_or_default()
}

/// The last so many bytes of a name, up to seven, in few reads: its last eight where it has them.
#[inline]
fn ending(name: &[u8], length: usize) -> u64 {
    if length == 0 {
        return 0;
    }
    if let Some(bytes) = name.last_chunk() {
        return u64::from_le_bytes(*bytes);
    }
    if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        return u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
    }
    let at = |place: usize| u64::from(name[place]);
    at(0) | at(length / 2) << 8 | at(length - 1) << 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value as Json;

    /// Builds what `serde_json` would have built.
    fn json(tree: &Tree<'_>, at: u32) -> Json {
        match tree.kind(at) {
            Kind::Null => Json::Null,
            Kind::True => Json::Bool(true),
            Kind::False => Json::Bool(false),
            Kind::Number => serde_json::from_str(tree.scalar(at)).unwrap_or_default(),
            Kind::String => Json::String(tree.scalar(at).to_owned()),
            Kind::Array => tree.elements(at).map(|at| json(tree, at)).collect(),
            Kind::Object => {
                let pairs: Vec<_> = tree
                    .names(at)
                    .map(|name| (tree.scalar(name).to_owned(), json(tree, name + 1)))
                    .collect();
                assert_eq!(pairs.len(), tree.len(at));
                Json::Object(pairs.into_iter().collect())
            }
        }
    }

    fn agree(text: &[u8]) {
        let ours = Tree::read(text).map(|tree| json(&tree, 0)).ok();
        let theirs = serde_json::from_slice::<Json>(text).ok();
        assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn every_truncation_and_mutation_is_read_as_serde_json_reads_it() {
        let text =
            br#"{"a": [1, -2.5e+3, 0, "x\n\u00e9\"long enough for words", true, false, null],
            "b": {}, "c": [], "": {"d": {"e": "\\"}}, "a": {"\u0061": [[], {}]}}"#;
        agree(text);
        for end in 0..=text.len() {
            agree(&text[..end]);
        }
        for at in 0..text.len() {
            for byte in *b"\"\\{}[],:0e-. x\x00\x1f\x80\xc3" {
                let mut changed = text.to_vec();
                changed[at] = byte;
                agree(&changed);
            }
        }
    }

    #[test]
    fn names_are_found_and_the_last_of_each_counts() -> Result<(), Unread> {
        for (names, repeats) in
            [(1, 1), (3, 2), (31, 1), (32, 1), (33, 1), (40, 3), (500, 2), (2, 90)]
        {
            let members: Vec<_> = (0..names * repeats)
                .map(|place| format!("\"name{}\":{place}", place % names))
                .collect();
            let text = format!("{{{}}}", members.join(","));
            let tree = Tree::read(text.as_bytes())?;
            assert_eq!(tree.len(0), names);
            assert_eq!(tree.names(0).count(), names);
            assert_eq!(tree.dead(0) as usize, names * (repeats - 1));
            for name in 0..names {
                let (found, _) = tree.get(0, &Name::new(&format!("name{name}")));
                let value = found.map(|at| tree.scalar(at).to_owned());
                assert_eq!(value, Some((names * (repeats - 1) + name).to_string()));
            }
            assert_eq!(tree.get(0, &Name::new("other")).0, None);
        }
        Ok(())
    }

    #[test]
    fn what_is_not_read_says_why() {
        let why = |text: &[u8]| Tree::read(text).err();
        assert_eq!(why(b"\xef\xbb\xbf{}"), Some(Unread::Fault(Fault::Syntax)));
        assert_eq!(why(b"\xff"), Some(Unread::Fault(Fault::Encoding)));
        assert_eq!(why(b"NaN"), Some(Unread::Fault(Fault::Syntax)));
        assert_eq!(why(br#""\ud800""#), Some(Unread::Surrogate));
        assert_eq!(why(br#"{"\udc00":1}"#), Some(Unread::Surrogate));
        assert_eq!(why(br#""\ud83d\ude00""#), None);
        assert_eq!(why(&[&b"["[..]; 128].concat()), Some(Unread::Fault(Fault::Syntax)));
        assert_eq!(why(&[&b"["[..]; 129].concat()), Some(Unread::Fault(Fault::Depth)));
        let many = |count: usize| format!("[{}0]", "0,".repeat(count - 2));
        assert_eq!(why(many(MAX_VALUES).as_bytes()), None);
        assert_eq!(why(many(MAX_VALUES + 1).as_bytes()), Some(Unread::Values));
    }
}
