//! The task that keeps one session alive.
//!
//! A [`Supervisor`] serves its [`Link`] until something goes wrong, then replaces it: subscriptions first, then what
//! was not confirmed, in order, then the news to the subscribers. Everything that may take time is bounded; nothing
//! but closing the session ends the attempts.

use super::leases::Leases;
use super::link::{Link, News};
use super::outbox::{Message, Outbox, Returned, Ticket};
use super::target::{Target, code};
use super::topology::{Binding, Feed};
use super::{Ended, Shared};
use crate::lease::State;
use crate::{BusError, Counters};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use gridloop_clock::{MonoTime, SharedClock, sleep};
use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// Between two looks at deadlines and returned messages.
const TICK: Duration = Duration::from_millis(200);
/// Bounds of the wait before a new connection is tried; jitter lies between the lower one and a doubling upper one.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A closing session waits no longer for confirmations.
const DRAIN_DEADLINE: Duration = Duration::from_secs(3);
/// Most messages taken from publishers at a time.
const BATCH: usize = 64;

/// What publishers hand over, in order.
pub(super) enum Outgoing {
    Message {
        topic: Box<str>,
        body: Bytes,
    },
    /// To be told when everything before it has been answered.
    Flush(oneshot::Sender<()>),
}

/// What is asked of the supervisor beside publishing.
pub(super) enum Request {
    Subscribe(Wanted),
    Lease {
        name: String,
        answer: oneshot::Sender<Result<watch::Receiver<State>, BusError>>,
    },
    /// A subscription or a lease has been dropped.
    Left,
    /// The consumer of this queue has ended.
    Ended(ShortString),
}

/// A subscription that is kept alive.
pub(super) struct Wanted {
    pub(super) binding: Binding,
    pub(super) feed: watch::Sender<Option<Feed>>,
    /// Who waits for it to be in place.
    pub(super) bound: Option<oneshot::Sender<Result<(), BusError>>>,
}

/// Keeps one session alive.
pub(super) struct Supervisor {
    target: Target,
    outgoing: mpsc::Receiver<Outgoing>,
    requests: mpsc::UnboundedReceiver<Request>,
    closing: CancellationToken,
    shared: Arc<Shared>,
    clock: SharedClock,
    random: fastrand::Rng,
    outbox: Outbox,
    answers: FuturesUnordered<BoxFuture<'static, Answer>>,
    wanted: Vec<Wanted>,
    leases: Leases,
    flushes: Vec<(Ticket, oneshot::Sender<()>)>,
    /// Set when nothing more will be handed over: when to stop waiting for confirmations.
    drain_until: Option<MonoTime>,
}

/// The broker's answer to a publication.
type Answer = (Ticket, lapin::Result<Confirmation>);

/// Why a link is no longer served.
enum End {
    Closed,
    Lost(String),
    /// The broker does not let us publish; its words.
    Refused(String),
}

impl Supervisor {
    pub(super) fn new(
        target: Target,
        outgoing: mpsc::Receiver<Outgoing>,
        requests: mpsc::UnboundedReceiver<Request>,
        closing: CancellationToken,
        shared: Arc<Shared>,
        clock: SharedClock,
    ) -> Self {
        Self {
            target,
            outgoing,
            requests,
            closing,
            shared,
            clock,
            random: fastrand::Rng::new(),
            outbox: Outbox::default(),
            answers: FuturesUnordered::new(),
            wanted: Vec::new(),
            leases: Leases::default(),
            flushes: Vec::new(),
            drain_until: None,
        }
    }

    /// Runs until the session is closed or nobody holds it any more.
    pub(super) async fn run(mut self, mut link: Link) {
        loop {
            let reason = match self.serve(&mut link).await {
                End::Closed => break,
                End::Refused(said) => {
                    error!(broker = %self.target.url, %said, "the broker does not let us publish; the session ends");
                    let _ = self.shared.ended.set(Ended::Permission(said));
                    // What is handed over from now on would go nowhere.
                    self.outgoing.close();
                    break;
                }
                End::Lost(reason) => reason,
            };
            self.shared.connected.store(false, Ordering::Relaxed);
            self.blocked(None);
            let unconfirmed = self.outbox.len();
            warn!(broker = %self.target.url, %reason, unconfirmed, "lost the broker");
            drop(link);
            self.answers.clear();
            match self.reconnect().await {
                Some(restored) => link = restored,
                None => {
                    warn!(unconfirmed = self.outbox.len(), "closed without the broker");
                    return;
                }
            }
        }
        self.shared.connected.store(false, Ordering::Relaxed);
        if self.outbox.len() > 0 {
            warn!(unconfirmed = self.outbox.len(), "closed before everything was confirmed");
        }
        link.close(&*self.clock).await;
    }

    /// Serves the link until it fails or the session is to end.
    async fn serve(&mut self, link: &mut Link) -> End {
        let mut batch = Vec::with_capacity(BATCH);
        let mut tick = sleep(&*self.clock, TICK);
        loop {
            if self.has_taken_everything() && self.outbox.len() == 0 {
                return End::Closed;
            }
            // Closing, subscribing and deadlines are rare and must not wait behind traffic. Answers come before new
            // messages because they make room, and there are never more of them than messages sent. A lost link is
            // noticed through its answers or its own news.
            let ended = tokio::select! {
                biased;
                () = self.closing.cancelled(), if self.drain_until.is_none() => {
                    self.outgoing.close();
                    self.begin_draining();
                    None
                }
                Some(request) = self.requests.recv() => self.serve_request(request, link).await,
                () = &mut tick => {
                    tick = sleep(&*self.clock, TICK);
                    self.look_around(link)
                }
                Some(answer) = self.answers.next(), if !self.answers.is_empty() => self.note_all(answer),
                news = link.news() => self.hear(news),
                taken = self.outgoing.recv_many(&mut batch, BATCH), if self.takes_more() => {
                    if taken == 0 {
                        self.begin_draining();
                    }
                    self.send(&mut batch, &link.publisher)
                }
            };
            if let Some(end) = ended {
                return end;
            }
        }
    }

    /// Whether publishers' messages are to be taken: there is room, and there may be some.
    fn takes_more(&self) -> bool {
        self.outbox.has_room() && !self.has_taken_everything()
    }

    /// Whether the session is ending and publishers have nothing left to hand over.
    fn has_taken_everything(&self) -> bool {
        self.drain_until.is_some() && self.outgoing.is_closed() && self.outgoing.is_empty()
    }

    fn begin_draining(&mut self) {
        self.drain_until.get_or_insert(self.clock.now() + DRAIN_DEADLINE);
    }

    /// Sends a batch, in order. Nothing waits for the broker here.
    fn send(&mut self, batch: &mut Vec<Outgoing>, channel: &Channel) -> Option<End> {
        let now = self.clock.now();
        let mut ended = None;
        for item in batch.drain(..) {
            match item {
                Outgoing::Message { topic, body } => {
                    let id = format!("{:032x}", self.random.u128(..)).into();
                    let message = Arc::new(Message { id, topic, body });
                    let ticket = self.outbox.sent(Arc::clone(&message), now);
                    ended = ended.or(self.transmit(ticket, message, channel));
                }
                Outgoing::Flush(waiting) => {
                    self.flushes.push((self.outbox.mark(), waiting));
                    self.tell_flushed();
                }
            }
        }
        ended
    }

    /// Puts one message on the wire (contract, section 1.3). Its frames are queued when the future is polled for the
    /// first time, which is here: order does not depend on the order of later polls.
    fn transmit(&mut self, ticket: Ticket, message: Arc<Message>, channel: &Channel) -> Option<End> {
        let channel = channel.clone();
        let exchange = self.target.exchange_name.clone();
        let mut publication = async move {
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let properties = BasicProperties::default()
                .with_delivery_mode(1)
                .with_priority(0)
                .with_message_id((&*message.id).into());
            let topic = (&*message.topic).into();
            let sent = channel.basic_publish(exchange, topic, options, &message.body, properties).await;
            match sent {
                Ok(confirmation) => (ticket, confirmation.await),
                Err(error) => (ticket, Err(error)),
            }
        }
        .boxed();
        match (&mut publication).now_or_never() {
            Some(answer) => self.note(answer),
            None => {
                self.answers.push(publication);
                None
            }
        }
    }

    /// Notes an answer and all others that are there: the broker answers for many publications at a time.
    fn note_all(&mut self, first: Answer) -> Option<End> {
        let mut ended = self.note(first);
        while ended.is_none()
            && let Some(Some(answer)) = self.answers.next().now_or_never()
        {
            ended = self.note(answer);
        }
        ended
    }

    /// Notes the broker's answer to a publication.
    fn note(&mut self, (ticket, answer): Answer) -> Option<End> {
        let returned = match answer {
            Ok(Confirmation::Ack(returned)) => returned,
            Ok(_) => return Some(End::Lost("the broker refused a publication".to_owned())),
            Err(error) => return Some(lost(&error)),
        };
        // Counted before anybody is told that everything has been answered.
        if let Some(returned) = returned {
            self.note_return(returned);
        }
        if self.outbox.confirmed(ticket, self.clock.now()) {
            Counters::add(&self.shared.counters.confirmed, 1);
            self.tell_flushed();
        }
        None
    }

    /// A message that reached nobody. The client library attaches it to some confirmation, not always its own, so
    /// everything is taken from the returned message itself.
    fn note_return(&mut self, returned: BasicReturnMessage) {
        Counters::add(&self.shared.counters.returned, 1);
        let delivery = returned.delivery;
        let Some(id) = delivery.properties.message_id().as_ref() else { return };
        let topic = delivery.routing_key.as_str();
        let message =
            Message { id: id.as_str().into(), topic: topic.into(), body: Bytes::from(delivery.data) };
        match self.outbox.returned(message, self.clock.now()) {
            Returned::Ignored => debug!(topic, "nobody is subscribed to this topic"),
            Returned::TooMany => debug!(topic, "nobody is subscribed to this topic, nor to many others"),
            Returned::Later => debug!(topic, "nobody is subscribed to this topic yet"),
            Returned::GivenUp => warn!(topic, "nobody has subscribed to this topic; a message is given up"),
        }
    }

    fn tell_flushed(&mut self) {
        let outbox = &self.outbox;
        for (_, waiting) in self.flushes.extract_if(.., |(mark, _)| outbox.is_answered(*mark)) {
            // Whoever gave up waiting needs no answer.
            let _ = waiting.send(());
        }
    }

    fn hear(&mut self, news: News) -> Option<End> {
        match news {
            News::Lost(error) => return Some(lost(&error)),
            News::Ended => return Some(End::Lost("the connection ended".to_owned())),
            News::Blocked(why) => self.blocked(Some(why)),
            News::Unblocked => self.blocked(None),
        }
        None
    }

    /// Notes whether the broker takes messages, and tells people when that changes.
    fn blocked(&self, why: Option<String>) {
        let mut blocked = self.shared.blocked();
        match (&*blocked, &why) {
            (None, Some(why)) => {
                Counters::add(&self.shared.counters.blocks, 1);
                warn!(broker = %self.target.url, %why, "the broker takes no messages for now; ours wait");
            }
            (Some(_), None) => {
                info!(broker = %self.target.url, "the broker takes messages again, or is lost")
            }
            _ => {}
        }
        *blocked = why;
    }

    async fn serve_request(&mut self, request: Request, link: &mut Link) -> Option<End> {
        match request {
            Request::Subscribe(wanted) => self.subscribe(wanted, link).await,
            Request::Lease { name, answer } => {
                let taken = self.leases.take(&name, link, &self.target, &*self.clock).await;
                // Whoever gave up waiting has dropped the other end, which gives the lease back with the next one.
                let _ = answer.send(taken);
                None
            }
            Request::Left => {
                self.wanted.retain(|wanted| !wanted.feed.is_closed());
                self.leases.give_back(link, &*self.clock).await;
                None
            }
            // The end of an old consumer is no news; that of a present one means that somebody deleted its queue.
            Request::Ended(queue) => {
                let is_present = |wanted: &Wanted| {
                    wanted.feed.borrow().as_ref().is_some_and(|feed| feed.consumer.queue() == queue)
                };
                let lost = self.wanted.iter().any(is_present);
                lost.then(|| End::Lost("the broker ended a subscription".to_owned()))
            }
        }
    }

    async fn subscribe(&mut self, mut wanted: Wanted, link: &mut Link) -> Option<End> {
        match link.subscribe(&self.target, &wanted.binding, &mut self.random, &*self.clock).await {
            Ok(feed) => {
                wanted.provide(feed);
                self.wanted.push(wanted);
                None
            }
            Err(refused @ (BusError::Permission { .. } | BusError::Exchange { .. })) => {
                wanted.answer(Err(refused));
                None
            }
            Err(lost) => {
                self.wanted.push(wanted);
                Some(End::Lost(lost.to_string()))
            }
        }
    }

    /// Deadlines and repetitions.
    fn look_around(&mut self, link: &Link) -> Option<End> {
        let now = self.clock.now();
        if !link.is_up() {
            return Some(End::Lost("the connection is down".to_owned()));
        }
        if self.drain_until.is_some_and(|end| end <= now) {
            return Some(End::Closed);
        }
        if self.shared.blocked().is_some() {
            self.outbox.postpone(now);
        }
        if self.outbox.is_overdue(now) {
            return Some(End::Lost("a publication was not confirmed in time".to_owned()));
        }
        let due = self.outbox.due(now);
        self.transmit_again(due, &link.publisher)
    }

    fn transmit_again(&mut self, messages: Vec<(Ticket, Arc<Message>)>, channel: &Channel) -> Option<End> {
        let mut ended = None;
        for (ticket, message) in messages {
            Counters::add(&self.shared.counters.resent, 1);
            ended = ended.or(self.transmit(ticket, message, channel));
        }
        ended
    }

    /// Tries until there is a session again; `None` when the session is closed meanwhile.
    async fn reconnect(&mut self) -> Option<Link> {
        let mut upper = BACKOFF_MIN * 2;
        loop {
            if self.drain_until.is_some() || (self.outgoing.is_closed() && self.outgoing.is_empty()) {
                return None;
            }
            let wait = self.jitter(upper);
            upper = (upper * 2).min(BACKOFF_MAX);
            let closing = self.closing.clone();
            // Closing first: whoever closes does not wait for a broker that is away.
            let restored = tokio::select! {
                biased;
                () = closing.cancelled() => return None,
                restored = self.restore(wait) => restored,
            };
            match restored {
                Ok(link) => return Some(link),
                Err(BusError::LeaseTaken { name }) => {
                    error!(lease = %name, "somebody else took our place while the broker was away; the session ends");
                    let _ = self.shared.ended.set(Ended::LeaseTaken(name));
                    return None;
                }
                Err(reason) => warn!(%reason, "the broker is still away"),
            }
        }
    }

    fn jitter(&mut self, upper: Duration) -> Duration {
        BACKOFF_MIN + upper.saturating_sub(BACKOFF_MIN).mul_f64(self.random.f64())
    }

    /// One attempt: connection, leases, subscriptions, unconfirmed messages, news.
    async fn restore(&mut self, wait: Duration) -> Result<Link, BusError> {
        sleep(&*self.clock, wait).await;
        let mut link = Link::open(&self.target, &self.clock).await?;
        self.leases.retake(&mut link, &self.target, &*self.clock).await?;
        self.wanted.retain(|wanted| !wanted.feed.is_closed());
        let mut feeds = Vec::with_capacity(self.wanted.len());
        for wanted in &self.wanted {
            feeds.push(link.subscribe(&self.target, &wanted.binding, &mut self.random, &*self.clock).await?);
        }
        self.answers.clear();
        let again = self.outbox.resend(self.clock.now());
        info!(broker = %self.target.url, resent = again.len(), "the broker is back");
        // A failure here shows again in the first round of serving.
        let _ = self.transmit_again(again, &link.publisher);
        for (wanted, feed) in self.wanted.iter_mut().zip(feeds) {
            wanted.provide(feed);
        }
        Counters::add(&self.shared.counters.reconnects, 1);
        self.shared.connected.store(true, Ordering::Relaxed);
        Ok(link)
    }
}

/// What an error on the publishing side means for the link.
fn lost(error: &lapin::Error) -> End {
    match (error.kind(), code(error)) {
        (ErrorKind::ProtocolError(said), Some(403)) => End::Refused(said.get_message().to_string()),
        _ => End::Lost(error.to_string()),
    }
}

impl Wanted {
    fn provide(&mut self, feed: Feed) {
        self.feed.send_replace(Some(feed));
        self.answer(Ok(()));
    }

    fn answer(&mut self, answer: Result<(), BusError>) {
        if let Some(bound) = self.bound.take() {
            // Whoever gave up waiting has dropped the subscription too.
            let _ = bound.send(answer);
        }
    }
}
