//! The providers of a pool in the order of their use. Runs under the pool's lock, so it calls nothing foreign and
//! drops nothing foreign: what it lets go of is handed out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::Identity;
use crate::cached::pool::PoolError;
use crate::cached::pool::admission::Admission;
use crate::cached::{CachedProvider, PoolStatus};
use crate::runtime::Now;

/// How many providers of each chain are looked at to find one that can go: some tens of microseconds at worst. Those
/// in use go to the front on the way, so that the next search goes on from there.
const PROBES: usize = 256;

/// No slot.
const NONE: u32 = u32::MAX;

pub(super) struct Table<C> {
    capacity: usize,
    /// Nanoseconds.
    idle_after: u64,
    index: HashMap<Identity, u32>,
    slots: Vec<Slot<C>>,
    /// The first of the unused slots, which are chained by their `next`.
    unused: u32,
    /// Those that have not loaded anything so far, as far as was noticed.
    newcomers: Order,
    /// Those that a search noticed to have loaded, and that nobody has used since. They come from the end of the
    /// newcomers, so they arrive here in the order of their use.
    settled: Order,
    /// Those that were used since they loaded.
    proven: Order,
    admission: Admission,
    evicted: u64,
    idled: u64,
    refused_new: u64,
    refused_full: u64,
}

struct Slot<C> {
    /// `None` in an unused slot.
    provider: Option<CachedProvider<C>>,
    /// The monotonic clock at the last use.
    used: u64,
    chain: Chain,
    before: u32,
    next: u32,
}

/// Which of the chains a slot is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chain {
    Newcomers,
    Settled,
    Proven,
}

/// The two ends of a chain of slots, last used first.
struct Order {
    first: u32,
    last: u32,
    len: usize,
}

/// What came of an insertion.
pub(super) struct Inserted<C> {
    /// The one that the pool holds now: the new one, or the one that somebody else put in meanwhile.
    pub(super) provider: CachedProvider<C>,
    pub(super) evicted: Option<CachedProvider<C>>,
}

impl<C> Table<C> {
    pub(super) fn new(capacity: usize, idle_after: u64, admission: Admission) -> Self {
        Self {
            capacity,
            idle_after: idle_after.max(1),
            index: HashMap::new(),
            slots: Vec::new(),
            unused: NONE,
            newcomers: Order::EMPTY,
            settled: Order::EMPTY,
            proven: Order::EMPTY,
            admission,
            evicted: 0,
            idled: 0,
            refused_new: 0,
            refused_full: 0,
        }
    }

    pub(super) fn get(&mut self, identity: &Identity, now: Now) -> Option<CachedProvider<C>> {
        let at = *self.index.get(identity)?;
        self.renew(at, now);
        self.slots[at as usize].provider.clone()
    }

    /// `None` if it is not there, but would be let in now.
    pub(super) fn get_or_admit(
        &mut self,
        identity: &Identity,
        now: Now,
    ) -> Result<Option<CachedProvider<C>>, PoolError> {
        match (self.get(identity, now), self.admission.wait(now.mono)) {
            (None, Some(wait)) => Err(self.too_many_new(wait)),
            (found, _) => Ok(found),
        }
    }

    /// Puts it in, unless there is one of its identity.
    pub(super) fn insert(&mut self, new: &CachedProvider<C>, now: Now) -> Result<Inserted<C>, PoolError> {
        let identity = new.core.identity();
        if let Some(provider) = self.get(&identity, now) {
            return Ok(Inserted { provider, evicted: None });
        }
        // Taken before the search for room, so that it limits the searches too.
        self.admission.take(now.mono).map_err(|wait| self.too_many_new(wait))?;
        let evicted = if self.index.len() < self.capacity { None } else { Some(self.make_room(now)?) };
        let provider = Some(new.clone());
        let slot = Slot { provider, used: now.mono, chain: Chain::Newcomers, before: NONE, next: NONE };
        let at = self.occupy(slot);
        self.index.insert(identity, at);
        self.link(at, Chain::Newcomers);
        Ok(Inserted { provider: new.clone(), evicted })
    }

    pub(super) fn remove(&mut self, identity: &Identity) -> Option<CachedProvider<C>> {
        let at = *self.index.get(identity)?;
        self.vacate(at)
    }

    /// Takes out what nobody has used for long, but looks at no more than `probes` of them. Gives what is left of
    /// the probes, too.
    pub(super) fn take_idle(&mut self, now: Now, mut probes: usize) -> (Vec<CachedProvider<C>>, usize) {
        let mut idle = Vec::new();
        for chain in [Chain::Newcomers, Chain::Settled, Chain::Proven] {
            while probes > 0
                && let Some(at) = self.order(chain).last()
                && now.mono.saturating_sub(self.used(at)) >= self.idle_after
            {
                probes -= 1;
                if self.is_in_use(at, now) {
                    self.renew(at, now);
                } else {
                    idle.extend(self.vacate(at));
                }
            }
        }
        self.idled += idle.len() as u64;
        (idle, probes)
    }

    pub(super) fn status(&self) -> PoolStatus {
        PoolStatus {
            entries: self.index.len(),
            newcomers: self.newcomers.len,
            capacity: self.capacity,
            evicted: self.evicted,
            idle_evicted: self.idled,
            refused_new: self.refused_new,
            refused_full: self.refused_full,
        }
    }

    /// The newcomers go first; while they are few, the others may have to go too.
    fn make_room(&mut self, now: Now) -> Result<CachedProvider<C>, PoolError> {
        let before = self.newcomers.len;
        let mut found = self.take_newcomer(now);
        // Where some turned out to have loaded, one more does not make the newcomers more than they were. They count
        // for more than they are until all of them have been looked at, and that alone must not refuse anybody.
        let are_few = self.newcomers.len < (self.capacity / 4).max(1) || self.newcomers.len < before;
        if found.is_none() && are_few {
            found = self.take_loaded(now);
        }
        let counter = if found.is_some() { &mut self.evicted } else { &mut self.refused_full };
        *counter += 1;
        found.ok_or(PoolError::Full)
    }

    /// Takes out the least recently used one that can go of those that have never loaded anything.
    fn take_newcomer(&mut self, now: Now) -> Option<CachedProvider<C>> {
        for _ in 0..self.newcomers.len.min(PROBES) {
            let at = self.newcomers.last()?;
            if self.is_in_use(at, now) {
                self.renew(at, now);
            } else if self.has_loaded(at) {
                self.unlink(at);
                self.link(at, Chain::Settled);
            } else {
                return self.vacate(at);
            }
        }
        None
    }

    /// Takes out the least recently used one that can go of those that have. Nobody holds one that has settled:
    /// whoever asks for it moves it to the proven.
    fn take_loaded(&mut self, now: Now) -> Option<CachedProvider<C>> {
        let mut probes = self.proven.len.min(PROBES);
        loop {
            let often = self.proven.last().filter(|_| probes > 0);
            let at = match (self.settled.last(), often) {
                (Some(once), Some(often)) if self.used(often) < self.used(once) => often,
                (once, often) => once.or(often)?,
            };
            if !self.is_in_use(at, now) {
                return self.vacate(at);
            }
            probes = probes.saturating_sub(1);
            self.renew(at, now);
        }
    }

    fn used(&self, at: u32) -> u64 {
        self.slots[at as usize].used
    }

    /// Whether somebody else holds it, or a load is under way. If neither is so, then neither can come to be so
    /// while the table is locked: there is no handle left to begin a load with.
    fn is_in_use(&self, at: u32, now: Now) -> bool {
        self.slots[at as usize].provider.as_ref().is_some_and(|provider| {
            let core = &provider.core;
            Arc::strong_count(core) > 1
                || core
                    .gate
                    .lock()
                    .flight
                    .as_ref()
                    .is_some_and(|flight| !flight.is_lost(now, core.load_deadline))
        })
    }

    fn has_loaded(&self, at: u32) -> bool {
        let provider = self.slots[at as usize].provider.as_ref();
        provider.is_some_and(|provider| provider.core.gate.lock().generation > 0)
    }

    /// Moves to the front what is used, and out of the newcomers what has loaded something.
    fn renew(&mut self, at: u32, now: Now) {
        let has_loaded = self.slots[at as usize].chain != Chain::Newcomers || self.has_loaded(at);
        self.slots[at as usize].used = now.mono;
        if self.proven.first == at {
            return;
        }
        self.unlink(at);
        self.link(at, if has_loaded { Chain::Proven } else { Chain::Newcomers });
    }

    fn occupy(&mut self, slot: Slot<C>) -> u32 {
        if self.unused == NONE {
            self.slots.push(slot);
            // The capacity is below that.
            return u32::try_from(self.slots.len() - 1).unwrap_or(NONE);
        }
        let at = self.unused;
        let before = std::mem::replace(&mut self.slots[at as usize], slot);
        self.unused = before.next;
        at
    }

    fn vacate(&mut self, at: u32) -> Option<CachedProvider<C>> {
        self.unlink(at);
        let slot = &mut self.slots[at as usize];
        slot.next = self.unused;
        self.unused = at;
        let provider = slot.provider.take()?;
        self.index.remove(&provider.core.identity());
        Some(provider)
    }

    /// Puts it to the front of a chain.
    fn link(&mut self, at: u32, chain: Chain) {
        let order = self.order_mut(chain);
        let second = std::mem::replace(&mut order.first, at);
        order.len += 1;
        if second == NONE {
            order.last = at;
        } else {
            self.slots[second as usize].before = at;
        }
        let slot = &mut self.slots[at as usize];
        (slot.chain, slot.before, slot.next) = (chain, NONE, second);
    }

    fn unlink(&mut self, at: u32) {
        let Slot { chain, before, next, .. } = self.slots[at as usize];
        let order = self.order_mut(chain);
        order.len -= 1;
        if before == NONE {
            order.first = next;
        }
        if next == NONE {
            order.last = before;
        }
        if before != NONE {
            self.slots[before as usize].next = next;
        }
        if next != NONE {
            self.slots[next as usize].before = before;
        }
    }

    fn order(&self, chain: Chain) -> &Order {
        match chain {
            Chain::Newcomers => &self.newcomers,
            Chain::Settled => &self.settled,
            Chain::Proven => &self.proven,
        }
    }

    fn order_mut(&mut self, chain: Chain) -> &mut Order {
        match chain {
            Chain::Newcomers => &mut self.newcomers,
            Chain::Settled => &mut self.settled,
            Chain::Proven => &mut self.proven,
        }
    }

    fn too_many_new(&mut self, retry_after: Duration) -> PoolError {
        self.refused_new += 1;
        PoolError::TooManyNew { retry_after }
    }
}

impl Order {
    const EMPTY: Self = Self { first: NONE, last: NONE, len: 0 };

    fn last(&self) -> Option<u32> {
        (self.last != NONE).then_some(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StaticProvider;

    fn table(capacity: usize) -> Table<u32> {
        Table::new(capacity, u64::MAX, Admission::new(1, Duration::ZERO))
    }

    /// How many there are in a chain, each linked both ways and in the order of use.
    fn len(table: &Table<u32>, chain: Chain) -> usize {
        let mut slots: Vec<u32> = Vec::new();
        let mut at = table.order(chain).first;
        while at != NONE {
            let before = slots.last().copied();
            assert_eq!(table.slots[at as usize].before, before.unwrap_or(NONE));
            assert!(before.is_none_or(|before| table.used(before) >= table.used(at)));
            slots.push(at);
            at = table.slots[at as usize].next;
        }
        assert_eq!(table.order(chain).last(), slots.last().copied());
        assert_eq!(table.order(chain).len, slots.len());
        slots.len()
    }

    #[test]
    fn slots_that_were_left_are_used_again() {
        let mut table = table(4);
        for round in 0..100 {
            let now = Now { mono: 1 + u64::from(round), wall: 1 };
            let new = CachedProvider::new(StaticProvider::new(round));
            let inserted = table.insert(&new, now).ok().map(|inserted| inserted.provider.identity());
            assert_eq!(inserted, Some(new.identity()));
            if round % 3 == 0 {
                drop(table.remove(&new.identity()));
            }
            if round % 2 == 0 {
                futures::executor::block_on(new.get()).unwrap();
            }
            if round % 4 == 0 {
                drop(table.get(&new.identity(), now));
            }
            assert!(table.slots.len() <= 4 && table.index.len() <= 4);
            let chains = [Chain::Newcomers, Chain::Settled, Chain::Proven].map(|chain| len(&table, chain));
            assert_eq!(chains.iter().sum::<usize>(), table.index.len());
        }
        assert_eq!(table.index.len(), 3, "it was full, and the last one was removed");
    }
}
