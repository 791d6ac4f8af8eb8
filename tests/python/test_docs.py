"""The code and the table of docs/python.md, as they stand there."""
import re

import pytest
import torch

from conftest import LIBRARY, ROOT

PAGE = (ROOT / "docs" / "python.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| `(\(.*)` \|$", PAGE, re.M)


def test_code():
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S))
    loaded = '"build/release/libsignalllm.so"'
    assert code.count(loaded) == 1 and code.count("assert") > 5
    torch.manual_seed(0)
    exec(compile(code.replace(loaded, repr(LIBRARY)), "python.md", "exec"), {})


def public():
    names = {s.name for s in torch._C._jit_get_all_schemas() if s.name.startswith("signalllm::")}
    return sorted(n.split("::")[1] for n in names if "_backward" not in n)


def test_every_operator_has_its_row():
    assert sorted(name for name, _ in ROWS) == public()


@pytest.mark.parametrize("name,schema", ROWS)
def test_schema(name, schema):
    documented = torch._C.parse_schema(f"signalllm::{name}{schema}")
    assert str(documented) == str(getattr(torch.ops.signalllm, name).default._schema)
