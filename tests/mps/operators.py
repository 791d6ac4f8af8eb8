"""Writes the operators that have a kernel for MPS in the installed torch, one
C++ string a line, from the native_functions.yaml that the wheel carries.

    operators.py SITE_PACKAGES OUTPUT
"""
import pathlib
import sys

site, output = sys.argv[1:]
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
pathlib.Path(output).write_text("".join(f'"{name}",\n' for name in sorted(names)))
