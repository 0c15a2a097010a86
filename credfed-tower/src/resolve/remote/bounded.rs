//! A map of bounded size whose entries run out.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use credfed_core::Identity;

/// The oldest entry makes room for a new one. An entry that ran out is not handed out, but known until then.
pub(super) struct Bounded<V> {
    entries: HashMap<Identity, Entry<V>>,
    /// In the order in which they came; entries that were replaced or removed since are passed over.
    order: VecDeque<(Identity, u64)>,
    capacity: usize,
    next: u64,
}

struct Entry<V> {
    value: V,
    until: Duration,
    number: u64,
}

impl<V> Bounded<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), capacity, next: 0 }
    }

    /// The value, while it holds; times on the monotonic clock.
    pub(super) fn get(&self, id: &Identity, now: Duration) -> Option<&V> {
        self.entries.get(id).filter(|entry| now < entry.until).map(|entry| &entry.value)
    }

    /// The value, be it one that ran out.
    pub(super) fn known(&self, id: &Identity) -> Option<&V> {
        self.entries.get(id).map(|entry| &entry.value)
    }

    /// The value, be it one that ran out, to note something on it.
    pub(super) fn known_mut(&mut self, id: &Identity) -> Option<&mut V> {
        self.entries.get_mut(id).map(|entry| &mut entry.value)
    }

    pub(super) fn insert(&mut self, id: Identity, value: V, until: Duration) {
        let number = self.next;
        self.next += 1;
        self.entries.insert(id, Entry { value, until, number });
        self.order.push_back((id, number));
        while self.entries.len() > self.capacity {
            let Some((oldest, number)) = self.order.pop_front() else { break };
            if self.is_live(&oldest, number) {
                self.entries.remove(&oldest);
            }
        }
        if self.order.len() > self.capacity.saturating_mul(2) {
            let Self { entries, order, .. } = self;
            order.retain(|(id, number)| entries.get(id).is_some_and(|entry| entry.number == *number));
        }
    }

    pub(super) fn remove(&mut self, id: &Identity) {
        self.entries.remove(id);
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn is_live(&self, id: &Identity, number: u64) -> bool {
        self.entries.get(id).is_some_and(|entry| entry.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: u32) -> Identity {
        Identity::of("test").part("name", name.to_string()).finish()
    }

    #[test]
    fn the_oldest_makes_room_and_nothing_grows() {
        let mut map = Bounded::new(3);
        for name in 0..1_000 {
            map.insert(id(name), name, Duration::from_secs(10));
            // One that is put in again and again is the newest each time.
            map.insert(id(5_000), 5_000, Duration::from_secs(10));
            assert!(map.len() <= 3 && map.order.len() <= 7, "{} {}", map.len(), map.order.len());
        }
        let now = Duration::from_secs(1);
        assert_eq!(map.get(&id(999), now), Some(&999));
        assert_eq!(map.get(&id(5_000), now), Some(&5_000));
        assert_eq!(map.get(&id(1), now), None);
    }

    #[test]
    fn an_entry_that_ran_out_is_known_and_not_handed_out() {
        let mut map = Bounded::new(3);
        map.insert(id(1), 1, Duration::from_secs(10));
        assert_eq!(map.get(&id(1), Duration::from_nanos(9_999_999_999)), Some(&1));
        assert_eq!(map.get(&id(1), Duration::from_secs(10)), None);
        assert_eq!(map.known(&id(1)), Some(&1));
        map.remove(&id(1));
        assert_eq!(map.known(&id(1)), None);
    }
}
