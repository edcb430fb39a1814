//! What the whole-system tests share: a simulated world, a RabbitMQ of one's own, foreign peers.

pub mod certificates;
pub mod dispatch;
pub mod docker;
pub mod modbus_tap;
pub mod mongodb;
pub mod mosquitto;
pub mod opendss;
pub mod peers;
pub mod proxy;
pub mod rabbitmq;
pub mod serial;
pub mod world;
