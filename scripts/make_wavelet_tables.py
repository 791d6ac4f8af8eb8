#!/usr/bin/env python3
"""Writes src/wavelet_tables.inc: the low-pass filters of the discrete wavelets.

The numbers are those that PyWavelets lists (I. Daubechies, "Ten Lectures on
Wavelets", 1992; A. Cohen, I. Daubechies, J.-C. Feauveau, 1992), printed so that
they read back bit for bit. The other filters follow from these:
dec_hi[k] = -(-1)^k rec_lo[k], rec_hi[k] = (-1)^k dec_lo[k]; orthogonal
wavelets have rec_lo = reversed dec_lo, and rbio is bior with analysis and
synthesis exchanged and reversed. The script checks all of that.
"""
import sys

import numpy as np
import pywt

FAMILIES = ["haar", "db", "sym", "coif", "dmey", "bior"]


def row(values):
    text = ", ".join(repr(float(v)) for v in values)
    out, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) > 76:
            out.append(line.rstrip())
            line = ""
        line += word + " "
    out.append(line.rstrip())
    return "{" + "\n     ".join(out) + "}"


def check(wavelet):
    sign = (-1.0) ** np.arange(wavelet.dec_len)
    assert np.array_equal(wavelet.dec_hi, -sign * wavelet.rec_lo)
    assert np.array_equal(wavelet.rec_hi, sign * wavelet.dec_lo)
    if wavelet.orthogonal:
        assert wavelet.rec_lo == wavelet.dec_lo[::-1]
    if wavelet.name.startswith("rbio"):
        twin = pywt.Wavelet("bior" + wavelet.name[4:])
        assert wavelet.dec_lo == twin.rec_lo[::-1]
        assert wavelet.rec_lo == twin.dec_lo[::-1]


def main(path):
    for name in pywt.wavelist(kind="discrete"):
        check(pywt.Wavelet(name))
    with open(path, "w") as f:
        f.write("// Made by scripts/make_wavelet_tables.py.\n")
        f.write("// {name, dec_lo, rec_lo where it is not dec_lo reversed}\n")
        for family in FAMILIES:
            for name in pywt.wavelist(family):
                w = pywt.Wavelet(name)
                second = "{}" if w.orthogonal else row(w.rec_lo)
                f.write('{"%s",\n    %s,\n    %s},\n' % (name, row(w.dec_lo), second))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "src/wavelet_tables.inc")
