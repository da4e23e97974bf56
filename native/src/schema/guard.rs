//! What a schema may be, decided before it is compiled: a few lines can ask for more work than a
//! machine has.

use super::Unusable;
use super::patterns::{self, Room, Weight};
use super::refs::{Named, Target};
use super::work::Prices;
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Bytes of a schema.
pub const MAX_BYTES: usize = 64 * 1024;
/// Arrays and objects within each other.
pub const MAX_DEPTH: usize = 64;
/// Subschemas of one.
pub const MAX_SUBSCHEMAS: usize = 5_000;
/// Subschemas that one value is held to, through references and combinations.
pub const MAX_EXPANSION: u64 = 10_000;
/// How long a way through references and combinations may be, without going into the value.
pub const MAX_CHAIN: u32 = 64;
/// Regular expressions of one schema.
pub const MAX_PATTERNS: usize = 200;
/// Values of one `enum`.
pub const MAX_ENUM: usize = 2_000;

/// What the dialect's own schema costs, for one that refers to it.
const METASCHEMA: Cost = Cost { schemas: 500, chain: 8, patterns: 4 };
/// More than this, and errors are not told one by one.
const TELLING: u64 = 600;

/// The prices of a schema without anything dear.
pub const PLAIN: Prices = Prices { value: 1, name: (1, 0), byte: 1, number: 1 };

/// Applicators that hold the same value to one more schema.
const SAME_ONE: [&str; 4] = ["not", "if", "then", "else"];
/// To a list of them.
const SAME_LIST: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// To a map of them.
const SAME_MAP: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Applicators that hold parts of the value to schemas, and places where schemas are kept.
const PART_ONE: [&str; 8] = [
    "additionalProperties",
    "propertyNames",
    "items",
    "contains",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
    "additionalItems",
];
const PART_LIST: [&str; 2] = ["prefixItems", "items"];
const PART_MAP: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// What one value costs that is held to a schema.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// Subschemas it comes to.
    schemas: u64,
    /// The longest way there.
    chain: u32,
    /// Patterns that each of its names is held to.
    patterns: u64,
}

/// A schema that can be compiled, and what it will cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Of work on one value.
    pub prices: Prices,
    /// Whether errors can be told one by one.
    pub telling: bool,
    /// Bytes that its patterns are compiled to.
    pub patterns: usize,
}

/// What is known of a subschema's cost.
#[derive(Clone, Copy)]
enum Known {
    Nothing,
    /// It is being added up: whoever comes to it again goes in a circle.
    UnderWay,
    Cost(Cost),
}

struct Node<'s> {
    schema: &'s Map<String, Value>,
    /// Where it stands.
    pointer: String,
    /// Those that hold the same value, by their places.
    same: Vec<usize>,
    metaschema: bool,
}

/// Walks a schema and all that it refers to.
struct Walk<'s> {
    named: Named<'s>,
    nodes: Vec<Node<'s>>,
    places: HashMap<usize, usize>,
    weights: HashMap<&'s str, Weight>,
    room: Room,
    fractions: bool,
}

/// Checks a parsed schema.
pub fn check(root: &Value) -> Result<Checked, Unusable> {
    let mut walk = Walk {
        named: Named::read(root)?,
        nodes: Vec::new(),
        places: HashMap::new(),
        weights: HashMap::new(),
        room: Room::new(),
        fractions: false,
    };
    walk.enter(root, String::new())?;
    // Grows as it goes.
    let mut place = 0;
    while place < walk.nodes.len() {
        walk.look(place)?;
        place += 1;
    }
    walk.price()
}

impl<'s> Walk<'s> {
    /// The place of a subschema; `None` for one that is `true` or `false`, or none at all, which
    /// the dialect's own schema will tell.
    fn enter(&mut self, value: &'s Value, pointer: String) -> Result<Option<usize>, Unusable> {
        let Value::Object(schema) = value else {
            return Ok(None);
        };
        let address = std::ptr::from_ref(value).addr();
        if let Some(known) = self.places.get(&address) {
            return Ok(Some(*known));
        }
        let place = self.nodes.len();
        if place == MAX_SUBSCHEMAS {
            return Err(Unusable::at(
                pointer,
                format!("a schema has at most {MAX_SUBSCHEMAS} subschemas"),
            ));
        }
        self.places.insert(address, place);
        self.nodes.push(Node { schema, pointer, same: Vec::new(), metaschema: false });
        Ok(Some(place))
    }

    /// Reads one subschema, and enters those it names.
    fn look(&mut self, place: usize) -> Result<(), Unusable> {
        let (schema, here) = (self.nodes[place].schema, self.nodes[place].pointer.clone());
        let mut same = Vec::new();
        for (keyword, value) in schema {
            let keyword = keyword.as_str();
            let at = || format!("{here}/{}", escaped(keyword));
            self.scalar(keyword, value, &at)?;
            if let ("$ref" | "$dynamicRef", Value::String(reference)) = (keyword, value) {
                match self.named.resolve(reference).map_err(|why| Unusable::at(at(), why))? {
                    Target::Metaschema => self.nodes[place].metaschema = true,
                    Target::Here(target, pointer) => same.extend(self.enter(target, pointer)?),
                }
            }
            let (mut found, in_place) = (Vec::new(), is_same(keyword));
            match value {
                Value::Object(map) if is_map(keyword) => {
                    for (name, value) in map {
                        let pointer = format!("{}/{}", at(), escaped(name));
                        found.extend(self.enter(value, pointer)?);
                    }
                }
                Value::Array(list) if is_list(keyword) => {
                    for (index, value) in list.iter().enumerate() {
                        found.extend(self.enter(value, format!("{}/{index}", at()))?);
                    }
                }
                value if is_one(keyword) => found.extend(self.enter(value, at())?),
                _ => {}
            }
            if in_place {
                same.append(&mut found);
            }
        }
        self.nodes[place].same = same;
        Ok(())
    }

    /// Reads a keyword that names no schemas.
    fn scalar(
        &mut self,
        keyword: &str,
        value: &'s Value,
        at: &dyn Fn() -> String,
    ) -> Result<(), Unusable> {
        match (keyword, value) {
            ("pattern", Value::String(pattern)) => self.pattern(pattern, at),
            ("patternProperties", Value::Object(map)) => {
                map.keys().try_for_each(|pattern| self.pattern(pattern, at))
            }
            ("enum", Value::Array(values)) if values.len() > MAX_ENUM => {
                Err(Unusable::at(at(), format!("an enum has at most {MAX_ENUM} values")))
            }
            ("multipleOf", _) => {
                self.fractions = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn pattern(&mut self, pattern: &'s str, at: &dyn Fn() -> String) -> Result<(), Unusable> {
        if self.weights.contains_key(pattern) {
            return Ok(());
        }
        if self.weights.len() == MAX_PATTERNS {
            let reason = format!("a schema has at most {MAX_PATTERNS} different patterns");
            return Err(Unusable::at(at(), reason));
        }
        let weight =
            patterns::weigh(pattern, &mut self.room).map_err(|why| Unusable::at(at(), why))?;
        self.weights.insert(pattern, weight);
        Ok(())
    }

    /// Adds up what each subschema leads to.
    fn price(&self) -> Result<Checked, Unusable> {
        let mut costs = vec![Known::Nothing; self.nodes.len()];
        let mut dearest = Cost { schemas: 1, chain: 1, patterns: 0 };
        let mut tracked = 0_u64;
        for (place, node) in self.nodes.iter().enumerate() {
            let cost = self.cost(place, 0, &mut costs)?;
            dearest.schemas = dearest.schemas.max(cost.schemas);
            dearest.patterns = dearest.patterns.max(cost.patterns);
            let tracks = ["unevaluatedItems", "unevaluatedProperties"];
            if tracks.iter().any(|keyword| node.schema.contains_key(*keyword)) {
                // The compiler notes for each of these all that it leads to.
                tracked = tracked.saturating_add(cost.schemas);
                if tracked > MAX_EXPANSION {
                    return Err(too_much(node));
                }
            }
        }
        let byte = self.weights.values().map(|weight| weight.0).max().unwrap_or(1);
        let value = 1 + dearest.schemas / 4;
        let name = (value + 4 * dearest.patterns, dearest.patterns.saturating_mul(byte));
        let number = if self.fractions { 64 } else { 1 };
        let telling = dearest.schemas <= TELLING;
        let patterns = self.room.taken();
        Ok(Checked { prices: Prices { value, name, byte, number }, telling, patterns })
    }

    /// The cost of one; `costs` holds what is known of all.
    fn cost(&self, place: usize, depth: u32, costs: &mut [Known]) -> Result<Cost, Unusable> {
        let node = &self.nodes[place];
        match costs[place] {
            Known::Cost(cost) => return Ok(cost),
            Known::UnderWay => {
                let reason = "this schema leads back to itself without going into the value";
                return Err(Unusable::at(node.pointer.clone(), reason));
            }
            Known::Nothing => costs[place] = Known::UnderWay,
        }
        let own = match node.schema.get("patternProperties") {
            Some(Value::Object(map)) => map.len() as u64,
            _ => 0,
        };
        let mut cost = Cost { schemas: 1, chain: 0, patterns: own };
        if node.metaschema {
            cost.add(METASCHEMA);
        }
        if depth < MAX_CHAIN {
            for next in &node.same {
                cost.add(self.cost(*next, depth + 1, costs)?);
            }
        }
        cost.chain += 1;
        if cost.chain > MAX_CHAIN || (depth == MAX_CHAIN && !node.same.is_empty()) {
            let reason = format!(
                "references and combinations lead through at most {MAX_CHAIN} schemas in a row"
            );
            return Err(Unusable::at(node.pointer.clone(), reason));
        }
        if cost.schemas > MAX_EXPANSION {
            return Err(too_much(node));
        }
        costs[place] = Known::Cost(cost);
        Ok(cost)
    }
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.schemas = self.schemas.saturating_add(other.schemas);
        self.patterns = self.patterns.saturating_add(other.patterns);
        self.chain = self.chain.max(other.chain);
    }
}

fn too_much(node: &Node<'_>) -> Unusable {
    let reason =
        format!("references and combinations hold a value to at most {MAX_EXPANSION} schemas");
    Unusable::at(node.pointer.clone(), reason)
}

fn is_same(keyword: &str) -> bool {
    SAME_ONE.contains(&keyword) || SAME_LIST.contains(&keyword) || SAME_MAP.contains(&keyword)
}

fn is_one(keyword: &str) -> bool {
    SAME_ONE.contains(&keyword) || PART_ONE.contains(&keyword)
}

fn is_list(keyword: &str) -> bool {
    SAME_LIST.contains(&keyword) || PART_LIST.contains(&keyword)
}

fn is_map(keyword: &str) -> bool {
    SAME_MAP.contains(&keyword) || PART_MAP.contains(&keyword)
}

/// A name as a token of a JSON pointer.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
