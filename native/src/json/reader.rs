//! Reads a text into a [`Tree`].

use super::skip::{key, literal, number, peek, string};
use super::tree::{Elements, Kind, MAX_VALUES, NARROW, NO_INDEX, Names, Tree, Unread, Value, hash};
use super::{Fault, MAX_DEPTH};

/// Reads a whole text.
pub fn read(text: &[u8]) -> Result<Tree<'_>, Unread> {
    let text = std::str::from_utf8(text).map_err(|_| Fault::Encoding)?;
    let values = Vec::with_capacity(text.len() / 12 + 4);
    let tree = Tree { text, owned: String::new(), values, index: Vec::new() };
    let mut reader = Reader { bytes: text.as_bytes(), tree };
    let end = reader.value(0, MAX_DEPTH)?;
    let rest = &text.as_bytes()[end..];
    if !rest.iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
        return Err(Fault::Syntax.into());
    }
    Ok(reader.tree)
}

struct Reader<'a> {
    bytes: &'a [u8],
    tree: Tree<'a>,
}

impl Reader<'_> {
    /// The end of the value that starts at or after `at` and may nest `room` levels.
    fn value(&mut self, mut at: usize, room: usize) -> Result<usize, Unread> {
        let first = peek(self.bytes, &mut at)?;
        let start = at;
        let kind = match first {
            b'"' => {
                at += 1;
                let escaped = string(self.bytes, &mut at)?;
                self.text(start, at, escaped, 0)?;
                return Ok(at);
            }
            b'{' if room > 0 => return self.object(at + 1, room - 1),
            b'[' if room > 0 => return self.array(at + 1, room - 1),
            b'{' | b'[' => return Err(Fault::Depth.into()),
            b'-' | b'0'..=b'9' => {
                number(self.bytes, &mut at)?;
                Kind::Number
            }
            b't' => literal(self.bytes, &mut at, b"true").map(|()| Kind::True)?,
            b'f' => literal(self.bytes, &mut at, b"false").map(|()| Kind::False)?,
            b'n' => literal(self.bytes, &mut at, b"null").map(|()| Kind::Null)?,
            _ => return Err(Fault::Syntax.into()),
        };
        self.push(Value::scalar(kind, place(start)?, place(at)?))?;
        Ok(at)
    }

    #[inline]
    fn push(&mut self, mut value: Value) -> Result<usize, Unread> {
        let here = self.tree.values.len();
        if here == MAX_VALUES {
            return Err(Unread::Values);
        }
        value.next = place(here + 1)?;
        self.tree.values.push(value);
        Ok(here)
    }

    /// Keeps a string that stands, with its quotes, from `start` to `end`.
    fn text(
        &mut self,
        start: usize,
        end: usize,
        escaped: bool,
        hash: u32,
    ) -> Result<usize, Unread> {
        let mut value = Value::scalar(Kind::String, place(start + 1)?, place(end - 1)?);
        value.hash = hash;
        if escaped {
            let text = unescaped(&self.bytes[start..end])?;
            value.owned = true;
            value.start = place(self.tree.owned.len())?;
            self.tree.owned.push_str(&text);
            value.end = place(self.tree.owned.len())?;
        }
        self.push(value)
    }

    fn array(&mut self, mut at: usize, room: usize) -> Result<usize, Unread> {
        let here = self.push(Value::scalar(Kind::Array, 0, 0))?;
        let mut length = 0;
        if peek(self.bytes, &mut at)? == b']' {
            at += 1;
        } else {
            loop {
                at = self.value(at, room)?;
                length += 1;
                if self.closes(&mut at, b']')? {
                    break;
                }
            }
        }
        self.close(here, length)?;
        Ok(at)
    }

    fn object(&mut self, mut at: usize, room: usize) -> Result<usize, Unread> {
        let here = self.push(Value::scalar(Kind::Object, NO_INDEX, 0))?;
        let (mut read, mut dead, mut seen) = (0, 0, 0_u64);
        if peek(self.bytes, &mut at)? == b'}' {
            at += 1;
        } else {
            loop {
                let name = self.name(&mut at)?;
                let hash = self.tree.values[name].hash;
                let bit = 1 << (hash % u64::BITS);
                // Two names that share a bit are rarely the same; those that don't never are.
                if read < NARROW && seen & bit != 0 && self.bury(here, name)? {
                    dead += 1;
                }
                seen |= bit;
                read += 1;
                at = self.value(at, room)?;
                self.tree.values[name].next = place(self.tree.values.len())?;
                if self.closes(&mut at, b'}')? {
                    break;
                }
            }
        }
        self.close(here, read - dead)?;
        self.tree.values[here].hash = dead;
        if read > NARROW {
            self.index(here, read)?;
        }
        Ok(at)
    }

    /// Keeps a member's name, and goes on behind its colon.
    fn name(&mut self, at: &mut usize) -> Result<usize, Unread> {
        peek(self.bytes, at)?;
        let start = *at;
        let (end, escaped) = key(self.bytes, at)?;
        if !escaped {
            let hash = hash(&self.bytes[start + 1..end - 1]);
            return self.text(start, end, false, hash);
        }
        let name = self.text(start, end, true, 0)?;
        let hash = hash(self.tree.scalar(place(name)?).as_bytes());
        self.tree.values[name].hash = hash;
        Ok(name)
    }

    /// Whether `close` comes next, rather than a comma.
    #[inline]
    fn closes(&self, at: &mut usize, close: u8) -> Result<bool, Fault> {
        let next = peek(self.bytes, at)?;
        *at += 1;
        if next != close && next != b',' {
            return Err(Fault::Syntax);
        }
        Ok(next == close)
    }

    fn close(&mut self, here: usize, length: u32) -> Result<(), Unread> {
        let next = place(self.tree.values.len())?;
        let value = &mut self.tree.values[here];
        (value.end, value.next) = (length, next);
        Ok(())
    }

    /// Takes an earlier member of the same name out of the object that is being read.
    fn bury(&mut self, here: usize, name: usize) -> Result<bool, Unread> {
        let values = &self.tree.values;
        let (first, end, hash) = (place(here + 1)?, place(name)?, values[name].hash);
        let twin = Names(Elements { values, at: first, end }).find(|at| {
            values[*at as usize].hash == hash && self.tree.scalar(*at) == self.tree.scalar(end)
        });
        if let Some(twin) = twin {
            self.tree.values[twin as usize].dead = true;
        }
        Ok(twin.is_some())
    }

    /// Makes a wide object's index, and takes out of it all but the last of each name.
    fn index(&mut self, here: usize, read: u32) -> Result<(), Unread> {
        let tree = &mut self.tree;
        let object = place(here)?;
        let from = tree.index.len();
        let mut names: Vec<(u32, u32)> =
            tree.names(object).map(|at| (tree.values[at as usize].hash, at)).collect();
        names.sort_unstable_by(|a, b| {
            let text = || tree.scalar(a.1).cmp(tree.scalar(b.1));
            a.0.cmp(&b.0).then_with(text).then(a.1.cmp(&b.1))
        });
        for (place, entry) in names.iter().enumerate() {
            let twin = names.get(place + 1).is_some_and(|next| {
                next.0 == entry.0 && tree.scalar(next.1) == tree.scalar(entry.1)
            });
            if twin {
                tree.values[entry.1 as usize].dead = true;
            } else {
                tree.index.push(*entry);
            }
        }
        let length = place(tree.index.len() - from)?;
        let object = &mut tree.values[here];
        (object.start, object.end, object.hash) = (place(from)?, length, read - length);
        Ok(())
    }
}

/// The characters of a quoted string.
fn unescaped(quoted: &[u8]) -> Result<String, Unread> {
    // It was checked byte by byte: only half of a surrogate pair can be wrong with it.
    serde_json::from_slice(quoted).map_err(|_| Unread::Surrogate)
}

/// A place in a text or a list; a text of 4 GiB is none that we take.
#[inline]
fn place(at: usize) -> Result<u32, Fault> {
    u32::try_from(at).map_err(|_| Fault::Syntax)
}
