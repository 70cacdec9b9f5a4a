//! Physician's page and desk: the WebSocket at [`crate::PHYSICIAN_SOCKET_PATH`], and the sign-in before it.
//!
//! The cookie of the sign-in authenticates the WebSocket, whose `Origin` must be the desk's own. Order: page `hello`,
//! desk `welcome`, `waiting_list`, and `taken` again when the physician already has a call (a page that was reloaded).

use serde::{Deserialize, Serialize};

use crate::cabin::{SiteState, Waiting};
use crate::call::{Candidate, EndCause, ICE_SERVERS_MAX, ICE_URLS_MAX, IceServer, Party, Physician, Sdp};
use crate::enrol::Site;
use crate::guest::Guest;
use crate::{CabinId, ConsultationId, Invitation, RefusalCode, SIGNAL_BYTES_MAX, Text, Ticket, Unreadable};

/// Most requests to call back in one list; those behind appear as the first ones are done.
pub const CALL_BACKS_MAX: usize = 100;

/// `POST /api/physician/sign-in`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Name of the account.
    pub account: Text<64>,
    /// Password.
    pub password: Text<256>,
    /// Six digits of the authenticator.
    pub code: Text<6>,
}

crate::opaque_debug!("secret": SignIn);

impl SignIn {
    /// Reads a body of at most 4 KiB.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, 4096)
    }
}

/// A cabin as the page shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CabinCard {
    /// The cabin.
    pub cabin_id: CabinId,
    /// Where it stands.
    pub site: Site,
    /// Connected to the desk now.
    pub online: bool,
    /// Last state said; absent until the cabin says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<SiteState>,
}

/// One line of the waiting list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingLine {
    /// Where.
    pub cabin_id: CabinId,
    /// The patient, as far as the waiting room may know.
    #[serde(flatten)]
    pub waiting: Waiting,
    /// How long the patient has waited, ms, by the desk's clock.
    pub waited_ms: u64,
    /// The cabin lost its connection a moment ago: it can be seen but not taken.
    pub cabin_lost: bool,
}

/// Who took something up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenBy {
    /// RPPS number.
    pub rpps: Text<11>,
    /// As patients see it.
    pub name: Text<128>,
}

/// A patient who could see no physician and asked to be called back: what the list may tell before one takes it up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBackLine {
    /// The consultation that ended so.
    pub consultation: ConsultationId,
    /// Where it was asked.
    pub place: Text<128>,
    /// Kind of reason, in words.
    pub reason: Text<128>,
    /// When it was asked, ms since 1970, by the cabin's clock.
    pub asked_at: i64,
    /// Who is ringing; absent until somebody takes it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<TakenBy>,
}

/// What the page says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromPage {
    /// First message.
    Hello {
        /// [`crate::VERSION`].
        version: u16,
    },
    /// Takes a patient; answered by `taken` or `too_late`.
    Take {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// An offer, for the cabin.
    Sdp(Sdp),
    /// A candidate, for the cabin.
    Candidate(Candidate),
    /// Asks the pharmacist to come into the cabin.
    HelpRequested {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// Ends the call. `given_back` lets the patient wait for another physician.
    End {
        /// The call.
        ticket: Ticket,
        /// Why.
        cause: EndCause,
    },
    /// Asks for an invitation to the third seat of the call, in place of any former one; answered by `guest_invited`.
    InviteGuest {
        /// The call.
        ticket: Ticket,
    },
    /// Lets the guest in. Say it once the cabin has acknowledged who they are: picture and sound follow.
    AdmitGuest {
        /// The guest's seat.
        ticket: Ticket,
    },
    /// Ends the guest's part, or takes the invitation back.
    DismissGuest {
        /// The call.
        ticket: Ticket,
    },
    /// Takes up a request to call back; answered by `call_back_taken` or `too_late`.
    TakeCallBack {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// Gives it back to the list: the patient was not reached.
    ReturnCallBack {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// The patient was called back: it leaves the list.
    FinishCallBack {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// Heartbeat.
    Ping {
        /// Any number.
        n: u32,
    },
    /// Answer to [`ToPage::Ping`].
    Pong {
        /// The number received.
        n: u32,
    },
}

/// What the desk says to the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToPage {
    /// Answer to `hello`.
    Welcome {
        /// [`crate::VERSION`].
        version: u16,
        /// Who is signed in, as patients will see it.
        physician: Physician,
        /// The desk pings this often, ms.
        heartbeat_ms: u32,
        /// How long a call waits for an end that lost its connection, ms.
        grace_ms: u32,
    },
    /// The page is refused; the connection closes.
    Refused {
        /// For programs.
        code: RefusalCode,
        /// For people: what to do.
        reason: Text<512>,
    },
    /// Everything, at the beginning: cabins and who waits, longest first.
    WaitingList {
        /// Every enrolled cabin.
        cabins: Vec<CabinCard>,
        /// Every patient who can be taken.
        waiting: Vec<WaitingLine>,
    },
    /// A patient came or something about one changed.
    WaitingChanged {
        /// The new line.
        line: WaitingLine,
    },
    /// A patient waits no more (taken by someone, or left).
    WaitingGone {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// Everybody who is to be called back, longest first, at the beginning and whenever that changes.
    CallBacks {
        /// At most [`CALL_BACKS_MAX`].
        lines: Vec<CallBackLine>,
        /// How many more there are.
        more: u32,
    },
    /// The request is this physician's, and of no other: the dossier can be read at `/api/physician/records/`.
    CallBackTaken {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// Something about second opinions changed: ask `GET /api/physician/second-opinions` what concerns this physician.
    SecondOpinionsChanged {},
    /// A cabin came, went or changed.
    CabinChanged {
        /// The cabin.
        cabin: CabinCard,
    },
    /// The patient is this physician's, and of no other. The patient is now asked.
    Taken {
        /// The consultation.
        consultation: ConsultationId,
        /// The call.
        ticket: Ticket,
        /// Where.
        cabin: CabinCard,
        /// What the waiting room knew.
        waiting: Waiting,
        /// Servers for `RTCPeerConnection`.
        ice_servers: Vec<IceServer>,
        /// The patient already accepted (a page that was reloaded): make the offer at once.
        accepted: bool,
    },
    /// Another physician was first, or the patient left.
    TooLate {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// The patient agrees: make the offer.
    PatientAccepted {
        /// The call.
        ticket: Ticket,
    },
    /// An answer, from the cabin.
    Sdp(Sdp),
    /// A candidate, from the cabin.
    Candidate(Candidate),
    /// The cabin asks for a new offer.
    RestartIce {
        /// The call.
        ticket: Ticket,
        /// The connection lives and only wants another path: ICE is restarted in it. Else the page dials anew.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        same_connection: bool,
    },
    /// The cabin lost its connection to the desk; the media may go on.
    CabinGone {
        /// The call.
        ticket: Ticket,
        /// How long the desk waits, ms.
        grace_ms: u32,
    },
    /// The cabin is back. If the media is gone too, make a new offer.
    CabinBack {
        /// The call.
        ticket: Ticket,
    },
    /// The patient asked for the pharmacist.
    HelpRequested {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// The pharmacist is coming.
    HelpAcknowledged {
        /// The consultation.
        consultation: ConsultationId,
    },
    /// An invitation to the third seat: the link is `https://desk.example/guest/#` and this. It is said once.
    GuestInvited {
        /// The call.
        ticket: Ticket,
        /// The secret.
        invitation: Invitation,
        /// How long it is good, ms.
        valid_ms: u32,
    },
    /// Who has the third seat: said when it is taken, at each change, and to a page that was reloaded.
    Guest {
        /// The call.
        ticket: Ticket,
        /// The guest's seat: `sdp`, `candidate` and `restart_ice` with this ticket are the guest's.
        seat: Ticket,
        /// Who, as they say.
        #[serde(flatten)]
        guest: Guest,
        /// The physician let them in.
        admitted: bool,
        /// Connected to the desk now; the media may go on without.
        online: bool,
    },
    /// The third seat is free again.
    GuestLeft {
        /// The call.
        ticket: Ticket,
    },
    /// The call is over.
    CallEnded {
        /// The call.
        ticket: Ticket,
        /// Who ended it.
        by: Party,
        /// Why.
        cause: EndCause,
    },
    /// Heartbeat.
    Ping {
        /// Any number.
        n: u32,
    },
    /// Answer to [`FromPage::Ping`].
    Pong {
        /// The number received.
        n: u32,
    },
    /// A message of the page was refused; the connection stays.
    Error {
        /// For programs.
        code: RefusalCode,
        /// For people.
        reason: Text<512>,
    },
}

impl FromPage {
    /// Reads one message.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, SIGNAL_BYTES_MAX)
    }

    /// The message as one WebSocket text frame.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

impl ToPage {
    /// Reads one message (for tests and other platforms). Its length is not limited: the desk is trusted by its page.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let message: Self = crate::read(text, 4 << 20)?;
        match &message {
            ToPage::Taken { ice_servers, .. } => check_ice(ice_servers).map(|()| message),
            _ => Ok(message),
        }
    }

    /// The message as one WebSocket text frame.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

/// Refuses a list of ICE servers above its limits.
pub(crate) fn check_ice(servers: &[IceServer]) -> Result<(), Unreadable> {
    if servers.len() > ICE_SERVERS_MAX || servers.iter().any(|server| server.urls.len() > ICE_URLS_MAX) {
        return Err(Unreadable::Forbidden("too many ICE servers"));
    }
    Ok(())
}
