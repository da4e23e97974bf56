//! Bombs, each refused by the rule that is meant for it.

use super::*;
use serde_json::json;

fn refused(schema: &Value) -> (String, String) {
    check(schema).err().map(|why| (why.pointer, why.reason)).unwrap_or_default()
}

/// `keyword` of two references to the next, so many times.
fn doubled(keyword: &str, times: usize) -> Value {
    let mut defs = Map::new();
    for level in 0..times {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        defs.insert(format!("d{level}"), json!({keyword: [next, next]}));
    }
    defs.insert(format!("d{times}"), json!({"type": "number"}));
    json!({"$defs": defs, "$ref": "#/$defs/d0"})
}

#[test]
fn what_multiplies_is_counted_as_it_multiplies() {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        assert!(check(&doubled(keyword, 10)).is_ok());
        assert!(refused(&doubled(keyword, 13)).1.contains("at most 10000 schemas"));
        assert!(refused(&doubled(keyword, 25)).1.contains("at most 10000 schemas"));
    }
}

#[test]
fn circles_are_refused_unless_they_go_into_the_value() {
    for schema in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
        json!({"if": true, "then": {"$ref": "#"}}),
        json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
        json!({"$anchor": "a", "anyOf": [{"$ref": "#a"}]}),
        json!({"$dynamicAnchor": "a", "anyOf": [{"$dynamicRef": "#a"}]}),
        json!({"$id": "urn:x", "anyOf": [{"$ref": "urn:x"}]}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/%24defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
    ] {
        assert!(refused(&schema).1.contains("leads back to itself"), "{schema}");
    }
    for keyword in ["items", "additionalProperties", "contains", "unevaluatedItems"] {
        assert!(check(&json!({keyword: {"$ref": "#"}})).is_ok());
    }
    assert!(check(&json!({"properties": {"a": {"items": {"$ref": "#"}}}})).is_ok());
}

#[test]
fn references_stay_within_the_schema() {
    for (reference, word) in [
        ("https://example.com/schema", "nothing is fetched"),
        ("file:///etc/passwd", "nothing is fetched"),
        ("other.json", "nothing is fetched"),
        ("https://json-schema.org/draft/2020-12/meta/core", "nothing is fetched"),
        ("#/nowhere", "nowhere"),
        ("#nowhere", "nowhere"),
        ("#/%zz", "nowhere"),
        ("#/enum/00", "nowhere"),
        ("#/enum/0", "no schema"),
    ] {
        let (pointer, reason) = refused(&json!({"enum": [1], "items": {"$ref": reference}}));
        assert_eq!(pointer, "/items/$ref");
        assert!(reason.contains(word), "{reference}: {reason}");
    }
    assert!(check(&json!({"items": {"$ref": crate::schema::refs::DIALECT}})).is_ok());
}

#[test]
fn names_that_would_turn_references_are_refused() {
    for (schema, pointer) in [
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema"),
        (json!({"$defs": {"a": {"$schema": "urn:x"}}}), "/$defs/a/$schema"),
        (json!({"$defs": {"a": {"$id": "urn:x"}}}), "/$defs/a/$id"),
        (json!({"unknown": [{"$id": "urn:x"}]}), "/unknown/0/$id"),
        (json!({"$id": crate::schema::refs::DIALECT}), "/$id"),
    ] {
        assert_eq!(refused(&schema).0, pointer, "{schema}");
    }
    let twice = json!({"$anchor": "a", "items": {"$dynamicAnchor": "a"}});
    assert!(refused(&twice).1.contains("twice"));
    assert!(check(&json!({"properties": {"$id": {"type": "string"}}})).is_ok());
}

#[test]
fn size_is_bounded_in_every_direction() {
    let mut deep = json!({});
    for _ in 0..33 {
        deep = json!({"allOf": [deep]});
    }
    assert!(refused(&deep).1.contains("64 levels"));
    let wide: Map<_, _> = (0..MAX_SUBSCHEMAS).map(|n| (n.to_string(), json!({}))).collect();
    assert!(refused(&json!({"properties": wide})).1.contains("5000 subschemas"));
    let chain: Map<_, _> = (0..100)
        .map(|n| (n.to_string(), json!({"$ref": format!("#/$defs/{}", n + 1)})))
        .chain([("100".to_owned(), json!({}))])
        .collect();
    assert!(refused(&json!({"$defs": chain})).1.contains("64 schemas in a row"));
    let patterns: Vec<_> = (0..=MAX_PATTERNS).map(|n| json!({"pattern": n.to_string()})).collect();
    assert!(refused(&json!({"allOf": patterns})).1.contains("200 different patterns"));
    let values: Vec<_> = (0..=MAX_ENUM).collect();
    assert_eq!(refused(&json!({"enum": values})).0, "/enum");
    assert!(refused(&json!({"patternProperties": {"(?=a)": {}}})).1.contains("lookaround"));
}

#[test]
fn tracked_properties_are_counted_for_each_that_tracks() {
    let branches: Vec<_> = (0..200).map(|_| json!({})).collect();
    let one = json!({"$ref": "#/$defs/all", "unevaluatedProperties": false});
    let many: Map<_, _> = (0..60).map(|n| (n.to_string(), one.clone())).collect();
    let schema = json!({"$defs": {"all": {"allOf": branches}}, "properties": many});
    assert!(refused(&schema).1.contains("at most 10000 schemas"));
}
