//! Compiles a filter: the `cel` crate parses it and expands its macros; what comes of that is
//! checked and turned into what `judge` takes.
//!
//! The crate's own evaluator is not used. It takes values of its own, so that each event would be
//! copied into them, and nothing of it is counted: doubling a string a few times takes all memory.

use super::calls::{Function, quoted};
use super::node::{Constant, Field, Loop, Node, Operator, Root};
use super::patterns::Pattern;
use super::wrong::Unfit;
use crate::schema::patterns::Room;
use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SelectExpr, operators,
};
use cel::parser::{ParseErrors, PrattParser};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes of a filter.
pub const MAX_BYTES: usize = 4_096;
/// Parts of a filter, its macros expanded.
pub const MAX_PARTS: usize = 2_000;
/// Parts within each other.
pub const MAX_DEPTH: usize = 80;
/// How deep the parser may go, which uses more of the stack.
const PARSER_DEPTH: u16 = 48;
/// Characters of what the parser says.
const MAX_REASON: usize = 200;

/// A filter's parts, and what it looks at.
#[derive(Debug)]
pub struct Compiled {
    /// The whole.
    pub node: Node,
    /// Its variables.
    pub roots: Vec<Root>,
    /// How many parts it has.
    pub parts: usize,
    /// Bytes that its patterns are compiled to.
    pub patterns: usize,
}

/// Compiles a filter.
pub fn compile(text: &str) -> Result<Compiled, Unfit> {
    if text.len() > MAX_BYTES {
        return Err(Unfit::whole(format!("a filter has at most {MAX_BYTES} bytes")));
    }
    if let Some(at) = text.find('\0') {
        return Err(spot(text, at, "a zero byte".to_owned()));
    }
    steep(text)?;
    // The parser panics nowhere that we know of.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        PrattParser::new().max_recursion_depth(PARSER_DEPTH).error_recovery_limit(4).parse(text)
    }));
    let parsed = match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(errors)) => return Err(unparsed(text, &errors)),
        Err(_) => return Err(Unfit::whole("this filter cannot be parsed")),
    };
    let mut compiler =
        Compiler { text, scope: Vec::new(), roots: Vec::new(), parts: 0, room: Room::new() };
    let node = compiler.node(&parsed, 0)?;
    let Compiler { roots, parts, room, .. } = compiler;
    if let Some(kind) = other_than_bool(&node) {
        return Err(Unfit::whole(format!("a filter is true or false; this one is {kind}")));
    }
    Ok(Compiled { node, roots, parts, patterns: room.taken() })
}

/// Refuses what the parser would follow down the stack without counting: conditions in a row.
fn steep(text: &str) -> Result<(), Unfit> {
    let mut count = 0;
    for (at, _) in outside_strings(text).filter(|(_, byte)| *byte == b'?') {
        count += 1;
        if count > MAX_DEPTH {
            let reason = format!("a filter has at most {MAX_DEPTH} conditions (?:)");
            return Err(spot(text, at, reason));
        }
    }
    Ok(())
}

/// Bytes that are not within quotes, with their places; it need not be exact where text is raw.
fn outside_strings(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let (mut quote, mut escaped) = (None, false);
    text.bytes().enumerate().filter(move |(_, byte)| {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if *byte == b'\\' => escaped = true,
            Some(open) if open == *byte => quote = None,
            Some(_) => {}
            None if matches!(byte, b'"' | b'\'') => quote = Some(*byte),
            None => return true,
        }
        false
    })
}

/// Something at a place of the text.
fn spot(text: &str, at: usize, reason: String) -> Unfit {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, str::len) + 1;
    let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Unfit { line: short(line), column: short(column), reason }
}

/// Something about a name: where it stands first.
fn named(text: &str, name: &str, reason: &str) -> Unfit {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    let found = outside_strings(text).map(|(at, _)| at).find(|at| {
        bytes[*at..].starts_with(name.as_bytes())
            && !at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(is_part)
            && !bytes.get(at + name.len()).is_some_and(is_part)
    });
    found.map_or_else(|| Unfit::whole(reason), |at| spot(text, at, reason.to_owned()))
}

/// The first thing that the parser has to say.
fn unparsed(text: &str, errors: &ParseErrors) -> Unfit {
    let Some(first) = errors.errors.first() else {
        return Unfit::whole("this is not an expression (CEL)");
    };
    if first.msg.contains("recursion limit") {
        return deep();
    }
    let reason: String = first.msg.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
    let short = |number: isize| u32::try_from(number).unwrap_or_default();
    if text.trim().is_empty() {
        return Unfit::whole("a filter is an expression (CEL), and this one is empty");
    }
    Unfit { line: short(first.pos.0), column: short(first.pos.1), reason }
}

fn deep() -> Unfit {
    Unfit::whole("this filter nests too deep")
}

/// The type of what can never be true or false.
const fn other_than_bool(node: &Node) -> Option<&'static str> {
    match node {
        Node::Constant(Constant::Bool(_)) => None,
        Node::Constant(_) => Some("a literal"),
        Node::List(_) => Some("a list"),
        Node::Map(_) | Node::Root(Root::Headers | Root::Event) => Some("a map"),
        Node::Negate(_) => Some("a number"),
        _ => None,
    }
}

struct Compiler<'t> {
    text: &'t str,
    /// Names of loops' variables, by their places.
    scope: Vec<String>,
    roots: Vec<Root>,
    parts: usize,
    room: Room,
}

impl Compiler<'_> {
    fn node(&mut self, expr: &IdedExpr, depth: usize) -> Result<Node, Unfit> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            let reason = format!("a filter has at most {MAX_PARTS} parts, its macros expanded");
            return Err(Unfit::whole(reason));
        }
        if depth == MAX_DEPTH {
            return Err(deep());
        }
        let depth = depth + 1;
        match &expr.expr {
            Expr::Literal(literal) => Ok(Node::Constant(constant(literal))),
            Expr::Ident(name) => self.ident(name),
            Expr::Select(select) => self.select(select, depth),
            Expr::Call(call) => self.call(call, depth),
            Expr::List(list) => self.nodes(&list.elements, depth).map(Node::List),
            Expr::Map(map) => {
                let mut entries = Vec::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err(Unfit::whole("a map's entry is a key and a value"));
                    };
                    entries.push([self.node(&entry.key, depth)?, self.node(&entry.value, depth)?]);
                }
                Ok(Node::Map(entries.into()))
            }
            Expr::Comprehension(turns) => self.turns(turns, depth),
            Expr::Struct(made) => {
                let reason = format!("there is no type {} to make", quoted(&made.type_name));
                Err(named(self.text, &made.type_name, &reason))
            }
            Expr::Unspecified => Err(Unfit::whole("this is not an expression (CEL)")),
        }
    }

    fn nodes(&mut self, exprs: &[IdedExpr], depth: usize) -> Result<Box<[Node]>, Unfit> {
        exprs.iter().map(|one| self.node(one, depth)).collect()
    }

    fn pair(&mut self, exprs: &[IdedExpr], depth: usize) -> Result<Box<[Node; 2]>, Unfit> {
        let [left, right] = exprs else {
            return Err(Unfit::whole("an operator takes two values"));
        };
        Ok(Box::new([self.node(left, depth)?, self.node(right, depth)?]))
    }

    fn ident(&mut self, name: &str) -> Result<Node, Unfit> {
        if let Some(place) = self.scope.iter().rposition(|known| known == name) {
            return Ok(Node::Slot(place));
        }
        let bare = name.strip_prefix('.').unwrap_or(name);
        let root = match bare {
            "payload" => Root::Payload,
            "headers" => Root::Headers,
            "event" => Root::Event,
            other => {
                if let Some(name) = type_named(other) {
                    return Ok(Node::Constant(Constant::Type(name)));
                }
                let reason = format!(
                    "there is no variable {}; there are payload, headers and event",
                    quoted(bare)
                );
                return Err(named(self.text, bare, &reason));
            }
        };
        if !self.roots.contains(&root) {
            self.roots.push(root);
        }
        Ok(Node::Root(root))
    }

    fn select(&mut self, select: &SelectExpr, depth: usize) -> Result<Node, Unfit> {
        if let Some(name) = dotted(select).as_deref().and_then(type_named) {
            return Ok(Node::Constant(Constant::Type(name)));
        }
        let operand = Box::new(self.node(&select.operand, depth)?);
        let field = Field::new(&select.field);
        Ok(if select.test { Node::Has(operand, field) } else { Node::Select(operand, field) })
    }

    fn call(&mut self, call: &CallExpr, depth: usize) -> Result<Node, Unfit> {
        let arguments = &call.args[..];
        let operator = match call.func_name.as_str() {
            operators::LOGICAL_AND => return self.pair(arguments, depth).map(Node::And),
            operators::LOGICAL_OR => return self.pair(arguments, depth).map(Node::Or),
            operators::INDEX => return self.pair(arguments, depth).map(Node::Index),
            operators::CONDITIONAL => {
                let [condition, one, other] = arguments else {
                    return Err(Unfit::whole("a condition has three parts"));
                };
                let condition = self.node(condition, depth)?;
                let parts = [condition, self.node(one, depth)?, self.node(other, depth)?];
                return Ok(Node::If(Box::new(parts)));
            }
            operators::LOGICAL_NOT | operators::NEGATE | operators::NOT_STRICTLY_FALSE => {
                let [operand] = arguments else {
                    return Err(Unfit::whole("an operator takes one value"));
                };
                let operand = Box::new(self.node(operand, depth)?);
                return Ok(match call.func_name.as_str() {
                    operators::LOGICAL_NOT => Node::Not(operand),
                    operators::NEGATE => Node::Negate(operand),
                    _ => Node::NotFalse(operand),
                });
            }
            operators::ADD => Operator::Add,
            operators::SUBSTRACT => Operator::Subtract,
            operators::MULTIPLY => Operator::Multiply,
            operators::DIVIDE => Operator::Divide,
            operators::MODULO => Operator::Modulo,
            operators::EQUALS => Operator::Equal,
            operators::NOT_EQUALS => Operator::Unequal,
            operators::LESS => Operator::Less,
            operators::LESS_EQUALS => Operator::AtMost,
            operators::GREATER => Operator::Greater,
            operators::GREATER_EQUALS => Operator::AtLeast,
            operators::IN => Operator::In,
            _ => return self.function(call, depth),
        };
        if let (Operator::Add, [left, right]) = (operator, arguments)
            && let Some(appended) = self.append(left, right, depth)?
        {
            return Ok(appended);
        }
        Ok(Node::Binary(operator, self.pair(arguments, depth)?))
    }

    /// A macro's own result with an element more: it would be copied for each.
    fn append(
        &mut self,
        left: &IdedExpr,
        right: &IdedExpr,
        depth: usize,
    ) -> Result<Option<Node>, Unfit> {
        // No name that somebody could write begins so.
        let (Expr::Ident(name), Expr::List(list)) = (&left.expr, &right.expr) else {
            return Ok(None);
        };
        match self.scope.iter().rposition(|known| known == name) {
            Some(place) if name.starts_with('@') => {
                Ok(Some(Node::Append(place, self.nodes(&list.elements, depth)?)))
            }
            _ => Ok(None),
        }
    }

    fn function(&mut self, call: &CallExpr, depth: usize) -> Result<Node, Unfit> {
        let name = call.func_name.strip_prefix('.').unwrap_or(&call.func_name);
        let arguments = call.args.len() + usize::from(call.target.is_some());
        let function = Function::find(name, call.target.is_some(), arguments)
            .map_err(|reason| named(self.text, name, &reason))?;
        let mut parts = Vec::with_capacity(arguments);
        for one in call.target.iter().map(|target| &**target).chain(&call.args) {
            parts.push(self.node(one, depth)?);
        }
        if let (Function::Matches, [_, Node::Constant(Constant::Text(pattern))]) =
            (function, &parts[..])
        {
            let pattern = Pattern::new(pattern, &mut self.room)
                .map_err(|reason| named(self.text, name, &reason))?;
            parts.truncate(1);
            if let Some(text) = parts.pop() {
                return Ok(Node::Matches(Box::new(text), pattern));
            }
        }
        Ok(Node::Call(function, parts.into()))
    }

    fn turns(&mut self, turns: &ComprehensionExpr, depth: usize) -> Result<Node, Unfit> {
        if turns.iter_var2.is_some() {
            return Err(Unfit::whole("macros here take one variable"));
        }
        let range = self.node(&turns.iter_range, depth)?;
        let start = self.node(&turns.accu_init, depth)?;
        self.scope.push(turns.accu_var.clone());
        self.scope.push(turns.iter_var.clone());
        let condition = self.node(&turns.loop_cond, depth)?;
        let step = self.node(&turns.loop_step, depth)?;
        self.scope.pop();
        let result = self.node(&turns.result, depth)?;
        self.scope.pop();
        Ok(Node::Loop(Box::new(Loop { range, start, condition, step, result })))
    }
}

fn constant(literal: &LiteralValue) -> Constant {
    match literal {
        LiteralValue::Null => Constant::Null,
        LiteralValue::Boolean(value) => Constant::Bool(*value.inner()),
        LiteralValue::Int(value) => Constant::Int(*value.inner()),
        LiteralValue::UInt(value) => Constant::Uint(*value.inner()),
        LiteralValue::Double(value) => Constant::Double(*value.inner()),
        LiteralValue::String(text) => Constant::Text(text.inner().into()),
        LiteralValue::Bytes(bytes) => Constant::Bytes(bytes.inner().into()),
    }
}

fn type_named(name: &str) -> Option<&'static str> {
    const TYPES: [&str; 12] = [
        "bool",
        "bytes",
        "double",
        "int",
        "list",
        "map",
        "null_type",
        "string",
        "type",
        "uint",
        "google.protobuf.Duration",
        "google.protobuf.Timestamp",
    ];
    TYPES.into_iter().find(|known| *known == name)
}

/// A type's name with dots in it.
fn dotted(select: &SelectExpr) -> Option<String> {
    let Expr::Select(middle) = &select.operand.expr else {
        return None;
    };
    let Expr::Ident(first) = &middle.operand.expr else {
        return None;
    };
    (!select.test && !middle.test).then(|| format!("{first}.{}.{}", middle.field, select.field))
}
