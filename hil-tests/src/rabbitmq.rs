//! A RabbitMQ server of the test's own.
