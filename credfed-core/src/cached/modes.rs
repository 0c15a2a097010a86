//! Who drives a load to its end.

/// Who drives a load to its end. Whoever waits for it always helps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// A task that is spawned per load, where the runtime port has a spawner; else as [`Inline`](Self::Inline).
    /// Nothing is spawned at construction, nothing runs when idle.
    ///
    /// A runtime that runs only while somebody is inside of it, such as a current-thread one with a `block_on`
    /// per request, drives the task then and at no other time. A refresh may then come no further until the
    /// mandatory window, where the callers wait for it.
    #[default]
    Spawned,
    /// The waiting callers only. One that comes in the advisory window polls the load once before it is
    /// served; the mandatory window finishes it. A load that all its callers left is taken up by the next one,
    /// or discarded once it is older than the load deadline. `try_get` and `with` never start a load.
    Inline,
    /// Each caller alone, for runtimes that stop a request which waits for what belongs to another one (edge
    /// workers): no caller ever waits for, or polls, another one's load.
    ///
    /// While a valid credential is there, one caller at a time makes the load that is due, and all others are served.
    /// It gives up after 2 s in the advisory window, which counts as a failed load, and is served too; in the
    /// mandatory window it stays. With nothing to serve each caller makes a load of its own, up to
    /// [a limit](super::Builder::isolated_loads), and the first one to land is for all that come later. A load ends
    /// with its caller: behind a valid credential the next one begins a second later, doubling up to half a minute;
    /// where a caller is stopped without being dropped, another one takes its place once the load deadline is over.
    /// Of loads that are under way together, the first failure counts for all, and the longest patience that a server
    /// asks for. `try_get`, `with` and `refresh` never start a load.
    Isolated,
}
