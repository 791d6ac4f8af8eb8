"""What metal_text.py, cmake/EmbedMetal.cmake and Clang refuse of Metal text."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
from metal_text import Refused, convert  # noqa: E402

KERNEL = """
[[kernel]] void f(device float* out [[buffer(0)]], uint at [[thread_position_in_grid]]) {
  %s
}
"""

REFUSED = {
    "threadgroup float t[4][4];": "address space",
    "threadgroup float one;": "address space",
    "float a[4]; out[at] = a[0];": "array<T, N>",
    "thread float* p = &x;": "no pointers to a thread's own memory",
    "device float& r = out[at];": "no references to shared memory",
    "const device float* p = out;": "device const T",
    "auto f = [&](int i) { return i; };": "lambdas",
    "out[at] = float(double(1));": "not in Metal",
    "out[at] = std::max(1, 2);": "not in Metal",
    "auto p = reinterpret_cast<int>(out);": "reinterpret_cast",
    "atomic_float x;": "atomics",
    "#include <vector>": "only <metal_...>",
}


@pytest.mark.parametrize("line", REFUSED)
def test_refused(line):
    with pytest.raises(Refused, match=".*".join(REFUSED[line].replace("*", "").split("T, N")[:1]).replace("<", ".")):
        convert((KERNEL % line).encode())


@pytest.mark.parametrize("text, why", [
    ("kernel void f(device float* o [[buffer(0)]]) {}", "write `\\[\\[kernel\\]\\]"),
    ("[[kernel]] void f(device float* o) {}", "needs one"),
    ("[[kernel]] void f(device float* o [[buffer(0)]], uint x [[color(0)]]) {}", "unknown"),
    ("template <typename T>\n[[kernel]] void f(device T* o [[buffer(0)]]) {}", "never instantiated"),
    ('template [[host_name("g")]] [[kernel]] decltype(f<float>) f<half>;', "must agree"),
])
def test_kernels(text, why):
    with pytest.raises(Refused, match=why):
        convert(text.encode())


def test_a_line_is_named():
    with pytest.raises(Refused, match="line 3: .*goto"):
        convert((KERNEL % "goto end;").encode())


def test_comments_may_say_anything():
    source = KERNEL % "out[at] = 1; // std::vector in a thread, double\n/* goto\n*/"
    text, _, instances = convert(source.encode())
    assert instances == [("f", "f")] and "goto" not in text and text.count("\n") == source.count("\n")


@pytest.mark.parametrize("byte", ["\u00e9", "\u2212", "\x7f", "\x01"])
def test_ascii(byte, tmp_path):
    text = (KERNEL % f"// {byte}").encode()
    with pytest.raises(Refused, match="line 3: byte .* is not ASCII"):
        convert(text)
    file = tmp_path / "k.metal"
    file.write_bytes(text)
    ran = embed(tmp_path, file)
    assert ran.returncode != 0 and "k.metal:3: a byte that is not ASCII" in " ".join(ran.stderr.split())
    assert not (tmp_path / "out.cpp").exists()


def test_embedded_as_it_is(tmp_path):
    files = []
    for i, text in enumerate(['int a[] = {1; 2};\n// "\\n" ${x} @y@ [[z]\n', "#define A \\\n  1\n"]):
        files.append(tmp_path / f"{i}.metal")
        files[-1].write_text(text)
    ran = embed(tmp_path, *files)
    assert ran.returncode == 0, ran.stderr
    whole = "".join(f.read_text() for f in files)
    assert (tmp_path / "out.metal").read_text() == whole
    assert f'R"metal({whole})metal"' in (tmp_path / "out.cpp").read_text()


def embed(folder, *files):
    script = HERE.parents[2] / "cmake" / "EmbedMetal.cmake"
    return subprocess.run(
        [os.environ.get("SIGNALLLM_CMAKE", "cmake"), "-DNAME=out", f"-DBASE={folder}/out", "-P", script, "--", *files],
        capture_output=True, text=True)


# ---- What Clang, which knows address spaces, says of the text itself -------------
CLANG = next(filter(None, map(shutil.which, ["clang++", "clang++-14"])), None)
clang = pytest.mark.skipif(CLANG is None, reason="no clang++")


def address_space_errors(text, folder):
    text = re.sub(r"#include <metal_\w+>", "", text)
    text = re.sub(r"template \[\[host_name\([^)]*\)\]\] \[\[kernel\]\]", "template", text)
    text = re.sub(r"\[\[\w+(\(\d+\))?\]\]", "", text)
    # Metal copies values out of `constant`, and its arrays are indexed there;
    # Clang does neither, so that references are only what cannot be written.
    text = re.sub(r"\bconstant\s+(\w+)\s*&", r"const \1&", text)
    text = re.sub(r"\bfloat2\(", "make_float2(", text)
    # Clang has no group's own variables in a function.
    text = re.sub(r"^(\s+)(threadgroup\s+\w+\s+\w+\[)", r"\1static \2", text, flags=re.M)
    source = folder / "text.cpp"
    source.write_text((HERE / "address_spaces.h").read_text() + text)
    ran = subprocess.run(
        [CLANG, "-std=c++14", "-fsyntax-only", "-Wall", "-Wno-unused", source], capture_output=True, text=True)
    return ran.stderr


@clang
@pytest.mark.parametrize("file", [os.environ.get("SIGNALLLM_METAL_TEXT"), HERE / "planted.metal"])
def test_address_spaces(file, tmp_path):
    if file is None:
        pytest.skip("SIGNALLLM_METAL_TEXT is not set")
    assert address_space_errors(pathlib.Path(file).read_text(), tmp_path) == ""


@clang
@pytest.mark.parametrize("line", [
    "device float* p = tile;", "threadgroup const float* p = out;", "f(out);", "n = 2;", "undeclared(1.0f);",
])
def test_planted_address_spaces(line, tmp_path):
    text = """
using namespace metal;
inline float f(threadgroup const float* x) { return x[0]; }
[[kernel]] void g(device float* out [[buffer(0)]], constant uint& n [[buffer(1)]]) {
  threadgroup float tile[8];
  tile[0] = out[0];
  out[n] = f(tile);
%s
}
"""
    assert address_space_errors(text % "", tmp_path) == ""
    assert "error" in address_space_errors(text % line, tmp_path)
