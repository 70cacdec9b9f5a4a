//! Roche Accu-Chek Guide, Guide Me, Instant and Aviva Connect meters over their USB cable: glucose of capillary blood,
//! out of their store.
//!
//! Source: the open implementation of Tidepool (`uploader/lib/drivers/roche/accuChekUSB.js`), which is in use; the meter
//! speaks IEEE 11073-20601 with a configuration of its own. What is its own, and kept to here: it is answered with the
//! protocol version that it is used to, asked for its configuration each time, and its figures are mg/dL whatever its
//! screen shows, where it names no unit.
//!
//! A meter in its cable does not measure: the patient measures first, then plugs it in. One left plugged in for minutes
//! stops answering until it is plugged in again.

use crate::personal_health::manager::Manager;
use crate::personal_health::nomenclature as mdc;
use crate::personal_health::observation::Observation;
use crate::personal_health::taking::{Found, Kind, Taking};
use crate::{Protocol, glucose_phd};

static KIND: Kind = Kind { read, ..glucose_phd::KIND };

/// As Tidepool's program answers it.
const VERSION: u32 = 0x8000_0002;

/// A new one, before the port opens.
pub fn protocol() -> Box<dyn Protocol> {
    Box::new(Taking::with(&KIND, Manager::new(KIND.wants).answering(VERSION)))
}

fn read(observation: &Observation) -> Option<Found> {
    if observation.unit != 0 {
        return glucose_phd::read(observation);
    }
    glucose_phd::read(&Observation { unit: mdc::MG_PER_DL, ..observation.clone() })
}
