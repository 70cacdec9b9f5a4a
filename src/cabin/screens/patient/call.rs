//! Waiting room, meeting the physician, the call.

use call::Frame;
use consult::dossier::{Dossier, Phone};
use consult::journey::{CallLine, Input, Step};
use consult::vitals::{Measurement, Moment};
use drivers::fixtures::door_contact::Door;
use drivers::ports::system_clock;
use slint::{ComponentHandle as _, ModelRc, SharedString};
use ui::{
    App, CallAdapter, CallBackAdapter, CallNotice, DeskReach, MeetPhysicianAdapter, WaitingRoomAdapter, WaitingState,
    WrittenLine,
};

use super::super::{desk_reach, list};
use super::answers::cut;
use crate::conversation::WRITTEN_CHARS_MAX;
use crate::physician_link::Picture;
use crate::run_loop::{Cabin, Over, with};
use crate::words;

/// How long a third person's coming, or going, is told beside the name that stays, ms.
const GUEST_TOLD_MS: u64 = 20_000;
/// What was written is shown so far back.
const LINES_SHOWN: usize = 5;

pub(super) fn connect(app: &App) {
    let meet = app.global::<MeetPhysicianAdapter>();
    meet.on_accept(|| {
        with(|cabin| {
            // With the desk away nobody can be met: the waiting room says so, and what may be done instead. The desk offers
            // the same call again when it is back.
            let accepted = cabin.desk.up && cabin.input(Input::PhysicianAccepted);
            if !accepted && !cabin.desk.up {
                cabin.input(Input::PhysicianWithdrawn);
            }
        })
    });
    meet.on_decline(|| {
        with(|cabin| {
            cabin.input(Input::PhysicianDeclined);
        })
    });

    app.global::<WaitingRoomAdapter>().on_call_back(|| with(|cabin| cabin.drafts.calling_back = true));
    app.global::<CallBackAdapter>().on_ask(|| with(Cabin::ask_call_back));

    let adapter = app.global::<CallAdapter>();
    adapter.on_toggle_microphone(|| {
        with(|cabin| {
            cabin.muted.0 = !cabin.muted.0;
            cabin.mute();
            let said = if cabin.muted.0 { "Le patient a coupé son micro." } else { "Le patient a remis son micro." };
            cabin.tell_physician(said);
        })
    });
    adapter.on_toggle_camera(|| {
        with(|cabin| {
            cabin.muted.1 = !cabin.muted.1;
            cabin.mute();
            let said = if cabin.muted.1 { "Le patient a coupé sa caméra." } else { "Le patient a remis sa caméra." };
            cabin.tell_physician(said);
        })
    });
    adapter.on_toggle_writing(|| {
        with(|cabin| {
            let conversation = &mut cabin.drafts.conversation;
            conversation.is_open = !conversation.is_open;
        })
    });
    let weak = app.as_weak();
    adapter.on_draft_edited(move |text| {
        if let Some(app) = weak.upgrade()
            && text.chars().count() > WRITTEN_CHARS_MAX
        {
            app.global::<CallAdapter>().set_draft(cut(&text, WRITTEN_CHARS_MAX).into());
        }
    });
    let weak = app.as_weak();
    adapter.on_send(move |text| {
        with(|cabin| {
            let adapter = weak.upgrade();
            let adapter = adapter.as_ref().map(|app| app.global::<CallAdapter>());
            // Blanks are nothing to send, and not to be kept.
            if (cabin.write_to_physician(&text) || text.trim().is_empty())
                && let Some(adapter) = adapter.filter(|adapter| adapter.get_draft() == text)
            {
                adapter.set_draft(SharedString::default());
            }
        })
    });
    adapter.on_end(|| with(|cabin| cabin.over = Over::HangUp));
}

pub(super) fn show(app: &App, cabin: &Cabin) {
    let Some(dossier) = cabin.journey.dossier() else { return };
    match cabin.journey.step() {
        Step::WaitingRoom { news } => {
            let waiting = app.global::<WaitingRoomAdapter>();
            waiting.set_state(waiting_state(cabin));
            waiting.set_call_back_possible(cabin.may_be_called_back());
            waiting.set_come_back_possible(cabin.may_come_back());
            waiting.set_position(news.ahead.map_or(1, |ahead| i32::from(ahead) + 1));
            waiting.set_estimate_minutes(news.wait_minutes.map_or(0, i32::from));
            if let Some(since) = dossier.waits_since() {
                waiting.set_since(words::screen_time(since));
            }
        }
        Step::MeetPhysician { physician } => {
            let meet = app.global::<MeetPhysicianAdapter>();
            meet.set_name(physician.name.as_str().into());
            meet.set_speciality(physician.speciality.as_str().into());
            meet.set_rpps(physician.rpps.to_string().into());
            meet.set_town(physician.town.as_str().into());
            meet.set_fee_text(cabin.desk.fee_text.as_str().into());
            meet.set_fee_cents(i32::try_from(physician.fee_cents).unwrap_or(i32::MAX));
        }
        Step::Call { line, .. } => in_call(app, cabin, dossier, *line),
        _ => {}
    }
}

fn waiting_state(cabin: &Cabin) -> WaitingState {
    match (desk_reach(cabin), cabin.desk.physicians) {
        (DeskReach::Refused | DeskReach::NotJoined, _) => WaitingState::Refused,
        (DeskReach::Lost, _) => WaitingState::LineCut,
        (DeskReach::Reached, 0) => WaitingState::NoPhysician,
        (DeskReach::Reached, _) => WaitingState::Waiting,
    }
}

/// What whoever waits may do instead, where no physician can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instead {
    /// Be called back.
    pub call_back: bool,
    /// Leave with a code and come back: nothing of it leaves the cabin.
    pub come_back: bool,
    /// Have a specialist asked.
    pub opinion: bool,
}

impl Instead {
    fn of(reach: DeskReach, physicians: u16) -> Self {
        match (reach, physicians) {
            (DeskReach::Reached, 1..) => Instead { call_back: false, come_back: false, opinion: false },
            (DeskReach::Reached, 0) | (DeskReach::Lost, _) => {
                Instead { call_back: true, come_back: true, opinion: true }
            }
            // The record goes once a person has mended it: nobody can say when one would ring.
            (DeskReach::Refused, _) => Instead { call_back: false, come_back: true, opinion: true },
            // The answer to a cabin without a name would find no way back to it.
            (DeskReach::NotJoined, _) => Instead { call_back: false, come_back: true, opinion: false },
        }
    }
}

fn in_call(app: &App, cabin: &Cabin, dossier: &Dossier, line: CallLine) {
    let adapter = app.global::<CallAdapter>();
    if let Some(physician) = dossier.physician() {
        adapter.set_physician_name(physician.name.as_str().into());
        adapter.set_physician_speciality(physician.speciality.as_str().into());
        adapter.set_physician_rpps(physician.rpps.to_string().into());
        adapter.set_physician_town(physician.town.as_str().into());
    }
    let attendance = dossier.guests.last();
    adapter.set_guest_present(dossier.guest().is_some());
    if let Some(attendance) = attendance {
        adapter.set_guest_name(attendance.guest.name.reveal().into());
        adapter.set_guest_role(words::screen_guest_role(attendance.guest.role));
    }
    let latest = Measurement::ALL.into_iter().filter_map(|measurement| dossier.last_kept(measurement));
    let values: Vec<_> = latest.flat_map(|kept| kept.readings.iter().map(|reading| &reading.value)).collect();
    let mut figures = words::screen_figures(values);
    // The oximeter's and the cuff's pulse are one figure on this screen: the first is the oximeter's.
    let mut seen = Vec::new();
    figures.retain(|figure| {
        let fresh = !seen.contains(&figure.kind);
        seen.push(figure.kind);
        fresh
    });
    list(&adapter.get_figures(), figures, |rows| adapter.set_figures(rows));
    // One line at a time, the worst first: without the camera the patient sees a crossed camera, too.
    let missing = |wanted: fn(&call::Fault) -> bool| cabin.call_faults.iter().any(wanted);
    adapter.set_notice(match line {
        CallLine::Connecting => CallNotice::Connecting,
        CallLine::Interrupted { .. } => CallNotice::LineCut,
        CallLine::Connected if cabin.call_stats.is_some_and(|stats| stats.received_bits_per_second == 0) => {
            CallNotice::LineCut
        }
        CallLine::Connected
            if missing(|fault| matches!(fault, call::Fault::NoMicrophone | call::Fault::MicrophoneLost { .. })) =>
        {
            CallNotice::MicrophoneMissing
        }
        CallLine::Connected
            if missing(|fault| matches!(fault, call::Fault::NoLoudspeaker | call::Fault::LoudspeakerLost { .. })) =>
        {
            CallNotice::LoudspeakerMissing
        }
        CallLine::Connected
            if missing(|fault| matches!(fault, call::Fault::NoCamera | call::Fault::CameraLost { .. })) =>
        {
            CallNotice::CameraMissing
        }
        CallLine::Connected if guest_news(dossier, system_clock()) != CallNotice::None => {
            guest_news(dossier, system_clock())
        }
        CallLine::Connected if cabin.call_stats.is_some_and(|stats| stats.lost_thousandths >= 60) => {
            CallNotice::LineWeak
        }
        CallLine::Connected if cabin.room.door == Some(Door::Open) => CallNotice::DoorOpen,
        CallLine::Connected => CallNotice::None,
    });
    // Switched off in the configuration: shown as closed, whatever is touched.
    let (microphone, camera) = cabin.muted;
    adapter.set_camera_open(!camera && cabin.settings.call.video_source != call::VideoSource::Off);
    adapter.set_microphone_open(!microphone && cabin.settings.call.audio_source != call::AudioSource::Off);
    adapter.set_message(dossier.notice.reveal().into());
    let conversation = &cabin.drafts.conversation;
    adapter.set_writing(conversation.is_open);
    let last = conversation.lines().rev().take(LINES_SHOWN).map(|line| WrittenLine {
        mine: line.is_patients,
        text: line.text.reveal().into(),
        arrived: line.arrived,
    });
    let mut last: Vec<_> = last.collect();
    last.reverse();
    list(&adapter.get_lines(), last, |rows| adapter.set_lines(rows));
}

/// Whether a third person has just come, or just gone.
fn guest_news(dossier: &Dossier, now: Moment) -> CallNotice {
    let just = |at: Moment| now.millis_since(at) < GUEST_TOLD_MS;
    match dossier.guests.last().map(|attendance| (attendance.came_at, attendance.left_at)) {
        Some((came_at, None)) if just(came_at) => CallNotice::GuestHere,
        Some((_, Some(left_at))) if just(left_at) => CallNotice::GuestGone,
        _ => CallNotice::None,
    }
}

pub(super) fn forget(app: &App) {
    let adapter = app.global::<CallAdapter>();
    adapter.set_message(SharedString::default());
    adapter.set_guest_present(false);
    adapter.set_guest_name(SharedString::default());
    adapter.set_draft(SharedString::default());
    adapter.set_lines(ModelRc::default());
    adapter.set_writing(false);
    adapter.set_figures(ModelRc::default());
    adapter.set_microphone_open(true);
    adapter.set_camera_open(true);
    picture(app, Picture::Remote, None);
    picture(app, Picture::Own, None);
}

/// Draws a picture of the call; `None` takes it away.
pub fn picture(app: &App, picture: Picture, frame: Option<Frame>) {
    let adapter = app.global::<CallAdapter>();
    let present = frame.is_some();
    match picture {
        Picture::Remote => {
            let former = adapter.get_remote_picture();
            adapter.set_remote_picture(slint::Image::default());
            adapter.set_remote_picture(super::image(frame.as_ref(), former));
            adapter.set_remote_picture_present(present);
        }
        Picture::Own => {
            let former = adapter.get_own_picture();
            adapter.set_own_picture(slint::Image::default());
            adapter.set_own_picture(super::image(frame.as_ref(), former));
            adapter.set_own_picture_present(present);
        }
    }
}

impl Cabin {
    /// What may be done here instead of waiting on, by where the desk and its physicians are.
    pub(crate) fn instead(&self) -> Instead {
        Instead::of(desk_reach(self), self.desk.physicians)
    }

    /// No physician can be reached now: whoever waits may be called back instead.
    pub(crate) fn may_be_called_back(&self) -> bool {
        self.instead().call_back && self.settings.call_back && self.journey.may_ask_call_back()
    }

    /// The patient leaves. With the code in hand nothing is forgotten, and the code holds.
    pub(crate) fn leave_for_good(&mut self) {
        let leaves = if *self.journey.step() == Step::ComeBack { Input::Continued } else { Input::Left };
        self.input(leaves);
    }

    fn ask_call_back(&mut self) {
        if let Ok(phone) = Phone::parse(&self.drafts.doctor.phone) {
            self.input(Input::CallBackAsked(phone));
        }
    }

    /// Passes on what the patient switched off.
    fn mute(&self) {
        if let Some(physician) = &self.physician {
            physician.mute(self.muted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patient_of_a_cabin_that_the_desk_refuses_may_leave_with_a_code_and_a_specialist_may_be_asked() {
        let ways = |reach, physicians| {
            let Instead { call_back, come_back, opinion } = Instead::of(reach, physicians);
            (call_back, come_back, opinion)
        };
        assert_eq!(ways(DeskReach::Reached, 1), (false, false, false), "a physician comes");
        assert_eq!(ways(DeskReach::Reached, 0), (true, true, true));
        assert_eq!(ways(DeskReach::Lost, 3), (true, true, true));
        assert_eq!(ways(DeskReach::Refused, 0), (false, true, true), "no call is promised");
        assert_eq!(ways(DeskReach::NotJoined, 0), (false, true, false));
    }
}
