"""Writes Metal text as C++14 that runs on the host (see README.md beside it).

    metal_text.py TEXT.metal OUTPUT.cpp

Refuses text that breaks the conventions which make this possible.
"""
import pathlib
import re
import sys

TYPE = r"[A-Za-z_]\w*(?:<[^<>()]*>)?"
# Not in Metal, or nothing that can be checked here.
FORBIDDEN = {
    r"\bconst\s+(?:device|constant|threadgroup)\b": "write `device const T*`",
    r"\bthread\s+(?:const\s+)?" + TYPE + r"\s*\*": "no pointers to a thread's own memory; use `thread array<T, N>&`",
    r"\b(?:device|threadgroup)\s+(?:const\s+)?" + TYPE + r"\s*&": "no references to shared memory; pass the pointer and an index",
    r"\breinterpret_cast\b": "no reinterpret_cast; `as_type` keeps bits",
    r"\b(?:double|new|delete|goto|throw|try|catch|virtual|typeid|dynamic_cast|thread_local|union|asm|std)\b": "not in Metal",
    r"\[\s*[&=]?\s*\]\s*(?:\(|\{)": "no lambdas",
    r"\batomic_\w+": "atomics are not in the stand-in",
    r"^[ \t]*#[ \t]*(?!include[ \t]*<metal_|define\b|undef\b|if\b|ifdef\b|ifndef\b|else\b|endif\b)": "only <metal_...> can be included",
    r"\bkernel\b(?!\s*\]\])": "write `[[kernel]] void name(...)`",
}
ATTRIBUTES = {
    "thread_position_in_grid", "thread_position_in_threadgroup", "threadgroup_position_in_grid",
    "threads_per_threadgroup", "threads_per_grid", "threadgroups_per_grid", "thread_index_in_threadgroup",
    "thread_index_in_simdgroup", "simdgroup_index_in_threadgroup", "simdgroups_per_threadgroup",
}


class Refused(Exception):
    pass


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def refuse(text, position, why):
    line = text.splitlines()[line_of(text, position) - 1].strip()
    raise Refused(f"line {line_of(text, position)}: {why}: {line}")


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def closing(text, start):
    """The position of the parenthesis that closes the one at `start`."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i
    refuse(text, start, "a parenthesis is not closed")


def top_level(arguments):
    """Split at the commas outside brackets of any kind."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(arguments):
        depth += (c in "([{<") - (c in ")]}>")
        if c == "," and depth == 0:
            parts.append(arguments[start:i])
            start = i + 1
    return parts + [arguments[start:]]


def parameters(text, begin, end):
    """Of a kernel: its parameter list without attributes, and the attributes."""
    plain, sources = [], []
    for parameter in top_level(text[begin:end]):
        found = re.fullmatch(r"(.*?)\[\[\s*(\w+)\s*(?:\(\s*(\d+)\s*\))?\s*\]\]\s*", parameter, re.S)
        if not found:
            refuse(text, begin, "every parameter of a kernel needs one [[attribute]]")
        declaration, attribute, index = found.groups()
        if attribute == "buffer":
            if not re.search(r"[*&]\s*\w+\s*$", declaration) or index is None:
                refuse(text, begin, "a buffer is a pointer or a reference, [[buffer(n)]]")
            sources.append(f"{{metal_host::source::buffer, {index}}}")
        elif attribute in ATTRIBUTES:
            sources.append(f"{{metal_host::source::{attribute}, 0}}")
        else:
            refuse(text, begin, f"the attribute {attribute} is unknown here")
        plain.append(declaration.rstrip() + "\n" * parameter[len(declaration):].count("\n"))
    return ",".join(plain), "{" + ", ".join(sources) + "}"


def take_kernels(text):
    """Text without kernel attributes; {function: sources}, [(name, function)]."""
    sources, instances, templates = {}, [], set()
    pattern = re.compile(r"template\s*\[\[host_name\(\"(\w+)\"\)\]\]\s*\[\[kernel\]\]\s*decltype\(([^;]*?)\)\s*([^;()]*?)\s*;")

    def instance(match):
        name, inner, outer = match.groups()
        if inner != outer:
            refuse(text, match.start(), "decltype(f<...>) f<...> must agree")
        instances.append((name, outer))
        return blank(match)

    text = pattern.sub(instance, text)
    while True:
        found = re.search(r"\[\[kernel\]\]\s*void\s+(\w+)\s*\(", text)
        if not found:
            break
        name = found.group(1)
        if name in sources:
            refuse(text, found.start(), f"two kernels have the name {name}")
        end = closing(text, found.end() - 1)
        plain, sources[name] = parameters(text, found.end(), end)
        before = text[: found.start()].rstrip()
        if before.endswith(">"):
            templates.add(name)
        else:
            instances.append((name, name))
        head = found.group().replace("[[kernel]]", "static    ")
        text = text[: found.start()] + head + plain + text[end:]
    if re.search(r"\[\[", text):
        refuse(text, text.index("[["), "an attribute that is not understood")
    for name in templates - {f.split("<")[0].strip() for _, f in instances}:
        raise Refused(f"the kernel {name} is never instantiated")
    return text, sources, instances


def take_spaces(text):
    """Address spaces as types."""
    text = re.sub(
        r"\b(device|threadgroup|constant)\s+(const\s+)?(" + TYPE + r")\s*\*(?!\s*\*)",
        lambda m: "metal_host::{}_pointer<{}{}> ".format(
            m[1], "const " if m[2] or m[1] == "constant" else "", m[3]),
        text)
    count = [0]

    def array(match):
        count[0] += 1
        element, name, size = match.groups()
        return f"const auto {name} = metal_host::threadgroup_array<{element}, ({size})>({count[0]});"

    text = re.sub(r"\bthreadgroup\s+(" + TYPE + r")\s+(\w+)\s*\[([^\[\];]*)\]\s*;", array, text)
    text = re.sub(r"\bconstant\s+(?:const\s+)?(" + TYPE + r"\s*&)", r"const \1", text)
    text = re.sub(r"\bconstant\b", "const", text)
    text = re.sub(r"\bthread\s+((?:const\s+)?" + TYPE + r"\s*&)", r"\1", text)
    for match in re.finditer(r"\b(?:device|threadgroup|thread)\b", text):
        refuse(text, match.start(), "an address space that is not understood")
    # What is declared in place, other than array<T, N>, has no bounds to check.
    for match in re.finditer(r"(?:^|[;{}])\s*(?:const(?:expr)?\s+)*(?!return\b|else\b|case\b|using\b)" + TYPE + r"\s+\w+\s*\[[^\]]*\]\s*[;={\[]", text):
        refuse(text, match.end() - 1, "write array<T, N> (in threadgroup memory one dimension)")
    return text


def convert(raw):
    for position, byte in enumerate(raw):
        if byte > 126 or (byte < 32 and byte not in b"\n\t"):
            line = raw.count(b"\n", 0, position) + 1
            raise Refused(f"line {line}: byte {byte} is not ASCII")
    text = raw.decode("ascii")
    text = re.sub(r"//[^\n]*|/\*.*?\*/", blank, text, flags=re.S)
    for pattern, why in FORBIDDEN.items():
        found = re.search(pattern, text, re.M)
        if found:
            refuse(text, found.start(), why)
    text = re.sub(r"^[ \t]*#[ \t]*include[^\n]*|\busing\s+namespace\s+metal\s*;", blank, text, flags=re.M)
    text, sources, instances = take_kernels(text)
    names = [name for name, _ in instances]
    if len(set(names)) != len(names):
        raise Refused("two kernels have one name")
    return take_spaces(text), sources, instances


def fnv1a(raw):
    value = 14695981039346656037
    for byte in raw:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


def main(source, output):
    raw = pathlib.Path(source).read_bytes()
    try:
        text, sources, instances = convert(raw)
    except Refused as error:
        sys.exit(f"{source}: {error}")
    kernels = "".join(
        f'    {{"{name}", metal_host::kernel(&{function}, {sources[function.split("<")[0].strip()]})}},\n'
        for name, function in instances)
    stem = re.sub(r"\W", "_", pathlib.Path(source).stem)
    pathlib.Path(output).write_text(f"""// Made by metal_text.py from {pathlib.Path(source).name}.
#include "mps/metal/metal_host.h"

namespace metal {{
namespace {stem} {{
namespace {{
#line 1 "{source}"
{text}
#line 1 "{output}"
const metal_host::Registrar registrar({{{fnv1a(raw)}u, {len(raw)}u, {{
{kernels}}}}});
}} // namespace
}} // namespace {stem}
}} // namespace metal
""")


if __name__ == "__main__":
    main(*sys.argv[1:])
