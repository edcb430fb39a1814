//! Long computations beside the other tasks.

use gridloop_component::at_length;
use std::sync::mpsc;
use std::time::Duration;

/// Nothing here takes so long unless it hangs.
const BOUND: Duration = Duration::from_secs(20);

#[test]
fn a_long_computation_does_not_keep_the_only_thread_from_other_tasks() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let heard = runtime.block_on(async {
        let (tell, told) = mpsc::channel();
        let computing = tokio::spawn(async move {
            let other = tokio::spawn(async move { tell.send("the other task runs") });
            let heard = at_length(|| told.recv_timeout(BOUND));
            other.await.unwrap().unwrap();
            heard
        });
        computing.await.unwrap()
    });
    assert_eq!(heard, Ok("the other task runs"));
}

#[test]
fn with_one_thread_or_none_it_is_done_where_it_is() {
    assert_eq!(at_length(|| 6 * 7), 42);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(
        runtime.block_on(async { at_length(|| std::thread::current().id()) }),
        std::thread::current().id()
    );
}
