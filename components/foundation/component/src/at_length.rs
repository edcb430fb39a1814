//! [`at_length`]: a computation that takes long, in the midst of the tasks of a run.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does `work`, which may take longer than the others can wait: search for a plan, a hundred power flows.
///
/// A component is called from its task, and the thread of that task has other tasks as well. They are given to another
/// thread meanwhile. The component itself is held: what comes for it waits. On the single thread of a world in simulated
/// time everybody waits, and time stands still.
pub fn at_length<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(runtime) if runtime.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(work)
        }
        _ => work(),
    }
}
