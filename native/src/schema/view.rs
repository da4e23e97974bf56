//! A body as the crate `jsonschema` sees it: each look is paid for, see [`super::work`].

use super::amount::Digits;
use super::unique;
use super::work::Work;
use crate::json::tree::{Elements, Kind, Name, Names, Tree};
use jsonschema::JsonType;
use jsonschema::json::cmp::equal_numbers;
use jsonschema::json::{Array, Json, Node, NodeIdentity, Object};
use jsonschema_value::LazyInstance;
use serde_json::Value;
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::OnceLock;

/// A body, and what may still be spent on it.
#[derive(Debug)]
pub struct Body<'a> {
    /// Its values.
    pub tree: Tree<'a>,
    /// What is left.
    pub work: Work,
}

/// One value of a body.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) body: &'a Body<'a>,
    pub(super) at: u32,
}

impl<'a> Body<'a> {
    /// The whole of it.
    pub fn whole(&'a self) -> View<'a> {
        View { body: self, at: 0 }
    }
}

/// The representation that validators are built for.
pub struct Bodies;

impl Json for Bodies {
    type Node<'a> = View<'a>;
    type PreparedKey = Name;
    type StringBuffer = ();

    // A pass over the names of a small object is cheaper than as many lookups.
    const KEYS_PER_LOOKUP: usize = 4;
    const ACYCLIC: bool = true;

    fn prepare_key(key: &str) -> Name {
        Name::new(key)
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(View<'_>) -> T) -> T {
        // Nobody calls this: names are values of the tree, see `try_for_each_name_node`.
        let prices = super::guard::PLAIN;
        let body = Body { tree: Tree::of_string(string), work: Work::new(string.len(), prices) };
        f(body.whole())
    }
}

impl<'a> View<'a> {
    #[inline]
    fn kind(&self) -> Kind {
        if self.body.work.spend(1) { self.body.tree.kind(self.at) } else { Kind::Null }
    }

    #[inline]
    const fn sibling(&self, at: u32) -> Self {
        Self { body: self.body, at }
    }

    fn text(&self) -> &'a str {
        self.body.tree.scalar(self.at)
    }

    /// What there is to say of the value in a message: see [`super::violation`].
    fn mark(&self) -> (&'a [u8], u32) {
        let kind = self.body.tree.kind(self.at);
        let text = match kind {
            Kind::Array | Kind::Object => "",
            _ => self.text(),
        };
        (text.as_bytes(), kind as u32)
    }
}

impl<'a> Node<'a, Bodies> for View<'a> {
    type Object = Members<'a>;
    type Array = Items<'a>;
    type Number = Digits<'a>;

    #[inline]
    fn as_object(&self) -> Option<Members<'a>> {
        (self.kind() == Kind::Object).then_some(Members(*self))
    }

    #[inline]
    fn as_array(&self) -> Option<Items<'a>> {
        (self.kind() == Kind::Array).then_some(Items(*self))
    }

    #[inline]
    fn as_string(&self) -> Option<Cow<'a, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        let (text, work) = (self.text(), &self.body.work);
        work.spend_bytes(0, text.len(), work.prices.byte).then_some(Cow::Borrowed(text))
    }

    #[inline]
    fn as_number(&self) -> Option<Digits<'a>> {
        if self.kind() != Kind::Number {
            return None;
        }
        let (text, work) = (self.text(), &self.body.work);
        work.spend_bytes(work.prices.number, text.len(), 1).then(|| Digits::read(text))
    }

    #[inline]
    fn as_boolean(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    #[inline]
    fn is_number(&self) -> bool {
        self.kind() == Kind::Number
    }

    #[inline]
    fn is_string(&self) -> bool {
        self.kind() == Kind::String
    }

    #[inline]
    fn json_type(&self) -> JsonType {
        match self.kind() {
            Kind::Null => JsonType::Null,
            Kind::True | Kind::False => JsonType::Boolean,
            Kind::Number => JsonType::Number,
            Kind::String => JsonType::String,
            Kind::Array => JsonType::Array,
            Kind::Object => JsonType::Object,
        }
    }

    fn string_length(&self) -> Option<u64> {
        if self.kind() != Kind::String {
            return None;
        }
        let text = self.text();
        self.body.work.spend_bytes(0, text.len(), 1).then(|| characters(text))
    }

    fn string_length_within(&self, min: u64, max: u64) -> Option<bool> {
        if self.kind() != Kind::String {
            return None;
        }
        // A character is one to four bytes.
        let bytes = self.text().len() as u64;
        let fewest = bytes.div_ceil(4);
        if bytes < min || fewest > max {
            return Some(false);
        }
        if min <= fewest && bytes <= max {
            return Some(true);
        }
        self.string_length().map(|length| (min..=max).contains(&length))
    }

    fn equals_value(&self, expected: &Value) -> bool {
        match (self.kind(), expected) {
            (Kind::Null, Value::Null)
            | (Kind::True, Value::Bool(true))
            | (Kind::False, Value::Bool(false)) => !self.body.work.is_spent(),
            (Kind::Number, Value::Number(number)) => {
                self.as_number().is_some_and(|digits| equal_numbers(&digits, number))
            }
            (Kind::String, Value::String(string)) => self.text() == string,
            (Kind::Array, Value::Array(items)) => {
                let array = Items(*self);
                array.len() == items.len()
                    && array.elements().zip(items).all(|(item, other)| item.equals_value(other))
            }
            (Kind::Object, Value::Object(others)) => {
                let object = Members(*self);
                object.len() == others.len()
                    && object.members().all(|(name, value)| {
                        others.get(name).is_some_and(|other| value.equals_value(other))
                    })
            }
            _ => false,
        }
    }

    fn to_value(&self) -> Cow<'a, Value> {
        let (text, mark) = self.mark();
        Cow::Owned(super::violation::quoted(text, mark))
    }

    fn lazy_value(&self) -> LazyInstance<'a> {
        let genuine = self.body.work.count_error();
        let (bytes, mark) = self.mark();
        let tag = if genuine { mark } else { super::violation::SPENT };
        LazyInstance::Deferred { bytes, tag, make: super::violation::quoted, cell: OnceLock::new() }
    }

    #[inline]
    fn identity(&self) -> Option<NodeIdentity> {
        self.body.work.check_stack();
        Some(NodeIdentity::tagged(std::ptr::from_ref(self.body).addr(), self.at))
    }
}

/// The characters of a text: the bytes that do not go on with one.
fn characters(text: &str) -> u64 {
    text.bytes().filter(|byte| byte & 0xc0 != 0x80).count() as u64
}

/// An object's members.
pub struct Members<'a>(View<'a>);

impl<'a> Object<'a, Bodies> for Members<'a> {
    type Node = View<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.0.body.tree.len(self.0.at)
    }

    #[inline]
    fn get(&self, key: &Name) -> Option<View<'a>> {
        let (found, looked) = self.0.body.tree.get(self.0.at, key);
        let enough = self.0.body.work.spend(1 + u64::from(looked / 4));
        found.filter(|_| enough).map(|at| self.0.sibling(at))
    }

    fn members(&self) -> MembersIter<'a> {
        let Body { tree, work } = self.0.body;
        work.check_stack();
        work.spend(u64::from(tree.dead(self.0.at)));
        MembersIter { names: tree.names(self.0.at), object: self.0 }
    }

    fn try_for_each_name_node<B>(
        &self,
        (): &mut (),
        mut f: impl FnMut(View<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut members = self.members();
        while let Some(name) = members.name() {
            if let ControlFlow::Break(value) = f(self.0.sibling(name)) {
                return ControlFlow::Break(value);
            }
        }
        ControlFlow::Continue(())
    }
}

/// An object's members, one after another.
pub struct MembersIter<'a> {
    names: Names<'a>,
    object: View<'a>,
}

impl MembersIter<'_> {
    #[inline]
    fn name(&mut self) -> Option<u32> {
        let at = self.names.next()?;
        let Body { tree, work } = self.object.body;
        let (steps, price) = work.prices.name;
        // Without patterns for names nobody asks how long one is.
        let bytes = if price == 0 { 0 } else { tree.scalar(at).len() };
        work.spend_bytes(steps, bytes, price).then_some(at)
    }
}

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, View<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let at = self.name()?;
        Some((self.object.body.tree.scalar(at), self.object.sibling(at + 1)))
    }
}

/// An array's elements.
pub struct Items<'a>(View<'a>);

impl<'a> Array<'a, Bodies> for Items<'a> {
    type Node = View<'a>;
    type ElementsIter = ItemsIter<'a>;

    #[inline]
    fn len(&self) -> usize {
        self.0.body.tree.len(self.0.at)
    }

    fn elements(&self) -> ItemsIter<'a> {
        self.0.body.work.check_stack();
        ItemsIter { elements: self.0.body.tree.elements(self.0.at), array: self.0 }
    }

    fn is_unique(&self) -> bool {
        unique::is_unique(&self.0)
    }
}

/// An array's elements, one after another.
pub struct ItemsIter<'a> {
    elements: Elements<'a>,
    array: View<'a>,
}

impl<'a> Iterator for ItemsIter<'a> {
    type Item = View<'a>;

    #[inline]
    fn next(&mut self) -> Option<View<'a>> {
        let at = self.elements.next()?;
        let work = &self.array.body.work;
        work.spend(work.prices.value).then(|| self.array.sibling(at))
    }
}
