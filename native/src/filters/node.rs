//! A filter as it is judged: names are looked up once, when it is compiled.

use super::calls::Function;
use super::patterns::Pattern;
use crate::json::tree::Name;

/// What can be said of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// The parsed body.
    Payload,
    /// Request headers.
    Headers,
    /// What is known of it otherwise.
    Event,
}

/// A literal.
#[derive(Debug)]
pub enum Constant {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// 64 bits.
    Int(i64),
    /// 64 bits without a sign.
    Uint(u64),
    /// A double.
    Double(f64),
    /// A string.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// The name of a type.
    Type(&'static str),
}

/// The name of a field.
#[derive(Debug)]
pub struct Field {
    /// As it is written.
    pub text: Box<str>,
    /// As a payload looks it up.
    pub name: Name,
}

impl Field {
    /// Prepares a name.
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), name: Name::new(text) }
    }
}

/// Operators on two values that are both judged first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `in`
    In,
}

impl Operator {
    /// As it is written.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
            Self::In => "in",
        }
    }
}

/// A macro's loop.
#[derive(Debug)]
pub struct Loop {
    /// A list, or a map for its keys.
    pub range: Node,
    /// What the result starts as.
    pub start: Node,
    /// Goes on while this is true.
    pub condition: Node,
    /// The result after an element.
    pub step: Node,
    /// What is made of it in the end.
    pub result: Node,
}

/// A part of a filter.
#[derive(Debug)]
pub enum Node {
    /// A literal.
    Constant(Constant),
    /// A variable.
    Root(Root),
    /// A loop's variable, by its place.
    Slot(usize),
    /// `a.b`
    Select(Box<Node>, Field),
    /// `has(a.b)`
    Has(Box<Node>, Field),
    /// `a[b]`
    Index(Box<[Node; 2]>),
    /// `!a`
    Not(Box<Node>),
    /// `-a`
    Negate(Box<Node>),
    /// `a && b`
    And(Box<[Node; 2]>),
    /// `a || b`
    Or(Box<[Node; 2]>),
    /// `a ? b : c`
    If(Box<[Node; 3]>),
    /// Of two values.
    Binary(Operator, Box<[Node; 2]>),
    /// `[a, b]`
    List(Box<[Node]>),
    /// `{a: b}`
    Map(Box<[[Node; 2]]>),
    /// A function, its target first.
    Call(Function, Box<[Node]>),
    /// `a.matches("…")` with a pattern that is known.
    Matches(Box<Node>, Pattern),
    /// A macro.
    Loop(Box<Loop>),
    /// A loop's result with elements at its end: it is not copied.
    Append(usize, Box<[Node]>),
    /// False only where this is; what is wrong with it is told later.
    NotFalse(Box<Node>),
}
