//! Who is on the telephone? The operator says a number, and never asks for one; the customer types it into the shop's own page
//! and proves who they are. The desk sees it for ten minutes.

use axum::{Form, response::Response};
use firsthand_axum::{
    Error,
    meeting::{MeetingError, Ticket},
    merchant::{Desk as Asking, Operator},
};
use serde::Deserialize;

use super::{Desk, shown};
use crate::{
    shop::{
        desk::{CallForm, CallState, CallView},
        order::Drawing,
        page::Page,
        pages::desk as pages,
        view::View,
    },
    trouble::Trouble,
};

/// What the page sends that waits.
#[derive(Debug, Deserialize)]
pub(super) struct LookForm {
    form: String,
    ticket: String,
    number: String,
    link: String,
    #[serde(default)]
    close: Option<String>,
}

pub(super) async fn ask(desk: Desk, view: View) -> Page {
    desk.call(&view, CallState::Ask { unreadable: false })
}

pub(super) async fn open(desk: Desk, view: View, Form(form): Form<CallForm>) -> Response {
    let state = desk.open_call(&form).await;
    shown(state.map(|state| desk.call(&view, state)), &view)
}

pub(super) async fn look(desk: Desk, view: View, Form(form): Form<LookForm>) -> Response {
    let state = desk.look_at_call(form).await;
    shown(state.map(|state| desk.call(&view, state)), &view)
}

impl Desk {
    fn call(&self, view: &View, state: CallState) -> Page {
        let qr = self.till.merchant.call_qr_svg().ok().map(Drawing::of_our_own);
        pages::call(view, &CallView { form: self.operator.form(), state, qr })
    }

    /// One key opens this desk, so there is one operator; a shop with people of its own names them here.
    fn asking(&self) -> Result<Asking, Error> {
        self.till.merchant.desk(&Operator { id: "the-desk", desk: "Blatt & Rebe, the desk" })
    }

    async fn open_call(&self, form: &CallForm) -> Result<CallState, Trouble> {
        if self.operator.read_form(&form.form).is_none() {
            return Ok(CallState::Ask { unreadable: false });
        }
        match self.asking()?.open(form.purpose.trim(), form.message.trim()).await {
            Ok(opened) => Ok(CallState::Waiting {
                ticket: opened.ticket.reveal().to_owned(),
                number: opened.number.reveal(),
                link: opened.link.into(),
            }),
            Err(Error::Meeting(MeetingError::Text { .. } | MeetingError::TooManyOpen)) => {
                Ok(CallState::Ask { unreadable: true })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn look_at_call(&self, form: LookForm) -> Result<CallState, Trouble> {
        let ticket: Option<Ticket> = form.ticket.parse().ok();
        let Some(ticket) = ticket.filter(|_| self.operator.read_form(&form.form).is_some()) else {
            return Ok(CallState::Over);
        };
        let asking = self.asking()?;
        if form.close.is_some() {
            asking.close(&ticket).await?;
            return Ok(CallState::Ask { unreadable: false });
        }
        match asking.recognition(&ticket).await {
            Ok(known) => Ok(CallState::Known {
                customer: known.customer.to_string(),
                rung: known.rung.name(),
                until_s: known.expires_at.as_secs(),
            }),
            Err(Error::Meeting(MeetingError::Pending { .. } | MeetingError::SlowDown { .. })) => {
                Ok(CallState::Waiting { ticket: form.ticket, number: form.number, link: form.link })
            }
            Err(Error::Meeting(MeetingError::Denied)) => Ok(CallState::Refused),
            Err(Error::Meeting(MeetingError::Expired | MeetingError::NoSuchMeeting)) => Ok(CallState::Over),
            Err(error) => Err(error.into()),
        }
    }
}
