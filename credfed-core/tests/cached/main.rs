//! The behaviour of the cached provider, on virtual time: nothing here sleeps.

mod ageing;
mod cold;
mod failures;
mod flights;
mod held;
mod invalidation;
mod isolated;
mod isolated_together;
mod machine;
mod model;
mod mortal;
mod observed;
mod panics;
mod pool;
mod reader;
mod real;
mod rules;
mod script;
mod support;
mod time;
mod waiter;
