//! What Contec's oximeters say sixty times a second in either of their protocols: a sample of the curve, and figures
//! without a checksum. These are looked at three times a second and count only when two packets in a row say the same.

use crate::oximetry::{FIGURES_HZ, Oximetry};
use crate::{Absent, Status};

/// Packets a second, as the maker says; 58 to 62 were seen.
pub(crate) const RATE_HZ: u16 = 60;
/// Figures are looked at every so many packets.
pub(crate) const FIGURES_EVERY: u32 = RATE_HZ as u32 / FIGURES_HZ as u32;
/// Largest sample of the curve.
pub(crate) const FULL_SCALE: u16 = 127;
/// The device's mark of an absent pulse.
const PULSE_ABSENT: u8 = 0xFF;
/// The device's mark of an absent saturation.
const SPO2_ABSENT: u8 = 0x7F;

/// One packet, whatever its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    /// 0 to [`FULL_SCALE`].
    pub(crate) sample: u8,
    pub(crate) finger_out: bool,
    pub(crate) searching: bool,
    pub(crate) spo2: u8,
    pub(crate) pulse: u8,
    /// Hundredths of a percent.
    pub(crate) perfusion: Option<u16>,
}

/// The stream as far as it has come.
#[derive(Default)]
pub(crate) struct ContecStream {
    former: Option<Packet>,
    packets: u32,
}

impl ContecStream {
    /// What follows does not follow on what was.
    pub(crate) fn clear(&mut self) {
        self.former = None;
    }

    pub(crate) fn packet(&mut self, packet: Packet, oximetry: &mut Oximetry) {
        let Packet { sample, finger_out, searching, spo2, pulse, perfusion } = packet;
        let former = self.former.replace(packet);
        if !finger_out {
            oximetry.sample(sample.into(), FULL_SCALE);
        }
        self.packets = self.packets.wrapping_add(1);
        if !self.packets.is_multiple_of(FIGURES_EVERY) {
            return;
        }
        oximetry.flush(FULL_SCALE);
        if finger_out {
            return oximetry.no_figures(Status::FingerOut, Absent::SensorOff);
        }
        if searching || pulse == PULSE_ABSENT || spo2 == SPO2_ABSENT {
            return oximetry.no_figures(Status::Searching, Absent::NotTracked);
        }
        // Two that differ: between two beats, or a bit that tipped over on the line. The next packets say which.
        let Some(former) = former.filter(|former| (former.spo2, former.pulse) == (spo2, pulse)) else { return };
        let perfusion = perfusion.filter(|_| former.perfusion == perfusion);
        oximetry.figures(spo2, pulse.into(), perfusion, None, false);
    }
}
