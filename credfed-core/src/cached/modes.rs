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
}
