"""Writes the operators that have a kernel for MPS, one C++ initializer a line:
name, in the installed torch, in torch 2.11, in torch 2.15. The first is from the
native_functions.yaml that the wheel carries, the others by the file of changes.

    operators.py SITE_PACKAGES CHANGES OUTPUT
"""
import pathlib
import sys

site, changes, output = sys.argv[1:]
sys.path.insert(0, site)

from torchgen.gen import get_grouped_native_functions, parse_native_yaml  # noqa: E402
from torchgen.model import DispatchKey, NativeFunctionsGroup  # noqa: E402

folder = pathlib.Path(site, "torchgen/packaged/ATen/native")
parsed = parse_native_yaml(str(folder / "native_functions.yaml"), str(folder / "tags.yaml"))
mps = parsed.backend_indices[DispatchKey.MPS]
names = []
for group in get_grouped_native_functions(parsed.native_functions):
    if isinstance(group, NativeFunctionsGroup):
        # One kernel, that of the out= form, serves a structured group.
        structured = group.structured and mps.get_kernel(group.out) is not None
        served = {str(f.func.name) for f in (group.functional, group.inplace, group.out) if f}
        functions = group.functions()
    else:
        structured, served, functions = False, set(), [group]
    for function in functions:
        name = str(function.func.name)
        if mps.has_kernel(function) or (structured and name in served):
            names.append(name)
assert len(names) > 500, f"only {len(names)} operators in {folder}"
lines = [line.split() for line in pathlib.Path(changes).read_text().splitlines()]
added = {line[1] for line in lines if line[0] == "+"}
removed = {line[1] for line in lines if line[0] == "-"}
assert added and removed, changes
installed = set(names)
older, newer = (installed - added) | removed, (installed | added) - removed
pathlib.Path(output).write_text("".join(
    f'{{"{name}", {int(name in installed)}, {int(name in older)}, {int(name in newer)}}},\n'
    for name in sorted(installed | older | newer)))
