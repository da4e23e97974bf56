//! Judges a compiled filter by an event. All that repeats is counted, and nothing recurses deeper
//! than the filter is written or the payload nests.

use super::budget::Budget;
use super::calls::{self, Function};
use super::node::{Constant, Field, Loop, Node, Operator};
use super::number;
use super::patterns::Pattern;
use super::scene::{Place, Scene};
use super::time;
use super::value::{Value, equal, order};
use super::wrong::Wrong;
use std::cmp::Ordering;
use std::rc::Rc;

/// What judging a part of a filter gives.
type Answer<'s> = Result<Value<'s>, Wrong>;

/// One filter on one event.
pub struct Judge<'s, 'b> {
    scene: &'s Scene<'s>,
    budget: &'b Budget<'b>,
    /// Variables of loops; what went wrong with one is told by whoever uses it.
    slots: Vec<Answer<'s>>,
    /// The last pattern that came from the event.
    foreign: Option<Pattern>,
}

impl<'s, 'b> Judge<'s, 'b> {
    /// Makes ready to judge by an event.
    pub const fn new(scene: &'s Scene<'s>, budget: &'b Budget<'b>) -> Self {
        Self { scene, budget, slots: Vec::new(), foreign: None }
    }

    /// Whether the filter is true.
    pub fn is_true(&mut self, root: &'s Node) -> Result<bool, Wrong> {
        match self.value(root)? {
            Value::Bool(found) => Ok(found),
            other => Err(Wrong::new(format!("the filter is no bool but {}", other.kind()))),
        }
    }

    fn value(&mut self, node: &'s Node) -> Answer<'s> {
        self.budget.spend(1)?;
        match node {
            Node::Constant(constant) => Ok(literal(constant)),
            Node::Root(root) => self.scene.root(*root),
            Node::Slot(place) => self.slots[*place].clone(),
            Node::Select(operand, field) => self.select(operand, field),
            Node::Has(operand, field) => {
                let operand = self.value(operand)?;
                let found = self.scene.select(&operand, field, self.budget)?;
                Ok(Value::Bool(found.is_some()))
            }
            Node::Index(sides) => self.index(sides),
            Node::Not(operand) => match self.value(operand)? {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                other => Err(Wrong::overload("!", &[other.kind()])),
            },
            Node::Negate(operand) => self.negate(operand),
            Node::And(sides) => self.both(sides, false),
            Node::Or(sides) => self.both(sides, true),
            Node::If(parts) => {
                let [condition, one, other] = &**parts;
                match self.value(condition)? {
                    Value::Bool(true) => self.value(one),
                    Value::Bool(false) => self.value(other),
                    value => Err(Wrong::overload("?:", &[value.kind()])),
                }
            }
            Node::Binary(operator, sides) => self.binary(*operator, sides),
            Node::List(elements) => {
                let elements = elements.iter().map(|one| self.value(one));
                elements.collect::<Result<_, _>>().map(Value::list)
            }
            Node::Map(entries) => self.map(entries),
            Node::Call(Function::Matches, arguments) => self.foreign(arguments),
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Matches(operand, pattern) => match self.value(operand)? {
                Value::Text(text) => pattern.is_match(text.as_str(), self.budget).map(Value::Bool),
                other => Err(Wrong::overload("matches", &[other.kind(), "string"])),
            },
            Node::Loop(turns) => self.turns(turns),
            Node::Append(place, elements) => self.append(*place, elements),
            Node::NotFalse(operand) => match self.value(operand) {
                Ok(Value::Bool(value)) => Ok(Value::Bool(value)),
                Err(Wrong::Spent(what)) => Err(Wrong::Spent(what)),
                _ => Ok(Value::Bool(true)),
            },
        }
    }

    fn select(&mut self, operand: &'s Node, field: &'s Field) -> Answer<'s> {
        let operand = self.value(operand)?;
        let found = self.scene.select(&operand, field, self.budget)?;
        found.ok_or_else(|| Wrong::new(format!("no such key: {}", field.text)))
    }

    fn index(&mut self, sides: &'s [Node; 2]) -> Answer<'s> {
        let (operand, key) = (self.value(&sides[0])?, self.value(&sides[1])?);
        match operand.kind() {
            "map" => {
                let found = self.scene.get(&operand, &key, self.budget)?;
                found.ok_or_else(|| Wrong::new(format!("no such key: {}", shown(&key))))
            }
            "list" => {
                let found = match Place::of(&key) {
                    Place::At(place) => self.scene.element(&operand, place, self.budget)?,
                    Place::Nowhere => None,
                    Place::No => return Err(Wrong::overload("[]", &["list", key.kind()])),
                };
                found.ok_or_else(|| Wrong::new("a place beyond the list"))
            }
            kind => Err(Wrong::overload("[]", &[kind, key.kind()])),
        }
    }

    fn negate(&mut self, operand: &'s Node) -> Answer<'s> {
        match self.value(operand)? {
            Value::Int(value) => {
                value.checked_neg().map(Value::Int).ok_or_else(|| Wrong::new("- overflows"))
            }
            Value::Double(value) => Ok(Value::Double(-value)),
            other => Err(Wrong::overload("-", &[other.kind()])),
        }
    }

    /// `&&` or `||`: a side that decides makes up for one that is wrong, whichever comes first.
    fn both(&mut self, sides: &'s [Node; 2], decides: bool) -> Answer<'s> {
        let sign = if decides { "||" } else { "&&" };
        let truth = |answer: Answer<'s>| match answer {
            Ok(Value::Bool(value)) => Ok(value),
            Ok(other) => Err(Wrong::overload(sign, &[other.kind()])),
            Err(wrong) => Err(wrong),
        };
        let first = truth(self.value(&sides[0]));
        if first == Ok(decides) || matches!(first, Err(Wrong::Spent(_))) {
            return first.map(Value::Bool);
        }
        let second = truth(self.value(&sides[1]));
        if second == Ok(decides) || matches!(second, Err(Wrong::Spent(_))) || first.is_ok() {
            return second.map(Value::Bool);
        }
        first.map(Value::Bool)
    }

    fn binary(&mut self, operator: Operator, sides: &'s [Node; 2]) -> Answer<'s> {
        let (left, right) = (self.value(&sides[0])?, self.value(&sides[1])?);
        match operator {
            Operator::Equal => equal(self.scene, &left, &right, self.budget).map(Value::Bool),
            Operator::Unequal => {
                equal(self.scene, &left, &right, self.budget).map(|same| Value::Bool(!same))
            }
            Operator::In => self.is_in(&left, &right).map(Value::Bool),
            Operator::Less | Operator::AtMost | Operator::Greater | Operator::AtLeast => {
                let found = order(operator.sign(), &left, &right, self.budget)?;
                Ok(Value::Bool(match (operator, found) {
                    (_, None) => false,
                    (Operator::Less, Some(found)) => found == Ordering::Less,
                    (Operator::AtMost, Some(found)) => found != Ordering::Greater,
                    (Operator::Greater, Some(found)) => found == Ordering::Greater,
                    (_, Some(found)) => found != Ordering::Less,
                }))
            }
            _ => self.reckon(operator, &left, &right),
        }
    }

    fn is_in(&self, value: &Value<'s>, range: &Value<'s>) -> Result<bool, Wrong> {
        match range.kind() {
            "list" => {
                for element in self.scene.elements(range) {
                    if equal(self.scene, &element, value, self.budget)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            "map" => Ok(self.scene.get(range, value, self.budget)?.is_some()),
            kind => Err(Wrong::overload("in", &[value.kind(), kind])),
        }
    }

    fn reckon(&self, operator: Operator, left: &Value<'s>, right: &Value<'s>) -> Answer<'s> {
        let reckoned = match (left.number(), right.number()) {
            (Some(left), Some(right)) => number::reckon(operator, left, right),
            _ => None,
        };
        if let Some(found) = reckoned {
            return found;
        }
        match (operator, left, right) {
            (Operator::Add, Value::Text(left), Value::Text(right)) => {
                let (left, right) = (left.as_str(), right.as_str());
                self.budget.spend_bytes(left.len() + right.len())?;
                Ok(Value::own([left, right].concat()))
            }
            (Operator::Add, Value::Bytes(left), Value::Bytes(right)) => {
                self.budget.spend_bytes(left.len() + right.len())?;
                Ok(Value::Bytes(Rc::from([&**left, &**right].concat())))
            }
            (Operator::Add, left, right) if left.kind() == "list" && right.kind() == "list" => {
                let mut joined = Vec::new();
                for element in self.scene.elements(left).chain(self.scene.elements(right)) {
                    self.budget.spend(1)?;
                    joined.push(element);
                }
                Ok(Value::list(joined))
            }
            (Operator::Add, Value::Time(moment), Value::Span(span))
            | (Operator::Add, Value::Span(span), Value::Time(moment)) => {
                time::moment(moment + span)
            }
            (Operator::Add, Value::Span(left), Value::Span(right)) => time::span(left + right),
            (Operator::Subtract, Value::Time(moment), Value::Span(span)) => {
                time::moment(moment - span)
            }
            (Operator::Subtract, Value::Time(left), Value::Time(right))
            | (Operator::Subtract, Value::Span(left), Value::Span(right)) => {
                time::span(left - right)
            }
            _ => Err(Wrong::overload(operator.sign(), &[left.kind(), right.kind()])),
        }
    }

    fn map(&mut self, entries: &'s [[Node; 2]]) -> Answer<'s> {
        let mut made: Vec<(Value<'s>, Value<'s>)> = Vec::new();
        for [key, value] in entries {
            let key = self.value(key)?;
            if !matches!(key, Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Uint(_)) {
                return Err(Wrong::new(format!("{} is no key of a map", key.kind())));
            }
            for (known, _) in &made {
                if equal(self.scene, known, &key, self.budget)? {
                    return Err(Wrong::new(format!("a key comes twice: {}", shown(&key))));
                }
            }
            made.push((key, self.value(value)?));
        }
        Ok(Value::Map(Rc::new(made)))
    }

    fn call(&mut self, function: Function, arguments: &'s [Node]) -> Answer<'s> {
        let values: Vec<_> =
            arguments.iter().map(|one| self.value(one)).collect::<Result<_, _>>()?;
        calls::call(function, &values, self.scene, self.budget)
    }

    /// `matches` with a pattern that the event brings.
    fn foreign(&mut self, arguments: &'s [Node]) -> Answer<'s> {
        let (text, pattern) = (self.value(&arguments[0])?, self.value(&arguments[1])?);
        let (Value::Text(text), Value::Text(pattern)) = (&text, &pattern) else {
            return Err(Wrong::overload("matches", &[text.kind(), pattern.kind()]));
        };
        let pattern = pattern.as_str();
        let known = match self.foreign.take() {
            Some(known) if known.text() == pattern => known,
            _ => Pattern::foreign(pattern, self.budget)?,
        };
        let found = known.is_match(text.as_str(), self.budget);
        self.foreign = Some(known);
        found.map(Value::Bool)
    }

    /// A macro: its variable and its result are the two uppermost places.
    fn turns(&mut self, turns: &'s Loop) -> Answer<'s> {
        let range = self.value(&turns.range)?;
        if self.scene.length(&range).is_none() {
            return Err(Wrong::new(format!("{} is no list and no map", range.kind())));
        }
        let start = self.value(&turns.start);
        let (result, variable) = (self.slots.len(), self.slots.len() + 1);
        self.slots.push(start);
        self.slots.push(Ok(Value::Null));
        let mut over = Ok(());
        for element in self.scene.elements(&range) {
            // Elements are counted as they come: the condition is judged for each.
            over = self.turn(turns, result, variable, element);
            if over.is_err() {
                break;
            }
        }
        self.slots.truncate(variable);
        let found = match over {
            Ok(()) | Err(None) => self.value(&turns.result),
            Err(Some(wrong)) => Err(wrong),
        };
        self.slots.truncate(result);
        found
    }

    /// One turn; an error ends the loop, with a reason where it ended badly.
    fn turn(
        &mut self,
        turns: &'s Loop,
        result: usize,
        variable: usize,
        element: Value<'s>,
    ) -> Result<(), Option<Wrong>> {
        match self.value(&turns.condition) {
            Ok(Value::Bool(true)) => {}
            Ok(_) => return Err(None),
            Err(wrong) => return Err(Some(wrong)),
        }
        self.slots[variable] = Ok(element);
        let next = self.value(&turns.step);
        if let Err(Wrong::Spent(what)) = next {
            return Err(Some(Wrong::Spent(what)));
        }
        self.slots[result] = next;
        Ok(())
    }

    fn append(&mut self, place: usize, elements: &'s [Node]) -> Answer<'s> {
        let mut made = Vec::with_capacity(elements.len());
        for element in elements {
            made.push(self.value(element)?);
        }
        // Whoever asks puts it back.
        let mut list = std::mem::replace(&mut self.slots[place], Ok(Value::Null))?;
        if let Value::List(values) = &mut list {
            self.budget.spend(made.len() as u64)?;
            Rc::make_mut(values).append(&mut made);
        }
        Ok(list)
    }
}

fn literal(constant: &Constant) -> Value<'_> {
    match constant {
        Constant::Null => Value::Null,
        Constant::Bool(value) => Value::Bool(*value),
        Constant::Int(value) => Value::Int(*value),
        Constant::Uint(value) => Value::Uint(*value),
        Constant::Double(value) => Value::Double(*value),
        Constant::Text(text) => Value::lent(text),
        Constant::Bytes(bytes) => Value::Bytes(Rc::from(&**bytes)),
        Constant::Type(name) => Value::Type(name),
    }
}

/// A key as an error shows it.
fn shown(key: &Value<'_>) -> String {
    match key {
        Value::Text(text) => text.as_str().chars().take(64).collect(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => value.to_string(),
        other => other.kind().to_owned(),
    }
}
