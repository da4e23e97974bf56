//! A tenant's subscriptions, found by source and type, and judged by their filters.

use super::budget::Allowance;
use super::line::{Order, lines};
use super::node::Root;
use super::scene::{Event, Scene};
use super::{Filter, types::Types};
use crate::ids;
use std::collections::HashMap;
use std::sync::Arc;

/// Types that begin so are told by this system, and only to whoever names them.
pub const OWN: &str = "crossdock.";
/// Names the destination that an event of such a type is about.
const ABOUT: &str = "crossdock-about";

/// What a destination wants.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// Its id.
    pub id: [u8; 16],
    /// Sources it listens to; none means all.
    pub source_ids: Vec<[u8; 16]>,
    /// Patterns of types it wants; none means all.
    pub event_types: Vec<String>,
    /// An expression that must be true.
    pub filter: Option<String>,
    /// What orders its deliveries.
    pub order_by: Option<String>,
}

/// What is left of a subscription once it is indexed.
#[derive(Debug)]
struct Kept {
    id: [u8; 16],
    filter: Option<usize>,
    order: Option<usize>,
}

/// What matching an event found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Places of subscriptions that want it, in their order, with their lines.
    pub wanted: Vec<(u32, Option<i64>)>,
    /// Places of those whose filters could not be judged, and why.
    pub errors: Vec<(u32, String)>,
}

/// Subscriptions, ready to match.
#[derive(Debug, Default)]
pub struct Matcher {
    kept: Vec<Kept>,
    /// Those that listen to every source.
    everywhere: Types,
    by_source: HashMap<[u8; 16], Types>,
    /// Each different filter once; one that can't be used any more says why.
    filters: Vec<Result<Filter, String>>,
    orders: Vec<Order>,
    roots: Vec<Root>,
    size: usize,
}

impl Matcher {
    /// Indexes subscriptions; each is known by its place.
    pub fn new(subscriptions: &[Subscription]) -> Self {
        let mut matcher = Self::default();
        let mut filters: HashMap<&str, usize> = HashMap::new();
        for (place, one) in (0_u32..).zip(subscriptions) {
            let filter = one
                .filter
                .as_deref()
                .map(|text| *filters.entry(text).or_insert_with(|| matcher.add_filter(text)));
            let order = one.order_by.as_deref().and_then(Order::parse);
            let order = order.map(|order| matcher.add_order(order));
            matcher.kept.push(Kept { id: one.id, filter, order });
            if one.source_ids.is_empty() {
                matcher.everywhere.add(place, &one.event_types);
            }
            for source in &one.source_ids {
                matcher.by_source.entry(*source).or_default().add(place, &one.event_types);
            }
            let patterns: usize = one.event_types.iter().map(|text| text.len() + 64).sum();
            matcher.size += 64 + patterns * one.source_ids.len().max(1);
        }
        matcher
    }

    /// Whether it takes a body to match, or to find lines.
    pub fn looks_into_bodies(&self) -> bool {
        self.roots.contains(&Root::Payload)
            || self.orders.iter().any(|order| matches!(order, Order::Pointer(_)))
    }

    /// Whether it has filters or finds lines.
    pub fn judges(&self) -> bool {
        !self.filters.is_empty() || !self.orders.is_empty()
    }

    /// About the bytes that it takes.
    pub const fn size(&self) -> usize {
        self.size
    }

    fn add_filter(&mut self, text: &str) -> usize {
        let filter = Filter::new(text).map_err(|unfit| unfit.reason);
        self.size += text.len();
        if let Ok(filter) = &filter {
            self.size += filter.size();
            for root in filter.roots() {
                if !self.roots.contains(root) {
                    self.roots.push(*root);
                }
            }
        }
        self.filters.push(filter);
        self.filters.len() - 1
    }

    fn add_order(&mut self, order: Order) -> usize {
        if let Some(place) = self.orders.iter().position(|known| *known == order) {
            return place;
        }
        self.size += 128;
        self.orders.push(order);
        self.orders.len() - 1
    }

    /// Finds those that want an event.
    pub fn matching(&self, event: Event<'_>) -> Matched {
        let mut candidates = Vec::new();
        self.everywhere.find(event.event_type, &mut candidates);
        if let Some(types) = self.by_source.get(&event.source_id) {
            types.find(event.event_type, &mut candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        if event.event_type.starts_with(OWN) {
            self.spare_whom_it_is_about(&event, &mut candidates);
        }
        let mut found = Matched::default();
        if candidates.iter().any(|place| self.kept[*place as usize].filter.is_some()) {
            self.judge(event, &mut candidates, &mut found);
        }
        let lines = self.lines(&event, &candidates);
        found.wanted = candidates.into_iter().zip(lines).collect();
        found
    }

    /// Leaves out the destination that an event is about, so that no alert goes in a circle. One that
    /// doesn't say what it is about is none of this system's, and for nobody.
    fn spare_whom_it_is_about(&self, event: &Event<'_>, candidates: &mut Vec<u32>) {
        match event.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(ABOUT)) {
            None => candidates.clear(),
            Some((_, about)) => {
                if let Ok(id) = ids::typeid_parse("dst", about) {
                    candidates.retain(|place| self.kept[*place as usize].id != id);
                }
            }
        }
    }

    /// Keeps those whose filters are true.
    fn judge(&self, event: Event<'_>, candidates: &mut Vec<u32>, found: &mut Matched) {
        let mut roots: Vec<Root> = Vec::new();
        for place in candidates.iter() {
            if let Some(Ok(filter)) = self.filter_of(*place) {
                for root in filter.roots() {
                    if !roots.contains(root) {
                        roots.push(*root);
                    }
                }
            }
        }
        let allowance = Allowance::new(event.body.map_or(0, <[u8]>::len));
        let scene = Scene::new(event, &roots);
        let mut judged: HashMap<usize, Result<bool, Arc<str>>> = HashMap::new();
        candidates.retain(|place| {
            let Some(filter) = self.kept[*place as usize].filter else {
                return true;
            };
            let verdict = judged.entry(filter).or_insert_with(|| match &self.filters[filter] {
                Ok(filter) => filter.is_true(&scene, &allowance).map_err(Arc::from),
                Err(reason) => Err(Arc::from(format!("this filter can't be used: {reason}"))),
            });
            match verdict {
                Ok(wanted) => *wanted,
                Err(reason) => {
                    found.errors.push((*place, reason.to_string()));
                    false
                }
            }
        });
    }

    fn filter_of(&self, place: u32) -> Option<&Result<Filter, String>> {
        self.kept[place as usize].filter.map(|filter| &self.filters[filter])
    }

    fn lines(&self, event: &Event<'_>, wanted: &[u32]) -> Vec<Option<i64>> {
        let order_of = |place: &u32| self.kept[*place as usize].order;
        let mut used: Vec<usize> = wanted.iter().filter_map(order_of).collect();
        if used.is_empty() {
            return vec![None; wanted.len()];
        }
        used.sort_unstable();
        used.dedup();
        let orders: Vec<&Order> = used.iter().map(|order| &self.orders[*order]).collect();
        let lines = lines(&event.source_id, event.body, &orders);
        let line_of = |order: usize| used.binary_search(&order).ok().and_then(|at| lines[at]);
        wanted.iter().map(|place| order_of(place).and_then(line_of)).collect()
    }
}
