//! A credential that its service does not accept, against everything else.

use std::sync::Arc;
use std::task::Poll;

use shuttle::sync::atomic::{AtomicBool, Ordering};

use crate::Rejection;
use crate::cached::shuttle_tests::support::{Act, Thread, explore, get, join, poll_once, stage, thread};
use crate::cached::{Cached, CachedProvider, Mode};

fn invalidate(provider: &CachedProvider<u32>, seen: &Cached<u32>, done: &Arc<AtomicBool>) -> Thread<()> {
    let (provider, seen, done) = (provider.clone(), seen.clone(), Arc::clone(done));
    thread(move || {
        provider.invalidate(&seen, Rejection::Invalid);
        done.store(true, Ordering::SeqCst);
    })
}

/// Gets, looks before each poll whether the first generation is rejected by then, and is not served that.
fn get_watching(provider: &CachedProvider<u32>, rejected: &Arc<AtomicBool>) -> Thread<u64> {
    let (provider, rejected) = (provider.clone(), Arc::clone(rejected));
    thread(move || {
        let mut call = provider.get();
        let mut until_then = false;
        let served = shuttle::future::block_on(std::future::poll_fn(|cx| {
            until_then = rejected.load(Ordering::SeqCst);
            std::pin::Pin::new(&mut call).poll(cx)
        }));
        let generation = served.unwrap().generation();
        assert!(generation > 1 || !until_then, "the rejected one was served");
        generation
    })
}

fn a_newer_generation_stays(mode: Mode) {
    let (_, source, provider) = stage(mode, &[]);
    let old = get(&provider).unwrap();
    let rejected = Arc::default();
    let rejecting = [invalidate(&provider, &old, &rejected), invalidate(&provider, &old, &rejected)];
    let callers = [get_watching(&provider, &rejected), get_watching(&provider, &rejected)];
    join(rejecting);
    join(callers);
    assert_eq!(get(&provider).unwrap().generation(), 2);
    assert_eq!((source.calls(), source.most_at_once()), (2, 1));
}

#[test]
fn late_rejections_of_the_old_one_leave_the_new_one_alone() {
    explore(|| a_newer_generation_stays(Mode::Spawned));
}

#[test]
fn late_rejections_leave_the_new_one_alone_where_callers_drive_the_load() {
    explore(|| a_newer_generation_stays(Mode::Inline));
}

#[test]
fn a_rejection_while_a_newer_one_lands_drops_the_old_one_or_nothing() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Spawned, &[]);
        let old = get(&provider).unwrap();
        let rejected = Arc::default();
        let rejecting = [invalidate(&provider, &old, &rejected), invalidate(&provider, &old, &rejected)];
        provider.refresh(&old);
        join(rejecting);
        // Rejected before the refresh was asked for, it is the next caller who starts a load.
        assert_eq!(get(&provider).unwrap().generation(), 2);
        assert_eq!((source.calls(), source.most_at_once()), (2, 1));
    });
}

#[test]
fn who_slept_while_what_it_waited_for_was_rejected_is_not_served_that() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Spawned, &[]);
        let mut sleeper = provider.get();
        let first = match poll_once(&mut sleeper) {
            Poll::Ready(answer) => answer.unwrap(),
            Poll::Pending => get(&provider).unwrap(),
        };
        let rejected = Arc::default();
        let rejecting = invalidate(&provider, &first, &rejected);
        let watching = get_watching(&provider, &rejected);
        rejecting.join();
        let served = shuttle::future::block_on(sleeper).unwrap();
        assert_eq!(served.generation(), 2, "it was polled after the rejection only");
        watching.join();
        assert_eq!(source.calls(), 2);
    });
}

#[test]
fn the_very_same_one_that_comes_back_against_its_rejection_is_a_new_generation() {
    explore(|| {
        let (_, source, provider) = stage(Mode::Spawned, &[Act::GiveAgain(7); 3]);
        let old = get(&provider).unwrap();
        provider.refresh(&old);
        let rejected = Arc::default();
        let rejecting = invalidate(&provider, &old, &rejected);
        let watching = get_watching(&provider, &rejected);
        rejecting.join();
        watching.join();
        let last = get(&provider).unwrap();
        assert_eq!((*last, last.generation()), (7, 2));
        assert!(source.calls() <= 3 && source.most_at_once() == 1, "{} calls", source.calls());
        // Landed before the rejection, the refresh left the first generation where it was.
        assert_eq!(provider.status().generation, 2);
    });
}
