// French words for the codes of the protocol. A code that is not here is shown as it is: better than nothing.

const WORDS = {
  reason: {
    fever: "Fièvre, fatigue", breathing: "Toux, respiration", ear_nose_throat: "Oreille, nez, gorge", ear: "Oreille",
    throat: "Gorge", skin: "Peau, blessure", urinary: "Brûlures en urinant", renewal: "Renouveler un traitement",
    back_joints: "Dos, articulations", mood_sleep: "Moral, sommeil", other: "Autre chose",
  },
  body_part: {
    head: "tête", eyes: "yeux", ear_nose_throat: "oreille, nez, gorge", chest: "poitrine", back: "dos", belly: "ventre",
    arm_hand: "bras, main", leg_foot: "jambe, pied", whole_body: "tout le corps", throat: "gorge",
  },
  document_seen: {
    passport: "passeport vu", identity_card: "carte d’identité vue", residence_permit: "titre de séjour vu",
    birth_certificate: "acte de naissance vu", family_booklet: "livret de famille vu",
  },
  // Every key of `drivers::MODELS`, and what the cabin's instruments are called (a test of `drivers` compares).
  device: {
    oximeter_nonin: "Nonin", oximeter_contec: "Contec", oximeter_bci: "Contec", oximeter_phd: "oxymètre certifié",
    oximeter_taidoc: "TaiDoc", blood_pressure_suntech: "SunTech", blood_pressure_phd: "tensiomètre certifié",
    blood_pressure_taidoc: "TaiDoc", blood_pressure_omron: "Omron", blood_pressure_microlife_ascii: "Microlife",
    blood_pressure_microlife_m: "Microlife", blood_pressure_contec_08a: "Contec 08A",
    scale_health_o_meter: "Health o meter", scale_tanita: "Tanita", scale_mt_sics: "Mettler Toledo",
    scale_st_gs: "balance ST,GS", scale_phd: "balance certifiée",
    scale_usb_hid: "pèse-colis, pas pour un diagnostic", thermometer_taidoc: "TaiDoc",
    thermometer_phd: "thermomètre certifié", glucose_taidoc: "TaiDoc", glucose_accu_chek: "Accu-Chek",
    glucose_phd: "lecteur certifié", ecg_cyton: "OpenBCI Cyton, recherche, pas pour un diagnostic",
    ecg_healthypi5: "HealthyPi 5, recherche, pas pour un diagnostic", ecg_contec_ecg90a: "Contec ECG90A",
    ecg_pc80b: "PC-80B", otoscope_uvc: "otoscope", dermatoscope_uvc: "dermatoscope", stethoscope_uac: "stéthoscope",
  },
  language: { fr: "français", en: "anglais", ar: "arabe", de: "allemand", es: "espagnol", pt: "portugais", tr: "turc", uk: "ukrainien" },
  measurement: {
    oxygen_and_pulse: "Oxygène et pouls", blood_pressure: "Tension", weight_and_height: "Poids et taille",
    temperature: "Température", glucose: "Glycémie", ecg: "Électrocardiogramme",
    ear_picture: "Image de l’oreille", skin_picture: "Image de la peau", auscultation: "Écoute du cœur et des poumons",
  },
  body_site: {
    right_ear: "droite", left_ear: "gauche", heart: "cœur", right_lung: "poumon droit", left_lung: "poumon gauche",
    head: "tête", chest: "poitrine", back: "dos ou cou", belly: "ventre", arm_hand: "bras ou main", leg_foot: "jambe ou pied",
  },
  quantity: {
    spo2: "Oxygène", pulse_rate: "Pouls", systolic: "Tension", diastolic: "Tension", mean_pressure: "Moyenne",
    weight: "Poids", height: "Taille", temperature: "Température", pulse_rate_cuff: "Pouls au bras",
    glucose_mass: "Glycémie", glucose_moles: "Glycémie", perfusion_index: "Indice de perfusion", ecg: "Électrocardiogramme",
    ear_picture: "Image de l’oreille", skin_picture: "Image de la peau", auscultation: "Cœur et poumons",
  },
  unit: { "%": "%", "/min": "/min", "mm[Hg]": "mmHg", g: "kg", mm: "cm", Cel: "°C", "mg/dL": "mg/dL", "mmol/L": "mmol/L", ms: "s" },
  incident: {
    network_lost: "Réseau de la cabine coupé", call_interrupted: "Échange interrompu", device_lost: "Appareil débranché",
    without_device: "Ouverte sans appareil exigé", cabin_restarted: "Cabine redémarrée", without_picture: "Sans image pour l’essentiel",
    broken_off: "N’a pas eu lieu en entier",
  },
  device_class: { stethoscope: "stéthoscope", otoscope: "otoscope", oximeter: "oxymètre", cuff: "tensiomètre" },
  progress: {
    requested: "demandée au patient", placing: "le patient se place", measuring: "mesure en cours", kept: "gardée",
    skipped: "passée", fault: "appareil à vérifier",
  },
  age_band: {
    infant: "moins d’un an", young_child: "1 à 5 ans", child: "6 à 15 ans", adult: "16 à 39 ans",
    middle_age: "40 à 64 ans", senior: "65 à 79 ans", elder: "80 ans et plus",
  },
  sex: { female: "femme", male: "homme", unknown: "sexe non précisé" },
  guest_role: { interpreter: "interprète", sign_interpreter: "interprète en langue des signes", specialist: "spécialiste", other: "invité" },
  status: { provisional: "identité provisoire", validated: "identité validée", qualified: "identité qualifiée" },
  purpose: { care: "soins", usual_doctor: "médecin traitant", statistics: "statistiques" },
  site: { pharmacy: "pharmacie", town_hall: "mairie", care_home: "EHPAD", health_centre: "centre de santé", other: "autre lieu" },
  cause: {
    completed: "La consultation est terminée.", patient_left: "Le patient est parti.",
    given_back: "Le patient est rendu à la salle d’attente.", declined: "Le patient préfère attendre un autre médecin.",
    not_shown: "La cabine ne peut pas vous présenter au patient : dans votre compte, le nom, la spécialité, la ville, le numéro RPPS ou le tarif manque ou est faux. Demandez à l’exploitant du bureau de le compléter (desk account change).",
    cabin_lost: "La cabine n’est pas revenue à temps. Ce qui était remis est gardé dans la cabine.",
    physician_lost: "Votre liaison a été perdue trop longtemps.", emergency: "Le patient a été orienté vers le 15 / 112.",
    fault: "Une panne a mis fin à l’appel.",
  },
};

export const word = (kind, code) => WORDS[kind]?.[code] ?? String(code ?? "").replaceAll("_", " ");

/// A figure as the physician reads it: the cabin's exact integer, with the point moved; nothing is rounded.
export function figureText(figure) {
  const shift = { g: 3, mm: 1, ms: 3 }[figure.unit] ?? figure.decimals;
  const digits = String(Math.abs(figure.value)).padStart(shift + 1, "0");
  const whole = digits.slice(0, digits.length - shift);
  let rest = digits.slice(digits.length - shift);
  while (rest.length > 1 && rest.endsWith("0")) rest = rest.slice(0, -1);
  return (figure.value < 0 ? "−" : "") + whole + (shift ? "," + rest : "");
}

export const clock = (at) => new Date(at).toLocaleTimeString("fr-FR", { hour: "2-digit", minute: "2-digit" });

export const day = (at) => (new Date(at).toDateString() === new Date().toDateString() ? "aujourd’hui" : `le ${new Date(at).toLocaleDateString("fr-FR")}`);

export function since(ms) {
  const minutes = Math.floor(ms / 60000);
  if (minutes < 1) return "moins d’une minute";
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")}`;
}
