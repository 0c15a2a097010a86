//! The source of the machine: it does as it is told, and tells what it did.

#![expect(clippy::unwrap_used, reason = "only tests call this")]

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use credfed_core::runtime::Runtime;
use credfed_core::{
    AwsCredentials, ErrorKind, Expiring, Identity, Provider, ProviderError, Secret, VirtualRuntime,
};

use crate::model::{At, Fault, Gift, SECOND, UNNAMED};

/// What the source does; times are milliseconds.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Give(u64),
    Never,
    InThePast,
    InTheYear9999,
    /// A lifetime against a server's clock that is this far off.
    Dated(u64, i64),
    /// Gives once more what it gave last.
    TheSame,
    /// A class, and the seconds that the server asks for.
    Fail(usize, Option<u64>),
    Hang,
    Panic,
    Late(u64, Box<Act>),
}

const CLASSES: [ErrorKind; 5] = [
    ErrorKind::Transient,
    ErrorKind::Throttled,
    ErrorKind::Rejected,
    ErrorKind::Misconfigured,
    ErrorKind::NotConfigured,
];

#[derive(Debug)]
pub(crate) struct Source {
    runtime: VirtualRuntime,
    act: Mutex<Act>,
    events: Mutex<Events>,
}

#[derive(Debug, Default)]
struct Events {
    calls: u32,
    last: Option<(u32, SystemTime)>,
    new: Vec<(u32, At, Event)>,
}

#[derive(Debug)]
pub(crate) enum Event {
    Began,
    Ended(Result<Gift, Fault>),
    Dropped,
}

/// Tells of a call that is dropped before it answered.
struct Running<'a> {
    source: &'a Source,
    call: u32,
    ended: bool,
}

impl Source {
    pub(crate) fn new(runtime: &VirtualRuntime) -> Self {
        let act = Mutex::new(Act::Give(3_600_000));
        Self { runtime: runtime.clone(), act, events: Mutex::default() }
    }

    pub(crate) fn calls(&self) -> u32 {
        self.events.lock().unwrap().calls
    }

    pub(crate) fn set(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }

    /// What it did since this was asked last.
    pub(crate) fn events(&self) -> Vec<(u32, At, Event)> {
        std::mem::take(&mut self.events.lock().unwrap().new)
    }

    fn tell(&self, call: u32, event: Event) {
        let now = self.runtime.now().into();
        self.events.lock().unwrap().new.push((call, now, event));
    }
}

impl Running<'_> {
    fn give(
        &mut self,
        number: u32,
        lifetime: Option<Duration>,
        from_arrival: bool,
        expiring: impl FnOnce(AwsCredentials) -> Expiring<AwsCredentials>,
    ) -> Result<Expiring<AwsCredentials>, ProviderError> {
        let nanos = |lifetime: Duration| i128::try_from(lifetime.as_nanos()).unwrap();
        self.end(Ok(Gift { number, lifetime: lifetime.map(nanos), from_arrival }));
        let [id, secret, token] = ["id", "secret", "token"].map(|part| format!("{part}-{number}"));
        Ok(expiring(AwsCredentials::new(id, Secret::new(secret), Some(Secret::new(token)))))
    }

    fn end(&mut self, answer: Result<Gift, Fault>) {
        self.ended = true;
        self.source.tell(self.call, Event::Ended(answer));
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.source.tell(self.call, Event::Dropped);
        }
    }
}

impl Provider for Source {
    type Credential = AwsCredentials;

    fn identity(&self) -> Identity {
        Identity::of("rules").finish()
    }

    async fn provide(&self) -> Result<Expiring<AwsCredentials>, ProviderError> {
        let call = {
            let mut events = self.events.lock().unwrap();
            events.calls += 1;
            events.calls
        };
        self.tell(call, Event::Began);
        let began = self.runtime.now();
        let mut running = Running { source: self, call, ended: false };
        let mut act = self.act.lock().unwrap().clone();
        if let Act::Late(by, then) = act {
            self.runtime.sleep(Duration::from_millis(by)).await;
            act = *then;
        }
        let wall = self.runtime.now().wall();
        let until = |at: SystemTime| Some(at.duration_since(wall).unwrap_or_default());
        let mut last = self.events.lock().unwrap().last;
        match act {
            Act::Give(lifetime) => {
                let lifetime = Duration::from_millis(lifetime);
                last = Some((call, began.wall() + lifetime));
                self.events.lock().unwrap().last = last;
                running.give(call, Some(lifetime), false, |keys| Expiring::after(keys, lifetime))
            }
            Act::Dated(lifetime, off) => {
                let lifetime = Duration::from_millis(lifetime);
                let date = SystemTime::UNIX_EPOCH
                    + Duration::from_secs(1_800_000_000)
                    + Duration::from_millis(off.unsigned_abs());
                running.give(call, Some(lifetime), false, |keys| {
                    Expiring::at(keys, date + lifetime).with_server_date(date)
                })
            }
            Act::TheSame => {
                let (number, at) = last.unwrap_or((call, wall + Duration::from_secs(3_600)));
                self.events.lock().unwrap().last = Some((number, at));
                running.give(number, until(at), true, |keys| Expiring::at(keys, at))
            }
            Act::InThePast => {
                let at = wall - Duration::from_secs(1);
                running.give(call, until(at), true, |keys| Expiring::at(keys, at))
            }
            Act::InTheYear9999 => {
                let at = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
                running.give(call, until(at), true, |keys| Expiring::at(keys, at))
            }
            Act::Never => running.give(call, None, true, Expiring::never),
            Act::Fail(class, asks) => {
                let (kind, asked) = (CLASSES[class], asks.map_or(0, |asks| i128::from(asks) * SECOND));
                running.end(Err(Fault { kind, call: Some(call), asks: asked }));
                let error = ProviderError::new(kind, "as the script says").with_code(call.to_string());
                Err(match asks {
                    Some(asks) => error.with_retry_after(Duration::from_secs(asks)),
                    None => error,
                })
            }
            Act::Panic => {
                running.end(Err(UNNAMED));
                // Without the hook, which would print it.
                std::panic::resume_unwind(Box::new("the script says so"))
            }
            Act::Hang | Act::Late(..) => std::future::pending().await,
        }
    }
}

/// The number of the call that brought it; all three parts are from that one.
pub(crate) fn number(keys: &AwsCredentials) -> u32 {
    let parts = [
        keys.access_key_id().strip_prefix("id-"),
        keys.secret_access_key().expose().strip_prefix("secret-"),
        keys.session_token().and_then(|token| token.expose().strip_prefix("token-")),
    ];
    let numbers = parts.map(|part| part.unwrap().parse::<u32>().unwrap());
    assert!(numbers.iter().all(|number| *number == numbers[0]), "parts of several loads: {numbers:?}");
    numbers[0]
}
