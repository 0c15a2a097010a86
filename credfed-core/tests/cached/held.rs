//! What the model speaks of: a credential and how old it is, what the source gives, what a caller gets. Times are
//! nanoseconds.

use credfed_core::ErrorKind;
use credfed_core::runtime::Now;

pub(crate) const SECOND: i128 = 1_000_000_000;
pub(crate) const NEVER: i128 = i128::MAX / 4;

/// What the source gave. `lifetime` counts from the request, unless it was a moment of the calendar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gift {
    pub(crate) number: u32,
    pub(crate) lifetime: Option<i128>,
    pub(crate) from_arrival: bool,
}

/// A reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) mono: i128,
    pub(crate) wall: i128,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) generation: u64,
    pub(crate) number: u32,
    pub(crate) origin: At,
    pub(crate) lifetime: i128,
    /// A newer one was asked for, so its youth is over.
    pub(crate) hurried: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Phase {
    Fresh,
    /// Fresh or advisory: the start of the window is jittered.
    Either,
    Advisory,
    Mandatory,
    Expired,
}

impl Held {
    pub(crate) fn phase(&self, now: At) -> Phase {
        let (age, life) = (now.since(self.origin), self.lifetime);
        let minutes = 60 * SECOND;
        let window = match life {
            _ if life <= 20 * minutes => 5 * minutes,
            _ if life < 90 * minutes => 15 * minutes,
            _ => 60 * minutes,
        };
        let window = window.min(life / 2);
        // Clocks are read coarsely in a credential's youth, so it ends no later than this before the end.
        let youth = (life - window).min(life - 20_000_000);
        match age {
            _ if age >= life => Phase::Expired,
            _ if age >= life - minutes.min(window / 4) => Phase::Mandatory,
            _ if life == NEVER && !self.hurried => Phase::Fresh,
            _ if age >= life - window / 2 || self.hurried => Phase::Advisory,
            _ if age < youth => Phase::Fresh,
            _ => Phase::Either,
        }
    }

    /// How long after now it reaches this share (of 1,000) of its life.
    pub(crate) fn until(&self, share: i128, now: At) -> i128 {
        self.lifetime.min(43_200 * SECOND) * share / 1_000 - now.since(self.origin)
    }

    pub(crate) fn ends_with(&self, other: &Self) -> bool {
        let end = |held: &Self| held.origin.wall + held.lifetime;
        self.lifetime.max(other.lifetime) == NEVER && self.lifetime == other.lifetime
            || (end(self) - end(other)).abs() <= SECOND
    }
}

impl At {
    /// Of two clocks the one counts on which more time has passed.
    pub(crate) fn since(self, origin: Self) -> i128 {
        (self.mono - origin.mono).max(self.wall - origin.wall)
    }
}

impl From<Now> for At {
    fn from(now: Now) -> Self {
        let wall = now.wall().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let nanos = |time: std::time::Duration| i128::try_from(time.as_nanos()).unwrap_or(NEVER);
        Self { mono: nanos(now.monotonic()), wall: nanos(wall) }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The credential of this generation.
    Served(u64),
    Failed(Fault),
    Waits,
    Nothing,
}

/// A failed load: its class, the call if the source said so itself, and how long it asked to be left alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) call: Option<u32>,
    pub(crate) asks: i128,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Due {
    No,
    Perhaps,
    Yes,
}
