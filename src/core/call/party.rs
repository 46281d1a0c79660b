//! One side of a call: its SIP leg, its media leg, and what the two have agreed on.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use sems_app::CallError;
use sems_media::{CodecKind, Direction, LocalMedia, Negotiated, NegotiationError};
use sems_sip::{
    Flow,
    endpoint::{Invite, LegEvent, LegId, Reply, RequestId},
};
use tokio::sync::mpsc;

use crate::{
    media::{MediaEvent, MediaLeg},
    shared::Shared,
    signalling::{Ask, LEG_EVENTS},
};

/// Media events that a call's actor has not looked at: digits typed within one scheduling gap, mostly.
const MEDIA_EVENTS: usize = 64;

/// How far offer and answer have come (RFC 3264).
#[derive(Debug)]
enum Agreement {
    /// The peer's offer waits for our answer.
    Offered(Bytes),
    /// The peer asks for an offer of ours (an INVITE without a body).
    Unoffered,
    /// Our offer is out.
    OfferSent,
    /// Both sides agree; this is what we last said.
    Agreed(Bytes),
}

/// What one side of a call and we have agreed on, and the media leg that carries it.
#[derive(Debug)]
struct Description {
    sounds: mpsc::Sender<MediaEvent>,
    media: Option<Arc<MediaLeg>>,
    /// Where we bind.
    address: IpAddr,
    /// What SDP says instead, where the peer knows us by another address.
    told: IpAddr,
    local: Option<LocalMedia>,
    agreement: Agreement,
    negotiated: Option<Negotiated>,
    shared: Arc<Shared>,
}

/// One side of a call.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) leg: LegId,
    pub(crate) events: mpsc::Receiver<LegEvent>,
    pub(crate) sounds: mpsc::Receiver<MediaEvent>,
    description: Description,
}

impl Party {
    /// The caller of a new INVITE that came in by `flow`; `offer` is its body.
    pub(crate) fn caller(
        shared: Arc<Shared>,
        leg: LegId,
        events: mpsc::Receiver<LegEvent>,
        flow: &Flow,
        offer: Option<Bytes>,
    ) -> Self {
        let agreement = offer.map_or(Agreement::Unoffered, Agreement::Offered);
        let (description, sounds) = Description::new(shared, flow, agreement);
        Self { leg, events, sounds, description }
    }

    /// Calls somebody with an offer of ours, `prefer` first; `invite` makes the INVITE around it.
    ///
    /// # Errors
    /// [`CallError::NoCapacity`] without a free port, [`CallError::Ended`] while the server stops.
    pub(crate) async fn call(
        shared: Arc<Shared>,
        flow: &Flow,
        prefer: Option<&[CodecKind]>,
        invite: impl FnOnce(Bytes) -> Invite,
    ) -> Result<Self, CallError> {
        let (mut description, sounds) = Description::new(shared.clone(), flow, Agreement::OfferSent);
        let local = description.open()?;
        let body = sems_media::offer(&local, prefer, Direction::SendRecv);
        let (sender, events) = mpsc::channel(LEG_EVENTS);
        let leg = shared.signalling.invite(invite(body), sender).await;
        let leg = leg.ok_or(CallError::Ended("the server stops"))?;
        Ok(Self { leg, events, sounds, description })
    }

    /// The media leg, once there is one.
    pub(crate) fn media(&self) -> Option<&Arc<MediaLeg>> {
        self.description.media.as_ref()
    }

    /// What was agreed last.
    pub(crate) fn negotiated(&self) -> Option<&Negotiated> {
        self.description.negotiated.as_ref()
    }

    /// The codecs that the caller offers and we have, while his offer waits for an answer: what a callee should
    /// choose from, so that nothing needs to be transcoded.
    pub(crate) fn offered_codecs(&self) -> Option<Vec<CodecKind>> {
        let Agreement::Offered(offer) = &self.description.agreement else { return None };
        let local = self.description.shared.local_media(self.description.told, 9);
        let (common, _) = sems_media::answer(offer, &local, Direction::SendRecv, None).ok()?;
        Some(common.receive.iter().map(|(_, codec)| *codec).collect())
    }

    /// Whether our offer still waits for an answer.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(self.description.agreement, Agreement::OfferSent)
    }

    /// Our part of the first offer and answer, for a 183 or a 200; the same each time.
    ///
    /// # Errors
    /// [`CallError::NoCommonCodec`], [`CallError::NoCapacity`], or a refusal of a body that is no SDP.
    pub(crate) fn describe(&mut self, prefer: Option<CodecKind>) -> Result<Bytes, CallError> {
        self.description.describe(prefer)
    }

    /// The peer's answer to our offer: in a 183, a 200 or an ACK.
    ///
    /// # Errors
    /// As [`describe`](Self::describe).
    pub(crate) fn take_answer(&mut self, body: &Bytes) -> Result<(), CallError> {
        self.description.take_answer(body)
    }

    /// The ACK to a 2xx of ours: it brings the answer where our 2xx carried the offer.
    ///
    /// # Errors
    /// As [`describe`](Self::describe); an ACK without the answer leaves nothing to talk by.
    pub(crate) fn take_acked(&mut self, body: Option<&Bytes>) -> Result<(), CallError> {
        match body {
            _ if !self.awaits_answer() => Ok(()),
            Some(body) => self.take_answer(body),
            None => Err(CallError::NoCommonCodec),
        }
    }

    /// Whether both sides agree on something.
    pub(crate) fn is_agreed(&self) -> bool {
        matches!(self.description.agreement, Agreement::Agreed(_))
    }

    /// Answers a re-INVITE or UPDATE of the peer: hold, resume, another codec, another address.
    pub(crate) async fn take_offer(&mut self, body: Option<Bytes>) {
        let ask = match self.description.reoffered(body) {
            Ok(body) => Ask::Accept { leg: self.leg, body: Some(body) },
            Err(error) => Ask::Reject { leg: self.leg, reply: Reply::new(error.status()) },
        };
        self.description.shared.signalling.ask(ask).await;
    }

    /// Refuses the INVITE, re-INVITE or UPDATE of the peer that waits.
    pub(crate) async fn refuse(&self, status: u16) {
        let ask = Ask::Reject { leg: self.leg, reply: Reply::new(status) };
        self.description.shared.signalling.ask(ask).await;
    }

    /// Answers a request of the peer with nothing but a status.
    pub(crate) async fn respond(&self, id: RequestId, status: u16) {
        self.description.shared.signalling.ask(Ask::Respond { id, reply: Reply::new(status) }).await;
    }

    /// Ends the SIP leg, whatever its state, and closes its media.
    pub(crate) async fn end(&mut self, reason: Option<&str>) {
        self.description.media = None;
        self.bye(reason).await;
    }

    /// Ends the SIP leg, whatever its state; the media leg may have something to finish.
    pub(crate) async fn bye(&self, reason: Option<&str>) {
        let ask = Ask::End { leg: self.leg, reason: reason.map(str::to_owned) };
        self.description.shared.signalling.ask(ask).await;
    }

    /// Closes the media only: the SIP side is over already.
    pub(crate) fn close(&mut self) {
        self.description.media = None;
    }
}

impl Description {
    fn new(shared: Arc<Shared>, flow: &Flow, agreement: Agreement) -> (Self, mpsc::Receiver<MediaEvent>) {
        let (address, told) = (flow.local.ip(), shared.advertise.media(flow));
        let (sounds, receiver) = mpsc::channel(MEDIA_EVENTS);
        (
            Self { sounds, media: None, address, told, local: None, agreement, negotiated: None, shared },
            receiver,
        )
    }

    /// Opens the media port, once.
    fn open(&mut self) -> Result<LocalMedia, CallError> {
        if let Some(local) = &self.local {
            return Ok(local.clone());
        }
        let media = self
            .shared
            .engine
            .open(self.address, self.sounds.clone())
            .map_err(|_| CallError::NoCapacity("no free media port"))?;
        let local = self.shared.local_media(self.told, media.address().port());
        self.media = Some(Arc::new(media));
        self.local = Some(local.clone());
        Ok(local)
    }

    fn describe(&mut self, prefer: Option<CodecKind>) -> Result<Bytes, CallError> {
        let local = self.open()?;
        match &self.agreement {
            Agreement::Offered(offer) => {
                let (negotiated, body) = sems_media::answer(offer, &local, Direction::SendRecv, prefer)
                    .map_err(|error| refusal(&error))?;
                self.settle(negotiated, body.clone());
                Ok(body)
            }
            Agreement::Unoffered | Agreement::OfferSent => {
                self.agreement = Agreement::OfferSent;
                Ok(sems_media::offer(&local, prefer.as_ref().map(std::slice::from_ref), Direction::SendRecv))
            }
            Agreement::Agreed(body) => Ok(body.clone()),
        }
    }

    fn take_answer(&mut self, body: &Bytes) -> Result<(), CallError> {
        let local = self.open()?;
        let negotiated = sems_media::accept(body, &local).map_err(|error| refusal(&error))?;
        let ours = match &self.agreement {
            Agreement::Agreed(ours) => ours.clone(),
            _ => sems_media::offer(&local, None, Direction::SendRecv),
        };
        self.settle(negotiated, ours);
        Ok(())
    }

    fn reoffered(&mut self, body: Option<Bytes>) -> Result<Bytes, CallError> {
        let mut local = self.open()?;
        local.version += 1;
        let prefer = self.negotiated.as_ref().map(|agreed| agreed.codec);
        let ours = match body {
            Some(offer) => {
                let (negotiated, ours) = sems_media::answer(&offer, &local, Direction::SendRecv, prefer)
                    .map_err(|error| refusal(&error))?;
                self.settle(negotiated, ours.clone());
                ours
            }
            None => {
                self.agreement = Agreement::OfferSent;
                sems_media::offer(&local, prefer.as_ref().map(std::slice::from_ref), Direction::SendRecv)
            }
        };
        self.local = Some(local);
        Ok(ours)
    }

    fn settle(&mut self, negotiated: Negotiated, ours: Bytes) {
        if let Some(media) = &self.media {
            media.configure(negotiated.clone());
        }
        self.negotiated = Some(negotiated);
        self.agreement = Agreement::Agreed(ours);
    }
}

fn refusal(error: &NegotiationError) -> CallError {
    match error.status() {
        488 => CallError::NoCommonCodec,
        status => CallError::refuse(status, "Bad Session Description"),
    }
}
