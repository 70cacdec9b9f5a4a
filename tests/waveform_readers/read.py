"""Reads a waveform file with programs that share nothing with the cabin, and prints what they read as JSON.

read.py pyedflib|mne|pydicom FILE
"""

import json
import sys


def pyedflib_reads(path):
    import pyedflib

    # Asks for the format to be kept to the letter: EDFlib refuses what is not.
    reader = pyedflib.EdfReader(path, annotations_mode=pyedflib.READ_ALL_ANNOTATIONS)
    header = reader.getHeader()
    onsets, durations, texts = reader.readAnnotations()
    return {
        "filetype": reader.filetype,
        "patient": {k: str(header[k]) for k in ("patientcode", "sex", "birthdate", "patientname")},
        "equipment": header["equipment"],
        "start": header["startdate"].isoformat(),
        # Beside the date, whose own fraction pyedflib 0.1.42 takes for hundredths of it.
        "hundreds_of_nanoseconds": int(reader.starttime_subsecond),
        "leads": [
            {
                "label": reader.getLabel(i),
                "unit": reader.getPhysicalDimension(i),
                "rate": reader.getSampleFrequency(i),
                "digital": [int(s) for s in reader.readSignal(i, digital=True)],
                "physical": [float(s) for s in reader.readSignal(i)],
            }
            for i in range(reader.signals_in_file)
        ],
        "annotations": [[float(o), float(d), str(t)] for o, d, t in zip(onsets, durations, texts)],
    }


def mne_reads(path):
    import mne

    raw = mne.io.read_raw_edf(path, preload=True, verbose="error")
    volts = raw.get_data()
    return {
        "rate": raw.info["sfreq"],
        "start": raw.info["meas_date"].isoformat(),
        "leads": [
            {"label": name, "microvolts": [float(v) * 1e6 for v in volts[i]]} for i, name in enumerate(raw.ch_names)
        ],
        "annotations": [[float(a["onset"]), float(a["duration"]), str(a["description"])] for a in raw.annotations],
    }


def pydicom_reads(path):
    import pydicom

    # A value that breaks the standard is an error, not a warning.
    pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
    file = pydicom.dcmread(path)
    return {
        "class": file.SOPClassUID,
        "instance": file.SOPInstanceUID,
        "patient": {
            "family": file.PatientName.family_name,
            "given": file.PatientName.given_name,
            "id": file.PatientID,
            "born": file.PatientBirthDate,
            "sex": file.PatientSex,
        },
        "acquired": file.AcquisitionDateTime,
        "groups": [
            {
                "originality": group.WaveformOriginality,
                "rate": float(group.SamplingFrequency),
                "padding": int.from_bytes(group.WaveformPaddingValue, "little", signed=True),
                "leads": [
                    {
                        "code": channel.ChannelSourceSequence[0].CodeValue,
                        "sensitivity": str(channel.ChannelSensitivity.original_string),
                        "baseline": str(channel.ChannelBaseline.original_string),
                        "derivation": channel.get("ChannelDerivationDescription"),
                        "raw": [int(s) for s in pydicom.waveforms.multiplex_array(file, g, as_raw=True)[:, c]],
                        "microvolts": [float(s) for s in pydicom.waveforms.multiplex_array(file, g, as_raw=False)[:, c]],
                    }
                    for c, channel in enumerate(group.ChannelDefinitionSequence)
                ],
            }
            for g, group in enumerate(file.WaveformSequence)
        ],
    }


READERS = {"pyedflib": pyedflib_reads, "mne": mne_reads, "pydicom": pydicom_reads}
json.dump(READERS[sys.argv[1]](sys.argv[2]), sys.stdout)
