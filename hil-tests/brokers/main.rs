//! The bus on its two transports, RabbitMQ being a real one that the tests start themselves.
//!
//! `contract` holds what any bus must do; `memory`, `rabbitmq` and `tls` run it. `faults` breaks the broker and the way
//! to it in the middle of traffic, `alarm` starves it of memory, `flood` drowns it; `leases`, `permissions` and
//! `roles` are about who may do what. `python_component`, `python_errors` and `python_manager` are runs with processes that are not
//! gridloop's, `two_managers` are runs with one manager too many. `grid24` is a day
//! that is compared with a recorded run of the Python platform. `mqtt` and `mqtt_tls` are devices behind a mosquitto, which
//! is broken in every way. `foreign` is an AMQP client that shares no code with ours and sees what really is on the
//! wire.

mod alarm;
mod contract;
mod faults;
mod flood;
mod foreign;
mod grid24;
mod leases;
mod memory;
mod mqtt;
mod mqtt_tls;
mod permissions;
mod python_component;
mod python_errors;
mod python_manager;
mod rabbitmq;
mod roles;
mod runs;
mod tls;
mod two_managers;

use std::future::Future;

/// Runs asynchronous test code on two threads.
fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test)
}
