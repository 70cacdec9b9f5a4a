"""How intelligible speech is that went through a line: `score.py SAID.wav HEARD.raw` prints one number, from 0 to 1.

ESTOI (Jensen and Taal, IEEE/ACM Transactions on Audio, Speech and Language Processing 24, 2016) by pystoi, its authors'
reference made into Python. It compares moment with moment, so the heard sound (S16LE, 48 kHz, one channel) is laid over
what was said piece by piece: players stretch and shorten pauses, which costs nobody a word. The recording begins somewhere
in what is said, over and over.
"""

import sys
import wave

import numpy as np
from pystoi import stoi
from scipy.signal import correlate, resample_poly

RATE = 16000
FRAME = 160  # 10 ms
PIECE = 80  # frames: 0.8 s, two of ESTOI's own segments
DRIFT = 60  # frames by which a piece may come earlier or later than the one before


def said(path):
    with wave.open(path) as file:
        assert file.getnchannels() == 1 and file.getsampwidth() == 2, "one channel of 16 bits"
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(float)
        return resample_poly(samples, RATE, file.getframerate())


def heard(path):
    return resample_poly(np.fromfile(path, "<i2").astype(float), RATE, 48000)


def loudness(sound):
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    return np.log10(np.mean(frames**2, axis=1) + 100.0)


def place(piece, where):
    """Where in `where` the piece fits best, and how well: normalised correlation."""
    piece = piece - piece.mean()
    norm = np.sqrt(np.sum(piece**2)) + 1e-9
    windows = np.lib.stride_tricks.sliding_window_view(where, len(piece))
    centred = windows - windows.mean(axis=1, keepdims=True)
    fits = centred @ piece / (np.sqrt(np.sum(centred**2, axis=1)) * norm + 1e-9)
    best = int(np.argmax(fits))
    return best, fits[best]


def main():
    speech, sound = said(sys.argv[1]), heard(sys.argv[2])
    # Long enough to find the recording's beginning in it, wherever that is.
    period = len(speech) // FRAME
    speech = np.tile(speech[: period * FRAME], 2 + len(sound) // len(speech))
    script, ear = loudness(speech), loudness(sound)
    # The first ten seconds say where the recording began.
    start, _ = place(ear[:1000], script[: period + 1000])
    reference, laid = [], []
    lag = 0
    for at in range(0, len(ear) - PIECE - DRIFT, PIECE):
        piece = script[start + at : start + at + PIECE]
        if piece.max() - script.min() < 1.5:
            continue  # a pause
        low = max(0, at + lag - DRIFT)
        found, fit = place(piece, ear[low : at + lag + DRIFT + PIECE])
        if fit > 0.5:
            lag = low + found - at
        # And to the sample: within one frame either way.
        begin = (start + at) * FRAME
        clean = speech[begin : begin + PIECE * FRAME]
        low = max(0, (at + lag) * FRAME - FRAME)
        near = sound[low : low + (PIECE + 2) * FRAME]
        if len(near) < (PIECE + 2) * FRAME:
            break
        fine = int(np.argmax(correlate(near, clean, "valid")))
        reference.append(clean)
        laid.append(near[fine : fine + PIECE * FRAME])
    print(f"{stoi(np.concatenate(reference), np.concatenate(laid), RATE, extended=True):.3f}")


main()
