//! The screens' adapters: what the journey is, as properties; what people touch, as inputs.
//!
//! One file a step. `show` sets the properties of the screen that is drawn; `connect` answers its callbacks. Words are
//! in `ui`; no file here builds a sentence, and none decides anything about the patient.

pub mod patient;
mod pharmacist;
mod second_opinion;
mod technician;

use consult::dossier::{Contrast, Language, Presentation, TextSize};
use consult::journey::{Act, CallLine, Help, Inactivity, Input, Step};
use drivers::ports::system_clock;
use slint::{ComponentHandle as _, Model as _, ModelRc, VecModel};
use ui::{App, Bar, DeskReach, HelpAdapter, HelpState, LineQuality, NotKeptAdapter, Overlay, Screen, StepName, Theme};

use crate::drafts::{DoctorPage, IdentityPage, ReasonPage};
use crate::run_loop::{Cabin, Front, Over, with};
use crate::second_opinion::Page;

/// Connects every callback, once.
pub fn connect(app: &App) {
    ui::connect(app);
    let bar = app.global::<Bar>();
    bar.on_help(|| {
        with(|cabin| {
            cabin.leave_sign_in();
            cabin.help_hidden = false;
            cabin.input(Input::HelpAsked);
        })
    });
    bar.on_emergency(|| {
        with(|cabin| {
            // Whoever touched it sees the numbers, over any screen of the pharmacist's.
            cabin.front = Front::Patient;
            cabin.over = Over::Nothing;
            cabin.input(Input::EmergencyAsked);
        })
    });
    bar.on_listen(|_| with(Cabin::listen));
    bar.on_bigger_text(|| {
        with(|cabin| {
            cabin.present(|presentation| {
                presentation.text_size = match presentation.text_size {
                    TextSize::Normal => TextSize::Large,
                    TextSize::Large => TextSize::VeryLarge,
                    TextSize::VeryLarge => TextSize::Normal,
                };
            })
        })
    });
    bar.on_contrast(|| {
        with(|cabin| {
            cabin.present(|presentation| {
                presentation.contrast = match presentation.contrast {
                    Contrast::Normal => Contrast::High,
                    Contrast::High => Contrast::Dark,
                    Contrast::Dark => Contrast::Normal,
                };
            })
        })
    });
    bar.on_lower(|| with(|cabin| cabin.present(|presentation| presentation.lower = !presentation.lower)));
    bar.on_leave(|| {
        with(|cabin| match cabin.journey.step() {
            // With the code in hand nothing is forgotten: there is nothing to ask.
            Step::ComeBack => {
                cabin.input(Input::Continued);
            }
            _ => cabin.over = Over::Leave,
        })
    });
    bar.on_back(|| with(Cabin::back));
    bar.on_open_languages(|| with(|cabin| cabin.over = Over::Languages));
    bar.on_close_overlay(|| with(|cabin| cabin.over = Over::Nothing));
    bar.on_choose_language(|code| {
        with(|cabin| {
            cabin.over = Over::Nothing;
            if let Some(language) = Language::from_code(&code) {
                cabin.present(|presentation| presentation.language = language);
            }
        })
    });
    bar.on_pharmacist(|| with(Cabin::open_sign_in));
    bar.on_touched(|| {
        with(|cabin| {
            cabin.voice.stop();
            cabin.pharmacist_touched();
            cabin.room.touched();
            cabin.input(Input::Touched);
        })
    });
    patient::connect(app);
    pharmacist::connect(app);
    technician::connect(app);
    second_opinion::connect(app);
}

/// Draws the cabin as it is.
pub fn show(cabin: &mut Cabin) {
    let app = cabin.app.clone_strong();
    presentation(&app, cabin);
    let bar = app.global::<Bar>();
    let screen = screen(cabin);
    bar.set_step(step_name(cabin, screen));
    bar.set_line(line(cabin));
    bar.set_back_possible(cabin.can_go_back());
    bar.set_patient_present(cabin.journey.dossier().is_some() && cabin.front == Front::Patient);
    bar.set_help_pending(matches!(cabin.journey.help(), Help::Called { .. }));
    bar.set_speaking(cabin.voice.is_speaking());
    patient::show(&app, cabin, screen);
    if let Some(draft) = &cabin.drafts.opinion {
        second_opinion::show(&app, cabin, draft);
    }
    match cabin.front {
        Front::Patient => {}
        Front::SignIn | Front::Space | Front::IdentityCheck | Front::MorningCheck => pharmacist::show(&app, cabin),
        Front::Technician => technician::show(&app, cabin),
        Front::Binding => technician::show_binding(&app, cabin),
        Front::Opinions => second_opinion::show_list(&app, cabin),
    }
    // Last, so that a screen never appears with the figures of another.
    bar.set_screen(screen);
    bar.set_overlay(overlay(&app, cabin));
}

/// The words of the screen, to be read aloud.
pub fn words(app: &App) -> String {
    app.global::<Bar>().get_spoken().to_string()
}

/// Takes every word and picture of the patient off the screens.
pub fn forget(app: &App) {
    app.global::<Bar>().set_spoken(slint::SharedString::default());
    patient::forget(app);
    pharmacist::forget(app);
    second_opinion::forget(app);
    app.invoke_forget_typed();
}

/// Takes what the pharmacist read of former patients off the screen.
pub fn forget_opinions(app: &App) {
    second_opinion::forget_list(app);
    app.invoke_forget_typed();
}

/// Sets a list only when it has changed: a new model would draw every row again.
fn list<T: Clone + PartialEq + 'static>(now: &ModelRc<T>, wanted: Vec<T>, set: impl FnOnce(ModelRc<T>)) {
    if now.row_count() != wanted.len() || !now.iter().eq(wanted.iter().cloned()) {
        set(ModelRc::new(VecModel::from(wanted)));
    }
}

fn presentation(app: &App, cabin: &Cabin) {
    // The pharmacist's and the technician's screens are theirs: not in the patient's language, letters or contrast.
    let of_the_place = || Presentation {
        language: Language::from_code(&cabin.settings.language).unwrap_or(Language::FRENCH),
        ..Presentation::default()
    };
    let shown = if cabin.front == Front::Patient { cabin.journey.presentation() } else { of_the_place() };
    let Presentation { language, text_size, contrast, lower, .. } = shown;
    let bar = app.global::<Bar>();
    let code = language.code();
    if bar.get_language() != code
        && let Err(unknown) = ui::select_language(app, code)
    {
        tracing::warn!(%unknown, "the screen keeps its language");
    }
    let theme = app.global::<Theme>();
    theme.set_text_scale(match text_size {
        TextSize::Normal => ui::TEXT_SCALES[0],
        TextSize::Large => ui::TEXT_SCALES[1],
        TextSize::VeryLarge => ui::TEXT_SCALES[2],
    });
    theme.set_high_contrast(contrast == Contrast::High);
    theme.set_dark(contrast == Contrast::Dark);
    theme.set_lower(lower);
}

/// Which screen is drawn.
fn screen(cabin: &Cabin) -> Screen {
    match cabin.front {
        Front::SignIn => return Screen::SignIn,
        Front::Space => return Screen::PharmacistSpace,
        Front::IdentityCheck => return Screen::IdentityCheck,
        Front::MorningCheck => return Screen::MorningCheck,
        Front::Technician => return Screen::Technician,
        Front::Binding => return Screen::Binding,
        Front::Opinions if cabin.opinions.read.is_some() => return Screen::OpinionRead,
        Front::Opinions => return Screen::Opinions,
        Front::Patient => {}
    }
    if cabin.journey.emergency().is_some() {
        return Screen::Emergency;
    }
    if let Some(guided) = cabin.guided() {
        if cabin.drafts.skipping.is_some() {
            return Screen::SkipReason;
        }
        return match guided.act {
            Act::Place { .. } => Screen::MeasurePlace,
            Act::Measuring { .. } | Act::CheckCable { .. } => Screen::Measuring,
            Act::Review { .. } => Screen::MeasureReview,
        };
    }
    match cabin.journey.step() {
        Step::Closed => Screen::Closed,
        Step::Welcome if cabin.drafts.coming_back.is_some() => Screen::ComeBackEntry,
        Step::Welcome => Screen::Welcome,
        Step::Reason => match cabin.drafts.reason.page {
            ReasonPage::Kind => Screen::Reason,
            ReasonPage::Part => Screen::BodyPart,
            ReasonPage::Words => Screen::ReasonWords,
        },
        Step::WarningSigns => Screen::WarningSigns,
        Step::Identity => match cabin.drafts.identity.page {
            IdentityPage::BirthName if cabin.code_camera.is_some() => Screen::CodeCamera,
            IdentityPage::BirthName if cabin.offers_not_to_type() => Screen::VitaleCard,
            IdentityPage::BirthName => Screen::BirthName,
            IdentityPage::GivenNames => Screen::GivenNames,
            IdentityPage::Sex => Screen::Sex,
            IdentityPage::BirthDate => Screen::BirthDate,
            IdentityPage::BirthPlace => Screen::BirthPlace,
            IdentityPage::Matricule => Screen::Matricule,
            IdentityPage::Review => Screen::IdentityReview,
        },
        Step::UsualDoctor => match cabin.drafts.doctor.page {
            DoctorPage::HasOne => Screen::HasUsualDoctor,
            DoctorPage::Name => Screen::UsualDoctorName,
            DoctorPage::Town => Screen::UsualDoctorTown,
            DoctorPage::Phone => Screen::CallbackPhone,
        },
        Step::InformationConsent { .. } => Screen::Consent,
        // Guided measurements were answered above.
        Step::Measurement(_) => Screen::MeasurePlace,
        Step::WaitingRoom { .. } if cabin.drafts.calling_back => Screen::CallBack,
        Step::WaitingRoom { .. } if cabin.drafts.opinion.is_some() => opinion(cabin),
        Step::WaitingRoom { .. } => Screen::WaitingRoom,
        Step::ComeBack => Screen::ComeBack,
        Step::MeetPhysician { .. } => Screen::MeetPhysician,
        Step::Call { .. } => Screen::Call,
        Step::Documents { .. } => Screen::Documents,
        Step::Storing { .. } if cabin.journey.dossier().is_some_and(|dossier| dossier.come_back.is_some()) => {
            Screen::ComeBack
        }
        Step::Questionnaire | Step::Storing { .. } => Screen::Questionnaire,
        Step::Forgotten { .. } => Screen::Forgotten,
        Step::Cleaning => Screen::Cleaning,
    }
}

/// Of the request that is being written.
fn opinion(cabin: &Cabin) -> Screen {
    match cabin.drafts.opinion.as_ref().map(|draft| draft.page) {
        None => Screen::WaitingRoom,
        Some(Page::Specialty) => Screen::OpinionSpecialty,
        Some(Page::Text(_)) => Screen::OpinionField,
        Some(Page::Pictures) => Screen::OpinionPictures,
        Some(Page::Consent) => Screen::OpinionConsent,
    }
}

fn step_name(cabin: &Cabin, screen: Screen) -> StepName {
    if cabin.front != Front::Patient || screen == Screen::Emergency {
        return StepName::None;
    }
    match cabin.journey.step() {
        Step::Closed | Step::Welcome | Step::Forgotten { .. } | Step::Cleaning => StepName::None,
        Step::Reason | Step::WarningSigns => StepName::Reason,
        Step::Identity | Step::UsualDoctor | Step::InformationConsent { .. } => StepName::Identity,
        Step::Measurement(_) => StepName::Measures,
        Step::WaitingRoom { .. } | Step::ComeBack | Step::MeetPhysician { .. } | Step::Call { .. } => {
            StepName::Physician
        }
        Step::Documents { .. } | Step::Questionnaire | Step::Storing { .. } => StepName::WrapUp,
    }
}

fn line(cabin: &Cabin) -> LineQuality {
    match cabin.journey.step() {
        Step::Call { line: CallLine::Interrupted { .. }, .. } => return LineQuality::Cut,
        // Picture and sound go directly: the exchange goes on while the desk is away.
        Step::Call { line: CallLine::Connected, .. } => {}
        _ if !cabin.desk.up => return LineQuality::Cut,
        _ => {}
    }
    match cabin.call_stats {
        // A dead relay: the connection only looks for another way, and nothing comes meanwhile.
        Some(stats) if stats.received_bits_per_second == 0 => LineQuality::Cut,
        Some(stats) if stats.lost_thousandths >= 60 => LineQuality::Weak,
        Some(stats) if stats.lost_thousandths >= 20 => LineQuality::Medium,
        _ => LineQuality::Good,
    }
}

fn overlay(app: &App, cabin: &Cabin) -> Overlay {
    // Over the pharmacist's screens too: time forgets the patient whoever is in front.
    if matches!(cabin.journey.inactivity(), Inactivity::Warned { .. }) {
        return Overlay::Inactivity;
    }
    match cabin.front {
        Front::Patient => {}
        Front::Space if cabin.over == Over::Close => return Overlay::CloseCabin,
        _ => return Overlay::None,
    }
    let help = app.global::<HelpAdapter>();
    help.set_bell_broken(crate::bell::is_broken());
    help.set_answers_kept(!cabin.outbox_failed);
    app.global::<NotKeptAdapter>().set_bell_broken(crate::bell::is_broken());
    match cabin.journey.help() {
        Help::Called { alarmed_at, .. } => {
            help.set_state(if alarmed_at.is_some() { HelpState::Unanswered } else { HelpState::Calling });
        }
        Help::Answered { by } => {
            help.set_state(HelpState::Coming);
            help.set_pharmacist_name(by.name.as_str().into());
        }
        Help::NotAsked => {}
    }
    // The emergency screen says itself that the pharmacist is called.
    let emergency = cabin.journey.emergency().is_some();
    let identity = matches!(cabin.journey.step(), Step::Identity) && !emergency;
    match cabin.over {
        Over::Leave => Overlay::Leave,
        Over::HangUp if matches!(cabin.journey.step(), Step::Call { .. }) => Overlay::HangUp,
        Over::Languages => Overlay::Languages,
        _ if cabin.help_is_asked() && !cabin.help_hidden && !emergency => Overlay::Help,
        _ if cabin.is_stopped_by_outbox() => Overlay::NotKept,
        Over::Replace if identity && cabin.drafts.identity.scanned.is_some() => Overlay::ReplaceIdentity,
        Over::CodeRefused(_) if identity => Overlay::CodeRefused,
        _ => Overlay::None,
    }
}

/// Whether physicians can be reached.
fn desk_reach(cabin: &Cabin) -> DeskReach {
    match (cabin.desk.up, cabin.desk.refused, &cabin.identity) {
        (true, ..) => DeskReach::Reached,
        (false, _, None) => DeskReach::NotJoined,
        (false, true, _) => DeskReach::Refused,
        (false, false, _) => DeskReach::Lost,
    }
}

impl Cabin {
    /// Whether the patient cannot go on because answers are not kept. Where nothing is asked of the patient, or the
    /// emergency numbers are shown, the pharmacist alone is told.
    fn is_stopped_by_outbox(&self) -> bool {
        let at_rest = matches!(
            self.journey.step(),
            Step::Closed
                | Step::Documents { .. }
                | Step::Questionnaire
                | Step::Storing { .. }
                | Step::Forgotten { .. }
                | Step::Cleaning
        );
        // Two people who talk are not interrupted: what the physician hands over says itself that it was not kept.
        let talking = matches!(self.journey.step(), Step::Call { guided: None, .. });
        self.outbox_failed && !at_rest && !talking && self.journey.emergency().is_none()
    }

    /// The patient's screens again, when only the sign-in is before them.
    fn leave_sign_in(&mut self) {
        if self.front == Front::SignIn {
            self.front = Front::Patient;
        }
    }

    /// Reads aloud, or stops.
    pub fn listen(&mut self) {
        if self.voice.is_speaking() {
            self.voice.stop();
        } else if !self.input(Input::ListenAsked) {
            // Screens without a patient can be heard too.
            self.speak();
        }
    }

    /// Changes how the screen speaks to this patient.
    pub fn present(&mut self, change: impl FnOnce(&mut Presentation)) {
        let mut presentation = self.journey.presentation();
        change(&mut presentation);
        self.input(Input::PresentationChosen(presentation));
    }

    /// Seconds until the patient is taken to be gone.
    pub fn seconds_left(&self) -> i32 {
        match self.journey.inactivity() {
            Inactivity::Warned { forgets_at } => {
                i32::try_from(forgets_at.millis_since(system_clock()).div_ceil(1_000)).unwrap_or(i32::MAX)
            }
            Inactivity::Active => 0,
        }
    }
}
