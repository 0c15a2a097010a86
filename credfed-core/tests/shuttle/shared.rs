//! The future that whoever waits polls.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::FutureExt;
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicU32, Ordering};

use crate::cached::shared::Shared;
use crate::cached::shuttle_tests::support::{Door, Thread, below, explore, join, thread, turn};

/// Wakes itself twice while it is polled, then waits for the door.
fn through(door: &Arc<Door>) -> Shared<u32> {
    let door = Arc::clone(door);
    Shared::new(
        async move {
            turn().await;
            turn().await;
            door.opened().await;
            7
        }
        .boxed(),
    )
}

fn stay(mut shared: Shared<u32>) -> Thread<Option<u32>> {
    thread(move || block_on(poll_fn(|cx| shared.poll(cx))))
}

fn leave(mut shared: Shared<u32>) -> Thread<()> {
    thread(move || {
        for _ in 0..below(4) {
            let _ = shared.poll(&mut Context::from_waker(Waker::noop()));
        }
    })
}

#[test]
fn the_last_one_is_woken_although_all_others_leave() {
    explore(|| {
        let door = Arc::new(Door::new());
        let shared = through(&door);
        let leavers = [leave(shared.clone()), leave(shared.clone())];
        let stays = stay(shared);
        door.open();
        assert_eq!(stays.join(), Some(7));
        join(leavers);
    });
}

#[test]
fn all_who_stay_are_woken_while_others_come_and_leave() {
    explore(|| {
        let door = Arc::new(Door::new());
        let shared = through(&door);
        let stays = [stay(shared.clone()), stay(shared.clone())];
        let leaver = leave(shared.clone());
        let opener = thread(move || door.open());
        let late = stay(shared);
        assert_eq!([join(stays)[0], late.join()], [Some(7), Some(7)]);
        leaver.join();
        opener.join();
    });
}

#[test]
fn a_ring_that_one_poller_has_seen_is_not_taken_from_the_next_one() {
    explore(|| {
        // It wakes itself in each poll, and both who poll it leave before they are polled again: of those who were
        // turned away meanwhile, the one that stays has to be told.
        let mut polls = 0;
        let future = poll_fn(move |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls > 2 { Poll::Ready(7) } else { Poll::Pending }
        });
        let shared = Shared::new(future.boxed());
        let leavers = [shared.clone(), shared.clone()].map(|mut leaver| {
            thread(move || leaver.poll(&mut Context::from_waker(Waker::noop())).is_ready())
        });
        assert_eq!(stay(shared).join(), Some(7));
        join(leavers);
    });
}

#[test]
fn it_is_polled_by_one_at_a_time_and_not_again_once_it_is_over() {
    explore(|| {
        let polls = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&polls);
        let future = poll_fn(move |cx| {
            let poll = counter.fetch_add(1, Ordering::SeqCst);
            assert!(poll < 1_000, "polled once more after it was over, or by two at once");
            if poll % 2 == 1 {
                counter.fetch_add(1_000, Ordering::SeqCst);
                return Poll::Ready(7);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        let shared = Shared::new(future.boxed());
        let stays = [stay(shared.clone()), stay(shared.clone()), stay(shared)];
        assert_eq!(join(stays), [Some(7); 3]);
        assert_eq!(polls.load(Ordering::SeqCst), 1_002);
    });
}

#[test]
fn a_panic_reaches_all_who_wait() {
    explore(|| {
        let future = async {
            turn().await;
            std::panic::resume_unwind(Box::new("the test says so"))
        };
        let shared = Shared::<u32>::new(future.boxed());
        let leaver = leave(shared.clone());
        let stays = [stay(shared.clone()), stay(shared)];
        assert_eq!(join(stays), [None; 2]);
        leaver.join();
    });
}

#[test]
fn a_handle_that_moves_to_another_thread_is_woken_there() {
    explore(|| {
        let door = Arc::new(Door::new());
        let shared = through(&door);
        let mut moves = shared.clone();
        let _ = moves.poll(&mut Context::from_waker(Waker::noop()));
        let leaver = leave(shared);
        let moved = stay(moves);
        door.open();
        assert_eq!(moved.join(), Some(7));
        leaver.join();
    });
}
